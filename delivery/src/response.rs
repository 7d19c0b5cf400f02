//! The collector's response to a dispatch.

use meter::failures::CollectorFailure;
use wire::{lease, quarantine, statement};

/// What delivery has to know of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status; `None`: there was no response.
    pub status: Option<u64>,
    /// `Retry-After`, ms.
    pub retry_after_ms: Option<u64>,
    /// Whether it shows that the collector reads statements.
    pub reads_statements: bool,
    /// Whether it is an HTML page: then nobody has taken anything, whatever the status.
    pub is_page: bool,
    /// How many of the events are quarantined and not charged.
    pub quarantined: u64,
    /// The revision of the budgets, if the collector says it.
    pub budgets: Option<u64>,
    /// Why there was no response, if that is known; else none came in time.
    pub lost: Option<CollectorFailure>,
}

impl Response {
    /// Reads a response's headers. `has_body`: a response without one is no page.
    pub fn read(header: impl Fn(&str) -> Option<Vec<u8>>, has_body: bool) -> Response {
        let number = |name: &str| std::str::from_utf8(&header(name)?).ok()?.trim().parse::<u64>().ok();
        let is_html = |kind: Vec<u8>| kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"));
        Response {
            status: number(":status"),
            retry_after_ms: number("retry-after").map(|s| s.saturating_mul(1000)),
            reads_statements: header(statement::COLLECTOR_HEADER).is_some(),
            is_page: has_body && header("content-type").is_some_and(is_html),
            quarantined: header(quarantine::HEADER).map_or(0, |numbers| quarantine::count(&numbers)),
            budgets: number(lease::REVISION_HEADER),
            lost: None,
        }
    }

    /// No response came, for this reason.
    pub fn lost(why: CollectorFailure) -> Response {
        Response { lost: Some(why), ..Response::default() }
    }

    /// Whether it says yes, and is no page.
    pub fn is_taken(&self) -> bool {
        matches!(self.status, Some(200..=299)) && !self.is_page
    }

    /// What it means, if it does not.
    pub fn failure(&self) -> CollectorFailure {
        match self.status {
            None => self.lost.unwrap_or(CollectorFailure::Timeout),
            Some(200..=299) => CollectorFailure::NotACollector,
            Some(status) => CollectorFailure::of_status(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)], has_body: bool) -> Response {
        let header =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes().to_vec());
        Response::read(header, has_body)
    }

    cases! {
        fn contract_headers_of_a_response_are_read_and_nonsense_is_nothing() {
            let whole = [(":status", "200"), ("retry-after", " 3"), ("meshmeter-collector", "1"), ("meshmeter-quarantined", "3,7-9"), ("meshmeter-budgets", "12")];
            let expected = Response {
                status: Some(200), retry_after_ms: Some(3000), reads_statements: true, quarantined: 4, budgets: Some(12), ..Response::default()
            };
            assert_eq!(read(&whole, true), expected);
            let nonsense = [(":status", "two"), ("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")];
            assert_eq!(read(&nonsense, true), Response::default());
            assert_eq!(read(&[(":status", "429"), ("retry-after", "18446744073709551615")], false).retry_after_ms, Some(u64::MAX));
            let page = [(":status", "200"), ("content-type", "Text/HTML; charset=utf-8")];
            assert!(!read(&page, true).is_taken() && read(&page, false).is_taken());
        }
    }
}
