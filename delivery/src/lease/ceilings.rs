//! What calls can cost at most, as the collector has said.

use wire::lease::{Ceiling, MAX_AMOUNT, MAX_NAME, MAX_PRICES, Priced};

use super::Spending;
use super::index::{Index, hash};

/// Kinds of calls whose prices are known, at most, some 200 bytes each.
const MAX: usize = 4096;
/// Of these so many at most are of one tenant.
const MAX_OF_TENANT: usize = 128;
/// A price is asked for again when it is so old, ms: price books change.
const OLD_MS: u64 = 300_000;
/// One that nobody has used for so long is forgotten, ms.
const UNUSED_MS: u64 = 1_800_000;
/// One that nobody has used for so long gives its place to another, ms: who asks for a price uses it within that time.
const RESTING_MS: u64 = 10_000;

/// The price of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// It costs at most that.
    Ceiling(Ceiling),
    /// No price book has one: what is known of its cost is nothing.
    None,
    /// The collector has not said yet.
    Unknown,
    /// It cannot be asked for: nobody knows which model it is.
    Never,
}

impl Price {
    /// What so many tokens cost at most, nano-USD, if that is known.
    pub fn of(self, input: u64, output: u64) -> Option<u64> {
        match self {
            Price::Unknown | Price::Never => None,
            Price::None => Some(0),
            Price::Ceiling(Ceiling { input: an_input, output: an_output, call }) => {
                let cost = input.saturating_mul(an_input).saturating_add(output.saturating_mul(an_output));
                Some(cost.saturating_add(call).min(MAX_AMOUNT))
            }
        }
    }
}

#[derive(Debug)]
struct Known {
    priced: Priced,
    price: Price,
    heard_ms: u64,
    used_ms: u64,
}

/// Prices by tenant, provider and model, bounded.
#[derive(Debug)]
pub struct Ceilings {
    seed: u64,
    known: Vec<Known>,
    index: Index,
}

impl Ceilings {
    pub fn new(seed: u64) -> Ceilings {
        Ceilings { seed, known: Vec::new(), index: Index::default() }
    }

    /// The price of a call. One that is not known is asked for, if there is room to remember it.
    pub fn price(&mut self, now_ms: u64, call: &Spending<'_>) -> Price {
        if let Some(known) = self.find(call) {
            known.used_ms = now_ms;
            return known.price;
        }
        let fits = |text: &str| (1..=MAX_NAME).contains(&text.len());
        let Some(model) = call.model.filter(|model| fits(model)) else { return Price::Never };
        if !fits(call.provider) || call.tenant.is_empty() {
            return Price::Never;
        }
        if let Some(place) = self.place(now_ms, call.tenant) {
            let (tenant, provider, model) = (call.tenant.to_owned(), call.provider.to_owned(), model.to_owned());
            let priced = Priced { tenant, provider, model };
            self.put(place, Known { priced, price: Price::Unknown, heard_ms: 0, used_ms: now_ms });
        }
        Price::Unknown
    }

    /// Where there is room for one more of a tenant: behind all others, or in the place of the one that was not used for longest,
    /// one of the tenant's own if it has its share.
    fn place(&self, now_ms: u64, tenant: &str) -> Option<usize> {
        let is_own = |known: &&Known| known.priced.tenant == tenant;
        let has_share = self.known.iter().filter(is_own).count() >= MAX_OF_TENANT;
        if self.known.len() < MAX && !has_share {
            return Some(self.known.len());
        }
        let all = self.known.iter().enumerate().filter(|(_, known)| !has_share || is_own(known));
        let (place, oldest) = all.min_by_key(|(_, known)| known.used_ms)?;
        (now_ms.saturating_sub(oldest.used_ms) >= RESTING_MS).then_some(place)
    }

    fn put(&mut self, place: usize, known: Known) {
        let Ok(slot) = u32::try_from(place) else { return };
        if let Some(before) = self.known.get(place) {
            self.index.remove(self.hash_of(&before.priced), slot);
        }
        self.index.insert(self.hash_of(&known.priced), slot);
        match self.known.get_mut(place) {
            Some(before) => *before = known,
            None => self.known.push(known),
        }
    }

    /// The price of a call that has passed, as far as it is known.
    pub fn known(&mut self, call: &Spending<'_>) -> Price {
        self.find(call).map_or(Price::Unknown, |known| known.price)
    }

    /// What is to be asked for; urgent, where a call waits for it.
    pub fn wanted(&self, now_ms: u64) -> (Vec<Priced>, bool) {
        let is_unknown = |known: &&Known| known.price == Price::Unknown;
        let is_old = |known: &&Known| now_ms.saturating_sub(known.heard_ms) >= OLD_MS && !is_unknown(known);
        let unknown = self.known.iter().filter(is_unknown);
        let is_urgent = unknown.clone().next().is_some();
        let wanted = unknown.chain(self.known.iter().filter(is_old)).map(|known| known.priced.clone());
        (wanted.take(MAX_PRICES).collect(), is_urgent)
    }

    /// The collector's response for one of them.
    pub fn heard(&mut self, now_ms: u64, priced: &Priced, ceiling: Option<Ceiling>) {
        let Priced { tenant, provider, model } = priced;
        let call = Spending { tenant, provider, model: Some(model), started_s: 0 };
        if let Some(known) = self.find(&call) {
            known.price = ceiling.map_or(Price::None, Price::Ceiling);
            known.heard_ms = now_ms;
        }
    }

    /// Forgets what nobody uses any more.
    pub fn sweep(&mut self, now_ms: u64) {
        let before = self.known.len();
        self.known.retain(|known| now_ms.saturating_sub(known.used_ms) < UNUSED_MS);
        if self.known.len() != before {
            self.index.clear();
            for (place, Known { priced, .. }) in (0u32..).zip(&self.known) {
                self.index.insert(self.hash_of(priced), place);
            }
        }
    }

    fn find(&mut self, call: &Spending<'_>) -> Option<&mut Known> {
        let model = call.model?;
        let is_it = |known: &Known| {
            let Priced { tenant, provider, model: of } = &known.priced;
            tenant == call.tenant && provider == call.provider && of == model
        };
        let places = self.index.find(self.hash(call.tenant, call.provider, model));
        let mut places = places.filter_map(|place| usize::try_from(place).ok());
        let place = places.find(|place| self.known.get(*place).is_some_and(is_it))?;
        self.known.get_mut(place)
    }

    fn hash_of(&self, Priced { tenant, provider, model }: &Priced) -> u64 {
        self.hash(tenant, provider, model)
    }

    fn hash(&self, tenant: &str, provider: &str, model: &str) -> u64 {
        hash(self.seed, &[Some(tenant), Some(provider), Some(model)])
    }
}
