//! Records that make other records free, and stolen tokens.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
