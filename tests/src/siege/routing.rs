//! Clients that choose who is said to have answered.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
