//! What Envoy knows of the caller.

use meter::identity::{Caller, Refusal, San, Shown};

use crate::host::{self, Failure, HeaderMap};
use crate::vm::{self, Vm};

/// Where the names of a client are: the filter state in which the configuration of a listener may put all of a kind, and Envoy's
/// own property, which has the first one only.
fn places(san: San) -> (&'static str, Option<&'static str>) {
    match san {
        San::Uri => ("filter_state\0meshmeter.client_uris", Some("connection\0uri_san_peer_certificate")),
        San::Dns => ("filter_state\0meshmeter.client_dns_names", Some("connection\0dns_san_peer_certificate")),
        San::Email => ("filter_state\0meshmeter.client_emails", None),
    }
}

/// The caller of the current stream, with the request's headers.
pub struct EnvoyCaller<'a>(pub &'a HeaderMap);

impl Caller for EnvoyCaller<'_> {
    #[inline(never)]
    fn certificate(&self) -> Shown {
        match names(San::Uri, Refusal::NoSpiffeId) {
            Shown::Nothing => outer("filter_state\0io.istio.peer_principal").map_or(Shown::Nothing, Shown::Value),
            shown => shown,
        }
    }

    fn names(&self, san: San) -> Shown {
        names(san, Refusal::NoName)
    }

    fn own_certificate(&self) -> Option<Vec<u8>> {
        let certificate = given(host::property("connection\0uri_san_local_certificate"));
        certificate.or_else(|| outer("filter_state\0io.istio.local_principal"))
    }

    #[inline(never)]
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

    fn node(&self, path: &[String]) -> Shown {
        match host::property(&format!("xds\0node\0metadata\0{}", path.join("\0"))) {
            Ok(value) => value.filter(|value| !value.is_empty()).map_or(Shown::Nothing, Shown::Value),
            Err(_) => Shown::Unusable(Refusal::InvalidValue),
        }
    }

    #[inline(never)]
    fn header(&self, name: &str) -> Shown {
        let mut values = self.0.all(name);
        match (values.next(), values.next()) {
            (None, _) => Shown::Nothing,
            (Some(value), None) => Shown::Value(value.to_vec()),
            (Some(_), Some(_)) => Shown::Unusable(Refusal::RepeatedHeader),
        }
    }
}

/// The names of a kind in the client's certificate, if it has shown one.
#[inline(never)]
fn names(san: San, none: Refusal) -> Shown {
    // Asked first: most connections have no certificate, and then this is the only question.
    match host::property("connection\0mtls").as_ref().map(Option::as_deref) {
        Ok(Some([1])) => {}
        Ok(_) => return Shown::Nothing,
        Err(_) => return Shown::Unusable(none),
    }
    let (all, first) = places(san);
    let found = given(host::property(all)).or_else(|| given(host::property(first?)));
    found.map_or(Shown::Unusable(none), Shown::Value)
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
