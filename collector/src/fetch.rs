//! Pages of other servers, read within bounds of size and time. What is at an address that a person typed may be anything: a web
//! server, something that is no HTTP, a body without an end.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use wire::statement::COLLECTOR_HEADER;

use crate::terminal::printable;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest error of another program that is shown, characters.
const MAX_SHOWN: usize = 300;

/// Reads pages.
#[derive(Clone, Debug)]
pub struct Fetcher {
    agent: ureq::Agent,
}

/// Within what a page must come.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes.
    pub size: u64,
    /// From the connection to the last byte.
    pub time: Duration,
}

/// A response, whatever its status.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Its content type, in lower case.
    pub content_type: String,
    /// The collector's version, if a collector responded.
    pub collector: Option<String>,
    /// By how many seconds the clock there is ahead of this host's, by the header `date`.
    pub ahead_s: Option<i64>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// Nobody responds there.
    Unreachable(String),
    /// The response did not end in time.
    Timeout(Duration),
    /// It is longer than this, bytes.
    TooLarge(u64),
    /// What responds does not speak HTTP, or TLS, as was asked for.
    Protocol(String),
}

impl NoPage {
    /// In words that follow a colon.
    pub fn in_words(&self) -> String {
        match self {
            NoPage::Unreachable(problem) => format!("nothing responds there ({problem})"),
            NoPage::Timeout(time) => format!("the response did not end within {} s", time.as_secs()),
            NoPage::TooLarge(bytes) => format!("the response is longer than {bytes} bytes, so it was not read"),
            NoPage::Protocol(problem) => format!("what responds there cannot be understood ({problem})"),
        }
    }
}

/// A request body.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// Its content type.
    pub content_type: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Fetcher {
    /// One that trusts these certificates (PEM) where it speaks TLS; the public authorities without them.
    pub fn new(authorities: Option<&[u8]>) -> Result<Fetcher, String> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // An http_proxy in the environment is for applications: it may be the very Envoy that is asked.
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(wire::event::EXTRACTOR);
        if let Some(pem) = authorities {
            let roots = RootCerts::new_with_certs(&certificates(pem)?);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Fetcher { agent: config.build().new_agent() })
    }

    /// Reads a page.
    pub fn get(&self, url: &str, headers: &[(&str, &str)], bounds: Bounds) -> Result<Page, NoPage> {
        let mut request = self.agent.get(url).config().timeout_global(Some(bounds.time)).build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(url, request.call(), bounds)
    }

    /// Sends a body, and reads the response.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: Body, bounds: Bounds) -> Result<Page, NoPage> {
        let mut request = self.agent.post(url).config().timeout_global(Some(bounds.time)).build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(url, request.content_type(body.content_type).send(body.bytes), bounds)
    }
}

type Response = ureq::http::Response<ureq::Body>;

fn read(url: &str, response: Result<Response, ureq::Error>, bounds: Bounds) -> Result<Page, NoPage> {
    let failed = |error: ureq::Error| no_page(url, &error, bounds);
    let mut response = response.map_err(failed)?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let content_type = header("content-type").unwrap_or_default().to_ascii_lowercase();
    let (status, collector) = (response.status().as_u16(), header(COLLECTOR_HEADER));
    let ahead_s = header("date").and_then(|date| ahead_s(&date, Timestamp::now()));
    let body = response.body_mut().with_config().limit(bounds.size).read_to_vec().map_err(failed)?;
    Ok(Page { status, content_type, collector, ahead_s, body })
}

/// By how much a date is ahead of now, seconds.
fn ahead_s(date: &str, now: Timestamp) -> Option<i64> {
    let there = rfc2822::parse(date).ok()?.timestamp();
    there.as_second().checked_sub(now.as_second())
}

fn no_page(url: &str, error: &ureq::Error, bounds: Bounds) -> NoPage {
    let said = printable(error.to_string().chars().take(MAX_SHOWN).collect::<String>());
    match error {
        ureq::Error::BodyExceedsLimit(_) => NoPage::TooLarge(bounds.size),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => NoPage::Unreachable(said),
        ureq::Error::Timeout(_) => NoPage::Timeout(bounds.time),
        ureq::Error::Protocol(_) if url.starts_with("http:") => {
            NoPage::Protocol(format!("{said}; does it speak TLS? Then name it https://…"))
        }
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            NoPage::Protocol(format!("{said}; does it speak TLS? Otherwise name it http://…"))
        }
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            NoPage::Protocol(said)
        }
        _ => NoPage::Unreachable(said),
    }
}

impl Page {
    /// What it is, in words, for whoever expected something else.
    pub fn looks_like(&self) -> String {
        let text = String::from_utf8_lossy(self.body.get(..512).unwrap_or(&self.body)).to_ascii_lowercase();
        if let Some(version) = &self.collector {
            return format!("a collector ({})", printable(version));
        }
        if self.content_type.contains("html") || text.trim_start().starts_with('<') {
            return format!("a web page (status {})", self.status);
        }
        format!(
            "something else (status {}, {})",
            self.status,
            match self.content_type.as_str() {
                "" => "no content type".to_owned(),
                kind => printable(kind),
            }
        )
    }
}

/// The base of URLs that a person has named, without a slash at its end.
pub fn base(url: &str) -> Result<String, String> {
    let base = url.trim_end_matches('/');
    let uri = base.parse::<ureq::http::Uri>().map_err(|error| error.to_string())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    if !is_http || authority.is_none() || uri.query().is_some() {
        return Err("must be http:// or https://, a host, perhaps a port and a path".to_owned());
    }
    Ok(base.to_owned())
}

/// The certificates in a text.
pub fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| format!("--ca-file: {error}"))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err("--ca-file: has no certificate in PEM".to_owned()) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_clocks_are_compared_by_the_date_of_a_response() {
        let now = Timestamp::from_second(1_795_955_692).unwrap();
        assert_eq!(ahead_s("Sun, 29 Nov 2026 12:34:52 GMT", now), Some(0));
        assert_eq!(ahead_s("Sun, 29 Nov 2026 12:50:00 GMT", now), Some(908));
        assert_eq!(ahead_s("Sat, 28 Nov 2026 12:34:52 GMT", now), Some(-86_400));
        for date in ["", "now", "29 Nov", "1795955692", "Sun, 29 Nov 99999 12:34:52 GMT"] {
            assert_eq!(ahead_s(date, now), None, "{date}");
        }
    }
}
