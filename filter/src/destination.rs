//! What Envoy knows of where a call goes.

use std::cell::OnceCell;

use meter::provider::Destination;

use crate::host;
use crate::stream::{known, text};

/// The destination of the current stream. Cluster and route are asked for once: the route is chosen before any filter sees
/// the request, but filters behind may choose again, so each callback needs an `EnvoyDestination` of its own. The host and
/// the path are the upstream's only when the stream is over; before, they are the client's.
#[derive(Default)]
pub struct EnvoyDestination {
    cluster: OnceCell<Option<String>>,
    route: OnceCell<Option<String>>,
}

impl EnvoyDestination {
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
}

fn property(path: &str) -> Option<String> {
    known(host::property(path)).as_deref().and_then(text)
}
