//! Sealed months: the first part of each chain is in an archive, the Parquet files that `meshmeter export` writes, and of those
//! entries the database has only what it needs itself. Whoever reads the ledger reads both as one.

mod archive;
mod archives;
mod beside;
mod merged;
mod reader;
mod seal;
mod unseal;
mod watch;

pub use archive::{Archived, whole_name};
pub use archives::{Settings, open};
pub use reader::{SEALED_MEANWHILE, Whole};
#[cfg(test)]
pub(crate) use seal::run_by;
pub use seal::{Checked, Plan, Request, check, plan, run};
#[cfg(test)]
pub(crate) use unseal::bring_back_by;
pub use unseal::{Back, bring_back, come_back};
pub use watch::{Months, Seen, Watcher};

pub use crate::ledger::Failure;
