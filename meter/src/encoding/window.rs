//! The bytes decoded last, as far back as a copy may reach; in pages that are made when they are first written.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A page, bytes: a short response takes little, whatever window its encoder declares.
const PAGE: usize = 16 * 1024;

/// Pages of all windows together, 256 MiB: many compressed streams at once must not use up the memory of the VM, where a
/// failed allocation would end every stream. Beyond it bodies are passed on unread.
const MAX_PAGES: usize = 256 * 1024 * 1024 / PAGE;

static PAGES: AtomicUsize = AtomicUsize::new(0);

/// Whether no window gets another page.
pub(super) fn are_exhausted() -> bool {
    PAGES.load(Ordering::Relaxed) >= MAX_PAGES
}

/// A page, counted while it lives.
#[derive(Default)]
struct Page(Box<[u8]>);

impl Page {
    fn new() -> Option<Page> {
        if are_exhausted() {
            return None;
        }
        PAGES.fetch_add(1, Ordering::Relaxed);
        Some(Page(vec![0; PAGE].into_boxed_slice()))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            PAGES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A ring of pages. Its size is fixed; what is allocated grows with what was written, and nothing is ever moved.
#[derive(Default)]
pub(super) struct Window {
    pages: Vec<Page>,
    /// Bytes, a multiple of [`PAGE`].
    size: usize,
    /// Where the next byte goes; less than `size`.
    at: usize,
    written: u64,
    /// Of these, how many were handed on.
    handed: u64,
}

impl Window {
    /// An empty window in place of the old one, whose pages are used again.
    pub(super) fn reset(&mut self, size: usize) {
        self.size = size.max(1).checked_next_multiple_of(PAGE).unwrap_or(PAGE);
        self.pages.truncate(self.size / PAGE);
        self.at = 0;
        self.written = 0;
        self.handed = 0;
    }

    /// Bytes written since the last reset.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that were not handed on.
    pub(super) fn waiting(&self) -> u64 {
        self.written.saturating_sub(self.handed)
    }

    /// The two bytes written last, the very last first; zeros before the beginning.
    pub(super) fn last(&self) -> (u8, u8) {
        let back = |count: usize| {
            let at = self.at.checked_sub(count).unwrap_or(self.at.saturating_add(self.size).saturating_sub(count));
            self.pages.get(at / PAGE).and_then(|page| page.0.get(at % PAGE)).copied().unwrap_or_default()
        };
        (back(1), if self.written > 1 { back(2) } else { 0 })
    }

    /// Where up to `most` bytes, as many as fit in a page, can be written; [`Window::advance`] says how many were.
    pub(super) fn room(&mut self, most: usize) -> Option<&mut [u8]> {
        let offset = self.at % PAGE;
        let end = offset.saturating_add(most).min(PAGE);
        self.page()?.get_mut(offset..end)
    }

    /// Writes `count` bytes that `fill` makes piece by piece; `None` if it does not.
    pub(super) fn fill(&mut self, count: usize, mut fill: impl FnMut(&mut [u8]) -> Option<()>) -> Option<()> {
        let mut left = count;
        while left > 0 {
            let room = self.room(left)?;
            let size = room.len();
            fill(room)?;
            self.advance(size);
            left = left.saturating_sub(size);
        }
        Some(())
    }

    /// Writes bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        self.fill(bytes.len(), |target| {
            let (piece, behind) = rest.split_at_checked(target.len())?;
            target.copy_from_slice(piece);
            rest = behind;
            Some(())
        })
    }

    /// Writes `count` bytes again that stand `distance` back; `None` if the window does not reach there.
    pub(super) fn repeat(&mut self, distance: usize, count: usize) -> Option<()> {
        if distance == 0 || distance > self.size || distance as u64 > self.written {
            return None;
        }
        // What is being written can be part of what is read: the piece to copy doubles.
        let mut span = distance;
        let mut left = count;
        while left > 0 {
            let from = match self.at.checked_sub(span) {
                Some(from) => from,
                None => self.at.saturating_add(self.size).checked_sub(span)?,
            };
            let (source, target) = (from % PAGE, self.at % PAGE);
            let room = PAGE.saturating_sub(source.max(target));
            let size = left.min(span).min(room);
            let end = source.saturating_add(size);
            let (from_page, to_page) = (from / PAGE, self.at / PAGE);
            if from_page == to_page {
                self.page()?.get(target..target.saturating_add(size))?;
                self.pages.get_mut(to_page)?.0.copy_within(source..end, target);
            } else {
                self.page()?;
                let mut page = std::mem::take(self.pages.get_mut(to_page)?);
                let piece = self.pages.get(from_page).and_then(|page| page.0.get(source..end));
                if let (Some(piece), Some(target)) = (piece, page.0.get_mut(target..target.saturating_add(size))) {
                    target.copy_from_slice(piece);
                }
                *self.pages.get_mut(to_page)? = page;
            }
            self.advance(size);
            left = left.saturating_sub(size);
            // Never beyond what a ring of this size still holds.
            if size == span && span <= self.size / 2 {
                span = span.saturating_mul(2);
            }
        }
        Some(())
    }

    /// Hands on what was written since the last time; at most the window's size may have been.
    pub(super) fn hand(&mut self, out: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        while self.handed < self.written {
            let left = usize::try_from(self.written.saturating_sub(self.handed)).unwrap_or(self.size);
            let start = match self.at.checked_sub(left) {
                Some(start) => start,
                None => self.at.saturating_add(self.size).saturating_sub(left),
            };
            let offset = start % PAGE;
            let size = left.min(PAGE.saturating_sub(offset));
            let piece = self.pages.get(start / PAGE).and_then(|page| page.0.get(offset..offset.saturating_add(size)));
            self.handed = self.handed.saturating_add(size as u64);
            if !piece.is_some_and(&mut *out) {
                return false;
            }
        }
        true
    }

    /// The page that the next byte goes to. Pages are first written in their order.
    fn page(&mut self) -> Option<&mut Box<[u8]>> {
        let index = self.at / PAGE;
        if index == self.pages.len() {
            self.pages.push(Page::new()?);
        }
        self.pages.get_mut(index).map(|page| &mut page.0)
    }

    /// So many bytes were written where there was room.
    pub(super) fn advance(&mut self, count: usize) {
        self.written = self.written.saturating_add(count as u64);
        self.at = self.at.saturating_add(count);
        if self.at >= self.size {
            self.at = 0;
        }
    }
}
