//! The W3C `traceparent` that a request came with.

/// Where a request belongs: <https://www.w3.org/TR/trace-context/#traceparent-header>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace: 32 lower-case hex digits, not all zero.
    pub trace_id: String,
    /// The span that the request came with: 16 lower-case hex digits, not all zero.
    pub span_id: String,
}

impl TraceParent {
    /// Reads the header's value; of later versions what version 00 has.
    pub fn parse(value: &[u8]) -> Option<TraceParent> {
        let mut fields = std::str::from_utf8(value.trim_ascii()).ok()?.split('-');
        let version = hex(fields.next()?, 2)?;
        let (trace_id, span_id) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)?);
        hex(fields.next()?, 2)?;
        let more = fields.next().is_some();
        let allowed = version != "ff" && !(version == "00" && more);
        let names = |id: &str| id.bytes().any(|digit| digit != b'0');
        (allowed && names(trace_id) && names(span_id))
            .then(|| TraceParent { trace_id: trace_id.to_owned(), span_id: span_id.to_owned() })
    }
}

fn hex(text: &str, length: usize) -> Option<&str> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == length && is_hex).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_traceparent_is_read_as_the_w3c_says() {
            let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
            let parsed = Some(TraceParent { trace_id: trace.to_owned(), span_id: span.to_owned() });
            assert_eq!(TraceParent::parse(format!("00-{trace}-{span}-01").as_bytes()), parsed);
            assert_eq!(TraceParent::parse(format!(" cc-{trace}-{span}-01-what-comes-later ").as_bytes()), parsed);
            let none = "0".repeat(32);
            for bad in [
                String::new(),
                format!("ff-{trace}-{span}-01"),
                format!("00-{trace}-{span}-01-more"),
                format!("00-{trace}-{span}"),
                format!("00-{none}-{span}-01"),
                format!("00-{trace}-{}-01", &none[..16]),
                format!("00-{}-{span}-01", trace.to_uppercase()),
                format!("00-{}-{span}-01", &trace[1..]),
            ] {
                assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad}");
            }
            assert_eq!(TraceParent::parse(&[0xff; 55]), None);
        }
    }
}
