//! The real `meshmeter` process over real HTTP, on SQLite. What concerns the ledger runs on PostgreSQL too.

mod asking;
mod auditing;
mod backups;
#[cfg(target_os = "linux")]
mod bucket;
mod budgets;
mod closing;
mod command;
mod copies;
mod correcting;
mod doctoring;
mod durability;
mod explaining;
mod exporting;
mod fair;
mod forgetting;
mod hashing;
#[cfg(target_os = "linux")]
mod hostile;
mod http_api;
mod ingest;
mod output;
mod prices;
mod pruning;
mod quarantine;
mod reading;
mod reconcile;
mod restricted;
mod sealing;
mod serving;
mod setting;
mod statements;
mod support;
#[cfg(target_os = "linux")]
mod warehouse;
mod watching;
mod web;

const ON_POSTGRES: bool = false;
