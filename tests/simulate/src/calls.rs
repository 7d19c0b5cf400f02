//! The calls of a world, their records, and what they must cost: computed here once more, by plain arithmetic.

use meter::event;
use meter::identity::{Source, UNKNOWN};
use meter::record::{Evidence, Missing, Outcome, Record};
use meter::usage::Class;

use crate::plan::{MIDNIGHT_NS, Mix};
use crate::random::Random;

/// What a model costs: nano-USD per million tokens of input, cache reads, output, which is femto-USD per token.
struct Prices {
    model: &'static str,
    from: &'static str,
    to: &'static str,
    input: u64,
    cached: u64,
    output: u64,
}

const PRICES: [Prices; 3] = [
    Prices {
        model: "alpha",
        from: "1970-01-01",
        to: "2026-01-31",
        input: 2_500_000_000,
        cached: 250_000_000,
        output: 10_000_000_000,
    },
    Prices {
        model: "alpha",
        from: "2026-02-01",
        to: "2100-01-01",
        input: 3_100_000_001,
        cached: 310_000_007,
        output: 12_000_000_000,
    },
    Prices { model: "beta", from: "1970-01-01", to: "2100-01-01", input: 40_000_000, cached: 4_000_000, output: 1 },
];
/// The last has no price, the one before gets its price late.
const MODELS: [&str; 4] = ["alpha", "beta", "late", "unpriced"];
const LATE: Prices = Prices {
    model: "late",
    from: "1970-01-01",
    to: "2100-01-01",
    input: 777_000_000,
    cached: 77_000_000,
    output: 999_999_999,
};
const TENANTS: [&str; 4] = ["acme", "acme/ml", "globex", UNKNOWN];

/// The price book, as the collector reads it.
pub fn book(with_late: bool) -> String {
    let late = with_late.then_some(&LATE);
    let tables = PRICES.iter().chain(late).map(|prices| {
        let usd = |nano: u64| format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        format!(
            "[[price]]\nprovider = \"openai\"\nmodel = \"{}\"\nvalid_from = {}\nvalid_to = {}\ninput_text = \"{}\"\n\
             cache_read = \"{}\"\noutput_text = \"{}\"\n",
            prices.model,
            prices.from,
            prices.to,
            usd(prices.input),
            usd(prices.cached),
            usd(prices.output)
        )
    });
    tables.collect()
}

/// What is counted of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Who is charged.
    pub tenant: &'static str,
    /// What for.
    pub model: &'static str,
    /// Whether the call began after midnight.
    pub second_day: bool,
    /// Whether the provider reported the counts; otherwise there are none.
    pub reported: bool,
    /// Input, cache reads and output, tokens.
    pub tokens: [u64; 3],
    /// Whether it is a part of another record's call.
    pub part: bool,
}

impl Counts {
    /// The classes of `tokens`.
    pub const CLASSES: [Class; 3] = [Class::InputText, Class::CacheRead, Class::OutputText];

    /// What each of `tokens` costs, femto-USD; `None` without a price.
    pub fn charges(&self, with_late: bool) -> [Option<i128>; 3] {
        let late = with_late.then_some(&LATE);
        let prices = PRICES.iter().chain(late).find(|prices| {
            prices.model == self.model && (prices.to.starts_with("2100") || !self.second_day) && {
                prices.from.starts_with("1970") || self.second_day
            }
        });
        let of = |at: usize, price: fn(&Prices) -> u64| {
            prices.map(|prices| i128::from(self.tokens[at]) * i128::from(price(prices)))
        };
        [of(0, |prices| prices.input), of(1, |prices| prices.cached), of(2, |prices| prices.output)]
    }

    /// The day on which the call began.
    pub fn day(&self) -> &'static str {
        if self.second_day { "2026-02-01" } else { "2026-01-31" }
    }
}

/// Why an event is not like the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is like the others.
    Good,
    /// The collector cannot read it, but sees where it ends.
    DeadLetter,
    /// Nobody sees where it ends.
    Broken,
    /// A proxy on the way refuses it.
    Offensive,
}

/// A call as its meters see it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its record.
    pub record: Record,
    /// What counts of it.
    pub counts: Counts,
    /// What is special about it.
    pub kind: Kind,
    /// Whether two meters see it.
    pub pair: bool,
}

/// Draws a call that begins now; `number` is its own, so that no two have the same counts.
pub fn draw(random: &mut Random, mix: &Mix, now_ns: u64, number: u64) -> Call {
    let pair = random.chance(mix.pair);
    let kind = match () {
        () if pair => Kind::Good,
        () if random.chance(mix.dead_letter) => Kind::DeadLetter,
        () if random.chance(mix.broken) => Kind::Broken,
        () if random.chance(mix.offensive) => Kind::Offensive,
        () => Kind::Good,
    };
    let small = random.chance(mix.small_server);
    let reported = pair || small || !random.chance(mix.missing);
    let counts = Counts {
        tenant: random.pick(&TENANTS),
        model: random.pick(&MODELS),
        second_day: now_ns >= MIDNIGHT_NS,
        reported,
        tokens: if reported { [random.below(100_000), random.below(50_000), number] } else { [0; 3] },
        part: false,
    };
    let response_id = match () {
        () if pair => Some(format!("resp-{number}")),
        () if small => Some("chatcmpl-1".to_owned()),
        () => random.chance(500).then(|| format!("resp-{number}")),
    };
    let mut record = Record {
        started_ns: now_ns,
        duration_us: random.within(1000, 20_000_000),
        provider: "openai".to_owned(),
        api: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        response_id,
        status: Some(200),
        outcome: Outcome::Completed,
        request_id: Some(format!("{number:016x}")),
        route: (kind == Kind::Offensive).then(|| "<script>".to_owned()),
        raw_usage: random.chance(mix.long).then(|| "x".repeat(random.within(200, 2000) as usize)),
        ..Record::default()
    };
    if !pair && kind == Kind::Good && random.chance(3) {
        // The clock of its host is days ahead: that is refused, and named.
        record.started_ns += 3 * 86_400_000_000_000;
        return Call { kind: Kind::DeadLetter, counts, record: counted(record, &counts), pair };
    }
    Call { record: counted(record, &counts), counts, kind, pair }
}

/// A part of a call: another model's share, with a record of its own.
pub fn part_of(random: &mut Random, call: &Call) -> Call {
    let tokens = [random.below(1000) + 1, 0, random.below(100)];
    let counts = Counts { model: random.pick(&MODELS), reported: true, tokens, part: true, ..call.counts };
    let record = Record { part: Some("advisor".to_owned()), raw_usage: None, ..call.record.clone() };
    Call { record: counted(record, &counts), counts, kind: call.kind, pair: call.pair }
}

fn counted(mut record: Record, counts: &Counts) -> Record {
    record.identity.tenant = counts.tenant.to_owned();
    record.identity.source = if counts.tenant == UNKNOWN { Source::Unknown } else { Source::Header };
    record.response_model = Some(counts.model.to_owned());
    record.evidence = if counts.reported { Evidence::Reported } else { Evidence::Missing };
    record.missing_reason = (!counts.reported).then_some(Missing::Absent);
    for (class, count) in Counts::CLASSES.into_iter().zip(counts.tokens) {
        record.usage.set(class, counts.reported.then_some(count));
    }
    record
}

/// The bytes of an event; those that are not like the others are spoilt here.
pub fn encode(call: &Call, emitter: &str, number: u64) -> Vec<u8> {
    let bytes = event::encode(&call.record, emitter, number);
    match call.kind {
        Kind::Good | Kind::Offensive => bytes,
        // Its clock is ahead: the bytes are good.
        Kind::DeadLetter if call.record.started_ns >= MIDNIGHT_NS + 86_400_000_000_000 => bytes,
        Kind::DeadLetter => {
            let text = String::from_utf8_lossy(&bytes);
            text.replace("\"type\":\"meshmeter.call.v1\"", "\"type\":\"meshmeter.call.v9\"").into_bytes()
        }
        Kind::Broken => {
            let mut bytes = bytes;
            bytes.truncate(bytes.len() - 9);
            bytes
        }
    }
}
