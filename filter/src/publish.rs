//! Single values in the filter state, for access logs, span attributes and rate limits. Each write is a hostcall, so a value is
//! written when it is known and again only if it has changed.

use meter::call::Call;
use meter::config::Config;
use meter::provider::Certainty;
use meter::signals::{Known, Signal, When};
use wire::identity::Identity;

use crate::destination::EnvoyDestination;
use crate::host;
use crate::stream::known;

/// What was written.
#[derive(Debug, Default)]
pub struct Published(Vec<(Signal, String)>);

impl Published {
    /// Writes what is known by now of a call on its way.
    #[inline(never)] // Called in many places, and bytes count.
    pub fn so_far(&mut self, config: &Config, call: &Call, identity: &Identity, session_id: Option<&str>, now: When) {
        if call.certainty() == Certainty::Shape && now != When::Response {
            return;
        }
        let is_now = |signal: &&Signal| signal.spec().when as u8 <= now as u8;
        let wanted: Vec<Signal> = config.publish.iter().filter(is_now).copied().collect();
        if wanted.is_empty() {
            return;
        }
        let mut known = Known { identity: Some(identity), session_id, ..Known::default() };
        if now != When::Head {
            call.tell(&mut known, now == When::Response);
        }
        // What may be no call at all says nothing until its response has counts.
        if call.certainty() == Certainty::Shape && known.usage.is_none() {
            return;
        }
        if wanted.contains(&Signal::Provider) {
            known.provider = call.provider_so_far(&EnvoyDestination::default(), &config.detect);
        }
        self.write(&wanted, &known);
    }

    /// Writes what is known.
    #[inline(never)]
    pub fn write(&mut self, wanted: &[Signal], all: &Known<'_>) {
        for signal in wanted {
            let Some(value) = all.value(*signal) else { continue };
            let before = self.0.iter().position(|(written, _)| written == signal);
            let before = before.and_then(|place| self.0.get_mut(place));
            if before.as_ref().is_some_and(|(_, text)| *text == value) {
                continue;
            }
            let written = known(host::set_property(signal.spec().key, value.as_bytes()).map(Some));
            match before {
                _ if written.is_none() => {}
                Some((_, text)) => *text = value.into_owned(),
                None => self.0.push((*signal, value.into_owned())),
            }
        }
    }
}
