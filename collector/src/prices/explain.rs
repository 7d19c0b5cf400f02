//! Why a call costs what it costs: the names that were tried, the entry that holds, what its prices become, and what is charged.

use std::fmt::Write;

use super::conditions::{Conditions, Fact, Facts};
use super::entry::{Entry, PriceFactor};
use super::find::{Candidate, Found, Resolved};
use super::policy::Policy;
use super::rate::Priced;
use super::rating::{Rating, amounts};
use super::read::charged;
use super::surcharge::Surcharge;
use super::{Layer, PriceBook, RatingInput};
use crate::money::Charge;
use crate::terminal::printable;

/// Why a call costs what it costs.
#[derive(Debug)]
pub struct Explained {
    /// For a person to read.
    pub text: String,
    /// Whether its cost is known.
    pub is_priced: bool,
}

impl PriceBook {
    /// Why a call costs what it costs.
    pub fn explain(&self, call: &RatingInput<'_>) -> Explained {
        let (facts, candidates) = (call.facts(), self.candidates(call));
        let resolved = self.resolve(call);
        let found = self.find(call, &facts, &resolved);
        let mut text = called(call, &facts);
        text.push_str(&tried(&candidates));
        text.push_str("price books, the first that has an entry for the first of these names that any has decides:\n");
        for (number, layer) in self.layers.iter().enumerate() {
            let name = if layer.name.is_empty() { "the price book" } else { &layer.name };
            let date = layer.built_in.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
            let decides = found.as_ref().filter(|found| std::ptr::eq(found.layer, layer));
            let says = match decides.cloned().or_else(|| self.find_in(number, call, &facts, &resolved)) {
                Some(found) => {
                    let text = found.text(&facts, call.usage, call.began.date());
                    if decides.is_some() {
                        format!("decides: {text}")
                    } else {
                        format!("has {text}, which is not asked")
                    }
                }
                None if !layer.index.has(call.provider) => format!("has no entry of {}", printable(call.provider)),
                None => layer.nearest(call, &facts, &candidates),
            };
            line(&mut text, &format!("{name}{date} {says}"));
        }
        if let Some(found) = &found {
            let surcharges = self.surcharges(call, &resolved);
            text.push_str(&reasons(found, call, &facts));
            text.push_str(&added(&surcharges));
            text.push_str(&prices(&Priced { call, facts: &facts, found: Some(found), surcharges: &surcharges }, found));
        }
        text.push_str(&self.adjusted(call, &resolved, found.as_ref()));
        let rating = self.rate(call);
        text.push_str(&charges(&rating, call, self.policies.of(call.provider)));
        let has_prices = found.is_some() && !rating.is_unpriced();
        let is_priced = rating.by.is_some() || has_prices;
        if found.is_none() && !is_priced {
            text.push_str("unpriced: no book has an entry for this call; its cost is unknown\n");
        }
        Explained { text, is_priced }
    }

    fn adjusted(&self, call: &RatingInput<'_>, resolved: &Resolved, found: Option<&Found<'_>>) -> String {
        let mut text = String::new();
        for adjust in self.adjusts_of(call, resolved, found) {
            let book = if adjust.book.is_empty() { String::new() } else { format!(" of {}", adjust.book) };
            let place = printable(&adjust.place);
            line(&mut text, &format!("{} x{}, by {place}{book}", adjust.on.as_str(), adjust.factor));
        }
        headed("discounts and mark-ups:\n", text)
    }
}

impl Layer {
    /// Why no entry holds although the book has some of the provider: one that would hold for another day or another call.
    fn nearest(&self, call: &RatingInput<'_>, facts: &Facts, candidates: &[Candidate<'_>]) -> String {
        let day = call.began.date();
        let names = candidates.iter().flat_map(|candidate| std::iter::once(&candidate.name).chain(candidate.forms()));
        for name in names {
            let is_named = |entry: &&Entry| {
                entry.provider == call.provider
                    && entry.means(name)
                    && entry.models.iter().any(|model| model.matches(name))
            };
            let Some(entry) = self.entries.iter().find(is_named) else { continue };
            let what = if entry.is_valid_on(day) { "for other calls" } else { "for other days" };
            let to = entry.valid_to.map(|last| format!(" to {last}")).unwrap_or_default();
            let conditions = unmet(&entry.conditions, facts);
            return format!("names {} {what} only: from {}{to}{conditions}", printable(name), entry.valid_from);
        }
        "names none of these models".to_owned()
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "  {line}");
}

fn headed(heading: &str, text: String) -> String {
    if text.is_empty() { text } else { format!("{heading}{text}") }
}

fn called(call: &RatingInput<'_>, facts: &Facts) -> String {
    let mut text = format!("call of {}, {} UTC", printable(call.provider), call.began.strftime("%Y-%m-%d %H:%M"));
    for fact in Fact::ALL {
        if let Some(value) = facts.get(fact) {
            text.push_str(&format!(", {}={}", fact.key(), printable(value)));
        }
    }
    text.push('\n');
    text
}

fn tried(candidates: &[Candidate<'_>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.name.is_empty()) {
        names.push(printable(&candidate.name));
        names.extend(candidate.aliases.iter().map(|alias| format!("{} (by an alias)", printable(alias))));
        names.extend(candidate.forms().iter().map(printable));
    }
    format!("names tried, the first that an entry names decides: {}\n", names.join(", "))
}

/// What of the conditions is not so, and which are there at all.
fn unmet(conditions: &Conditions, facts: &Facts) -> String {
    if conditions.are_none() {
        return String::new();
    }
    let holds = if conditions.hold(facts) { "holds" } else { "does not hold" };
    format!(",{} {holds}", conditions.text())
}

fn reasons(found: &Found<'_>, call: &RatingInput<'_>, facts: &Facts) -> String {
    let mut text = String::new();
    // An entry of the lists has dozens of names.
    let models = |entry: &Entry| match entry.models.len().saturating_sub(1) {
        0 => found.pattern.text().to_owned(),
        others => format!("{} and {others} more", found.pattern.text()),
    };
    for (number, entry) in found.entries.iter().enumerate() {
        let what = if number == 0 { "it holds" } else { "for what it does not name, the entry" };
        let to = entry.valid_to.map(|last| format!(" to {last}")).unwrap_or_default();
        let conditions =
            if entry.conditions.are_none() { " without conditions".to_owned() } else { entry.conditions.text() };
        line(&mut text, &format!("{what} from {}{to}{conditions}, for {}", entry.valid_from, models(entry)));
        if let Some(context) = entry.context(call.usage) {
            line(&mut text, &format!("its prices above {} tokens of input", context.above));
        }
        for PriceFactor { factor, conditions, .. } in &entry.factors {
            let always = if conditions.are_none() { ", always".to_owned() } else { unmet(conditions, facts) };
            line(&mut text, &format!("its factor x{factor}{always}"));
        }
    }
    headed("the entry:\n", text)
}

fn added(surcharges: &[&Surcharge]) -> String {
    let mut text = String::new();
    for Surcharge { models, from, to, prices, .. } in surcharges {
        let to = to.map(|last| format!(" to {last}")).unwrap_or_default();
        let prices = prices.0.iter().map(|(class, price)| format!("{} {price}", class.token_type()));
        line(&mut text, &format!("for {} from {from}{to}: {}", models.text(), prices.collect::<Vec<_>>().join(", ")));
    }
    headed("added to its prices:\n", text)
}

fn prices(priced: &Priced<'_>, found: &Found<'_>) -> String {
    let call = priced.call;
    let mut text = String::new();
    for class in charged() {
        let is_counted = call.usage.get(class).is_some_and(|count| count > 0);
        let Some((price, is_own)) = priced.price(class) else { continue };
        let own = found.entries.iter().find_map(|entry| entry.own(class, entry.context(call.usage)));
        // What only stands in is of interest where there is something to charge.
        if own.is_none() && !is_counted {
            continue;
        }
        let listed = own.filter(|own| *own != price).map(|own| format!(", in the book {own}")).unwrap_or_default();
        let mark = if is_own { "" } else { ", fallback" };
        line(&mut text, &format!("{} {price}{listed}{mark}", class.token_type()));
    }
    headed("prices, USD per million tokens or per thousand units:\n", text)
}

fn charges(rating: &Rating, call: &RatingInput<'_>, policy: Policy) -> String {
    let mut text = String::new();
    rating.says().iter().for_each(|says| line(&mut text, says));
    if let Some(nano) = call.provider_cost_nano_usd {
        let book = rating.book.map(|book| format!(", by the book {book}")).unwrap_or_default();
        let own = Charge::from_nano_usd(nano);
        line(&mut text, &format!("the response says {own}{book}; policy: {}", policy.as_str()));
    }
    if !rating.lines.is_empty() {
        line(&mut text, &format!("in all {}", amounts(rating.charge(), rating.cost())));
    }
    headed("charged:\n", text)
}
