//! What is written while a name is replaced.

use super::*;

pub fn run(fresh: Fresh<'_>) {
    a_name_in_a_correction_does_not_come_back(fresh);
    what_takes_back_a_call_meanwhile_is_of_the_same_name(fresh);
}

/// Whoever has read an entry before its name was replaced cannot bring the name back with a correction.
fn a_name_in_a_correction_does_not_come_back(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    filled(&mut ledger, &*reader);
    let path = format!("acme/{NAME}");
    let standing = all(|each| reader.standing(&Selection::default(), each));
    let entry = standing.into_iter().find(|entry| entry.tenant == path).unwrap();
    forget_all(&*reader, &mut ledger, request(tenant(&path))).unwrap();
    let correction = Correction { entry, instead: None, reason: "late".to_owned() };
    let told = ledger.correct(&[correction], NOON_NS + 10).unwrap_err().to_string();
    assert!(told.ends_with("its tenant's name was replaced meanwhile; ask again"), "{told}");
    heads(&*reader);
}

/// What takes her calls back while her name is replaced is hers; a call of then keeps the name, with what takes it back.
fn what_takes_back_a_call_meanwhile_is_of_the_same_name(fresh: Fresh<'_>) {
    let (store, reader) = fresh();
    let mut ledger = Ledger::new(store);
    filled(&mut ledger, &*reader);
    let path = format!("acme/{NAME}");
    let plan = forget::plan(&*reader, request(tenant(&path)), NOON_NS + 9, &mut || Ok(())).unwrap();
    let standing = || all(|each| reader.standing(&Selection::default(), each));
    let of = |tenant: &str| standing().into_iter().rfind(|entry| entry.tenant == tenant).unwrap();
    let rating = |entry: &Entry| crate::ledger::correct::rating_of(entry).unwrap();
    let mut correct = |entry: Entry, to: Option<&str>| {
        let instead = to.map(|tenant| Instead { tenant: tenant.to_owned(), rating: rating(&entry) });
        let correction = Correction { entry, instead, reason: "meanwhile".to_owned() };
        assert_eq!(ledger.correct(&[correction], NOON_NS + 10).unwrap(), 1);
    };
    // Taken from her; given to her, and taken from her again.
    correct(of(&path), None);
    let other = format!("acme/{NAME}y");
    correct(of(&other), Some(&path));
    correct(of(&path), Some(&other));
    let late = called(&path, NOON_NS + 20, 7000);
    assert_eq!(ledger.append(&[&of_meter(3, 1, &late)], NOON_NS + 21).unwrap()[0].accepted, 1);
    let late = of(&path);
    let correction = Correction { entry: late, instead: None, reason: "meanwhile".to_owned() };
    assert_eq!(ledger.correct(&[correction], NOON_NS + 22).unwrap(), 1);
    forget::run(&*reader, &mut ledger, &plan, NOON_NS + 23, &mut || Ok(())).unwrap();
    verify(&*reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"));
    let all = entries(&*reader);
    let named: Vec<Kind> = all.iter().filter(|entry| entry.tenant == path).map(|entry| entry.kind).collect();
    assert_eq!(named, [Kind::Call, Kind::Reversal]);
}

/// A collector goes on writing while the name is replaced: each call is under the one name or the other, and all adds up.
pub fn while_others_write(open: &(dyn Fn() -> Box<dyn Store> + Sync), reader: &(dyn Reader + Sync)) {
    let mut ledger = Ledger::new(open());
    let budget = filled(&mut ledger, reader);
    let path = format!("acme/{NAME}");
    let tokens = |name: &str| -> i64 {
        let rows = all(|each| reader.rollup(&Selection::default(), each)).into_iter();
        let hers = rows.filter(|row| row.counted.name() == "input_text_tokens" && row.tenant.starts_with(name));
        hers.map(|row| row.sum.quantity).sum()
    };
    let (before, started) = (tokens(&path), Barrier::new(2));
    let sent = std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut collector = Ledger::new(open());
            let mut sent = 0;
            for sequence in 1..=200 {
                let call = called(&path, NOON_NS, 1000 + i64::try_from(sequence).unwrap() as u64);
                let taken = collector.append(&[&of_meter(3, sequence, &call)], NOON_NS + 10).unwrap();
                sent += taken[0].accepted * (1000 + sequence);
                if sequence == 50 {
                    started.wait();
                }
            }
            i64::try_from(sent).unwrap()
        });
        started.wait();
        let plan = forget::plan(reader, request(tenant(&path)), NOON_NS + 9, &mut || Ok(())).unwrap();
        let done = forget::run_by(reader, &mut ledger, &plan, NOON_NS + 9, 7, &mut || Ok(())).unwrap();
        assert!(done.1 >= plan.found.entries);
        let sent = writes.join().unwrap();
        assert_eq!(tokens(&path) + tokens(&format!("acme/{}", plan.pseudonym())), before + sent);
        sent
    });
    assert!(sent > 0 && !budgets::balances(reader, budget).is_empty());
    heads(reader);
    // What came meanwhile is replaced when it is asked for again.
    forget_all(reader, &mut ledger, request(tenant(&path))).unwrap();
    assert_eq!(tokens(&path), tokens(&format!("{path}y")), "the name is gone but for the other one that begins so");
    heads(reader);
}
