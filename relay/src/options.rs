//! What a relay is told.

use crate::address::Address;
use crate::kafka::Security;
use crate::position::Beginning;

/// What a relay does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to.
    pub to: Address,
    /// How it speaks to brokers.
    pub security: Security,
    /// Its name: its transactional id and its position go by it.
    pub name: String,
    /// Which process it is, for whoever finds that it has taken over: another text for each.
    pub by: String,
    /// The topic that keeps positions.
    pub positions: String,
    /// Where it begins if it has no position.
    pub from: Option<Beginning>,
    /// Entries of a transaction, at most.
    pub entries: usize,
    /// It ends when everything is sent that was in the ledger.
    pub once: bool,
}
