//! Several who wait for their turn, and share each round: who has had nothing of it goes first, then who has had least.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

/// Where things are taken from.
pub trait Takes {
    /// What is taken.
    type Thing: Costs;

    /// The next one.
    fn take(&mut self) -> Option<Self::Thing>;

    /// Whether nothing is there.
    fn is_empty(&self) -> bool;

    /// A round begins: nobody has had anything of it.
    fn new_round(&mut self);
}

/// What takes a part of a round.
pub trait Costs {
    /// How much of it; more than nothing.
    fn cost(&self) -> usize;
}

/// Those who wait, each with what is there of it. Who has nothing more is forgotten.
#[derive(Debug)]
pub struct Shares<K, Q> {
    all: HashMap<K, Q>,
    /// Who has had nothing of this round, by how long it has not been its turn.
    untouched: VecDeque<K>,
    /// Who has had something and has more, by how much that was and in which order.
    touched: BTreeMap<(usize, u64), K>,
    turns: u64,
}

impl<K, Q> Default for Shares<K, Q> {
    fn default() -> Shares<K, Q> {
        Shares { all: HashMap::new(), untouched: VecDeque::new(), touched: BTreeMap::new(), turns: 0 }
    }
}

impl<K: Clone + Eq + Hash, Q: Takes + Default> Shares<K, Q> {
    /// What is there of one, to have something put there.
    pub fn of(&mut self, whose: K) -> &mut Q {
        self.all.entry(whose).or_insert_with_key(|whose| {
            self.untouched.push_back(whose.clone());
            Q::default()
        })
    }

    /// Whether somebody waits who has had nothing of this round.
    pub fn has_untouched(&self) -> bool {
        !self.untouched.is_empty()
    }
}

impl<K: Clone + Eq + Hash, Q: Takes + Default> Takes for Shares<K, Q> {
    type Thing = Q::Thing;

    fn take(&mut self) -> Option<Q::Thing> {
        let untouched = self.untouched.pop_front().map(|whose| (0, whose));
        let next = untouched.or_else(|| self.touched.pop_first().map(|((had, _), whose)| (had, whose)));
        let (had, whose) = next?;
        let of = self.all.get_mut(&whose)?;
        let thing = of.take()?;
        if of.is_empty() {
            self.all.remove(&whose);
        } else {
            self.touched.insert((had.saturating_add(thing.cost()), self.turns), whose);
            self.turns = self.turns.saturating_add(1);
        }
        Some(thing)
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn new_round(&mut self) {
        for whose in std::mem::take(&mut self.touched).into_values() {
            if let Some(of) = self.all.get_mut(&whose) {
                of.new_round();
            }
            self.untouched.push_back(whose);
        }
    }
}
