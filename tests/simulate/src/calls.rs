//! The calls of a world, their records, and what they must cost: computed here once more, by plain arithmetic.

use wire::event;
use wire::identity::{Source, UNKNOWN};
use wire::record::{Evidence, Missing, Outcome, Record};
use wire::usage::Class;

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
const HOUR_NS: u64 = 3_600_000_000_000;
const TENANTS: [&str; 4] = ["acme", "acme/ml", "globex", UNKNOWN];
/// Whom no credential may charge.
const FOREIGN: &str = "initech";
/// What credentials may charge: the others.
pub const PATTERNS: [&str; 4] = ["acme", "acme/*", "globex", UNKNOWN];
/// Tokens of one call that no credential may charge.
const TOO_MANY: u64 = 30_000_000;

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
    /// It is beyond what its credential may charge.
    Beyond,
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
        () if random.chance(mix.beyond) => Kind::Beyond,
        () => Kind::Good,
    };
    let small = random.chance(mix.small_server);
    // A hostile client at such a server: the same request id again and again, and the same counts.
    let repeats = small && random.chance(500);
    let beyond = kind == Kind::Beyond;
    let reported = (pair && random.chance(800)) || small || beyond || !random.chance(mix.missing);
    let mut counts = Counts {
        tenant: random.pick(&TENANTS),
        model: random.pick(&MODELS),
        second_day: now_ns >= MIDNIGHT_NS,
        reported,
        tokens: if reported { [random.below(100_000), random.below(50_000), number] } else { [0; 3] },
        part: false,
    };
    match () {
        () if beyond && random.chance(500) => counts.tenant = FOREIGN,
        () if beyond => counts.tokens[0] = TOO_MANY,
        () if repeats => counts.tokens = [7, 0, 7],
        () => {}
    }
    let response_id = match () {
        () if small => Some("chatcmpl-1".to_owned()),
        () if pair => Some(format!("resp-{number}")),
        () => random.chance(500).then(|| format!("resp-{number}")),
    };
    let request_model = if repeats { random.pick(&["asked", "asked", "dear"]) } else { "asked" };
    let mut record = Record {
        started_ns: now_ns,
        duration_us: random.within(1000, 20_000_000),
        provider: "openai".to_owned(),
        api: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        response_id,
        status: Some(200),
        outcome: Outcome::Completed,
        request_id: Some(if repeats { "again".to_owned() } else { format!("{number:016x}") }),
        trace_id: Some(format!("{number:032x}")),
        span_id: Some(format!("{number:016x}")),
        request_model: Some(request_model.to_owned()),
        route: (kind == Kind::Offensive).then(|| "<script>".to_owned()),
        raw_usage: random.chance(mix.long).then(|| "x".repeat(random.within(200, 2000) as usize)),
        ..Record::default()
    };
    if !pair && kind == Kind::Good && random.chance(3) {
        // The clock of its host is two hours ahead: that is refused, and named.
        record.started_ns += 2 * HOUR_NS;
        counts.second_day = true;
        return Call { kind: Kind::DeadLetter, counts, record: counted(record, &counts), pair };
    }
    Call { record: counted(record, &counts), counts, kind, pair }
}

/// The same call as the meter of the next proxy sees it: mostly there is a proof that it is the same, sometimes it is lost on
/// the way, or what the provider counted was not seen.
pub fn seen_again(random: &mut Random, call: &Call) -> Call {
    let mut again = call.clone();
    let record = &mut again.record;
    match random.below(12) {
        0 => record.request_id = Some("another".to_owned()),
        1 => (record.trace_id, record.span_id) = (None, None),
        2 => record.span_id = Some("another".to_owned()),
        3 => (record.request_id, record.trace_id) = (None, None),
        4 => (record.request_id, record.span_id) = (Some(String::new()), Some("another".to_owned())),
        5 => {
            again.counts.reported = false;
            again.counts.tokens = [0; 3];
        }
        // Somebody says that it began at yesterday's prices.
        6..=9 if record.started_ns >= MIDNIGHT_NS => {
            record.duration_us += (record.started_ns - MIDNIGHT_NS) / 1000 + 1000;
            record.started_ns = MIDNIGHT_NS - 1_000_000;
            again.counts.second_day = false;
        }
        _ => {}
    }
    again.record = counted(again.record, &again.counts);
    again
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
        Kind::Good | Kind::Offensive | Kind::Beyond => bytes,
        // Its clock is ahead: the bytes are good.
        Kind::DeadLetter if call.record.started_ns >= MIDNIGHT_NS + HOUR_NS => bytes,
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
