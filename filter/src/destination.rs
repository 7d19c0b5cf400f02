//! What Envoy knows of where a call goes.

use std::cell::OnceCell;

use meter::provider::Destination;

use crate::host::{self, HeaderMap, Headers};
use crate::stream::{known, text};

/// The destination of the current stream. Cluster and route are asked for once: the route is chosen before any filter sees
/// the request, but filters behind may choose again, so each callback needs an `EnvoyDestination` of its own. The host and
/// the path are the upstream's only when the stream is over; before, they are the client's.
#[derive(Default)]
pub struct EnvoyDestination {
    cluster: OnceCell<Option<String>>,
    route: OnceCell<Option<String>>,
    /// The request had no [`ORIGINAL_HOST`] when it went on from here.
    is_clean: bool,
}

/// Where Envoy's router keeps the client's host when a route puts another in its place, or the same.
const ORIGINAL_HOST: &str = "x-envoy-original-host";

/// Takes away what only the router is to say; whether it says so if it is there later. Asked for at the beginning of a request
/// whose client named a provider's host.
pub fn cleaned(headers: &HeaderMap) -> bool {
    headers.get(ORIGINAL_HOST).is_none()
        || known(host::remove_header(Headers::Request, ORIGINAL_HOST).map(Some)).is_some()
}

impl EnvoyDestination {
    /// Of a stream that is over.
    pub fn at_end(is_clean: bool) -> EnvoyDestination {
        EnvoyDestination { is_clean, ..EnvoyDestination::default() }
    }

    /// Cluster and route, for the record.
    pub fn into_names(self) -> (Option<String>, Option<String>) {
        let (_, _) = (self.cluster(), self.route());
        (self.cluster.into_inner().flatten(), self.route.into_inner().flatten())
    }
}

impl Destination for EnvoyDestination {
    fn cluster(&self) -> Option<&str> {
        self.cluster.get_or_init(|| property("xds\0cluster_name")).as_deref()
    }

    fn route(&self) -> Option<&str> {
        self.route.get_or_init(|| property("xds\0route_name")).as_deref()
    }

    fn host(&self) -> Option<String> {
        property("request\0host")
    }

    fn path(&self) -> Option<String> {
        property("request\0path")
    }

    fn certificate(&self) -> Option<String> {
        property("upstream\0dns_san_peer_certificate")
    }

    fn is_rewritten(&self) -> bool {
        self.is_clean && property("request\0headers\0x-envoy-original-host").is_some()
    }
}

fn property(path: &str) -> Option<String> {
    known(host::property(path)).as_deref().and_then(text)
}
