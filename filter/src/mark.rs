//! One record of a call, however many instances of the plugin stand in its filter chain: one marks the stream, the others
//! leave the call to it.
//!
//! The mark is filter state. It belongs to one stream in one proxy, every instance sees it whatever VM it runs in, and no
//! client can write it. A stream that Envoy begins anew to follow a redirect has none.

use meter::call::Call;
use meter::config::Config;
use meter::provider::Certainty;

use crate::host;
use crate::stream::known;

/// Where it is: Envoy keeps it as `wasm.meshmeter_metered`.
const NAME: &str = "meshmeter_metered";

/// Who meters the call; the greater mark takes it over from the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// It has a collector: without one nobody is charged.
    bills: bool,
    /// It knows the call: one that has more to go by may make a record where another does not.
    knows: Knows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Knows {
    /// By the shape of the response.
    Late,
    /// By the path, if the bodies agree.
    Path,
    /// By host and path.
    Surely,
}

impl Mark {
    /// The mark of an instance for a call that begins.
    pub fn of(config: &Config, call: &Call) -> Mark {
        let knows = match call.certainty() {
            Certainty::Known => Knows::Surely,
            Certainty::Path => Knows::Path,
            Certainty::Shape => Knows::Late,
        };
        Mark { bills: config.collector.is_some(), knows }
    }

    /// The request comes. Whether another instance meters the call. Requests that are hardly ever calls are not marked yet, so
    /// that they cost nothing.
    pub fn is_left_to_another(self) -> bool {
        self.knows > Knows::Late && !self.set()
    }

    /// The call is over. Whether another instance has taken it over since, or has been first with it.
    pub fn is_taken_over(self) -> bool {
        match self {
            Mark { knows: Knows::Late, .. } => !self.set(),
            Mark { bills: true, knows: Knows::Surely } => false, // Nothing is greater, and nothing need be asked.
            _ => Mark::found().is_some_and(|found| found > self),
        }
    }

    /// Marks the current stream, unless its mark is as great. Whether it did.
    fn set(self) -> bool {
        if Mark::found().is_some_and(|found| found >= self) {
            return false;
        }
        known(host::set_property(NAME, &self.bytes()).map(Some));
        true
    }

    fn found() -> Option<Mark> {
        let bytes = known(host::property(NAME))?;
        let all = [Knows::Late, Knows::Path, Knows::Surely];
        let marks = all.into_iter().flat_map(|knows| [false, true].map(|bills| Mark { bills, knows }));
        marks.into_iter().find(|mark| mark.bytes().as_slice() == bytes)
    }

    fn bytes(self) -> [u8; 2] {
        [u8::from(self.bills), self.knows as u8]
    }
}
