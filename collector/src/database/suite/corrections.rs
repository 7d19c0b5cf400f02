//! What stands, and what is taken back.

use super::*;

pub fn run(fresh: Fresh<'_>) {
    standing_entries_are_selected(fresh);
    corrections_reverse_and_stand_anew(fresh);
}

fn standing_entries_are_selected(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    let sent = [one(1, 1), Sent { kind: 5, ..one(1, 2) }];
    ledger.append(&[&delivery(&sent)], NOW_NS).unwrap();
    let day = |text: &str| Some(text.parse().unwrap());
    let count = |selection: Selection| {
        all(|each| reader.standing(&selection, each)).iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(count(Selection::default()), [1, 2]);
    assert_eq!(count(Selection { since: day("1970-01-02"), ..Selection::default() }), [2]);
    assert_eq!(count(Selection { until: day("1970-01-01"), ..Selection::default() }), [1]);
    assert_eq!(count(Selection { tenant: Some("unknown".to_owned()), ..Selection::default() }), [1, 2]);
    assert_eq!(count(Selection { tenant: Some("unk".to_owned()), ..Selection::default() }), [] as [i64; 0]);
    assert_eq!(count(Selection { call: Some((emitter(1), 2)), ..Selection::default() }), [2]);
    assert_eq!(count(Selection { call: Some((emitter(2), 2)), ..Selection::default() }), [] as [i64; 0]);
}

fn corrections_reverse_and_stand_anew(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let (mut ledger, mut memory) = (Ledger::new(store), Ledger::new(Memory::new()));
    let book = PriceBook::parse(BOOK).unwrap();
    let sent = [Sent { kind: 4, ..one(1, 1) }, one(1, 2), Sent { kind: 6, ..one(1, 3) }];
    ledger.append(&[&delivery(&sent)], NOW_NS).unwrap();
    memory.append(&[&delivery(&sent)], NOW_NS).unwrap();
    let standing = |reader: &dyn Reader| all(|each| reader.standing(&Selection::default(), each));
    let late = |entry| Correction::by(&book, entry, "the price came late").unwrap();
    let mut corrections: Vec<Correction> = standing(&*reader).into_iter().filter_map(late).collect();
    assert_eq!(corrections.iter().map(|one| one.entry.sequence).collect::<Vec<_>>(), [1, 2], "the third has no price");
    let Instead { rating, .. } = corrections[1].instead.clone().unwrap();
    corrections[1].instead = Some(Instead { tenant: "acme".to_owned(), rating });
    assert_eq!(corrections[0].difference().to_string(), "0.0000125");
    for _ in 0..2 {
        let done = ledger.correct(&corrections, NOW_NS + 1).unwrap();
        assert_eq!(done, memory.correct(&corrections, NOW_NS + 1).unwrap());
    }
    let third = Correction { entry: standing(&*reader)[0].clone(), instead: None, reason: "a test call".to_owned() };
    assert_eq!(ledger.correct(std::slice::from_ref(&third), NOW_NS + 2).unwrap(), 1);
    memory.correct(&[third], NOW_NS + 2).unwrap();
    assert_eq!(seen(&*reader), seen(memory.store()));
    let kinds: Vec<Kind> = entries(&*reader).iter().map(|entry| entry.kind).collect();
    let (call, reversal, correction) = (Kind::Call, Kind::Reversal, Kind::Correction);
    assert_eq!(kinds, [call, call, call, reversal, correction, reversal, correction, reversal]);
    let charged: Vec<String> = all(|each| reader.rollup(&Selection::default(), each))
        .iter()
        .filter(|row| row.counted.name() == "input_text_tokens")
        .map(|row| format!("{} {} {} {}", row.tenant, row.model, row.sum.quantity, row.sum.charge))
        .collect();
    assert_eq!(charged, ["acme responded 5 0.0000125", "unknown asked 0 0.00", "unknown responded 5 0.0000125"]);
}
