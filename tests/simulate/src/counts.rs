//! What is counted in schedules.

/// Declares `Counts`, what a world counts, by name and what it is.
macro_rules! counts {
    ($($name:ident $help:literal;)+) => {
        /// What was counted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $(#[doc = $help] pub $name: u64,)+
        }

        impl $crate::Counted for Counts {
            fn add(&mut self, more: &Counts) {
                $(self.$name += more.$name;)+
            }

            fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}
pub(crate) use counts;

counts! {
    calls "Calls that passed an Envoy.";
    records "Records of them: a second meter and a second model make more than one.";
    requests "Requests to collectors.";
    delivered "Events in requests that a collector read, as often as they came.";
    commits "Transactions.";
    accepted "Records in the ledger.";
    duplicates "Records that it had when they came.";
    recovered "Records that came from a journal.";
    dead_letters "Deliveries of events that cannot be read.";
    alarms "Events that contradict the ledger.";
    copies "Records of calls that another meter's record is charged for.";
    possible "Records that are charged and may be copies.";
    released "Events that had been quarantined, and were released.";
    closed "Months that were closed.";
    adjusted "Sums in which calls of a closed month count.";
    dropped "Records that an outbox had no room for.";
    rejected "Records that an outbox gave up, because somebody could not read them.";
    taken_over "Handoffs of VMs that ended, taken over by others.";
    contended "Changes of the list of handoffs that another VM was faster with.";
    no_room "Handoffs that had no room.";
    crashes "Collectors that died.";
    kills "Envoys that died.";
    updates "Updates of the plugin's configuration or code.";
    simulated_seconds "How long all that was, for those in it.";
}
