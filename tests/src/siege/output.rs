//! Names that reach terminals, spreadsheets and files.

use super::Attack;

/// The attacks.
pub const ATTACKS: &[Attack] = &[];
