//! The collector's cluster under Envoy Gateway, which makes up the names of clusters: routes carry them in their metadata,
//! under names that the operator has chosen.

use meter::config::Collector;

use crate::host;
use crate::stream::known;
use crate::vm;

/// Where a route has them.
const PLACE: &str = "xds\0route_metadata\0filter_metadata\0gateway.envoyproxy.io/extension-backends\0";
/// The longest name of a cluster, bytes.
const MAX: usize = 1024;

/// The cluster of one alias, by the route of the last call. It is kept for dispatches, which belong to no stream and so to no
/// route.
#[derive(Debug, Default)]
pub struct Aliased {
    alias: String,
    cluster: String,
}

impl Aliased {
    /// The cluster, if a route was seen that knows the alias.
    pub fn cluster(&self, alias: &str) -> Option<&str> {
        (self.alias == alias && !self.cluster.is_empty()).then_some(self.cluster.as_str())
    }

    /// Whether it is another one than before.
    fn set(&mut self, alias: &str, cluster: &str) -> bool {
        let is_new = self.alias != alias || self.cluster != cluster;
        if is_new {
            alias.clone_into(&mut self.alias);
            cluster.clone_into(&mut self.cluster);
        }
        is_new
    }
}

/// Where the VMs tell each other: the one on the main thread takes over events after an update, and never sees a call.
fn key(alias: &str) -> String {
    ["meshmeter.alias.", alias].concat()
}

/// The cluster that an alias stands for, by the last call of this VM, else of another one.
pub fn cluster(alias: &str) -> Option<String> {
    vm::with(|vm| vm.aliased.cluster(alias).map(str::to_owned)).flatten().or_else(|| {
        let (cluster, _) = host::shared(&key(alias)).ok()??;
        String::from_utf8(cluster).ok().filter(|cluster| !cluster.is_empty())
    })
}

/// Learns the collector's cluster from the route of the current stream, if it goes by an alias.
pub fn learn(collector: Option<&Collector>) {
    let Some(alias) = collector.and_then(|collector| collector.alias.as_deref()) else { return };
    let cluster = known(host::property(&[PLACE, alias].concat()));
    let cluster = cluster.and_then(|cluster| String::from_utf8(cluster).ok());
    let Some(cluster) = cluster.filter(|cluster| (1..=MAX).contains(&cluster.len())) else { return };
    if vm::with(|vm| vm.aliased.set(alias, &cluster)) == Some(true) {
        // Whatever stands there: the last call is right.
        let _ = host::set_shared(&key(alias), cluster.as_bytes(), 0);
    }
}
