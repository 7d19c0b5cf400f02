//! Calls that poison the estimates of others.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
