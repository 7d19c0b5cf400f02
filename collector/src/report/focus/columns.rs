//! The columns: the only place that says which there are, what they mean and what is in them. FOCUS's own come first, in the
//! order of the alphabet, as the specification asks.

use std::borrow::Cow;

use wire::usage::{Class, Kind};

use super::row::{Apart, Row, Stated, Sums, UNCOUNTED};
use super::{Billed, ISSUER, Options, ReportError};
use crate::money::{Charge, Per};
use crate::prices::price_is_per;
use crate::report::csv;
use crate::tenant;
use crate::terminal;

/// What is in a column of a row.
pub enum Field {
    /// Nothing: not known, or there can be none.
    Null,
    /// A word or a number of our own.
    Word(Cow<'static, str>),
    /// A text that came with a call.
    Text(String),
    /// An object of JSON.
    Object(String),
}

impl Field {
    /// As a field of CSV.
    pub fn to_csv(&self) -> Cow<'_, str> {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\"")).into();
        match self {
            Field::Null => "".into(),
            Field::Word(word) if word.contains([',', '"']) => quoted(word),
            Field::Word(word) => word.as_ref().into(),
            Field::Text(text) => csv::name(text).into(),
            Field::Object(json) => quoted(&terminal::json(json)),
        }
    }

    fn text(text: &str) -> Field {
        if text.is_empty() { Field::Null } else { Field::Text(text.to_owned()) }
    }

    fn amount(amount: Charge) -> Field {
        Field::Word(amount.to_string().into())
    }

    /// Always with a point: readers that guess types would take a column of whole numbers for one of integers.
    fn decimal(quantity: i128, units: u32) -> Field {
        let (magnitude, units) = (quantity.unsigned_abs(), u128::from(units));
        let whole = magnitude.checked_div(units).unwrap_or_default();
        let rest = magnitude.checked_rem(units).unwrap_or_default();
        let places = usize::try_from(units.ilog10()).unwrap_or_default();
        let decimals = if places == 0 { String::new() } else { format!("{rest:0places$}") };
        let decimals = decimals.trim_end_matches('0');
        let sign = if quantity < 0 { "-" } else { "" };
        Field::Word(format!("{sign}{whole}.{decimals:0<1}").into())
    }
}

impl From<&'static str> for Field {
    fn from(word: &'static str) -> Field {
        Field::Word(word.into())
    }
}

/// A row with all that its columns are made of.
pub struct Shown<'a> {
    row: &'a Row,
    sums: &'a Sums,
    options: &'a Options,
    class: Option<Class>,
}

/// A column.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The version of FOCUS that has it, `-` of a column of our own.
    pub version: &'static str,
    /// What is in it.
    pub help: &'static str,
    value: fn(&Shown<'_>) -> Field,
}

/// What the rows of a file have in common.
pub struct Context<'a> {
    pub options: &'a Options,
    pub apart: &'a Apart,
}

impl Context<'_> {
    /// The names of all columns.
    pub fn header(&self) -> Vec<Field> {
        let own =
            self.apart.others.iter().map(|dimension| Field::Word(format!("x_{}", capital(&dimension.name())).into()));
        COLUMNS.iter().map(|column| Field::from(column.name)).chain(own).collect()
    }

    /// What is in them.
    pub fn fields(&self, row: &Row, sums: &Sums) -> Result<Vec<Field>, ReportError> {
        let shown = Shown { row, sums, options: self.options, class: row.class() };
        let own = row.others.iter().map(|value| Field::text(value));
        Ok(COLUMNS.iter().map(|column| (column.value)(&shown)).chain(own).collect())
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

impl Shown<'_> {
    fn billed(&self) -> Charge {
        match self.options.billed {
            Billed::Charge => self.sums.charge,
            Billed::Cost => self.sums.cost,
        }
    }

    fn is_charge(&self) -> bool {
        self.options.billed == Billed::Charge
    }

    fn account(&self) -> &str {
        if self.is_charge() { tenant::cut(&self.row.tenant, 1) } else { &self.row.provider }
    }

    fn meter(&self) -> &str {
        if self.row.class.is_empty() { CALLS } else { &self.row.class }
    }

    fn sku(&self) -> String {
        format!("{}/{}/{}", self.row.provider, self.row.model, self.meter())
    }

    fn price_id(&self) -> String {
        match self.row.entry.as_str() {
            "" => self.sku(),
            entry => format!("{entry}/{}", self.meter()),
        }
    }

    /// The price of a pricing unit: that of the book, or the one that all responses state.
    fn unit_price(&self, of_book: &str) -> Field {
        match self.sums.stated {
            Stated::Price(price) => Field::amount(price),
            Stated::Nothing | Stated::Mixed => Field::text(of_book),
        }
    }

    /// How many of which units a price is for.
    fn pricing(&self) -> (u32, String) {
        let Some(class) = self.class else { return (1, REQUESTS.to_owned()) };
        let per = price_is_per(class);
        let units = match per {
            Per::MillionTokens | Per::ThousandUnits => per.units(),
        };
        (units, format!("{units} {}", unit(class)))
    }

    fn category(&self) -> &'static str {
        match self.row.basis.as_str() {
            "price" | "fallback" => "Standard",
            "stated" | "own" => "Dynamic",
            _ => "Other",
        }
    }

    fn detail(&self) -> String {
        let adjusts = if self.row.adjusts.is_empty() { String::new() } else { format!("{}/", self.row.adjusts) };
        format!("{adjusts}{}/{}", self.price_id(), self.row.evidence)
    }
}

/// What is counted where nothing else was.
const CALLS: &str = "calls";
const REQUESTS: &str = "Requests";

/// What a class counts, in the specification's words where it has them: the last word of its name.
fn unit(class: Class) -> String {
    match class.kind() {
        Kind::Input | Kind::Output => "Tokens".to_owned(),
        _ if class == Class::CacheStorageTokenHours => "Token-Hours".to_owned(),
        _ => capital(class.name().rsplit('_').next().unwrap_or_default()),
    }
}

macro_rules! columns {
    ($($name:literal $version:literal $help:literal $value:expr;)+) => {
        /// Every column, in its order.
        pub const COLUMNS: &[Column] =
            &[$(Column { name: $name, version: $version, help: $help, value: $value }),+];
    };
}

columns! {
    "BilledCost" "1.0" "the charge: what the tenant pays; with `billed=cost` the cost: what the provider charges. What has no price is 0 here, and `x_PricingBasis` says so"
        |of| Field::amount(of.billed());
    "BillingAccountId" "1.0" "the first segment of the tenant's path; of costs the provider"
        |of| Field::text(of.account());
    "BillingAccountName" "1.0" "the same"
        |of| Field::text(of.account());
    "BillingAccountType" "1.2" "`Tenant`; of costs `Provider`"
        |of| if of.is_charge() { "Tenant" } else { "Provider" }.into();
    "BillingCurrency" "1.0" "`USD`"
        |_| "USD".into();
    "BillingPeriodEnd" "1.0" "when the month (UTC) ends in which the calls count"
        |of| Field::text(&of.row.billing_end);
    "BillingPeriodStart" "1.0" "when it begins"
        |of| Field::text(&of.row.billing_start);
    "ChargeCategory" "1.0" "`Usage`, for corrections of usage, too"
        |_| "Usage".into();
    "ChargeClass" "1.0" "`Correction` of what is booked about a month that was closed before; else empty"
        |of| if of.row.adjusts.is_empty() { Field::Null } else { "Correction".into() };
    "ChargeDescription" "1.0" "what was counted, in words"
        |of| of.class.map_or("calls of which nothing was counted", Class::help).into();
    "ChargeFrequency" "1.0" "`Usage-Based`"
        |_| "Usage-Based".into();
    "ChargePeriodEnd" "1.0" "when the hour, the day or the month (UTC) ends in which the calls began"
        |of| Field::text(&of.row.period_end);
    "ChargePeriodStart" "1.0" "when it begins; in `by`: `hour`, `day` (without one of them) or `month`"
        |of| Field::text(&of.row.period_start);
    "CommitmentDiscountCategory" "1.0" "empty: meshmeter knows no commitments"
        |_| Field::Null;
    "CommitmentDiscountId" "1.0" "empty"
        |_| Field::Null;
    "CommitmentDiscountName" "1.0" "empty"
        |_| Field::Null;
    "CommitmentDiscountStatus" "1.0" "empty"
        |_| Field::Null;
    "CommitmentDiscountType" "1.0" "empty"
        |_| Field::Null;
    "ConsumedQuantity" "1.0" "how many were counted"
        |of| Field::decimal(of.sums.quantity, 1);
    "ConsumedUnit" "1.0" "of what: `Tokens`, `Searches`, `Images`, …"
        |of| Field::Word(of.class.map_or(REQUESTS.to_owned(), unit).into());
    "ContractedCost" "1.0" "as BilledCost: all discounts and mark-ups are of the contract"
        |of| Field::amount(of.billed());
    "ContractedUnitPrice" "1.0" "the price with discounts and mark-ups; empty where ListUnitPrice is"
        |of| of.unit_price(&of.row.price);
    "EffectiveCost" "1.0" "as BilledCost: nothing is paid in advance"
        |of| Field::amount(of.billed());
    "HostProviderName" "1.3" "the provider that responded"
        |of| Field::text(&of.row.provider);
    "InvoiceDetailId" "1.4" "what the rows of an invoice's line have in common: SkuPriceId and evidence, of corrections the month of the calls before them; of costs empty"
        |of| if of.is_charge() { Field::Text(of.detail()) } else { Field::Null };
    "InvoiceId" "1.2" "the month and the tenant, whose statement `meshmeter statement` prints; of costs empty"
        |of| match of.row.billing_start.get(..7) {
            Some(month) if of.is_charge() => Field::Text(format!("{month}/{}", of.row.tenant)),
            _ => Field::Null,
        };
    "InvoiceIssuerName" "1.0" "`--issuer`; without it `meshmeter`, and of costs the provider"
        |of| match &of.options.issuer {
            Some(issuer) => Field::text(issuer),
            None => Field::text(if of.is_charge() { ISSUER } else { &of.row.provider }),
        };
    "ListCost" "1.0" "what it costs by the list price, before discounts and mark-ups; BilledCost where ListUnitPrice is empty"
        |of| Field::amount(of.sums.list);
    "ListUnitPrice" "1.0" "the price book's list price of a PricingUnit, or the price that responses state, if it is the same in all of the row; empty where they state different ones, and of what has no price"
        |of| of.unit_price(&of.row.list_price);
    "PricingCategory" "1.0" "`Standard` by the price book, `Dynamic` by the price that responses state, else `Other`"
        |of| of.category().into();
    "PricingCurrency" "1.2" "`USD`"
        |_| "USD".into();
    "PricingCurrencyContractedUnitPrice" "1.2" "as ContractedUnitPrice"
        |of| of.unit_price(&of.row.price);
    "PricingCurrencyEffectiveCost" "1.2" "as EffectiveCost"
        |of| Field::amount(of.billed());
    "PricingCurrencyListUnitPrice" "1.2" "as ListUnitPrice"
        |of| of.unit_price(&of.row.list_price);
    "PricingQuantity" "1.0" "ConsumedQuantity in units of PricingUnit"
        |of| Field::decimal(of.sums.quantity, of.pricing().0);
    "PricingUnit" "1.0" "what prices are for: `1000000 Tokens`, `1000 Searches`, …"
        |of| Field::Word(of.pricing().1.into());
    "ProviderName" "1.0" "the provider that responded; FOCUS 1.4 has ServiceProviderName instead"
        |of| Field::text(&of.row.provider);
    "PublisherName" "1.0" "the same; FOCUS 1.4 has HostProviderName instead"
        |of| Field::text(&of.row.provider);
    "RegionId" "1.0" "the region in which the provider was called, where a call names it"
        |of| Field::text(&of.row.region);
    "RegionName" "1.0" "the same"
        |of| Field::text(&of.row.region);
    "ResourceId" "1.0" "provider and model"
        |of| Field::Text(format!("{}/{}", of.row.provider, of.row.model));
    "ResourceName" "1.0" "the model that responded, else the one asked for"
        |of| Field::text(&of.row.model);
    "ResourceType" "1.0" "`Model`"
        |_| "Model".into();
    "ServiceCategory" "1.0" "`AI and Machine Learning`"
        |_| "AI and Machine Learning".into();
    "ServiceName" "1.0" "provider and operation: `openai chat`"
        |of| Field::Text(format!("{} {}", of.row.provider, of.row.operation).trim_end().to_owned());
    "ServiceProviderName" "1.3" "the provider that responded"
        |of| Field::text(&of.row.provider);
    "ServiceSubcategory" "1.1" "`Generative AI`"
        |_| "Generative AI".into();
    "SkuId" "1.0" "provider, model and class of usage"
        |of| Field::Text(of.sku());
    "SkuMeter" "1.1" "the class of usage: `input_text_tokens`, …; `calls` of calls of which nothing was counted"
        |of| Field::Text(of.meter().to_owned());
    "SkuPriceDetails" "1.1" "the class of usage as JSON, where the price book has a price"
        |of| match of.row.entry.as_str() {
            "" => Field::Null,
            _ => Field::Object(serde_json::json!({"x_UsageClass": of.meter()}).to_string()),
        };
    "SkuPriceId" "1.0" "the price book's entry, as `meshmeter explain` names it, and the class of usage; without an entry SkuId"
        |of| Field::Text(of.price_id());
    "SubAccountId" "1.0" "the tenant's path, or as much of it as `by` names (`tenant:DEPTH`)"
        |of| Field::text(&of.row.tenant);
    "SubAccountName" "1.0" "the same"
        |of| Field::text(&of.row.tenant);
    "SubAccountType" "1.2" "`Tenant`"
        |_| "Tenant".into();
    "Tags" "1.0" "the tags that `by` names (`tag:NAME`), as JSON"
        |of| match of.row.tags.as_str() {
            "" => Field::Null,
            tags => Field::Object(tags.to_owned()),
        };
    "x_Adjusts" "-" "the month of the calls, of corrections"
        |of| Field::text(&of.row.adjusts);
    "x_Charge" "-" "what the tenant pays, whatever is billed"
        |of| Field::amount(of.sums.charge);
    "x_Cost" "-" "what the provider charges, whatever is billed"
        |of| Field::amount(of.sums.cost);
    "x_Evidence" "-" "how good the counts are: reported, partial, estimated or missing"
        |of| of.row.evidence.into();
    "x_PricingBasis" "-" "what decided on the price: `price`; `fallback` (a price that stands in for another); `stated` (by the response; its other rows are `own`); `not_billed`; `prepaid`; `unpriced` (the cost is unknown, not nothing); `was_unpriced` (had no price when it was charged, and was taken back or priced since; or takes that back); `uncounted` (nothing was counted)"
        |of| Field::Word(if of.row.basis.is_empty() { UNCOUNTED.into() } else { of.row.basis.clone().into() });
    "x_UsageClass" "-" "the class of usage; empty of calls of which nothing was counted"
        |of| Field::text(&of.row.class);
}
