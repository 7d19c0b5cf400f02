//! The rows of an export: each entry with what it counts, so that they add up to the sums.

use super::*;
use crate::export;
use crate::store::WrittenEntry;
use crate::store::sums::{Counted, Sum};

/// Every entry as it was written, with what it counts.
pub fn written(reader: &dyn Reader) -> Vec<WrittenEntry> {
    let heads = reader.heads().unwrap();
    let of = |head: &crate::store::Head| {
        let (begin, until) = (EntryId { number: 0, ..head.entry }, head.entry.number);
        let written = all(|each| reader.written(begin, until, each));
        let in_parts = all(|each| reader.written_in_parts(begin, until, each));
        assert_eq!(written, in_parts, "by one question or by many");
        written
    };
    heads.iter().flat_map(of).collect()
}

/// What is exported adds up to the sums: by day, adjusted month, tenant, provider, model and evidence, and by class.
pub fn rows_add_up_to_the_sums(reader: &dyn Reader) {
    type Key = (String, Option<String>, String, String, String, &'static str, String);
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    let mut charge = 0;
    for written in written(reader) {
        let row = export::row(written).unwrap();
        let key = |counted: &Counted| {
            let (tenant, provider, model) = (row.tenant.clone(), row.provider.clone(), row.model.clone());
            let name = counted.name().into_owned();
            (row.day.to_string(), row.adjusts.clone(), tenant, provider, model, row.evidence, name)
        };
        let amount = |yocto| crate::money::Charge::from_yocto_usd(yocto);
        let mut add = |counted: Counted, sum: Sum| {
            let of = sums.entry(key(&counted)).or_default();
            *of = of.checked_add(&sum).unwrap();
        };
        add(Counted::Calls, Sum { quantity: row.calls, ..Sum::default() });
        for line in &row.lines {
            let (charge, cost) = (amount(line.charge), amount(line.cost));
            let (unpriced, fallback) = (line.unpriced, line.fallback);
            add(Counted::Usage(line.class), Sum { quantity: line.quantity, charge, cost, unpriced, fallback });
        }
        charge += row.charge;
    }
    let mut charged = 0;
    for row in all(|each| reader.rollup(&Selection::default(), each)) {
        charged += row.sum.charge.yocto_usd();
        if matches!(row.counted, Counted::Calls | Counted::Usage(_)) {
            let adjusts = Some(row.adjusts).filter(|month| !month.is_empty());
            let (day, name) = (row.day.to_string(), row.counted.name().into_owned());
            let key = (day, adjusts, row.tenant, row.provider, row.model, row.evidence.as_str(), name);
            assert_eq!(sums.remove(&key).unwrap_or_default(), row.sum, "{key:?}");
        }
    }
    assert!(sums.values().all(|sum| *sum == Sum::default()), "{sums:?}");
    assert_eq!(charge, charged, "the amounts of the entries are those of their lines");
}
