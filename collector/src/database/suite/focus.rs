//! Rows of FOCUS: on every database they add up to what the report of the same question says.

use std::collections::BTreeSet;

use super::reports::{days, lines, tried};
use super::*;
use crate::money::{Charge, Price};
use crate::report::{Bounds, Dimension, Question, Sum, dimensions, focus};

/// A row, by the names of its columns.
type Row = BTreeMap<String, String>;

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => fields.last_mut().unwrap().push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            letter => fields.last_mut().unwrap().push(letter),
        }
    }
    fields
}

fn rows(reader: &dyn Reader, question: &Question, billed: &str) -> Vec<Row> {
    let mut options = focus::Options::default();
    options.set("billed", billed).unwrap();
    let mut text = Vec::new();
    let mut bounds = Bounds { calls: u64::MAX, each: &mut |_| Ok(()) };
    let count = focus::write(reader, question, &options, &mut bounds, None, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.split_terminator("\r\n").map(fields);
    let names = lines.next().unwrap();
    let rows: Vec<Row> = lines
        .map(|fields| {
            assert_eq!(fields.len(), names.len(), "{fields:?}");
            names.iter().cloned().zip(fields).collect()
        })
        .collect();
    assert_eq!(rows.len() as u64, count);
    rows
}

/// A decimal number, in 10^-24.
fn yocto(number: &str) -> i128 {
    number.parse::<Charge>().unwrap().yocto_usd()
}

/// Charge, cost and quantities by evidence and tenant.
type Totals = BTreeMap<(String, String), (i128, i128, BTreeMap<String, i128>)>;

fn of_rows(rows: &[Row]) -> Totals {
    let mut totals = Totals::new();
    for row in rows {
        let total = totals.entry((row["x_Evidence"].clone(), row["SubAccountId"].clone())).or_default();
        total.0 += yocto(&row["x_Charge"]);
        total.1 += yocto(&row["x_Cost"]);
        if !row["x_UsageClass"].is_empty() {
            *total.2.entry(row["x_UsageClass"].clone()).or_default() += yocto(&row["ConsumedQuantity"]);
        }
    }
    settled(totals)
}

/// Of which classes rows say that they lack a price, by evidence. None of them takes anything back.
fn lacking(rows: &[Row]) -> BTreeSet<(String, String)> {
    let is_unpriced = |row: &&Row| row["x_PricingBasis"] == "unpriced";
    assert!(rows.iter().filter(is_unpriced).all(|row| yocto(&row["ConsumedQuantity"]) > 0));
    rows.iter().filter(is_unpriced).map(|row| (row["x_Evidence"].clone(), row["x_UsageClass"].clone())).collect()
}

/// The same as the report says it.
fn lacked(reader: &dyn Reader, question: &Question) -> BTreeSet<(String, String)> {
    let question = Question { by: dimensions("tenant").unwrap(), ..question.clone() };
    let report = crate::report::Report::of(reader, question).unwrap();
    let of = |line: &crate::report::Line| {
        let evidence = line.grade.0.as_str().to_owned();
        line.sum.unpriced.keys().map(|class| (evidence.clone(), class.name().to_owned())).collect::<Vec<_>>()
    };
    report.totals().flat_map(of).collect()
}

fn of_report(reader: &dyn Reader, question: &Question) -> Totals {
    let question = Question { by: dimensions("tenant,session").unwrap(), ..question.clone() };
    let mut totals = Totals::new();
    for (key, evidence, sum) in lines(reader, &question) {
        let Sum { usage, amounts, .. } = sum;
        let total = totals.entry((evidence.as_str().to_owned(), key.columns[0].clone())).or_default();
        for amounts in amounts.values() {
            total.0 += amounts.charge.yocto_usd();
            total.1 += amounts.cost.yocto_usd();
        }
        for (class, count) in usage {
            *total.2.entry(class.name().to_owned()).or_default() += count * 10_i128.pow(24);
        }
    }
    settled(totals)
}

fn settled(mut totals: Totals) -> Totals {
    totals.values_mut().for_each(|total| total.2.retain(|_, quantity| *quantity != 0));
    totals.retain(|_, (charge, cost, usage)| *charge != 0 || *cost != 0 || !usage.is_empty());
    totals
}

pub fn run(fresh: Fresh<'_>) {
    tried(8, fresh, |reader| {
        for (at, by) in ["tenant,model", "hour,tag:task", "month,session"].into_iter().enumerate() {
            let period = [days("2026-09-01", "2026-10-31"), days("2026-08-01", "2026-12-20")][at % 2].clone();
            let mut question = Question { period, by: dimensions(by).unwrap(), ..Question::default() };
            if at == 1 {
                question.filters.add(Dimension::Tenant(None), "t1").unwrap();
            }
            let found = rows(reader, &question, ["charge", "cost"][at % 2]);
            prop_assert_eq!(of_rows(&found), of_report(reader, &question), "{:?}", question);
            prop_assert_eq!(lacking(&found), lacked(reader, &question), "{:?}", question);
            for row in &found {
                are_of_one_price(row);
                is_of_its_periods(row);
            }
            let keys: std::collections::BTreeSet<_> = found
                .iter()
                .map(|row| {
                    let mut key = row.clone();
                    key.retain(|name, _| !name.contains("Cost") && !name.contains("Quantity") && name != "x_Charge");
                    key
                })
                .collect();
            prop_assert_eq!(keys.len(), found.len(), "no two rows are of the same");
        }
        Ok(())
    });
}

/// Unit price times quantity is the amount, to the last decimal.
fn are_of_one_price(row: &Row) {
    for (price, amount) in [("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")] {
        if row[price].is_empty() {
            assert!(
                ["unpriced", "was_unpriced", "uncounted", "stated"].contains(&row["x_PricingBasis"].as_str()),
                "{row:?}"
            );
            assert_eq!(row[amount], row["BilledCost"], "{row:?}");
            continue;
        }
        if row["x_PricingBasis"] == "stated" {
            // Of a thousand requests; amounts have more decimals than prices of a book.
            let requests = yocto(&row["ConsumedQuantity"]) / 10_i128.pow(24);
            assert_eq!(yocto(&row[price]) * requests, yocto(&row[amount]) * 1000, "{row:?}");
            continue;
        }
        // Six decimals of a quantity, twelve of a price: eighteen of the product.
        let price = i128::from(Price::parse(&row[price]).unwrap().pico_usd());
        let product = price * (yocto(&row["PricingQuantity"]) / 10_i128.pow(18)) * 10_i128.pow(6);
        assert_eq!(product, yocto(&row[amount]), "{row:?}");
    }
}

fn is_of_its_periods(row: &Row) {
    for period in ["ChargePeriod", "BillingPeriod"] {
        assert!(row[&format!("{period}Start")] < row[&format!("{period}End")], "{row:?}");
    }
    // What is booked about a closed month, and only that, is of another month than the one that it is billed in.
    let is_correction = row["ChargeClass"] == "Correction";
    let is_elsewhere = row["ChargePeriodStart"][..7] != row["BillingPeriodStart"][..7];
    assert_eq!((is_correction, row["x_Adjusts"].is_empty()), (is_elsewhere, !is_elsewhere), "{row:?}");
}
