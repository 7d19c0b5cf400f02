//! Entries of a database and of an archive, as one: in the order of the chains, each once.

use super::archive::Archived;
use super::beside::{Next, beside};
use crate::store::entry::{Entry, EntryId};
use crate::store::months::Month;
use crate::store::ranges::Ranges;
use crate::store::sealing::{Piece, Sealed};
use crate::store::{Each, Head, Reader, StoreError};

/// How far a chain is sealed.
pub fn end_of(sealed: &[Sealed], writer: i64) -> i64 {
    let of_it = sealed.iter().find(|sealed| sealed.end.entry.writer == writer);
    of_it.map_or(0, |sealed| sealed.end.entry.number)
}

/// Which of the entries that are sealed the database has itself.
pub struct Present(Vec<(i64, Ranges)>);

impl Present {
    /// Of all chains.
    pub fn of(moment: &dyn Reader, sealed: &[Sealed]) -> Result<Present, StoreError> {
        let whole = |end: EntryId| Piece { writer: end.writer, behind: 0, until: end.number };
        Present::of_pieces(moment, sealed.iter().map(|sealed| whole(sealed.end.entry)))
    }

    /// Of some pieces, each of another chain.
    pub fn of_pieces(reader: &dyn Reader, pieces: impl IntoIterator<Item = Piece>) -> Result<Present, StoreError> {
        let mut all = Vec::new();
        for piece in pieces {
            let mut numbers = Ranges::default();
            reader.present(piece, &mut |number| {
                numbers.insert(number);
                Ok(())
            })?;
            all.push((piece.writer, numbers));
        }
        Ok(Present(all))
    }

    /// Whether an entry is a record that is in the archive alone: nobody has ever taken it back.
    pub fn lacks(&self, entry: &Entry) -> bool {
        let numbers = self.0.iter().find(|(writer, _)| *writer == entry.id.writer);
        entry.kind.is_record() && numbers.is_none_or(|(_, numbers)| !numbers.contains(entry.id.number))
    }
}

/// What gives entries of a database, on whatever thread.
pub type Ask<'a, T> = &'a (dyn Fn(Each<'_, T>) -> Result<(), StoreError> + Sync);
/// Where an item stands, and the item of an entry.
pub type Words<T> = (fn(&T) -> EntryId, fn(Entry) -> T);

/// All entries of a chain behind one of them up to another, in their order: the database's own where it has one.
pub fn chain<T: Send>(
    (ask, (id, of)): (Ask<'_, T>, Words<T>),
    archived: &Archived,
    behind: EntryId,
    until: i64,
    each: Each<'_, T>,
) -> Result<(), StoreError> {
    beside(ask, |next| {
        let mut waiting = next()?;
        archived.entries(behind, until, None, None, &mut |entry| {
            while let Some(own) = waiting.take_if(|own| id(own) < entry.id) {
                each(own)?;
                waiting = next()?;
            }
            if let Some(own) = waiting.take_if(|own| id(own) == entry.id) {
                waiting = next()?;
                return each(own);
            }
            // What the database needs itself nobody may take out of it.
            if !entry.kind.is_record() {
                return Err(StoreError::Unusable(format!("entry {}: is missing in the database", entry.id)));
            }
            each(of(entry))
        })?;
        rest(waiting, next, each)
    })
}

fn rest<T>(mut waiting: Option<T>, next: Next<'_, T>, each: Each<'_, T>) -> Result<(), StoreError> {
    while let Some(item) = waiting {
        each(item)?;
        waiting = next()?;
    }
    Ok(())
}

/// What is looked for in an archive.
pub struct Wanted<'w> {
    /// The first month and the last in which it may count.
    pub months: (Option<Month>, Option<Month>),
    /// Who is charged, or a tenant above.
    pub tenant: Option<&'w str>,
    /// Whether it is one.
    pub matches: &'w dyn Fn(&Entry) -> bool,
}

impl Wanted<'_> {
    /// Entries that are in the archive alone and are meant, in the order of the chains.
    pub fn each(
        &self,
        present: &Present,
        archived: &Archived,
        sealed: &[Sealed],
        each: Each<'_, Entry>,
    ) -> Result<(), StoreError> {
        let text =
            |month: Option<Month>, else_: &str| month.map_or_else(|| else_.to_owned(), |month| month.to_string());
        let months = text(self.months.0, "0000-01")..=text(self.months.1, "9999-12");
        for Sealed { end: Head { entry: end, .. }, .. } in sealed {
            let behind = EntryId { number: 0, ..*end };
            archived.entries(behind, end.number, Some(months.clone()), self.tenant, &mut |entry| {
                if present.lacks(&entry) && (self.matches)(&entry) { each(entry) } else { Ok(()) }
            })?;
        }
        Ok(())
    }
}

/// Entries that the database gives in the order of the chains, and those of the archive where they belong.
pub fn merged(
    ask: Ask<'_, Entry>,
    archive: &mut dyn FnMut(Each<'_, Entry>) -> Result<(), StoreError>,
    each: Each<'_, Entry>,
) -> Result<(), StoreError> {
    beside(ask, |next| {
        let mut waiting = next()?;
        archive(&mut |entry| {
            while let Some(own) = waiting.take_if(|own| own.id < entry.id) {
                each(own)?;
                waiting = next()?;
            }
            each(entry)
        })?;
        rest(waiting, next, each)
    })
}
