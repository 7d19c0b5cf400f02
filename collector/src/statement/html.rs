//! A statement as one page of HTML: no scripts, nothing from elsewhere, laid out for paper. Names are escaped twice: what could
//! turn the direction of a line or hide is written out, and markup is no markup.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::BillingStatement;
use super::shown::{MARKUP, Shown, per_text};
use crate::terminal::{grouped, printable};

/// Nothing may be loaded or run, whatever a name in the page says.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "
@page { size: A4; margin: 18mm 14mm; @bottom-right { content: counter(page) ' / ' counter(pages); font-size: 8pt; } }
body { font: 10pt/1.4 system-ui, sans-serif; color: #111; background: #fff; margin: 0 auto; max-width: 182mm; }
h1 { font-size: 16pt; margin: 0 0 2mm; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 4mm; margin: 0 0 6mm; }
dt { color: #555; }
dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 9pt; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th, td { text-align: start; padding: 1mm 2mm 1mm 0; vertical-align: top; overflow-wrap: anywhere; }
thead th { border-bottom: 1px solid #111; }
.group th { font-weight: 600; padding-top: 3mm; break-after: avoid; }
.group small { font-weight: 400; color: #555; }
.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
tfoot td { border-top: 1px solid #111; font-weight: 600; }
.notes { font-size: 8pt; color: #333; }
code { font: 8pt ui-monospace, monospace; }
";

pub fn render(statement: &BillingStatement) -> String {
    let BillingStatement { question, position, accounts, total, .. } = statement;
    let title = format!("Billing statement, {}, {}", printable(&question.tenant), question.month);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Billing statement" }
                dl {
                    dt { "Tenant" }
                    dd { (name(&question.tenant)) @if question.below { " and what is below it" } }
                    dt { "Month" }
                    dd { (question.month) " (UTC), " (statement.state()) }
                    dt { "Currency" }
                    dd { "USD" }
                    dt { "Computed at" }
                    dd { @for head in position.heads() { code { (head.entry) ":" (head.hash) } " " } }
                }
                (lines(statement))
                @if accounts.len() > 1 {
                    h2 { "By tenant" }
                    table {
                        thead { tr { th { "Tenant" } th.number { "Calls" } th.number { "Amount" } } }
                        tbody {
                            @for (tenant, account) in accounts {
                                tr {
                                    td { (name(tenant)) }
                                    td.number { (grouped(account.calls)) }
                                    td.number { (statement.amount(account.rounded)) }
                                }
                            }
                        }
                    }
                }
                p { (grouped(total.calls)) " calls; the exact sum is " (total.exact) " USD." }
                ul.notes { @for note in statement.notes() { li { (note) } } }
            }
        }
    };
    page.into_string() + "\n"
}

/// A name that came with a call, kept apart from the direction of what stands around it.
fn name(text: &str) -> Markup {
    html! { bdi { (printable(text)) } }
}

fn lines(statement: &BillingStatement) -> Markup {
    let mut before = None;
    html! {
        table {
            thead {
                tr {
                    th.number { "Line" }
                    th { "Item" }
                    th { "Evidence" }
                    th.number { "Quantity" }
                    th.number { "Price" }
                    th.number { "Amount" }
                }
            }
            tbody {
                @for shown in statement.shown() {
                    @let key = (&shown.key.tenant, &shown.key.adjusts, &shown.key.provider, &shown.key.model, &shown.key.entry);
                    @if before.replace(key) != Some(key) { (group(statement, &shown)) }
                    (line(&shown))
                }
            }
            tfoot { tr { td colspan="5" { "Total" } td.number { (statement.amount(statement.total.rounded)) } } }
        }
    }
}

fn group(statement: &BillingStatement, Shown { key, .. }: &Shown<'_>) -> Markup {
    html! {
        tr.group {
            th colspan="6" {
                @if statement.question.below { (name(&key.tenant)) ": " }
                (name(&key.provider)) " " (name(&key.model))
                @if !key.adjusts.is_empty() { ", adjusts " (key.adjusts) }
                @if let Some(entry) = &key.entry { " " small { "price book entry " (name(entry)) } }
            }
        }
    }
}

fn line(shown: &Shown<'_>) -> Markup {
    let is_usual = ["price", MARKUP].contains(&shown.basis);
    html! {
        tr {
            td.number { (shown.number) }
            td {
                @match &shown.base {
                    Some(base) => { (shown.item) " of " (base) }
                    None => { (shown.item) }
                }
                @if !is_usual { " (" (shown.basis) ")" }
            }
            td { (shown.key.evidence.0.as_str()) }
            td.number { @if let Some(quantity) = shown.quantity { (grouped(quantity)) } }
            td.number {
                @if let Some((price, per)) = shown.price.as_ref().zip(shown.per) { (price) " / " (per_text(per)) }
                @if let Some(factor) = shown.factor { "×" (factor) }
            }
            td.number { (shown.amount.as_deref().unwrap_or("unknown")) }
        }
    }
}
