//! What a period has no price for.
//!
//! A call that is priced, or voided, after its month was closed takes back in a later month what it had no price for. So what has
//! no price is what a period's rows add up to for each month in which calls began, tenant, model and evidence, if that is
//! above zero. To take back what is counted in another period is no lack of a price.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wire::usage::{Class, Kind};

use super::sum::add;
use super::{Grade, ReportError};
use crate::store::Total;
use crate::store::sums::Counted;

/// Where calls come from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The month in which they began.
    pub began: &'a str,
    /// Whether that was closed before.
    pub is_closed: bool,
    /// Who is charged; empty where nothing is taken back and tenants are not told apart.
    pub tenant: &'a str,
    pub provider: &'a str,
    pub model: &'a str,
}

impl Origin<'_> {
    fn group(&self, total: &Total) -> Group {
        (self.provider.to_owned(), self.model.to_owned(), self.began.to_owned(), total.evidence.as_str())
    }
}

/// What has no price of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpriced {
    /// The model's calls with this evidence, of which something has no price: sums do not tell single calls apart.
    pub calls: i128,
    /// Tokens without a price.
    pub tokens: i128,
    /// What else has none: searches, pages, seconds.
    pub units: BTreeMap<Class, i128>,
}

/// What has no price, by provider and model.
pub type Models = BTreeMap<(String, String), Unpriced>;

/// Provider, model, month and evidence.
type Group = (String, String, String, &'static str);

/// Calls of a group, and what of them had no price.
#[derive(Debug, Default)]
struct Calls {
    calls: i128,
    unpriced: BTreeMap<Class, i128>,
}

/// What has no price while the totals of a period pass.
#[derive(Debug, Default)]
pub struct Open {
    places: HashMap<(Group, String, Class), usize>,
    sums: Vec<(Grade, Class, i128)>,
    /// Those of closed months by tenant: what one takes back is nothing of another one's calls.
    calls: BTreeMap<(Group, Option<String>), Calls>,
    is_adjusted: bool,
    /// Of closed months, what adds up to nothing without a price: one tenant may have taken back what another one has now.
    silent: BTreeSet<(Group, Class)>,
}

impl Open {
    /// Adds a total; returns the place of what has no price in it.
    pub fn add(&mut self, origin: Origin<'_>, total: &Total) -> Result<Option<usize>, ReportError> {
        let class = match &total.counted {
            Counted::Calls => None,
            Counted::Usage(class) if total.unpriced != 0 => Some(*class),
            Counted::Usage(class) if origin.is_closed => {
                self.silent.insert((origin.group(total), *class));
                return Ok(None);
            }
            _ => return Ok(None),
        };
        let Origin { is_closed, tenant, .. } = origin;
        let group = origin.group(total);
        let whose = is_closed.then(|| tenant.to_owned());
        let Some(class) = class else {
            add(&mut self.calls.entry((group, whose)).or_default().calls, total.quantity)?;
            return Ok(None);
        };
        self.is_adjusted |= is_closed;
        let calls = self.calls.entry((group.clone(), whose)).or_default();
        add(calls.unpriced.entry(class).or_default(), total.unpriced)?;
        let next = self.sums.len();
        let at = *self.places.entry((group, tenant.to_owned(), class)).or_insert(next);
        if at == next {
            self.sums.push((Grade(total.evidence), class, 0));
        }
        self.sums.get_mut(at).map_or(Ok(()), |(.., sum)| add(sum, total.unpriced))?;
        Ok(Some(at.saturating_add(Class::ALL.len())))
    }

    /// The place of all that has no price of a class, where nothing is taken back.
    pub fn all_of(class: Class) -> usize {
        Class::ALL.iter().position(|known| *known == class).unwrap_or_default()
    }

    /// The first month that something silent is of.
    pub fn silent_since(&self) -> Option<&str> {
        self.silent.iter().map(|((_, _, began, _), _)| began.as_str()).min()
    }

    /// Whether a total of a longer time has calls without a price of what is silent here: then it may have been taken back.
    pub fn may_hide(&self, origin: Origin<'_>, total: &Total) -> bool {
        let Counted::Usage(class) = total.counted else { return false };
        total.unpriced != 0 && self.silent.contains(&(origin.group(total), class))
    }

    /// Whether anything of a closed month is added or taken back.
    pub fn is_adjusted(&self) -> bool {
        self.is_adjusted
    }

    /// The class at a place, and how many of it have no price in all of the period: above zero, or nothing.
    pub fn left(&self, place: usize) -> Option<(Class, i128)> {
        let Some(place) = place.checked_sub(Class::ALL.len()) else {
            return Class::ALL.get(place).map(|class| (*class, i128::MAX));
        };
        self.sums.get(place).filter(|(.., sum)| *sum > 0).map(|(_, class, sum)| (*class, *sum))
    }

    /// What has no price, by evidence.
    pub fn by_evidence(&self) -> Result<BTreeMap<Grade, BTreeMap<Class, i128>>, ReportError> {
        let mut all: BTreeMap<Grade, BTreeMap<Class, i128>> = BTreeMap::new();
        for (grade, class, sum) in self.sums.iter().filter(|(.., sum)| *sum > 0) {
            add(all.entry(*grade).or_default().entry(*class).or_default(), *sum)?;
        }
        Ok(all)
    }

    /// The same by provider and model.
    pub fn models(&self) -> Result<Models, ReportError> {
        let mut models = Models::new();
        let mut groups: BTreeMap<&Group, Vec<Class>> = BTreeMap::new();
        for ((group, _, class), at) in &self.places {
            let Some((.., sum)) = self.sums.get(*at).filter(|(.., sum)| *sum > 0) else { continue };
            groups.entry(group).or_default().push(*class);
            let of = models.entry((group.0.clone(), group.1.clone())).or_default();
            match class.kind() {
                Kind::Input | Kind::Output => add(&mut of.tokens, *sum)?,
                Kind::Unit | Kind::Information => add(of.units.entry(*class).or_default(), *sum)?,
            }
        }
        for ((group, _), of) in &self.calls {
            let lacks = |class: &Class| of.unpriced.get(class).is_some_and(|count| *count > 0);
            if groups.get(group).is_some_and(|classes| classes.iter().any(lacks)) {
                let model = models.entry((group.0.clone(), group.1.clone())).or_default();
                add(&mut model.calls, of.calls.max(0))?;
            }
        }
        Ok(models)
    }
}

/// What has no price of a period and of the one before.
#[derive(Debug, Default)]
pub struct Lack {
    pub models: Models,
    pub by_evidence: [BTreeMap<Grade, BTreeMap<Class, i128>>; 2],
}

impl Lack {
    pub fn of([now, before]: &[Open; 2]) -> Result<Lack, ReportError> {
        Ok(Lack { models: now.models()?, by_evidence: [now.by_evidence()?, before.by_evidence()?] })
    }
}
