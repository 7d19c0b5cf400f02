//! How requests to a bucket are carried: by ureq, on threads where waiting is allowed.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use ureq::http::Method;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::Error;

const CONNECT: Duration = Duration::from_secs(5);
/// What is read is a list, or a manifest.
const LARGEST_RESPONSE: u64 = 256 << 20;

/// How long a store may take to respond, and how often it is asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// For a command: it may wait for minutes, and better so than that it has to be run again.
    #[default]
    Long,
    /// For a question to which somebody waits for the response.
    Short,
}

impl Patience {
    /// From the last byte of a request to the first of the response. A server may copy or put parts together before it responds
    /// to a command; what is asked for a question is only read.
    fn response(self) -> Duration {
        match self {
            Patience::Long => Duration::from_secs(120),
            Patience::Short => Duration::from_secs(15),
        }
    }

    /// For the rest of the response: of a file, no more than a part of it.
    fn body(self) -> Option<Duration> {
        match self {
            Patience::Long => None,
            Patience::Short => Some(Duration::from_secs(60)),
        }
    }

    /// How often a request is made again, and until how long after the first time.
    pub fn retries(self) -> (usize, Duration) {
        match self {
            Patience::Long => (6, Duration::from_secs(60)),
            Patience::Short => (2, Duration::from_secs(10)),
        }
    }
}

/// Carries requests.
#[derive(Clone, Debug)]
pub struct Carrier(ureq::Agent);

impl Carrier {
    /// One that trusts these certificates (PEM) where it speaks TLS; the public authorities without them.
    pub fn new(authorities: Option<&[u8]>, patience: Patience) -> Result<Carrier, Error> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_resolve(Some(CONNECT))
            .timeout_recv_response(Some(patience.response()))
            .timeout_recv_body(patience.body())
            .user_agent(wire::event::EXTRACTOR);
        if let Some(pem) = authorities {
            let roots = RootCerts::new_with_certs(&certificates(pem)?);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Carrier(config.build().new_agent()))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, Error> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| Error::of("--ca-file", error))? {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(Error::of("--ca-file", "has no certificate in PEM")),
        false => Ok(certificates),
    }
}

impl HttpConnector for Carrier {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Carrier {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let agent = self.0.clone();
        let carried = tokio::task::spawn_blocking(move || {
            let has_body = !body.is_empty() || matches!(head.method, Method::PUT | Method::POST);
            let request = ureq::http::Request::from_parts(head, ());
            let response = if has_body { agent.run(request.map(|()| body.to_vec())) } else { agent.run(request) };
            let (head, mut body) = response.map_err(failed)?.into_parts();
            let bytes = body.with_config().limit(LARGEST_RESPONSE).read_to_vec().map_err(failed)?;
            Ok(HttpResponse::from_parts(head, bytes.into()))
        });
        carried.await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
    }
}

/// Which errors are worth another try is decided by their kinds.
fn failed(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => HttpErrorKind::Connect,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => HttpErrorKind::Unknown,
        ureq::Error::Io(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

/// Whether nobody responded, or not in time, so that it may be different later.
pub fn did_not_respond(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(known) = cause {
        if let Some(error) = known.downcast_ref::<HttpError>() {
            let kinds = [HttpErrorKind::Connect, HttpErrorKind::Timeout, HttpErrorKind::Interrupted];
            return kinds.contains(&error.kind());
        }
        cause = known.source();
    }
    false
}
