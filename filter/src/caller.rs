//! What Envoy knows of the caller.

use meter::identity::{Caller, Refusal, Shown};

use crate::host::{self, Failure, HeaderMap};
use crate::vm::{self, Vm};

/// Filter state in which the configuration of a listener may put all URIs that name its client; Envoy's own property has
/// the first one only.
const ALL_URIS: &str = "filter_state\0meshmeter.client_uris";

/// The caller of the current stream, with the request's headers.
pub struct EnvoyCaller<'a>(pub &'a HeaderMap);

impl Caller for EnvoyCaller<'_> {
    fn certificate(&self) -> Shown {
        // Asked first: most connections have no certificate, and then this is the only question.
        match host::property("connection\0mtls").as_ref().map(Option::as_deref) {
            Ok(Some([1])) => {}
            Ok(_) => return outer("filter_state\0io.istio.peer_principal").map_or(Shown::Nothing, Shown::Value),
            Err(_) => return Shown::Unusable(Refusal::NoSpiffeId),
        }
        let uris = given(host::property(ALL_URIS));
        let uris = uris.or_else(|| given(host::property("connection\0uri_san_peer_certificate")));
        uris.map_or(Shown::Unusable(Refusal::NoSpiffeId), Shown::Value)
    }

    fn own_certificate(&self) -> Option<Vec<u8>> {
        let certificate = given(host::property("connection\0uri_san_local_certificate"));
        certificate.or_else(|| outer("filter_state\0io.istio.local_principal"))
    }

    fn claim(&self, payload_key: &str, claim: &[String]) -> Shown {
        let payload = format!("metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0{payload_key}");
        match host::property(&format!("{payload}\0{}", claim.join("\0"))) {
            Ok(Some(value)) if value.is_empty() => Shown::Unusable(Refusal::NoClaim),
            Ok(Some(value)) => Shown::Value(value),
            // Null, for one, is there, and Envoy cannot hand it over.
            Err(_) => Shown::Unusable(Refusal::InvalidValue),
            // No token, or a token without the claim?
            Ok(None) => match host::property(&payload) {
                Ok(None) => Shown::Nothing,
                Ok(Some(_)) | Err(_) => Shown::Unusable(Refusal::NoClaim),
            },
        }
    }

    fn header(&self, name: &str) -> Shown {
        let mut values = self.0.all(name);
        match (values.next(), values.next()) {
            (None, _) => Shown::Nothing,
            (Some(value), None) => Shown::Value(value.to_vec()),
            (Some(_), Some(_)) => Shown::Unusable(Refusal::RepeatedHeader),
        }
    }
}

/// An identity of the connection around this one: behind Istio's HBONE the inner connection has no certificate, and the
/// outer one's is handed on in the filter state.
fn outer(path: &str) -> Option<Vec<u8>> {
    let is_istio = vm::with(Vm::is_istio).unwrap_or(false);
    if is_istio { given(host::property(path)) } else { None }
}

/// A text that says something; a lone hyphen is how Envoy writes that there is none.
fn given(value: Result<Option<Vec<u8>>, Failure>) -> Option<Vec<u8>> {
    value.ok().flatten().filter(|value| !value.is_empty() && value != b"-")
}
