//! How long the oldest event has waited in any worker's outbox. A gauge of Envoy's has one value for all workers, so they note
//! in the memory that they share since when each has events waiting, and any of them can set the gauge to the longest wait.

use crate::shared::{Change, Shared};

/// The notes: a line for each VM that has events waiting. Workers that change them at the same time are few.
pub const NOTES: Shared = Shared::new("meshmeter: waiting", 4);
/// A note that was not renewed for so long is of a VM that is gone, ms: they are renewed every second.
const GONE_MS: u64 = 10_000;
/// More VMs than any Envoy has.
const MAX_NOTES: usize = 1024;

/// Notes since when this VM has events waiting, if it has, and says for how long any has, seconds; none: Envoy's shared data
/// cannot be had now.
pub fn note(vm: u64, now_ms: u64, since_ms: Option<u64>) -> Option<u64> {
    NOTES.change(|notes| renewed(notes, vm, now_ms, since_ms)).ok()
}

/// The notes with this VM's, without those of VMs that are gone.
fn renewed(notes: &str, vm: u64, now_ms: u64, since_ms: Option<u64>) -> Change<u64> {
    let mut oldest_ms = since_ms.unwrap_or(now_ms);
    let mut text = String::new();
    let mut write = |vm: u64, noted_ms: u64, since_ms: u64| {
        for (number, end) in [(vm, ' '), (noted_ms, ' '), (since_ms, '\n')] {
            text.push_str(&number.to_string());
            text.push(end);
        }
    };
    if let Some(since_ms) = since_ms {
        write(vm, now_ms, since_ms);
    }
    for (other, noted_ms, since_ms) in notes.lines().filter_map(note_of).take(MAX_NOTES) {
        // A clock that was set back or forward must not keep a note for ever.
        if other != vm && now_ms.abs_diff(noted_ms) < GONE_MS {
            oldest_ms = oldest_ms.min(since_ms);
            write(other, noted_ms, since_ms);
        }
    }
    let seconds = now_ms.saturating_sub(oldest_ms) / 1000;
    if text == notes { Change::Keep(seconds) } else { Change::Set(text, seconds) }
}

fn note_of(line: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = line.splitn(3, ' ').map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some((number()?, number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The notes after a VM's, and the longest wait.
    fn after(notes: &str, vm: u64, now_ms: u64, since_ms: Option<u64>) -> (String, u64) {
        match renewed(notes, vm, now_ms, since_ms) {
            Change::Keep(seconds) => (notes.to_owned(), seconds),
            Change::Set(text, seconds) => (text, seconds),
        }
    }

    #[test]
    fn contract_the_longest_wait_of_all_workers_is_what_each_of_them_says() {
        let (notes, age) = after("", 1, 20_000, None);
        assert_eq!((notes.as_str(), age), ("", 0), "nothing waits");
        let (notes, age) = after(&notes, 1, 20_000, Some(13_000));
        assert_eq!(age, 7);
        let (notes, age) = after(&notes, 2, 21_000, Some(20_500));
        assert_eq!((notes.lines().count(), age), (2, 8), "the other worker waits longer");
        let (notes, age) = after(&notes, 3, 21_000, None);
        assert_eq!((notes.lines().count(), age), (2, 8));
        let (notes, age) = after(&notes, 1, 22_000, None);
        assert_eq!((notes.lines().count(), age), (1, 1), "its own are acknowledged");
    }

    #[test]
    fn contract_a_worker_that_is_gone_does_not_wait_for_ever() {
        let (notes, _) = after("", 1, 20_000, Some(1000));
        assert_eq!(after(&notes, 2, 29_999, None), (notes.clone(), 28));
        assert_eq!(after(&notes, 2, 30_000, None), (String::new(), 0));
        assert_eq!(after(&notes, 2, 1000, None), (String::new(), 0), "the clock was set back");
    }

    #[test]
    fn contract_what_is_no_note_is_left_out_and_notes_are_bounded() {
        for notes in ["", "\n\n", "1", "1 2", "x 1 2", "1 2 3 4", "1 -2 3", "99999999999999999999 1 2"] {
            assert_eq!(after(notes, 7, 50, Some(50)), ("7 50 50\n".to_owned(), 0), "{notes:?}");
        }
        let many: String = (1..5000).map(|vm| format!("{vm} 50 50\n")).collect();
        let (notes, _) = after(&many, 0, 50, Some(50));
        assert_eq!(notes.lines().count(), MAX_NOTES + 1);
    }
}
