//! The columns that an entry fills itself, and those that add up to the ledger's sums.

use wire::usage;

use super::{Cell, Column, Source, Type};
use crate::row::{Row, hex};

type Read = fn(&Row) -> Cell<'_>;

pub fn of_the_entry() -> Vec<Column> {
    let column = |name, holds, is_required, unit, help: &str, read: Read| Column {
        name,
        holds,
        is_required,
        unit,
        help: help.to_owned(),
        source: Source::Entry(read),
    };
    let text = |name, help, read| column(name, Type::Text, true, "", help, read);
    let number = |name, unit, help, read| column(name, Type::Int, true, unit, help, read);
    vec![
        number("writer", "", "the chain that the entry stands in; on SQLite there is one", |row| {
            Cell::Int(row.position.writer)
        }),
        number("entry", "", "its number in the chain, from 1 without holes", |row| Cell::Int(row.position.entry)),
        text(
            "hash",
            "its hash, over itself and the entry before: 64 hex digits, as `meshmeter verify` prints them",
            |row| Cell::Text(hex(&row.hash).into()),
        ),
        text(
            "kind",
            "`call`, `copy`, `reversal`, `correction`, `release`, or a note: `month_closed` and the like",
            |row| Cell::Text(row.kind.into()),
        ),
        column("refers_writer", Type::Int, false, "", "the chain of the entry that this one is about", |row| {
            row.refers.map_or(Cell::Absent, |refers| Cell::Int(refers.writer))
        }),
        column("refers_entry", Type::Int, false, "", "the number of the entry that this one is about", |row| {
            row.refers.map_or(Cell::Absent, |refers| Cell::Int(refers.entry))
        }),
        column("reason", Type::Text, false, "", "why a person made it", |row| optional(row.reason.as_deref())),
        text("emitter", "who counted the call; empty in a note that is about no emitter", |row| {
            Cell::Text((&row.emitter).into())
        }),
        number("sequence", "", "the emitter's number of the call", |row| Cell::Int(row.sequence)),
        column("day", Type::Day, true, "", "the day on which it counts, UTC", |row| {
            days(row).map_or(Cell::Absent, Cell::Day)
        }),
        column(
            "adjusts",
            Type::Text,
            false,
            "",
            "the month of its call, `2026-10`, if that was closed before: it counts on another day",
            |row| optional(row.adjusts.as_deref()),
        ),
        column(
            "started_at",
            Type::Time,
            true,
            "",
            "when the call began; of a note, when it was made; of `month_closed`, the month's first moment",
            |row| Cell::Int(row.started_ns.div_euclid(1000)),
        ),
        number("started_ns", "ns since 1970", "the same, exactly", |row| Cell::Int(row.started_ns)),
        column("received_at", Type::Time, true, "", "when the entry was written", |row| {
            Cell::Int(row.received_ns.div_euclid(1000))
        }),
        number("received_ns", "ns since 1970", "the same, exactly", |row| Cell::Int(row.received_ns)),
        text("tenant", "who is charged; empty in a note", |row| Cell::Text((&row.tenant).into())),
        text("provider", "the provider", |row| Cell::Text((&row.provider).into())),
        text("model", "the model that is charged for: that which responded, else that which was asked for", |row| {
            Cell::Text((&row.model).into())
        }),
        text("evidence", "how good the counts are: `reported`, `partial`, `estimated`, `missing`", |row| {
            Cell::Text(row.evidence.into())
        }),
        column("charge_usd", Type::Usd, true, "USD", "what the tenant pays; a reversal's is negative", |row| {
            Cell::Usd(row.charge)
        }),
        column("cost_usd", Type::Usd, true, "USD", "what the provider charges; a reversal's is negative", |row| {
            Cell::Usd(row.cost)
        }),
        column("rating", Type::Text, false, "", "how that was found, as JSON, as the ledger keeps it", |row| {
            optional(row.rating.as_deref())
        }),
        column(
            "event",
            Type::Text,
            false,
            "",
            "the event as it was sent, JSON, with the provider's usage objects (`raw_usage`); only in a call, a copy, a release. Of a note, what else it says",
            |row| optional(row.event.as_deref()),
        ),
        column(
            "salt",
            Type::Text,
            false,
            "",
            "what names in the hash are salted with, and the digests of those that were replaced: hex digits. NULL in an entry that was written before there were salts",
            |row| row.salt.as_deref().map_or(Cell::Absent, |salt| Cell::Text(hex(salt).into())),
        ),
    ]
}

pub fn sums() -> Vec<Column> {
    let sum = |name, holds, is_required, unit, help: &str, read: Read| Column {
        name,
        holds,
        is_required,
        unit,
        help: help.to_owned(),
        source: Source::Sum(read),
    };
    vec![
        sum(
            "calls",
            Type::Int,
            true,
            "calls",
            "1 for what is charged, -1 for a reversal, else 0: a copy, a note, a part",
            |row| Cell::Int(row.calls),
        ),
        sum("input_tokens", Type::Int, false, "tokens", "the sum of the input and cache classes", |row| {
            total(row, usage::Kind::Input)
        }),
        sum("output_tokens", Type::Int, false, "tokens", "the sum of the output classes", |row| {
            total(row, usage::Kind::Output)
        }),
        sum(
            "lines",
            Type::Lines,
            true,
            "",
            "by class: how many, what they are charged and cost, how many have no price, how many a price that stands in for their own",
            |row| Cell::Lines(&row.lines),
        ),
    ]
}

fn optional(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Absent, |text| Cell::Text(text.into()))
}

fn days(row: &Row) -> Option<i32> {
    jiff::civil::date(1970, 1, 1).until(row.day).ok().map(|span| span.get_days())
}

fn total(row: &Row, kind: usage::Kind) -> Cell<'static> {
    let mut quantities = row.lines.iter().filter(|line| line.class.kind() == kind).map(|line| line.quantity).peekable();
    match quantities.peek() {
        Some(_) => Cell::Int(quantities.fold(0, i64::saturating_add)),
        None => Cell::Absent,
    }
}
