use std::collections::{BTreeMap, BTreeSet};

use meter::record::Record;
use meter::usage::Class;
use proptest::prelude::*;

use super::*;
use crate::store::Arrival;

/// What of an event matters to the sums.
#[derive(Clone, Debug)]
struct Sent {
    emitter: u8,
    sequence: u64,
    /// Chosen so that calls fall on two days and two models.
    kind: u8,
    tokens: u64,
}

impl Sent {
    fn record(&self) -> Record {
        let mut record = Record { provider: "openai".to_owned(), ..Record::default() };
        record.started_ns = if self.kind & 1 == 0 { 0 } else { 86_400_000_000_000 };
        record.request_model = Some("asked".to_owned());
        record.response_model = (self.kind & 2 == 0).then(|| "answered".to_owned());
        record.usage.set(Class::InputText, (self.tokens != 0).then_some(self.tokens));
        record.usage.set(Class::OutputText, Some(self.tokens % 7));
        record
    }

    fn arrival(&self) -> Arrival {
        let bytes = meter::event::encode(&self.record(), &format!("{:032x}", self.emitter), self.sequence);
        Arrival {
            decoded: meter::event::decode(&bytes).map_err(|invalid| invalid.to_string()),
            bytes: serde_json::from_slice(&bytes).unwrap(),
        }
    }
}

/// The sums of the first delivery of each event, the plain way.
fn naive<'a>(sent: impl Iterator<Item = &'a Sent>) -> (BTreeMap<String, i64>, u64) {
    let (mut sums, mut seen, mut duplicates) = (BTreeMap::new(), BTreeSet::new(), 0);
    for event in sent {
        if !seen.insert((event.emitter, event.sequence)) {
            duplicates += 1;
            continue;
        }
        let (day, model) = (event.kind & 1, if event.kind & 2 == 0 { "answered" } else { "asked" });
        let mut add = |class: &str, count: u64| {
            *sums.entry(format!("1970-01-0{} {model} {class}", day + 1)).or_default() += count as i64;
        };
        add("calls", 1);
        add("output_text_tokens", event.tokens % 7);
        if event.tokens != 0 {
            add("input_text_tokens", event.tokens);
        }
    }
    (sums, duplicates)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn deterministic_any_order_any_batches_and_any_duplicates_give_the_naive_sums(
        commits in prop::collection::vec(prop::collection::vec(prop::collection::vec(
            (0..3_u8, 1..20_u64, 0..4_u8, 0..1_u64 << 40)
                .prop_map(|(emitter, sequence, kind, tokens)| Sent { emitter, sequence, kind, tokens }),
            0..8), 0..4), 0..6)
    ) {
        let mut ledger = Ledger::open(Path::new(":memory:")).unwrap();
        let mut taken = Taken::default();
        for commit in &commits {
            let batches: Vec<Batch> = commit.iter().map(|batch| batch.iter().map(Sent::arrival).collect()).collect();
            for counts in ledger.append(&batches.iter().collect::<Vec<_>>(), 1).unwrap() {
                taken.accepted += counts.accepted;
                taken.duplicates += counts.duplicates;
                taken.dead_letters += counts.dead_letters;
            }
        }
        let (expected, duplicates) = naive(commits.iter().flatten().flatten());
        let mut select = ledger.0.prepare("SELECT day || ' ' || model || ' ' || class, quantity FROM rollup").unwrap();
        let sums: BTreeMap<String, i64> =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(&sums, &expected);
        let entries: u64 = ledger.0.query_row("SELECT count(*) FROM ledger", [], |row| row.get::<_, i64>(0)).unwrap() as u64;
        prop_assert_eq!((taken.accepted, taken.duplicates, taken.dead_letters), (entries, duplicates, 0));
        let numbers = "SELECT coalesce(sum(last - first + 1), 0) FROM emitter_ranges";
        prop_assert_eq!(ledger.0.query_row(numbers, [], |row| row.get::<_, i64>(0)).unwrap() as u64, entries);
    }
}

#[test]
fn contract_a_commit_that_fails_keeps_nothing_of_any_batch() {
    let mut ledger = Ledger::open(Path::new(":memory:")).unwrap();
    let batch = |sequence| vec![Sent { emitter: 1, sequence, kind: 0, tokens: 1 }.arrival()];
    // The second batch's row is refused, as by a full disk.
    let full = "CREATE TRIGGER full BEFORE INSERT ON ledger WHEN NEW.sequence = 2
                BEGIN SELECT RAISE(ABORT, 'full'); END";
    ledger.0.execute_batch(full).unwrap();
    let error = ledger.append(&[&batch(1), &batch(2)], 1).unwrap_err();
    assert_eq!(error.to_string(), "database: full");
    for table in ["ledger", "rollup", "emitter_ranges"] {
        let rows: i64 = ledger.0.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    ledger.0.execute_batch("DROP TRIGGER full").unwrap();
    let taken = ledger.append(&[&batch(1), &batch(2)], 1).unwrap();
    assert_eq!(taken.iter().map(|taken| taken.accepted).collect::<Vec<_>>(), [1, 1], "sent again, it is taken");
}

#[test]
fn contract_a_commit_is_on_the_disk_before_it_is_acknowledged() {
    let file = std::env::temp_dir().join(format!("meshmeter-sync-{}.db", std::process::id()));
    let ledger = Ledger::open(&file).unwrap();
    let pragma = |name: &str| ledger.0.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    // 2 is FULL: with NORMAL, a WAL is synced at checkpoints only, and a power cut takes back commits.
    assert_eq!(pragma("synchronous").unwrap(), rusqlite::types::Value::Integer(2));
    assert_eq!(pragma("journal_mode").unwrap(), rusqlite::types::Value::Text("wal".to_owned()));
    drop(ledger);
    std::fs::remove_file(&file).unwrap();
}
