//! Budgets and leases: what a worker asks the collector for (`POST /v1/leases`), and what it gets.
//!
//! A budget limits what the calls that it covers may cost in a window of time. The collector keeps the balance; each worker
//! holds a *lease* of a budget, a part of what is left, and spends from it without asking. Amounts are totals of this emitter
//! in this window, not differences, so that a request that is repeated changes nothing:
//!
//! - The worker asks for `up_to` in total: what its calls have cost by its own reckoning, what its running calls have
//!   reserved, and some more. Less than was granted gives the rest back; from when it sends that, the worker spends no more.
//! - The collector grants as much of it as is left: `limit - spent - what all emitters hold`. What an emitter holds is what it
//!   was granted less what its own accepted events were charged in the window.
//! - The worker says up to which number its events are acknowledged or given up (`acknowledged`). `charged` in the response
//!   covers these at least, and takes the place of the worker's own reckoning of them.
//! - Requests are numbered. One that is not newer than the last of the emitter changes nothing, and is told what stands.
//!
//! Nothing is granted on the word of a sender: it shows its emitter's key, and what it may spend is what its credential may.

mod decode;
mod encode;

pub use decode::{request, response};
pub use encode::{encode_request, encode_response};

/// Leases in one request.
pub const MAX_LEASES: usize = 256;
/// Prices in one request.
pub const MAX_PRICES: usize = 64;
/// Budgets in one response.
pub const MAX_BUDGETS: usize = 1000;
/// The largest amount: tokens, or nano-USD (a billion USD).
pub const MAX_AMOUNT: u64 = 1_000_000_000_000_000_000;
/// The longest name of a budget, provider or model, bytes.
pub const MAX_NAME: usize = 256;
/// The response header of the collector by which a worker sees, at a dispatch of events, that budgets have changed: their
/// revision.
pub const REVISION_HEADER: &str = "meshmeter-budgets";

words! {
    /// What a budget counts.
    Unit {
        /// All tokens of a call, input and output.
        Tokens "tokens",
        /// What the tenant is charged; amounts are whole nano-USD.
        Usd "usd",
    }
}

words! {
    /// What a budget does when there is no room.
    Mode {
        /// It refuses calls.
        Hard "hard",
        /// It warns, in metrics only.
        Soft "soft",
        /// It refuses nothing, and counts what it would have refused.
        Shadow "shadow",
    }
}

/// A budget, as far as a worker has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its name, unique among those that are in force.
    pub name: String,
    /// Which calls count.
    pub scope: Scope,
    /// Each tenant that the scope covers has the limit for itself.
    pub per_tenant: bool,
    /// What is counted.
    pub unit: Unit,
    /// What happens when there is no room.
    pub mode: Mode,
}

impl Budget {
    /// For whom the call of a tenant counts here: the tenant itself, or all together, whose name is empty.
    pub fn subject<'t>(&self, tenant: &'t str) -> &'t str {
        if self.per_tenant { tenant } else { "" }
    }
}

/// Which calls a budget covers: those that match all that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// A tenant with all below it: `org` covers `org` and `org/team`, not `organic`.
    pub tenant: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The model that was asked for, and where nobody knows that, the one that responded.
    pub model: Option<String>,
}

impl Scope {
    /// Whether a call counts here.
    pub fn covers(&self, tenant: &str, provider: &str, model: Option<&str>) -> bool {
        let is_below = |top: &String| {
            tenant.strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.tenant.as_ref().is_none_or(is_below)
            && self.provider.as_ref().is_none_or(|wanted| wanted == provider)
            && self.model.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == model)
    }
}

/// What a worker asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Of this emitter, ascending, from 1.
    pub number: u64,
    /// All events up to this number are acknowledged or given up.
    pub acknowledged: u64,
    /// The budgets that the worker knows; 0: none.
    pub revision: u64,
    /// What it wants to hold.
    pub leases: Vec<Wanted>,
    /// Of which calls it must know what they can cost.
    pub prices: Vec<Priced>,
}

/// A lease that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The budget's name.
    pub budget: String,
    /// For whom: [`Budget::subject`].
    pub subject: String,
    /// Any second of the window, since 1970.
    pub at_s: u64,
    /// How much in total.
    pub up_to: u64,
    /// How much in total is needed at least, for the dearest call that found no room; not above `up_to`.
    pub need: u64,
}

/// A kind of call whose price is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priced {
    /// Who pays.
    pub tenant: String,
    /// Who responds.
    pub provider: String,
    /// The model that is asked for.
    pub model: String,
}

/// What the collector says: leases and prices in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The number of the request that this is the response to.
    pub number: u64,
    /// Of the budgets.
    pub revision: u64,
    /// All budgets, if the worker does not know this revision.
    pub budgets: Option<Vec<Budget>>,
    /// For each lease that was asked for; none: there is no such budget, or the window is not near the collector's time.
    pub leases: Vec<Option<Lease>>,
    /// For each price that was asked for; none: no book has one.
    pub prices: Vec<Option<Ceiling>>,
}

/// A lease, as it stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// When its window begins, seconds since 1970.
    pub window_s: u64,
    /// When it is over: the first second of the next one.
    pub until_s: u64,
    /// What this emitter may spend in this window in total.
    pub granted: u64,
    /// What its events were charged in this window so far, up to [`Request::acknowledged`] at least.
    pub charged: u64,
    /// The budget's limit.
    pub limit: u64,
    /// What is not spent yet of the limit, by anybody; others may hold leases of it.
    pub left: u64,
    /// What of that nobody holds.
    pub available: u64,
}

/// The most that a call can cost, nano-USD, whatever else decides its price; rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// A token of the input.
    pub input: u64,
    /// A token of the output.
    pub output: u64,
    /// The call itself.
    pub call: u64,
}

#[cfg(test)]
mod tests;
