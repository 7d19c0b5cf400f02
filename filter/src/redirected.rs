//! Requests that were asked for their usage and that Envoy sends elsewhere, because the provider responded with a redirect:
//! each comes again, with the option in it, in a new stream, which must know that it was not the client who asked.

use std::collections::VecDeque;

/// The new stream begins as soon as the old one has ended; what stays here was sent where nothing is metered.
const MAX: usize = 64;

/// The ids of such requests.
#[derive(Debug, Default)]
pub struct Redirected(VecDeque<String>);

impl Redirected {
    /// A request that was asked is sent elsewhere.
    pub fn add(&mut self, request_id: Option<&str>) {
        let Some(id) = request_id else { return };
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back(id.to_owned());
    }

    /// Whether a request was asked before; it is not known any more after that.
    pub fn take(&mut self, request_id: Option<&str>) -> bool {
        let place = self.0.iter().position(|known| Some(known.as_str()) == request_id);
        place.and_then(|place| self.0.remove(place)).is_some()
    }
}
