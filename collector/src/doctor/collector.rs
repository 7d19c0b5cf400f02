//! What is seen of a collector.

use std::time::Duration;

use serde::Deserialize;

use super::finding::Unseen;
use crate::exposition::Scrape;
use crate::fetch::{Bounds, Fetcher, NoPage, Page};
use crate::terminal::printable;

const BOUNDS: Bounds = Bounds { size: 16 << 20, time: Duration::from_secs(20) };
/// The first page shows who responds there at all: it is short.
const FIRST: Bounds = Bounds { size: 64 << 10, time: Duration::from_secs(10) };
/// The longest reason that is shown, characters.
const MAX_SHOWN: usize = 300;
/// The metrics that are of interest: of the collector itself, of budgets and what they refused, and of what has no price.
const METRICS: &[&str] =
    &["meshmeter_collector_", "meshmeter_budget_", "meshmeter_ledger_refused_", "meshmeter_unpriced_"];

/// A collector, as it was seen.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    /// Its URL.
    pub url: String,
    /// Its version.
    pub version: String,
    /// Why it is not ready, if it is not.
    pub unready: Option<String>,
    /// By how many seconds its clock is ahead of this host's.
    pub ahead_s: Option<i64>,
    /// Its metrics at the beginning.
    pub before: Scrape,
    /// Its metrics at the end; none: they could not be read.
    pub after: Option<Scrape>,
    /// Why its metrics could not be read.
    pub unread: Option<NoMetrics>,
}

/// Why there are no metrics of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMetrics {
    /// It does not accept the token, or there is none.
    Refused {
        /// A token was sent.
        has_token: bool,
    },
    /// Something else.
    Failed(String),
}

/// Where a collector is, and who asks.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its URL.
    pub url: String,
    /// The read token.
    pub token: Option<String>,
    /// Who reads it.
    pub fetcher: Fetcher,
}

/// A collector that is being looked at.
#[derive(Debug)]
pub struct Look {
    collector: Collector,
    target: Target,
}

impl Look {
    /// Looks at it for the first time.
    pub fn begin(target: Target) -> Result<Look, Unseen> {
        let unseen = |problem: NoPage| match problem {
            NoPage::Unreachable(_) | NoPage::Timeout(_) => Unseen::Unreachable(problem.in_words()),
            NoPage::TooLarge(_) | NoPage::Protocol(_) => Unseen::Other(problem.in_words()),
        };
        let page = target.fetcher.get(&format!("{}/readyz", target.url), &[], FIRST).map_err(unseen)?;
        let Some(version) = page.collector.clone() else {
            return Err(Unseen::Other(format!("what responds is {}", page.looks_like())));
        };
        let unready = (page.status != 200).then(|| reason(&page));
        let (url, ahead_s) = (target.url.clone(), page.ahead_s);
        let mut collector = Collector { url, version, unready, ahead_s, ..Collector::default() };
        match target.metrics() {
            Ok(scrape) => collector.before = scrape,
            Err(problem) => collector.unread = Some(problem),
        }
        Ok(Look { collector, target })
    }

    /// What was seen so far; what has grown has done so since these metrics.
    pub fn now(self, before: Option<Scrape>) -> Collector {
        let mut collector = self.collector;
        if collector.unread.is_none() {
            let now = std::mem::take(&mut collector.before);
            collector.before = before.unwrap_or_else(|| now.clone());
            collector.after = Some(now);
        }
        collector
    }

    /// Looks again.
    pub fn end(mut self) -> Collector {
        if self.collector.unread.is_none() {
            match self.target.metrics() {
                Ok(scrape) => self.collector.after = Some(scrape),
                Err(problem) => self.collector.unread = Some(problem),
            }
        }
        self.collector
    }
}

impl Target {
    /// Reads a page with the token.
    pub fn get(&self, url: &str, bounds: Bounds) -> Result<Page, NoPage> {
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        self.fetcher.get(url, &headers, bounds)
    }

    fn metrics(&self) -> Result<Scrape, NoMetrics> {
        match self.get(&format!("{}/metrics", self.url), BOUNDS) {
            Ok(page) if page.status == 200 => Ok(Scrape::parse(&String::from_utf8_lossy(&page.body), METRICS)),
            Ok(page) if matches!(page.status, 401 | 403) => Err(NoMetrics::Refused { has_token: self.token.is_some() }),
            Ok(page) => Err(NoMetrics::Failed(format!("status {}: {}", page.status, reason(&page)))),
            Err(problem) => Err(NoMetrics::Failed(problem.in_words())),
        }
    }
}

/// What a collector says of why, in one line.
fn reason(page: &Page) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    let said = serde_json::from_slice::<Said>(&page.body).map(|said| said.error);
    let said = said.unwrap_or_else(|_| format!("status {}", page.status));
    printable(said.chars().take(MAX_SHOWN).collect::<String>())
}
