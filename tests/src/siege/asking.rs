//! Requests that avoid being asked for their usage.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
