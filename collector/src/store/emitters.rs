//! What is known of an emitter: which numbers it has delivered, how far it has counted, what it says it dropped.

use wire::statement::{Reason, Statement};

use super::ranges::{Range, Ranges};

/// What stands in a credential's place where the emitter has shown its key.
pub const BY_KEY: &str = "(key)";

/// An emitter, as far as a transaction needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitter {
    /// Whose its numbers are: [`BY_KEY`], or the credential that first used them; empty if only journals have brought any.
    pub credential: String,
    /// Envoy's node, from its last event.
    pub node: String,
    /// When it was first heard of.
    pub first_ns: i64,
    /// When it last spoke itself.
    pub heard_ns: i64,
    /// The highest number that came in.
    pub last: i64,
    /// The highest number that it says it has given out.
    pub head: i64,
    /// How many events it says it dropped.
    pub dropped: i64,
    /// Who said that it gives out no more numbers.
    pub ended: Option<Ended>,
    /// Its ranges around the numbers in question.
    pub ranges: Ranges,
    /// The numbers that a person has closed: if they are missing, it is known. The rules do not ask for them.
    pub closed: Ranges,
}

wire::words! {
    /// Who had the final flush.
    Ended {
        /// The emitter itself.
        Emitter "emitter",
        /// The journal, read to its end.
        Journal "journal",
        /// Nobody: all that is known of it was released by a person.
        Release "release",
        /// A person, who closed it.
        Person "person",
    }
}

/// What happened to numbers of an emitter. Only ever added to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Whose numbers.
    pub emitter: String,
    /// Which numbers.
    pub range: Range,
    /// What happened.
    pub what: What,
    /// When it became known.
    pub at_ns: i64,
}

wire::words! {
    /// What happened to numbers.
    #[derive(PartialOrd, Ord)]
    What {
        /// A later number came before them.
        Opened "opened",
        /// They came late, from the emitter.
        Delivered "delivered",
        /// They came from a journal.
        Recovered "recovered",
        /// They had been quarantined, and a person released them.
        Released "released",
        /// The emitter says: the outbox was full.
        Full "full",
        /// The emitter says: a collector refused them as unreadable.
        Refused "refused",
        /// A person says: what is missing of them will not come.
        Closed "closed",
    }
}

/// The notes of a transaction; what happened to neighbours in the same way becomes one note.
#[derive(Clone, Debug, Default)]
pub struct Notes(Vec<Note>);

/// The notes of one emitter.
#[derive(Debug)]
pub struct NotesOf<'a> {
    notes: &'a mut Vec<Note>,
    emitter: &'a str,
    now_ns: i64,
}

impl Notes {
    /// Those of an emitter.
    pub fn of<'a>(&'a mut self, emitter: &'a str, now_ns: i64) -> NotesOf<'a> {
        NotesOf { notes: &mut self.0, emitter, now_ns }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Note> {
        self.0
    }
}

impl NotesOf<'_> {
    /// A person closes these numbers.
    pub fn closed(&mut self, range: Range) {
        self.add(range, What::Closed);
    }

    fn add(&mut self, range: Range, what: What) {
        if let Some(before) = self.notes.last_mut()
            && (before.emitter.as_str(), before.what) == (self.emitter, what)
            && before.range.last.checked_add(1) == Some(range.first)
        {
            before.range.last = range.last;
        } else {
            let emitter = self.emitter.to_owned();
            self.notes.push(Note { emitter, range, what, at_ns: self.now_ns });
        }
    }
}

impl Emitter {
    /// A number has come in that was not there; `what` if it closes a hole.
    pub fn insert(&mut self, number: i64, what: What, mut notes: NotesOf<'_>) {
        let next = self.last.saturating_add(1);
        if number > next {
            notes.add(Range { first: next, last: number.saturating_sub(1) }, What::Opened);
        } else if number < next {
            notes.add(Range { first: number, last: number }, what);
        }
        if number > self.head {
            // Whoever counts on has not ended, whoever said so.
            self.ended = None;
        }
        self.last = self.last.max(number);
        self.ranges.insert(number);
    }

    /// Its key is shown. What others have said of it before, who had only a credential, is not its word: they may have invented
    /// that it had ended, and nobody would miss it when it falls silent. Journals are believed.
    pub fn proven(&mut self) {
        if self.credential == BY_KEY {
            return;
        }
        if !self.credential.is_empty() {
            self.ended = self.ended.filter(|by| *by != Ended::Emitter);
            (self.head, self.dropped) = (self.last, 0);
        }
        self.credential = BY_KEY.to_owned();
    }

    /// It says how far it has counted and what it dropped.
    pub fn state(&mut self, statement: &Statement, by: Ended, mut notes: NotesOf<'_>) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for drop in &statement.drops {
            let what = match drop.reason {
                Reason::Full => What::Full,
                Reason::Refused => What::Refused,
            };
            notes.add(Range { first: number(drop.first), last: number(drop.last) }, what);
        }
        let head = number(statement.head);
        // Whoever has counted on since is not at that end: such a final flush was only late.
        let is_late = by == Ended::Emitter && head < self.head;
        if statement.ended && !is_late {
            self.ended = Some(by);
        } else if head > self.head && by == Ended::Emitter {
            // Whoever counts on has not ended. A statement that was only late does not say so.
            self.ended = None;
        }
        self.head = self.head.max(head);
        self.dropped = self.dropped.max(number(statement.dropped));
    }
}
