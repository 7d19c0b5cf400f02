//! Reports of what only entries have, and of what the sums have, too: both ways give the same.

use std::ops::Range;

use wire::identity::Identity;
use wire::record::Tag;

use super::*;
use crate::report::{Bound, Dimension, Key, Period, Question, Report, Restriction, Sum, Top, Zone, dimensions};
use crate::store::days::day_begins_ns;
use crate::tenant::TenantPattern;

/// What happens to a ledger, in its order.
#[derive(Clone, Debug)]
enum Step {
    /// A call, of which these numbers choose everything.
    Call(u64),
    /// What stands is charged to another tenant, by other prices, or to nobody.
    Correct(u8, u64),
    /// The first month that is open is closed, if it is over.
    Close,
    /// Days pass.
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<u64>().prop_map(Step::Call),
        3 => (0..3_u8, any::<u64>()).prop_map(|(how, which)| Step::Correct(how, which)),
        2 => Just(Step::Close),
        2 => (1..25_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

fn ns(day: &str) -> i64 {
    day_begins_ns(day.parse().unwrap())
}

/// A call of the last weeks.
fn call(number: u64, chosen: u64, now_ns: i64) -> Delivery {
    let mut rest = chosen;
    let mut choose = |of: u64| {
        let choice = rest % of;
        rest /= of;
        choice
    };
    let evidence = Evidence::ALL[choose(4) as usize];
    let mut record = Record { provider: format!("p{}", choose(2)), evidence, ..Record::default() };
    let ago = choose(60) as i64 * DAY_NS as i64 + choose(25) as i64 * 3_600_000_000_000 + 1_800_000_000_000;
    record.started_ns = u64::try_from(now_ns - ago).unwrap();
    record.operation = "chat".to_owned();
    record.response_model = (choose(4) != 0).then(|| ["responded", "mute"][choose(2) as usize].to_owned());
    record.identity =
        Identity { tenant: format!("t{}/u{}", choose(3), choose(2)), source: Source::Header, principal: None };
    record.session_id = (choose(3) != 0).then(|| format!("s{}", choose(5)));
    if choose(2) == 0 {
        let source = wire::record::TagSource::Header;
        record.tags = vec![Tag { name: "task".to_owned(), value: format!("k|{}", choose(3)), source }];
    }
    if evidence != Evidence::Missing {
        record.usage.set(Class::InputText, Some(choose(1000)));
        record.usage.set(Class::CacheRead, (choose(2) == 0).then(|| choose(100)));
        record.usage.set(Class::OutputText, Some(choose(50)));
    }
    record.unknown_usage = (choose(9) == 0).then(|| "pixels, sighs".to_owned());
    let arrivals = vec![Arrival::new(wire::event::encode(&record, &emitter(1), number))];
    Delivery { sender: sender(false), statement: None, arrivals }
}

const PRICES: &str = "[[price]]\nprovider = \"p0\"\nmodel = \"responded\"\nvalid_from = 1970-01-01\n\
                      input_text = \"2.5\"\ncache_read = \"0.333\"\noutput_text = \"7.123456\"\n\
                      [[price]]\nprovider = \"p1\"\nmodel = \"*\"\nvalid_from = 1970-01-01\ninput_text = \"1\"\n";

fn filled(store: Box<dyn Store>, reader: &dyn Reader, steps: &[Step]) -> Ledger<Box<dyn Store>> {
    let mut ledger = Ledger::new(store);
    ledger.set_prices(Some(std::sync::Arc::new(PriceBook::parse(PRICES).unwrap())));
    let dearer = PriceBook::parse(&PRICES.replace("2.5", "3.75").replace("= \"*\"", "= \"mute\"")).unwrap();
    let (mut now_ns, mut month) = (ns("2026-10-20"), "2026-08".parse::<crate::store::months::Month>().unwrap());
    for (number, step) in steps.iter().enumerate() {
        now_ns += 1_000_000_000;
        match step {
            Step::Call(chosen) => {
                let taken = ledger.append(&[&call(number as u64 + 1, *chosen, now_ns)], now_ns).unwrap();
                assert_eq!(taken[0].accepted, 1, "{step:?}");
            }
            Step::Correct(how, which) => {
                let standing = all(|each| reader.standing(&Selection::default(), each));
                let Some(entry) = standing.get((*which as usize).checked_rem(standing.len()).unwrap_or_default())
                else {
                    continue;
                };
                let tenant = if *how == 0 { "t9".to_owned() } else { entry.tenant.clone() };
                let rating = Correction::rated(&dearer, entry, &tenant).unwrap();
                let instead = (*how != 2).then_some(Instead { tenant, rating });
                let correction = Correction { entry: entry.clone(), instead, reason: "a test".to_owned() };
                ledger.correct(&[correction], now_ns).unwrap();
            }
            Step::Close => {
                if ledger.close_month(month, "", now_ns).unwrap().is_ok() {
                    month =
                        crate::store::months::Month::of_day(&month.last_day().tomorrow().unwrap().to_string()).unwrap();
                }
            }
            Step::Wait(days) => now_ns += days * DAY_NS as i64,
        }
    }
    ledger
}

/// What a line says. A class of which nothing is left says nothing.
pub fn lines(reader: &dyn Reader, question: &Question) -> Vec<(Key, Evidence, Sum)> {
    let mut lines = Vec::new();
    let report = Report::of(reader, question.clone()).unwrap();
    report
        .each(&mut |line| {
            let mut sum = line.sum.clone();
            sum.usage.retain(|_, count| *count != 0);
            lines.push((line.key.clone(), line.grade.0, sum));
            Ok(())
        })
        .unwrap();
    lines
}

pub fn days(since: &str, until: &str) -> Period {
    Period::days(Some(since.parse().unwrap()), Some(until.parse().unwrap()))
}

/// What lines add up to. What has no price does not: one line may take back what another one has.
fn total(lines: Vec<(Key, Evidence, Sum)>) -> BTreeMap<&'static str, Sum> {
    let mut totals: BTreeMap<&'static str, Sum> = BTreeMap::new();
    for (_, evidence, sum) in lines {
        totals.entry(evidence.as_str()).or_default().merge(&sum).unwrap();
    }
    totals.retain(|_, sum| {
        sum.unpriced.clear();
        sum.fallback.retain(|_, count| *count != 0);
        sum.deferred.retain(|_, count| *count != 0);
        sum.unknown.retain(|_, count| *count != 0);
        sum.amounts.retain(|_, amounts| *amounts != Default::default());
        sum.usage.retain(|_, count| *count != 0);
        !sum.is_nothing()
    });
    totals
}

pub fn run(fresh: Fresh<'_>) {
    the_sums_and_the_entries_tell_the_same(fresh);
    nothing_is_lost_whatever_tells_lines_apart(fresh);
    who_is_restricted_sees_no_other_tenant(fresh);
    what_has_no_price_is_told_alike_and_never_below_zero(fresh);
}

pub fn tried(cases: u32, fresh: Fresh<'_>, test: impl Fn(&dyn Reader) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |steps| {
        let (store, reader) = fresh();
        let _kept = filled(store, &*reader, &steps);
        test(&*reader)
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn the_sums_and_the_entries_tell_the_same(fresh: Fresh<'_>) {
    let periods = [Period::default(), days("2026-10-01", "2026-10-31"), days("2026-11-03", "2026-12-20")];
    let columns = ["evidence", "day", "month,tenant", "tenant:1,model", "day,month,tenant,provider,model"];
    let filters: [&[(&str, &str)]; 3] = [
        &[],
        &[("tenant", "t1"), ("tenant", "t9*")],
        &[("provider", "p0"), ("model", "re*"), ("evidence", "reported")],
    ];
    tried(12, fresh, |reader| {
        for (at, period) in periods.iter().enumerate() {
            for (place, by) in columns.iter().enumerate() {
                let round = [None, Some(2), None, Some(0), Some(3)][place];
                let mut question =
                    Question { period: period.clone(), by: dimensions(by).unwrap(), round, ..Question::default() };
                for (name, value) in filters[(at + place) % filters.len()] {
                    question.filters.add(Dimension::parse(name).unwrap(), value).unwrap();
                }
                prop_assert!(!question.reads_entries());
                let by_sums = lines(reader, &question);
                question.filters.add(Dimension::Session, "*").unwrap();
                prop_assert!(question.reads_entries());
                prop_assert_eq!(by_sums, lines(reader, &question), "{:?}", question);
            }
        }
        Ok(())
    });
}

fn nothing_is_lost_whatever_tells_lines_apart(fresh: Fresh<'_>) {
    let columns = ["session", "tag:task,operation", "hour", "principal,route,trace,node,emitter,agent"];
    let parts: [Range<usize>; 3] = [0..1, 1..2, 0..3];
    tried(6, fresh, |reader| {
        let whole = Question { period: days("2026-09-10", "2026-11-20"), ..Question::default() };
        let expected = total(lines(reader, &whole));
        for by in columns.map(|by| dimensions(by).unwrap()) {
            let question = Question { by, ..whole.clone() };
            prop_assert_eq!(&total(lines(reader, &question)), &expected, "{:?}", question);
            for lines_of in [1, 2, 100] {
                let top = Some(Top { lines: lines_of, sort: Default::default() });
                let question = Question { top, ..question.clone() };
                prop_assert_eq!(&total(lines(reader, &question)), &expected, "{:?}", question);
            }
        }
        // A period cut into parts, by days of another zone and by moments.
        let moment = |text: &str| Some(Bound::Moment(text.parse().unwrap()));
        let cuts = ["2026-09-10T00:00:00Z", "2026-10-25T00:30:00Z", "2026-11-01T12:00:00Z", "2026-11-21T00:00:00Z"];
        let part = |from: usize, to: usize| Question {
            period: Period {
                since: moment(cuts[from]),
                until: moment(cuts[to]),
                zone: Zone::parse("Europe/Berlin").unwrap(),
            },
            by: dimensions("day,tenant").unwrap(),
            ..Question::default()
        };
        for range in &parts {
            let (all, both) = (part(range.start, range.end), (range.start..range.end).map(|from| part(from, from + 1)));
            let both = both.flat_map(|question| lines(reader, &question)).collect();
            prop_assert_eq!(total(lines(reader, &all)), total(both));
        }
        prop_assert_eq!(total(lines(reader, &part(0, 3))), expected);
        Ok(())
    });
}

/// How many calls a report says were read for it, if it says so.
fn said_to_be_read(reader: &dyn Reader, question: &Question) -> Option<String> {
    let text = Report::of(reader, question.clone()).unwrap().render(crate::report::Format::Markdown).unwrap();
    let (before, _) = text.split_once(" calls were read")?;
    before.rsplit(' ').next().map(str::to_owned)
}

fn who_is_restricted_sees_no_other_tenant(fresh: Fresh<'_>) {
    tried(4, fresh, |reader| {
        for by in ["tenant", "tenant,session", "evidence", "hour,model"].map(|by| dimensions(by).unwrap()) {
            let cases: [(&[&str], Option<&str>, &[&str]); 5] = [
                (&["t1", "t1/*"], None, &["t1"]),
                (&["t1/u0", "t9"], Some("t1"), &["t1/u0"]),
                (&["*"], Some("t1"), &["t1"]),
                (&["t1", "t1/*"], Some("t2"), &[]),
                (&[], None, &[]),
            ];
            for (patterns, asked, expected) in cases {
                let of = |tenants: &[&str]| {
                    let mut question = Question { by: by.clone(), ..Question::default() };
                    for tenant in tenants {
                        question.filters.add(Dimension::Tenant(None), tenant).unwrap();
                    }
                    question
                };
                let patterns = patterns.iter().map(|pattern| TenantPattern::parse(pattern).unwrap()).collect();
                let question = Question { restriction: Restriction::to(patterns), ..of(asked.as_slice()) };
                let seen = (lines(reader, &question), said_to_be_read(reader, &question));
                let expected = match expected {
                    [] => (Vec::new(), seen.1.as_ref().map(|_| "0".to_owned())),
                    expected => (lines(reader, &of(expected)), said_to_be_read(reader, &of(expected))),
                };
                prop_assert_eq!(&seen, &expected, "{:?}", question);
            }
        }
        Ok(())
    });
}

/// Of each month in which calls began, tenant, model and evidence what the rows of the period add up to, above zero; by evidence.
fn lacking(reader: &dyn Reader, period: &Period) -> BTreeMap<(String, String), i64> {
    let mut sums: BTreeMap<_, i64> = BTreeMap::new();
    for row in all(|each| reader.rollup(&period.selection().unwrap(), each)) {
        let began = if row.adjusts.is_empty() { row.day.strftime("%Y-%m").to_string() } else { row.adjusts };
        let class = row.counted.name().into_owned();
        let of = (began, row.tenant, row.provider, row.model, row.evidence.as_str().to_owned(), class);
        *sums.entry(of).or_default() += row.sum.unpriced;
    }
    let mut lacking = BTreeMap::new();
    for ((.., evidence, class), unpriced) in sums.into_iter().filter(|(_, unpriced)| *unpriced > 0) {
        *lacking.entry((evidence, class)).or_default() += unpriced;
    }
    lacking
}

fn what_has_no_price_is_told_alike_and_never_below_zero(fresh: Fresh<'_>) {
    let periods = [
        Period::default(),
        days("2026-10-01", "2026-10-31"),
        days("2026-11-01", "2026-11-30"),
        days("2026-10-15", "2026-12-20"),
    ];
    let columns = ["evidence", "tenant", "month,provider", "tenant,model", "day,model", "session", "hour,tenant"];
    tried(12, fresh, |reader| {
        for period in &periods {
            let expected = lacking(reader, period);
            let mut notes: Option<serde_json::Value> = None;
            for (by, top) in columns.iter().flat_map(|by| [(by, None), (by, Some(1)), (by, Some(2))]) {
                let top = top.map(|lines| Top { lines, sort: Default::default() });
                let by = dimensions(by).unwrap();
                let question = Question { period: period.clone(), by, top, ..Question::default() };
                let report = Report::of(reader, question.clone()).unwrap();
                let mut found = BTreeMap::new();
                for line in report.totals() {
                    for (class, count) in &line.sum.unpriced {
                        found.insert((line.grade.0.as_str().to_owned(), class.name().to_owned()), *count as i64);
                    }
                }
                prop_assert_eq!(&found, &expected, "{:?}", question);
                let mut lines: BTreeMap<(String, String), i64> = BTreeMap::new();
                report
                    .each(&mut |line| {
                        for (class, count) in &line.sum.unpriced {
                            assert!(*count > 0, "{question:?}");
                            let of = (line.grade.0.as_str().to_owned(), class.name().to_owned());
                            *lines.entry(of).or_default() += *count as i64;
                        }
                        Ok(())
                    })
                    .unwrap();
                // A line does not hide what another one takes back, and shows nothing of what the period does not lack.
                prop_assert!(lines.keys().eq(expected.keys()), "{:?} {:?}", question, lines);
                prop_assert!(lines.iter().all(|(of, count)| *count >= expected[of]), "{:?}", question);
                let json: serde_json::Value =
                    serde_json::from_str(&report.render(crate::report::Format::Json).unwrap()).unwrap();
                let said = json["notes"]["unpriced"].clone();
                let tokens = said.as_array().map_or(0, |all| all.iter().map(|of| of["tokens"].as_i64().unwrap()).sum());
                prop_assert_eq!(tokens, expected.values().sum::<i64>(), "{:?}", question);
                prop_assert_eq!(notes.get_or_insert(said.clone()), &said, "{:?}", question);
            }
        }
        Ok(())
    });
}
