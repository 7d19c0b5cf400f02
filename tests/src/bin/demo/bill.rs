//! The check: what each tenant must owe, computed from what the provider served and from the price file, with code
//! that shares nothing with the collector; and the difference to the ledger, to the last decimal.

use std::{collections::BTreeMap, fmt, fs};

use e2e::{
    Result,
    collector::{Line, Report},
    event::Event,
    expect,
    fault::Fault,
    fixture::Classes,
    paths,
    stack::Stack,
};
use toml::{Table, Value};

use crate::calls::Planned;

/// tenant, provider, model, evidence
type Key = (String, String, String, String);

/// What a line of the report must say. Money is in femto-USD: nano-USD per million tokens is femto-USD per token.
#[derive(Debug, Default, PartialEq)]
struct Owed {
    calls: u64,
    usage: Classes,
    cost: Option<u128>,
    unpriced: Classes,
}

impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = self.cost.map_or("no cost".to_owned(), |cost| format!("{} USD", decimal(cost)));
        write!(f, "{} calls, {cost}, {:?}, unpriced {:?}", self.calls, self.usage, self.unpriced)
    }
}

/// Says that all is right, or fails with every difference.
pub fn check(stack: &Stack, plan: &[Planned], report: &Report) -> Result<String> {
    let prices: Table = fs::read_to_string(paths::prices())?.parse()?;
    let journal = stack.journal()?;
    let mut owed: BTreeMap<Key, Owed> = BTreeMap::new();
    for planned in plan {
        let event = journal.iter().find(|event| event.text("request_id") == planned.id);
        let event = event.ok_or_else(|| format!("{}: no event in the journal", planned.id))?;
        add(&mut owed, stack, &prices, planned, event)?;
    }
    let found: BTreeMap<Key, Owed> =
        report.lines.iter().map(|line| Ok((key(line), read(line)?))).collect::<Result<_>>()?;
    let mut differences = Vec::new();
    for (key, expected) in &owed {
        match found.get(key) {
            Some(have) if have == expected => {}
            have => {
                let have = have.map_or("no such line".to_owned(), Owed::to_string);
                differences.push(format!("{key:?}\n  served {expected}\n  ledger {have}"));
            }
        }
    }
    differences
        .extend(found.keys().filter(|key| !owed.contains_key(key)).map(|key| format!("{key:?}\n  never served")));
    if !differences.is_empty() {
        return Err(format!("the ledger is not what the provider served:\n{}", differences.join("\n")).into());
    }
    let tokens: u64 =
        owed.values().flat_map(|owed| &owed.usage).filter(|(name, _)| name.ends_with("_tokens")).map(|(_, n)| n).sum();
    let cost: u128 = owed.values().filter_map(|owed| owed.cost).sum();
    Ok(format!(
        "the ledger equals what the provider served: {} calls, {tokens} tokens, {} USD, to the last decimal",
        plan.len(),
        decimal(cost)
    ))
}

fn add(owed: &mut BTreeMap<Key, Owed>, stack: &Stack, prices: &Table, planned: &Planned, event: &Event) -> Result<()> {
    let served = stack.provider.served_to(&planned.id)?;
    let expected = &planned.fixture.expected;
    let failed = matches!(planned.fault, Some(Fault::Status(_)));
    // What began and broke off owes at least its input.
    let began = matches!(planned.fault, Some(Fault::ResetAfter(_) | Fault::StallAfter(_)));
    let evidence = match (served.usage.is_empty(), planned.fault) {
        (true, None) => "estimated",
        (true, Some(_)) if began => "estimated",
        (true, _) => "missing",
        (false, Some(_)) => "partial",
        (false, None) => "reported",
    };
    // What nobody told is a guess of the meter; it says so itself.
    let mut usage = served.usage.clone();
    for class in e2e::event::CLASSES {
        if let Some(guess) = expect::guessed(event, stack, class) {
            *usage.entry(class.to_owned()).or_default() += guess;
        }
    }
    // An error names no model: the one asked for is the only one there is.
    let model = if failed { &expected.request_model } else { &expected.response_model };
    let day = event.attribute("time").and_then(|time| time.get(..10)).ok_or("an event without a day")?;
    let key = (planned.tenant.to_owned(), expected.provider.clone(), model.clone(), evidence.to_owned());
    let line = owed.entry(key).or_default();
    line.calls += 1;
    for (class, &count) in usage.iter().filter(|(_, count)| **count > 0) {
        *line.usage.entry(class.clone()).or_default() += count;
        match price(prices, &expected.provider, model, day, class)? {
            Some(femto) => line.cost = Some(line.cost.unwrap_or(0) + femto * u128::from(count)),
            None => *line.unpriced.entry(class.clone()).or_default() += count,
        }
    }
    Ok(())
}

/// The price of one token or unit, femto-USD.
fn price(prices: &Table, provider: &str, model: &str, day: &str, class: &str) -> Result<Option<u128>> {
    let entries = prices.get("price").and_then(Value::as_array).ok_or("the price file has no prices")?;
    let text = |entry: &Value, name: &str| match entry.get(name)? {
        Value::Datetime(day) => Some(day.to_string()),
        value => value.as_str().map(str::to_owned),
    };
    let valid = |entry: &&Value| {
        let from = text(entry, "valid_from").is_some_and(|from| from.as_str() <= day);
        let to = text(entry, "valid_to").is_none_or(|to| day <= to.as_str());
        text(entry, "provider").as_deref() == Some(provider) && from && to
    };
    let closeness = |entry: &Value| match entry.get("model") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).filter_map(|name| matches(name, model)).max()
        }
        Some(Value::String(name)) => matches(name, model),
        _ => None,
    };
    let entry =
        entries.iter().filter(valid).filter_map(|entry| Some((closeness(entry)?, entry))).max_by_key(|pair| pair.0);
    let Some((_, entry)) = entry else { return Ok(None) };
    // The price file's own rule for classes without a price.
    let stand_ins: &[&str] = match class {
        "cache_write_1h_tokens" | "cache_write_other_tokens" => &["cache_write_5m", "input_text"],
        "cache_write_5m_tokens" | "cache_read_tokens" | "input_audio_tokens" | "input_image_tokens" => &["input_text"],
        "output_reasoning_tokens" | "output_audio_tokens" => &["output_text"],
        _ => &[],
    };
    let own = class.strip_suffix("_tokens").unwrap_or(class);
    let named = std::iter::once(&own).chain(stand_ins).find_map(|name| entry.get(*name)?.as_str());
    let per_unit = if class.ends_with("_tokens") { 1 } else { 1000 };
    named.map(|price| Ok(fixed(price, 9)? * per_unit)).transpose()
}

/// How well a name of the price file fits: exactly, or by how many letters before its star.
fn matches(name: &str, model: &str) -> Option<usize> {
    match name.strip_suffix('*') {
        Some(start) => model.starts_with(start).then_some(start.len()),
        None => (name == model).then_some(usize::MAX),
    }
}

fn key(line: &Line) -> Key {
    (line.tenant.clone(), line.provider.clone(), line.model.clone(), line.evidence.clone())
}

fn read(line: &Line) -> Result<Owed> {
    let present =
        |classes: &Classes| classes.iter().filter(|(_, n)| **n > 0).map(|(name, n)| (name.clone(), *n)).collect();
    let cost = line.cost.as_deref().map(|cost| fixed(cost, 15)).transpose()?;
    Ok(Owed { calls: line.calls, usage: present(&line.usage), cost, unpriced: present(&line.unpriced) })
}

/// A decimal number as an integer of so many decimals.
fn fixed(text: &str, decimals: usize) -> Result<u128> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > decimals {
        return Err(format!("{text}: more than {decimals} decimals").into());
    }
    Ok(format!("{whole}{rest:0<decimals$}").parse()?)
}

fn decimal(femto: u128) -> String {
    let digits = format!("{:015}", femto % 1_000_000_000_000_000);
    let rest = digits.trim_end_matches('0');
    format!("{}.{rest:0<2}", femto / 1_000_000_000_000_000)
}
