//! A statement for the eye.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::BillingStatement;
use super::shown::{Shown, WAS_UNPRICED, per_text};
use crate::terminal::{grouped, printable};

/// One line under the head, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// Names in a note.
const NAMED: usize = 20;

pub fn render(statement: &BillingStatement) -> String {
    let BillingStatement { question, position, accounts, total, .. } = statement;
    let below = if question.below { " and what is below it" } else { "" };
    let mut text = format!(
        "billing statement of {}{below} for {} (UTC), in USD\nthe month is {}\n",
        printable(&question.tenant),
        question.month,
        statement.state()
    );
    text.push_str("computed at\n");
    position.heads().for_each(|head| text.push_str(&format!("  {}:{}\n", head.entry, head.hash)));
    text.push('\n');
    text.push_str(&lines(statement));
    if accounts.len() > 1 {
        for (tenant, account) in accounts {
            let (amount, calls) = (statement.amount(account.rounded), grouped(account.calls));
            text.push_str(&format!("{}: {calls} calls, {amount} USD\n", printable(tenant)));
        }
    }
    let (amount, calls) = (statement.amount(total.rounded), grouped(total.calls));
    text.push_str(&format!("total: {calls} calls, {amount} USD (exact: {})\n", total.exact));
    statement.notes().iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}

fn lines(statement: &BillingStatement) -> String {
    if statement.lines.is_empty() {
        return "nothing was charged\n\n".to_owned();
    }
    let (below, adjusted) = (statement.question.below, statement.has_adjusted());
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let names = below.then_some("tenant").into_iter().chain(adjusted.then_some("adjusts"));
    let header: Vec<&str> = ["line"]
        .into_iter()
        .chain(names)
        .chain(["provider", "model", "item", "evidence", "quantity", "price", "per", "amount", "", "price book entry"])
        .collect();
    for Shown { number, key, item, basis, quantity, price, per, factor, base, amount, .. } in statement.shown() {
        let shown = |value: &str| if value.is_empty() { "-".to_owned() } else { printable(value) };
        let mut cells = vec![number.to_string()];
        cells.extend(below.then(|| shown(&key.tenant)));
        cells.extend(adjusted.then(|| key.adjusts.clone()));
        let item = match base {
            Some(base) => format!("{item} of {base}"),
            None => item.to_owned(),
        };
        let price = price.or_else(|| factor.map(|factor| format!("x{factor}")));
        // What is usual is not said.
        let mark = if ["price", super::shown::MARKUP].contains(&basis) { "" } else { basis };
        cells.extend([
            shown(&key.provider),
            shown(&key.model),
            item,
            key.evidence.0.as_str().to_owned(),
            quantity.map(grouped).unwrap_or_default(),
            price.unwrap_or_default(),
            per.map(per_text).unwrap_or_default().to_owned(),
            amount.unwrap_or_default(),
            mark.to_owned(),
            key.entry.as_deref().map(printable).unwrap_or_default(),
        ]);
        table.add_row(cells);
    }
    for (column, head) in table.column_iter_mut().zip(&header) {
        if ["line", "quantity", "price", "amount"].contains(head) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.set_header(header);
    format!("{}\n\n", table.trim_fmt())
}

impl BillingStatement {
    /// What there is to say below the lines, a sentence each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.has_adjusted() {
            notes.push(
                "adjusts: the month of the calls, which was closed before; what came later about them counts in this one"
                    .to_owned(),
            );
        }
        let of = |basis: &str| self.shown().any(|line| line.basis == basis);
        let marks = [
            ("fallback", "charged by a price that stands in for one that the price book does not name"),
            ("stated", "charged by what each call's response says that it costs; there is no price per unit"),
            ("own", "in the price that the response states"),
            ("not_billed", "the provider bills nothing for such calls"),
            ("prepaid", "served by throughput that is paid for by time"),
            ("unpriced", "no price book had a price; what it costs is unknown and not in the total"),
            (
                WAS_UNPRICED,
                "had no price in the month that is adjusted, where nothing was charged for it; it is taken back",
            ),
        ];
        notes.extend(marks.iter().filter(|(basis, _)| of(basis)).map(|(basis, says)| format!("{basis}: {says}")));
        let evidence = &self.notes.evidence;
        if evidence.len() > 1 {
            let sums: Vec<String> = evidence.iter().map(|(grade, sum)| format!("{} {sum}", grade.0.as_str())).collect();
            notes.push(format!("exact amounts by evidence: {}", sums.join(", ")));
        }
        if self.notes.taken_back > 0 {
            let count = self.notes.taken_back;
            notes.push(format!("charges of this month that were taken back within it, and are in no line: {count}"));
        }
        if self.notes.refused != 0 {
            let count = grouped(self.notes.refused);
            notes.push(format!("calls among these that were refused before they were sent, and cost nothing: {count}"));
        }
        if self.notes.missing != 0 {
            let count = grouped(self.notes.missing);
            notes.push(format!(
                "calls among these without counts (missing), charged by a price per call or not at all: {count}"
            ));
        }
        for (why, calls) in &self.notes.deferred {
            notes.push(format!("calls whose counts are to come in another call ({why}): {calls}"));
        }
        for (name, calls) in self.notes.unknown.iter().take(NAMED) {
            notes.push(format!("calls with a count that is not known and not charged, {}: {calls}", printable(name)));
        }
        let more = self.notes.unknown.len().saturating_sub(NAMED);
        if more > 0 {
            notes.push(format!("and {more} more counts that are not known: --format json"));
        }
        notes.push(
            "Amounts are rounded so that the lines add up to the total, which is the exact sum rounded once."
                .to_owned(),
        );
        notes
    }
}
