//! Senders that are hostile to the collector as a server.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
