//! What Envoy knows of the caller.

use meter::identity::Caller;

use crate::host::{self, HeaderMap};
use crate::vm::{self, Vm};

/// The caller of the current stream, with the request's headers.
pub struct EnvoyCaller<'a>(pub &'a HeaderMap);

impl Caller for EnvoyCaller<'_> {
    fn spiffe_id(&self) -> Option<Vec<u8>> {
        let certificate = property("connection\0uri_san_peer_certificate");
        // Behind Istio's HBONE the inner connection has no certificate; the outer one's identity is handed on here.
        certificate.or_else(|| {
            let is_istio = vm::with(Vm::is_istio).unwrap_or(false);
            if is_istio { property("filter_state\0io.istio.peer_principal") } else { None }
        })
    }

    fn claim(&self, payload_key: &str, claim: &[String]) -> Option<Vec<u8>> {
        let claim = claim.join("\0");
        property(&format!("metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0{payload_key}\0{claim}"))
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(<[u8]>::to_vec)
    }
}

fn property(path: &str) -> Option<Vec<u8>> {
    host::property(path).ok().flatten().filter(|value| !value.is_empty())
}
