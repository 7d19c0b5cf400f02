//! The keys of a price book, each with what is allowed and what it means: what the reader knows, and the documentation.

pub(super) const PRICE: &str = "price";
pub(super) const CURRENCIES: &str = "currency";
pub(super) const ALIAS: &str = "alias";
pub(super) const PROVIDER_COST: &str = "provider_cost";
pub(super) const ADJUST: &str = "adjust";
pub(super) const SURCHARGE: &str = "surcharge";
pub(super) const PROVIDER: &str = "provider";
pub(super) const MODEL: &str = "model";
pub(super) const VALID_FROM: &str = "valid_from";
pub(super) const VALID_TO: &str = "valid_to";
pub(super) const CURRENCY: &str = "currency";
pub(super) const SERVICE_TIER: &str = "service_tier";
pub(super) const SPEED: &str = "speed";
pub(super) const REGION: &str = "region";
pub(super) const INFERENCE_GEO: &str = "inference_geo";
pub(super) const SIZE: &str = "size";
pub(super) const QUALITY: &str = "quality";
pub(super) const SEARCH_CONTEXT: &str = "search_context";
pub(super) const SEARCH_TOOL: &str = "search_tool";
pub(super) const OPERATION: &str = "operation";
pub(super) const HOURS_UTC: &str = "hours_utc";
pub(super) const WEEKDAYS: &str = "weekdays";
pub(super) const CONTEXT: &str = "context";
pub(super) const ABOVE: &str = "above";
pub(super) const FACTOR: &str = "factor";
pub(super) const CLASSES: &str = "classes";
pub(super) const CODE: &str = "code";
pub(super) const USD: &str = "usd";
pub(super) const IS: &str = "is";
pub(super) const DEFAULT: &str = "default";
pub(super) const ON: &str = "on";
pub(super) const TENANT: &str = "tenant";

/// A key of a table of the book.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// A kind of table of the book.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// How it stands in the file.
    pub heading: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Its keys, beside prices and conditions.
    pub keys: &'static [Key],
    /// Whether it has the conditions.
    pub has_conditions: bool,
    /// Whether it has prices by class.
    pub has_prices: bool,
}

const fn key(name: &'static str, allowed: &'static str, help: &'static str) -> Key {
    Key { name, allowed, help }
}

const NAMES: &str = "string or array of strings; `*` matches any text, `#` a digit; `!` in front excludes";
const DAY: &str = "date, `2026-01-31`";

/// The conditions: an entry or a factor holds for a call of which all of its conditions do.
pub const CONDITIONS: &[Key] = &[
    key(
        SERVICE_TIER,
        "string or array of strings",
        "the service tier that the provider says it used; without it the standard one",
    ),
    key(
        SPEED,
        "string or array of strings",
        "the speed that the provider says it used, such as `fast`; without it the standard one",
    ),
    key(REGION, NAMES, "the provider's region"),
    key(INFERENCE_GEO, NAMES, "where inference ran, in the provider's words"),
    key(SIZE, NAMES, "the size of the image or video"),
    key(QUALITY, NAMES, "the quality of the image or video"),
    key(SEARCH_CONTEXT, NAMES, "how much a search was to put into the prompt: `low`, `medium`, `high`"),
    key(
        SEARCH_TOOL,
        NAMES,
        "which of the provider's tools searched the web: `web_search`, `web_search_preview`, `enterprise_web_search`",
    ),
    key(OPERATION, NAMES, "what the call did, as in the [event](events.md#fields): `chat`, `embeddings`, `decide`"),
    key(
        HOURS_UTC,
        "string or array of strings such as `\"16:30-00:30\"`",
        "the time of the day (UTC) at which the call began; the end is excluded",
    ),
    key(WEEKDAYS, "integer or array of integers, 1–7", "the day (UTC) on which the call began, Monday is 1"),
];

/// Every kind of table.
pub const SECTIONS: &[Section] = &[
    Section {
        heading: "[[price]]",
        help: "what calls of a model cost while the entry is valid",
        keys: &[
            key(PROVIDER, "string", "the provider, one of the [providers](#providers) or as it stands in the report"),
            key(
                MODEL,
                NAMES,
                "the model; a full name wins, then the pattern that spells out most, then the one with fewer `*`, then the one whose only `*` is its end, then the first by the alphabet",
            ),
            key(VALID_FROM, DAY, "the first day (UTC)"),
            key(VALID_TO, DAY, "the last day; without it no end"),
            key(CURRENCY, "string, the `code` of a `[[currency]]`", "the currency of the prices; without it USD"),
            key(CONTEXT, "`[[price.context]]`", "prices of calls with more input"),
            key(FACTOR, "`[[price.factor]]`", "what the prices are multiplied by"),
        ],
        has_conditions: true,
        has_prices: true,
    },
    Section {
        heading: "[[price.context]]",
        help: "prices of calls whose whole input, cached or not, is larger than a bound: the whole call costs this",
        keys: &[key(ABOVE, "integer, tokens", "the bound")],
        has_conditions: false,
        has_prices: true,
    },
    Section {
        heading: "[[price.factor]]",
        help: "a factor of the entry's prices; all that apply multiply, and the product is rounded to 12 decimals, half away from zero",
        keys: &[
            key(FACTOR, "decimal in quotes, above 0, at most 1000, at most 4 decimals", "the factor"),
            key(CLASSES, "array of names of prices, or `\"*\"`", "which prices; without it those of tokens"),
        ],
        has_conditions: true,
        has_prices: false,
    },
    Section {
        heading: "[[surcharge]]",
        help: "what is added to the prices of the entry that applies, after its factors: the fee of a router that passes a call on to a \
               model with a price of its own. All that match in the first book that has one add up; what has no price gets none by it. \
               `input_text` is added to all input and `output_text` to all output that the table does not name",
        keys: &[
            key(PROVIDER, "string", "the provider"),
            key(
                MODEL,
                NAMES,
                "a name of the call: the model that responded, the requested one, or the one of the path",
            ),
            key(VALID_FROM, DAY, "the first day (UTC)"),
            key(VALID_TO, DAY, "the last day; without it no end"),
        ],
        has_conditions: false,
        has_prices: true,
    },
    Section {
        heading: "[[currency]]",
        help: "what a currency is worth; a price in it is converted to USD at the rate of the call's day, rounded to 12 decimals, half away from zero",
        keys: &[
            key(CODE, "string, 3 capital letters", "the currency"),
            key(VALID_FROM, DAY, "the first day (UTC); the rate holds until the next one"),
            key(USD, "decimal in quotes, at most 12 decimals", "USD per unit of it"),
        ],
        has_conditions: false,
        has_prices: false,
    },
    Section {
        heading: "[[alias]]",
        help: "another name of a model of this provider: a deployment, a profile; aliases of aliases are followed, in all books together. It is \
               looked up where the name occurs in the call: the model that the response names comes first, so for a deployment whose \
               responses name the real model the real model's entry applies, not the alias",
        keys: &[
            key(PROVIDER, "string", "the provider"),
            key(MODEL, "string or array of strings", "the name that calls have"),
            key(IS, "string", "the name that has the price"),
        ],
        has_conditions: false,
        has_prices: false,
    },
    Section {
        heading: "[provider_cost]",
        help: "whether the price that the response states is charged, by provider (`\"x.y\"` in quotes): `prefer`, `fallback` where the book lacks a price, `ignore`",
        keys: &[key(
            DEFAULT,
            "`prefer`, `fallback`, `ignore`",
            "for all other providers; without it `prefer` for those that resell models, `fallback` for others",
        )],
        has_conditions: false,
        has_prices: false,
    },
    Section {
        heading: "[[adjust]]",
        help: "a discount or a mark-up; all that match, of all books, multiply, exactly",
        keys: &[
            key(
                ON,
                "`cost`, `charge`",
                "what the provider charges, or what the tenant pays: charge = cost × its factors",
            ),
            key(FACTOR, "decimal in quotes, above 0, at most 1000, at most 4 decimals", "the factor"),
            key(
                TENANT,
                "string or array of strings: tenants, or `acme/*`; `!` in front excludes",
                "whose calls; without it all. `acme` is that tenant alone, `acme/*` what is below it; \
                 `meshmeter report --tenant acme` is both",
            ),
            key(PROVIDER, NAMES, "which provider; without it all"),
            key(MODEL, NAMES, "which model; without it all"),
            key(VALID_FROM, DAY, "the first day (UTC); without it no beginning"),
            key(VALID_TO, DAY, "the last day; without it no end"),
        ],
        has_conditions: false,
        has_prices: false,
    },
];

/// The keys of a section, by its heading.
pub(super) fn of(heading: &str) -> impl Iterator<Item = &'static str> + Clone + use<> {
    let section = SECTIONS.iter().find(|section| section.heading == heading);
    let conditions = section.is_some_and(|section| section.has_conditions).then_some(CONDITIONS);
    let keys = section.map(|section| section.keys).unwrap_or_default();
    keys.iter().chain(conditions.unwrap_or_default()).map(|key| key.name)
}
