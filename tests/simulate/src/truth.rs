//! What really happened: every record, and what its emitter did with it. The ledger is measured by this.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::calls::{Counts, Kind};

/// What became of an emitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It counts.
    Living,
    /// It went when everything was said.
    Ended,
    /// Its VM is gone, and has left to the next one what was not acknowledged.
    Leaving,
    /// Nobody asked it.
    Killed,
}

/// What an emitter did with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits, or waited when the emitter went.
    Queued,
    /// A response said that it is taken.
    Acknowledged,
    /// The outbox was full.
    Full,
    /// The collector, or somebody on the way, could not read it.
    Rejected,
}

/// What the journal did with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its line is whole, on the disk.
    Durable,
    /// And somebody has read it there and sent what was missing.
    Read,
    /// It is not there, or not yet.
    Lost,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whose.
    pub emitter: usize,
    /// The number that it was given; none should be without.
    pub number: Option<u64>,
    /// Its event.
    pub event: Rc<[u8]>,
    /// What is special about it.
    pub kind: Kind,
    /// What counts of it.
    pub counts: Counts,
    /// What its emitter did with it.
    pub fate: Fate,
    /// What the journal did with it.
    pub kept: Kept,
}

/// An emitter: a VM that counted.
#[derive(Clone, Debug)]
pub struct Emitter {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub life: Life,
    /// Its records, in their order.
    pub records: Vec<usize>,
    /// The highest number given out.
    pub spent: u64,
    /// Its collector, or somebody on the way, did not take a call without events, and it has had no response since.
    pub deaf: bool,
    /// It sends no heartbeats.
    pub mute: bool,
    /// A response showed that its statements are read.
    pub listens: bool,
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Every emitter.
    pub emitters: Vec<Emitter>,
    /// Every record.
    pub records: Vec<Told>,
    /// Emitters by their names.
    pub names: BTreeMap<String, usize>,
}

impl Truth {
    /// A new emitter.
    pub fn emitter(&mut self, name: String) -> usize {
        let index = self.emitters.len();
        self.names.insert(name.clone(), index);
        self.emitters.push(Emitter {
            name,
            life: Life::Living,
            records: Vec::new(),
            spent: 0,
            deaf: false,
            mute: false,
            listens: false,
        });
        index
    }

    /// A new record.
    pub fn record(&mut self, told: Told) -> usize {
        let index = self.records.len();
        let emitter = &mut self.emitters[told.emitter];
        emitter.spent = emitter.spent.max(told.number.unwrap_or(0));
        emitter.records.push(index);
        self.records.push(told);
        index
    }

    /// The record of a number.
    pub fn of(&self, emitter: usize, number: u64) -> Option<&Told> {
        let records = &self.emitters.get(emitter)?.records;
        // Where every number is spent once this is its place.
        let guess = records.get(usize::try_from(number.checked_sub(1)?).ok()?);
        let is_it = |index: &&usize| self.records[**index].number == Some(number);
        guess.filter(is_it).or_else(|| records.iter().find(is_it)).map(|index| &self.records[*index])
    }
}
