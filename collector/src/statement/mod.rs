//! Billing statements: what a tenant is charged for in a month, line by line. A line is a quantity times a price of the price book.
//!
//! A statement is made from the entries that count in its month, up to a position of the ledger's chains, and says so. So whoever
//! makes it again gets the same bytes. Its total is what `report --round` says of that tenant and month: the exact sum, rounded
//! once. Its lines are rounded so that they add up to the total.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use wire::record::{Evidence, Outcome};

use crate::ledger::correct::{event_of, rating_of};
use crate::ledger::share::Share;
use crate::money::Charge;
use crate::report::{Grade, distributed};
use crate::store::entry::{Entry, EntryId, Kind};
use crate::store::months::Month;
use crate::store::sums::Counted;
use crate::store::{Booked, Reader, Selection, StoreError};
use crate::terminal::printable;
use line::{Key, Part};
use position::{Asked, Position};

mod csv;
mod html;
mod json;
mod line;
pub mod position;
mod records;
mod shown;
mod text;

#[cfg(test)]
mod tests;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who is charged.
    pub tenant: String,
    /// Whether what is below the tenant has lines, too: `acme/ml` is below `acme`.
    pub below: bool,
    /// The month.
    pub month: Month,
    /// To how many decimals amounts are rounded.
    pub round: u8,
    /// The position at which it is computed; without it that of the month's closing, and of an open month the present one.
    pub at: Option<Asked>,
}

/// How a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for the eye.
    Text,
    /// CSV, a record for each line.
    Csv,
    /// JSON; amounts are decimal texts.
    Json,
    /// One page of HTML to be printed, or saved as PDF, by a browser.
    Html,
}

/// Why there is no statement.
#[derive(Debug)]
pub enum Failure {
    /// The store could not be read.
    Store(StoreError),
    /// What was asked for cannot be answered.
    Refused(String),
    /// What was found could not be written.
    Output(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Refused(problem) => f.write_str(problem),
            Failure::Output(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

/// A billing statement.
#[derive(Debug)]
pub struct BillingStatement {
    question: Question,
    position: Position,
    /// What has closed the month, if that was before the position.
    closed: Option<EntryId>,
    /// By tenant, what is owed.
    accounts: BTreeMap<String, Account>,
    total: Account,
    lines: Vec<Line>,
    notes: Notes,
}

/// What a tenant owes.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Calls; what was taken back is none.
    calls: i128,
    /// The exact sum of its lines.
    exact: Charge,
    /// The same, rounded once.
    rounded: Charge,
}

impl Account {
    fn checked_add(self, more: &Account) -> Option<Account> {
        Some(Account {
            calls: self.calls.checked_add(more.calls)?,
            exact: self.exact.checked_add(more.exact)?,
            rounded: self.rounded.checked_add(more.rounded)?,
        })
    }
}

/// A line, which has its number by its place.
#[derive(Debug)]
struct Line {
    key: Key,
    part: Part,
    /// What it comes to, rounded so that the lines of a tenant add up; nothing if it has no price.
    rounded: Option<Charge>,
}

/// What the amounts do not say.
#[derive(Debug, Default)]
struct Notes {
    /// The exact sum by evidence.
    evidence: BTreeMap<Grade, Charge>,
    /// Charges of this month that were taken back within it, and are in no line any more.
    taken_back: u64,
    /// Calls that were refused before they were sent.
    refused: i128,
    /// Calls that were sent, and of which nobody has counted anything.
    missing: i128,
    /// Calls whose counts are to come in another call, by why.
    deferred: BTreeMap<&'static str, i128>,
    /// Calls whose response counts something that the meter does not know, by its name.
    unknown: BTreeMap<String, i128>,
}

fn too_large() -> StoreError {
    StoreError::Unusable("a sum does not fit in 128 bits".to_owned())
}

fn add(sum: &mut i128, more: i128) -> Result<(), StoreError> {
    *sum = sum.checked_add(more).ok_or_else(too_large)?;
    Ok(())
}

impl BillingStatement {
    /// Makes a statement. `each` hears of every entry, for progress.
    pub fn of(reader: &dyn Reader, question: Question, mut each: impl FnMut()) -> Result<BillingStatement, Failure> {
        let closing = position::closing(reader, question.month)?;
        let position = match (&question.at, &closing) {
            (Some(asked), _) => Position::asked(reader, asked)?.map_err(Failure::Refused)?,
            (None, Some((by, closing))) => Position::of_closing(reader, closing, *by)?,
            (None, None) => Position::now(reader)?,
        };
        let closed = closing.map(|(by, _)| by).filter(|by| position.includes(*by));
        let mut gathered = Gathered::default();
        booked(reader, &question, &position, &mut |entry| {
            each();
            gathered.add(&entry)
        })?;
        if gathered.accounts.is_empty() && !is_known(reader, &question)? {
            return Err(Failure::Refused(unknown(reader, &question)?));
        }
        let Gathered { mut accounts, lines, mut notes } = gathered;
        let lines = rounded(lines, &mut accounts, question.round).ok_or_else(too_large)?;
        for line in &lines {
            let sum = notes.evidence.entry(line.key.evidence).or_default();
            *sum = sum.checked_add(line.part.amount).ok_or_else(too_large)?;
        }
        let total = accounts.values().try_fold(Account::default(), |sum, account| sum.checked_add(account));
        let total = total.ok_or_else(too_large)?;
        notes.deferred.retain(|_, calls| *calls != 0);
        notes.unknown.retain(|_, calls| *calls != 0);
        Ok(BillingStatement { question, position, closed, accounts, total, lines, notes })
    }

    /// Writes the statement.
    pub fn render(&self, format: Format) -> Result<String, Failure> {
        match format {
            Format::Text => Ok(text::render(self)),
            Format::Csv => Ok(csv::render(self)),
            Format::Json => json::render(self).map_err(Failure::Refused),
            Format::Html => Ok(html::render(self)),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Gathered {
    accounts: BTreeMap<String, Account>,
    lines: BTreeMap<Key, Part>,
    notes: Notes,
}

impl Gathered {
    fn add(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let rating = rating_of(entry).map_err(StoreError::Unusable)?;
        let parts = line::parts(entry, &rating).map_err(StoreError::Unusable)?;
        self.accounts.entry(entry.tenant.clone()).or_default();
        for (key, part) in parts {
            let sum = self.lines.entry(key).or_default();
            *sum = sum.checked_add(part).ok_or_else(too_large)?;
        }
        let record = event_of(entry).map_err(StoreError::Unusable)?.record;
        let is_back = entry.kind == Kind::Reversal;
        let share = Share::of(&record, &rating);
        let share = if is_back { share.reversed() } else { share };
        for (counted, sum) in share.iter() {
            let quantity = sum.quantity.into();
            match counted {
                Counted::Calls => {
                    add(&mut self.accounts.entry(entry.tenant.clone()).or_default().calls, quantity)?;
                    if record.outcome == Outcome::Refused {
                        add(&mut self.notes.refused, quantity)?;
                    } else if entry.evidence == Evidence::Missing {
                        add(&mut self.notes.missing, quantity)?;
                    }
                }
                Counted::Deferred(why) => add(self.notes.deferred.entry(why.as_str()).or_default(), quantity)?,
                Counted::Unknown(name) => add(self.notes.unknown.entry(name.clone()).or_default(), quantity)?,
                Counted::Usage(_) => {}
            }
        }
        if is_back && entry.billed.is_none() {
            self.notes.taken_back = self.notes.taken_back.saturating_add(1);
        }
        Ok(())
    }
}

/// The entries that a statement is made from.
fn booked(
    reader: &dyn Reader,
    question: &Question,
    position: &Position,
    each: &mut dyn FnMut(Entry) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for head in position.heads() {
        let Question { tenant, below, month, .. } = question;
        let which = Booked { month: *month, tenant: tenant.clone(), below: *below, until: head.entry };
        reader.booked(&which, each)?;
    }
    Ok(())
}

/// The lines that corrections have left something of, each tenant's rounded so that they add up to what it owes. `None` if
/// something does not fit in 128 bits.
fn rounded(lines: BTreeMap<Key, Part>, accounts: &mut BTreeMap<String, Account>, decimals: u8) -> Option<Vec<Line>> {
    let mut kept: Vec<Line> = Vec::new();
    for (key, part) in lines.into_iter().filter(|(_, part)| !part.is_nothing()) {
        kept.push(Line { key, part, rounded: None });
    }
    let lacking = lacking(&kept);
    for (line, _) in kept.iter_mut().zip(lacking).filter(|(line, is_lack)| line.key.is_unpriced() && !is_lack) {
        line.rounded = Some(Charge::default());
    }
    for lines in kept.chunk_by_mut(|one, other| one.key.tenant == other.key.tenant) {
        let has_amount = |line: &&mut Line| !line.key.is_unpriced();
        let parts: Vec<Charge> = lines.iter_mut().filter(has_amount).map(|line| line.part.amount).collect();
        let amounts = distributed(&parts, decimals)?;
        let sum = |all: &[Charge]| all.iter().try_fold(Charge::default(), |sum, one| sum.checked_add(*one));
        if let Some(account) = lines.first().and_then(|line| accounts.get_mut(&line.key.tenant)) {
            (account.exact, account.rounded) = (sum(&parts)?, sum(&amounts)?);
        }
        for (line, amount) in lines.iter_mut().filter(has_amount).zip(amounts) {
            line.rounded = Some(amount);
        }
    }
    Some(kept)
}

/// Of which lines the statement has no price. What corrections take back of a closed month was without a price there, and is no lack
/// here; nor is what they put in its place, up to as much.
fn lacking(lines: &[Line]) -> Vec<bool> {
    let of = |key: &Key| {
        let Key { tenant, adjusts, provider, model, item, evidence, .. } = key;
        (tenant.clone(), adjusts.clone(), provider.clone(), model.clone(), item.clone(), *evidence)
    };
    let mut sums: BTreeMap<_, i128> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.key.is_unpriced()) {
        let sum: &mut i128 = sums.entry(of(&line.key)).or_default();
        *sum = sum.saturating_add(line.part.quantity);
    }
    let is_lack = |line: &Line| {
        line.key.is_unpriced() && line.part.quantity > 0 && sums.get(&of(&line.key)).is_some_and(|sum| *sum > 0)
    };
    lines.iter().map(is_lack).collect()
}

/// Whether the ledger has ever had anything of the tenant.
fn is_known(reader: &dyn Reader, question: &Question) -> Result<bool, StoreError> {
    Ok(tenants(reader, question)?.iter().any(|tenant| question.below || *tenant == question.tenant))
}

/// Tenants that are named to somebody who asks for one that is not there.
const NAMED: usize = 10;

fn unknown(reader: &dyn Reader, question: &Question) -> Result<String, StoreError> {
    let below = tenants(reader, question)?;
    let tenant = printable(&question.tenant);
    if below.is_empty() {
        return Ok(format!("the ledger has nothing of the tenant {tenant}"));
    }
    let named: Vec<String> = below.iter().take(NAMED).map(printable).collect();
    let more = if below.len() > NAMED { " and others" } else { "" };
    Ok(format!("the ledger has nothing of the tenant {tenant} itself; --below includes {}{more}", named.join(", ")))
}

/// The tenant and some of those below it that the ledger has.
fn tenants(reader: &dyn Reader, question: &Question) -> Result<BTreeSet<String>, StoreError> {
    let selection = Selection { tenant: Some(question.tenant.clone()), ..Selection::default() };
    let mut tenants = BTreeSet::new();
    reader.rollup(&selection, &mut |row| {
        if row.tenant == question.tenant || tenants.len() <= NAMED {
            tenants.insert(row.tenant);
        }
        Ok(())
    })?;
    Ok(tenants)
}
