//! Callers that claim to be somebody else, and names that crowd out others.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
