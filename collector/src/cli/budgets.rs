//! `meshmeter budgets`: lists, sets, removes and explains.

use clap::{Args, Subcommand};
use collector::budget::amount::text_of_whole;
use collector::budget::period::second;
use collector::budget::{Definition, Draft, draft};
use collector::ledger::Ledger;
use collector::ledger::budgets::Set;
use collector::ledger::reason;
use collector::ledger::scan::Scan;
use collector::report::budgets::{explain, json, notes, standing, table};
use collector::store::entry::EntryId;
use collector::store::{Reader, StoreError};
use collector::terminal::{complain, printable};
use indicatif::ProgressBar;

use super::args::{Database, Format, Output, now_ns, who};
use super::{Failure, print};

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong use; 3 a budget has nothing left in its window of now.";

/// Shows the budgets: what each window may cost, what was spent of it, what workers hold, and what is left until when.
///
/// A budget limits calls of a tenant (with all below it), a provider or a model, in tokens or in money, per minute, hour, day, week
/// or month. It may be set, changed and removed while the collector runs; every change is an entry of the ledger.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = EXIT_CODES
)]
pub struct Budgets {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    List(ListArgs),
    Set(Box<SetArgs>),
    Remove(RemoveArgs),
    Explain(ExplainArgs),
}

/// Shows the budgets, as the command without a word does.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
struct ListArgs {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
}

/// Who changes something, and why.
#[derive(Args)]
struct By {
    /// Who you are, for the ledger; without it the name that you are logged in with.
    #[arg(long, value_name = "NAME", env = "MESHMETER_WHO", hide_env_values = true)]
    who: Option<String>,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    why: String,
}

/// Sets a budget, or changes the one of this name.
///
/// Of one that is there, what you leave out stays as it is. Another limit or mode holds at once, and what was spent stays spent. With
/// another scope, unit, window or zone its counting begins anew. Either way the calls that began in the running window count.
#[derive(Args)]
struct SetArgs {
    #[command(flatten)]
    database: Database,
    /// Its name: 1 to 64 of a-z, 0-9, . _ and -.
    name: String,
    /// How much: whole tokens, or USD with at most 9 decimals.
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    limit: Option<String>,
    /// What is counted: tokens or usd.
    #[arg(long)]
    unit: Option<String>,
    /// For how long: minute, hour, day, week (from Monday) or month.
    #[arg(long)]
    window: Option<String>,
    /// By whose clocks: an IANA name such as Europe/Berlin; of a new budget UTC.
    #[arg(long)]
    zone: Option<String>,
    /// hard refuses calls, soft warns in the metrics, shadow counts what hard would refuse; of a new budget hard.
    #[arg(long)]
    mode: Option<String>,
    /// Only calls of this tenant and those below it.
    #[arg(long)]
    tenant: Option<String>,
    /// Only calls of this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Only calls of this model: the one that is asked for.
    #[arg(long)]
    model: Option<String>,
    /// Each tenant has the limit for itself.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    per_tenant: Option<bool>,
    #[command(flatten)]
    by: By,
}

/// Removes a budget: it limits nothing any more, and its balances are gone. Its changes stay in the ledger.
#[derive(Args)]
struct RemoveArgs {
    #[command(flatten)]
    database: Database,
    /// Its name.
    name: String,
    #[command(flatten)]
    by: By,
}

/// Explains a budget: which calls count, what its last windows have spent, who holds leases, and who changed it and why.
#[derive(Args)]
struct ExplainArgs {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    output: Output,
    /// Its name.
    name: String,
    /// Only what concerns this tenant, and whether its calls count.
    #[arg(long)]
    tenant: Option<String>,
}

/// Whether a budget has nothing left.
pub fn run(args: Budgets) -> Result<bool, Failure> {
    match args.action {
        None => list(args.database, args.output),
        Some(Action::List(args)) => list(args.database, args.output),
        Some(Action::Set(args)) => set(*args).map(|()| false),
        Some(Action::Remove(args)) => remove(args).map(|()| false),
        Some(Action::Explain(args)) => explained(args).map(|()| false),
    }
}

fn list(database: Database, output: Output) -> Result<bool, Failure> {
    let all = standing(&*database.reader()?, now_ns()).map_err(Failure::failed)?;
    print(&match output.format {
        Format::Table => table(&all),
        Format::Json => json(&all).map_err(Failure::Failed)?,
    })?;
    Ok(all.iter().any(|standing| standing.exhausted > 0))
}

/// To write to. Whoever writes makes a ledger where there is none: a mistyped name would.
fn ledger(database: &Database) -> Result<Ledger<Box<dyn collector::store::Store + Send>>, Failure> {
    database.reader()?.ping().map_err(Failure::failed)?;
    Ok(Ledger::new(database.database.open().map_err(Failure::failed)?))
}

fn set(args: SetArgs) -> Result<(), Failure> {
    let SetArgs { database, name, limit, unit, window, zone, mode, tenant, provider, model, per_tenant, by } = args;
    let who = by.checked_who()?;
    let draft = Draft { name, limit, unit, window, zone, mode, tenant, provider, model, per_tenant, who };
    let reader = database.reader()?;
    let now_ns = now_ns();
    // Wrong words are told before anything is read or made.
    let budgets = reader.budgets().map_err(Failure::failed)?;
    let wanted = draft.meant(&budgets, second(now_ns)).map_err(Failure::Usage)?;
    draft::fits(&wanted, &budgets).map_err(Failure::Failed)?;
    let mut ledger = ledger(&database)?;
    let mut scan = scan(&*reader, &wanted)?;
    let mut so_far = |budget: &Definition, heads: &[EntryId]| scan.balances(budget, heads);
    let done = ledger.set_budget(&draft, &by.why, now_ns, &mut so_far).map_err(Failure::failed)?;
    let Set { entry, budget, before } = done.map_err(Failure::Failed)?;
    let verb = if before.is_some() { "changed" } else { "set" };
    let limit = text_of_whole(budget.limit, budget.unit());
    print(&format!(
        "{} is {verb}: entry {entry}, {limit} {} each {} ({}), {}; its calls count since {}\n",
        budget.name(),
        budget.unit().as_str(),
        budget.period.as_str(),
        budget.zone.name(),
        budget.budget.mode.as_str(),
        budget.zone.text(budget.since_s)
    ))?;
    // The budget is set, whatever else can be said of it.
    match notes(&*reader, &budget) {
        Ok(notes) => notes.iter().for_each(|note| complain(note)),
        Err(error) => complain(&format!("note: whether workers ask for leases could not be read: {error}")),
    }
    Ok(())
}

/// Reads what the ledger has already of the running window, while others go on writing. Only what they write meanwhile is read
/// while they wait.
fn scan<'r>(reader: &'r dyn Reader, wanted: &Definition) -> Result<Scan<'r>, Failure> {
    let mut scan = Scan::new(reader, wanted);
    let budgets = reader.budgets().map_err(Failure::failed)?;
    if budgets.iter().any(|budget| budget.id == wanted.id) {
        return Ok(scan);
    }
    let heads: Vec<EntryId> = reader.heads().map_err(Failure::failed)?.iter().map(|head| head.entry).collect();
    let entries = heads.iter().fold(0_u64, |sum, head| sum.saturating_add(head.number.unsigned_abs()));
    let bar = ProgressBar::new(entries);
    let read: Result<(), StoreError> = scan.read_to(&heads, &mut || bar.inc(1));
    bar.finish_and_clear();
    read.map_err(Failure::failed)?;
    Ok(scan)
}

fn remove(args: RemoveArgs) -> Result<(), Failure> {
    let who = args.by.checked_who()?;
    draft::name(&args.name).map_err(Failure::Usage)?;
    let done = ledger(&args.database)?.remove_budget(&args.name, &who, &args.by.why, now_ns());
    let entry = done.map_err(Failure::failed)?.map_err(Failure::Failed)?;
    print(&format!("{} is removed: entry {entry}\n", args.name))
}

fn explained(args: ExplainArgs) -> Result<(), Failure> {
    args.tenant.as_deref().map_or(Ok(()), draft::tenant).map_err(Failure::Usage)?;
    let reader = args.database.reader()?;
    let found = explain(&*reader, &args.name, args.tenant.as_deref(), now_ns()).map_err(Failure::failed)?;
    let Some(explained) = found else {
        return Err(Failure::Failed(format!("there is no budget {}, and there never was one", printable(&args.name))));
    };
    if !explained.is_in_force() {
        complain(&format!("{} is not in force any more", printable(&args.name)));
    }
    print(&match args.output.format {
        Format::Table => explained.text(),
        Format::Json => json(&explained).map_err(Failure::Failed)?,
    })
}

impl By {
    /// Who makes the change, if that and why can stand in the ledger.
    fn checked_who(&self) -> Result<String, Failure> {
        reason::why(&self.why).map_err(Failure::Usage)?;
        let who = who(self.who.clone())?;
        draft::who(&who).map_err(Failure::Usage)?;
        Ok(who)
    }
}
