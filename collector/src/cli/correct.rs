//! `meshmeter correct`: a single call is put right.

use clap::Args;
use collector::ledger::Ledger;
use collector::ledger::again::{self, Again, Now};
use collector::ledger::correct::{Correction, Instead, rating_of};
use collector::ledger::limits::Limits;
use collector::money::Charge;
use collector::prices::Rating;
use collector::store::entry::Entry;
use collector::store::{Reader, Selection};
use collector::terminal::printable;

use super::args::{Database, call, check_reason, now_ns};
use super::ledger::Dear;
use super::prices::Books;
use super::{Failure, print};

/// Puts a single call right: charges another tenant, or nobody, or again. The entry is reversed, never changed.
///
/// Another tenant pays what the price books say that the call costs this tenant: discounts and mark-ups depend on who pays. The
/// charge that stands is kept with --keep-charge. A call that nobody is charged for any more, and a copy whose call nobody is
/// charged for, can be charged again, once: with --charge.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong use; 3 the call costs more than --max-usd and was left as it is."
)]
pub struct Correct {
    #[command(flatten)]
    database: Database,
    /// The call: the id of its event.
    #[arg(value_name = "EMITTER-SEQUENCE", value_parser = call)]
    call: (String, i64),
    /// The tenant to charge instead, by the price books.
    #[arg(long, required_unless_present_any = ["void", "charge"], value_parser = tenant)]
    tenant: Option<String>,
    /// Charge nobody.
    #[arg(long, conflicts_with_all = ["tenant", "charge"])]
    void: bool,
    /// Charge the call again: nobody is charged for it now. --tenant says who, else the tenant of its event. For the tenant
    /// that paid it last it costs what it did; for another one, and of a copy, which had no price of its own, what the price
    /// books say.
    #[arg(long)]
    charge: bool,
    /// Another tenant pays what the last one did: the price books are not asked.
    #[arg(long, conflicts_with = "void")]
    keep_charge: bool,
    #[command(flatten)]
    prices: Books,
    /// Leave the call alone if it costs more; to charge nobody is always allowed.
    #[arg(long, value_name = "AMOUNT", default_value_t = Limits::default().charge)]
    max_usd: Charge,
    /// Why, for the ledger.
    #[arg(long)]
    reason: String,
}

fn tenant(text: &str) -> Result<String, String> {
    let name = wire::identity::tenant(text.as_bytes());
    name.map(|_| text.to_owned()).ok_or_else(|| wire::identity::ALLOWED.to_owned())
}

/// Whether the call was left as it is, for it costs more than is allowed.
pub fn correct(args: Correct) -> Result<bool, Failure> {
    check_reason(&args.reason)?;
    let reader = args.database.reader()?;
    if args.charge {
        return charge(&*reader, args);
    }
    let selection = Selection { call: Some(args.call.clone()), ..Selection::default() };
    let mut standing = None;
    let read = reader.standing(&selection, &mut |entry| {
        standing = Some(entry);
        Ok(())
    });
    read.map_err(Failure::failed)?;
    let Some(entry) = standing else { return Err(Failure::Failed(nothing_stands(&*reader, &args.call)?)) };
    if args.tenant.as_ref() == Some(&entry.tenant) {
        let tenant = printable(&entry.tenant);
        print(&format!("{tenant} is charged for this call already, {} USD: nothing was changed\n", entry.charge))?;
        return Ok(false);
    }
    let instead = match args.tenant {
        None => None,
        Some(tenant) if args.keep_charge => {
            Some(Instead { tenant, rating: rating_of(&entry).map_err(Failure::Failed)? })
        }
        Some(tenant) => Some(Instead { rating: rated(args.prices, &entry, &tenant)?, tenant }),
    };
    let now = match &instead {
        Some(Instead { tenant, rating }) => format!("{} is charged {}", printable(tenant), costs(rating)),
        None => "nobody is charged".to_owned(),
    };
    let mut dear = Dear::new(args.max_usd);
    if !dear.allows_instead(&entry, instead.as_ref()) {
        dear.say();
        return Ok(true);
    }
    let (id, before) = (entry.id, entry.charge);
    let correction = Correction { entry, instead, reason: args.reason };
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    let done = ledger.correct(&[correction], now_ns()).map_err(Failure::failed)?;
    if done == 0 {
        return Err(Failure::Failed(format!("entry {id} was reversed meanwhile: nothing was changed")));
    }
    print(&format!("{done} corrected: entry {id} is reversed, {before} USD; {now}\n"))?;
    Ok(false)
}

/// What the price books make of a call, if a tenant is charged for it. Without a book it would have no price any more.
fn rated(books: Books, record: &Entry, tenant: &str) -> Result<Rating, Failure> {
    let book = books
        .load()?
        .ok_or_else(|| Failure::Failed("no price book to rate the call by: name one with --prices FILE".to_owned()))?;
    Correction::rated(&book, record, tenant).map_err(Failure::Failed)
}

/// What is charged. Unknown is not nothing.
fn costs(rating: &Rating) -> String {
    let unpriced = if rating.is_unpriced() { ", and in part it has no price in the books" } else { "" };
    format!("{} USD{unpriced}", rating.charge())
}

/// Why there is nothing to correct.
fn nothing_stands(reader: &dyn Reader, call: &(String, i64)) -> Result<String, Failure> {
    let Some(record) = reader.record(call).map_err(Failure::failed)? else {
        return Ok("the ledger has no record of this call".to_owned());
    };
    Ok(match again::now(reader, record).map_err(Failure::failed)? {
        Now::Stands(entry) => charged(&entry),
        Now::Void(_) => "nobody is charged for this call; --charge charges it again".to_owned(),
    })
}

fn charged(entry: &Entry) -> String {
    format!("what is charged for this call is {}-{}: correct that", printable(&entry.emitter), entry.sequence)
}

/// Charges a call again. Whether it was left as it is, for it would cost more than is allowed.
fn charge(reader: &dyn Reader, args: Correct) -> Result<bool, Failure> {
    let record = reader.record(&args.call).map_err(Failure::failed)?;
    let record = record.ok_or_else(|| Failure::Failed("the ledger has no record of this call".to_owned()))?;
    let void = match again::now(reader, record.clone()).map_err(Failure::failed)? {
        Now::Void(void) => void,
        Now::Stands(entry) => return Err(Failure::Failed(charged(&entry))),
    };
    let is_own = (&void.last.emitter, void.last.sequence) == (&record.emitter, record.sequence);
    let tenant = args.tenant.unwrap_or_else(|| record.tenant.clone());
    if args.keep_charge && !is_own {
        return Err(Failure::Failed(
            "--keep-charge: this record had no charge of its own; the price books say it".to_owned(),
        ));
    }
    let rating = if is_own && (args.keep_charge || void.last.tenant == tenant) {
        rating_of(&void.last).map_err(Failure::Failed)?
    } else {
        rated(args.prices, &record, &tenant)?
    };
    let instead = Instead { tenant, rating };
    let mut dear = Dear::new(args.max_usd);
    if !dear.allows_instead(&record, Some(&instead)) {
        dear.say();
        return Ok(true);
    }
    let (charge, reversal) = (costs(&instead.rating), void.reversal);
    let again = Again { record, reversal, instead, reason: args.reason };
    let mut ledger = Ledger::new(args.database.database.open().map_err(Failure::failed)?);
    let done = ledger.charge_again(&again, now_ns()).map_err(Failure::failed)?;
    let entry = done.map_err(Failure::Failed)?;
    print(&format!("charged again: entry {entry}, {charge}\n"))?;
    Ok(false)
}
