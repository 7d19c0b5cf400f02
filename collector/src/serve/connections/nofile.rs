//! How many connections the system has to give: its bound of open files, which is raised as far as it may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside connections: the database's for the writer and eight readers, its log, the price book, tokens,
/// certificates, standard streams, what the runtime needs, and those connections whose end is under way.
const OTHERS: u64 = 96;
/// The fewest connections that are of any use.
const FEWEST: u64 = 32;
/// More than is ever needed: some systems allow billions, and others believe that all of them will be used.
const ENOUGH: u64 = 65_536;

/// Raises the bound, and says how many connections there may be.
pub fn connections() -> Result<usize, String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let now = current.unwrap_or(u64::MAX);
    let wanted = maximum.unwrap_or(u64::MAX).min(ENOUGH);
    let raised = now < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let files = if raised { wanted } else { now };
    match files.checked_sub(OTHERS) {
        Some(connections) if connections >= FEWEST => Ok(usize::try_from(connections).unwrap_or(usize::MAX)),
        _ => {
            let least = OTHERS.saturating_add(FEWEST);
            Err(format!("open files (ulimit -n): must be at least {least}, only {files} are allowed"))
        }
    }
}
