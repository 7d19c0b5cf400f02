//! Clusters through which calls go and no provider is known: each is said once, by one worker for all of them.

use crate::shared::{Change, Shared};

/// The names that were said, a line each. Those that say something at the same time are few.
pub const SAID: Shared = Shared::new("meshmeter: unmapped clusters", 8);
/// So many are said in all: where clusters come and go, the log is not to grow with them.
const MAX: usize = 64;

/// What this worker knows of it.
#[derive(Debug, Default)]
pub struct Unmapped(Vec<String>);

impl Unmapped {
    /// Whether it is for this worker to say a cluster.
    pub fn is_news(&mut self, cluster: &str) -> bool {
        if self.0.len() >= MAX || self.0.iter().any(|known| known == cluster) {
            return false;
        }
        self.0.push(cluster.to_owned());
        let name: String = cluster.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let said = SAID.change(|said| {
            if said.lines().count() >= MAX || said.lines().any(|line| line == name) {
                return Change::Keep(false);
            }
            Change::Set(format!("{said}{name}\n"), true)
        });
        said.unwrap_or(false)
    }
}
