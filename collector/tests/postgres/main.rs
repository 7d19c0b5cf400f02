//! What the tests of `collector` say of the ledger, on PostgreSQL; and several collectors on one database.

#[path = "../collector/asking.rs"]
mod asking;
#[path = "../collector/auditing.rs"]
mod auditing;
#[path = "../collector/backups.rs"]
mod backups;
#[path = "../collector/budgets.rs"]
mod budgets;
#[path = "../collector/closing.rs"]
mod closing;
mod collectors;
#[path = "../collector/correcting.rs"]
mod correcting;
#[path = "../collector/durability.rs"]
mod durability;
#[path = "../collector/explaining.rs"]
mod explaining;
#[path = "../collector/exporting.rs"]
mod exporting;
#[path = "../collector/fair.rs"]
mod fair;
#[path = "../collector/forgetting.rs"]
mod forgetting;
#[path = "../collector/ingest.rs"]
mod ingest;
#[path = "../collector/pruning.rs"]
mod pruning;
#[path = "../collector/quarantine.rs"]
mod quarantine;
#[path = "../collector/reading.rs"]
mod reading;
#[path = "../collector/reconcile/mod.rs"]
mod reconcile;
#[path = "../collector/sealing/mod.rs"]
mod sealing;
#[path = "../collector/statements.rs"]
mod statements;
#[path = "../collector/support.rs"]
mod support;

const ON_POSTGRES: bool = true;
