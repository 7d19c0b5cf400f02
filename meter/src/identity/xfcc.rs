//! `x-forwarded-client-cert`: elements, one for each proxy that has checked a certificate, the nearest proxy's last.
//!
//! An element is `Key=value` pairs joined by semicolons; values may stand in quotes. What a client sends stands before what the
//! proxies add, so only elements that are counted from the end prove anything. A quote that a client leaves open would swallow
//! what is added behind it; so the whole header must be well-formed: quotes open behind `=` and close before a delimiter, or
//! nothing is believed.

use super::{Refusal, San};

/// Keys of longer names than this do not exist.
const MAX_KEY: usize = 16;

/// The names of a kind in one element, joined by commas as in a certificate's; `hops` elements behind it are passed over.
#[inline(never)]
pub(super) fn names(header: &[u8], san: San, hops: usize) -> Result<Vec<u8>, Refusal> {
    let key: &[u8] = match san {
        San::Uri => b"uri",
        San::Dns => b"dns",
        San::Email => return Err(Refusal::NoName),
    };
    let mut elements: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = header;
    loop {
        let at = rest.iter().position(|byte| *byte == b'=').filter(|at| *at <= MAX_KEY).ok_or(Refusal::BadXfcc)?;
        let (name, behind) = rest.split_at_checked(at).ok_or(Refusal::BadXfcc)?;
        let name = name.trim_ascii_start();
        if name.is_empty() || !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(Refusal::BadXfcc);
        }
        let (value, behind) = value(behind.get(1..).unwrap_or_default())?;
        if let Some(element) = elements.last_mut().filter(|_| name.eq_ignore_ascii_case(key) && !value.is_empty()) {
            if !element.is_empty() {
                element.push(b',');
            }
            element.extend_from_slice(value);
        }
        match behind.split_first() {
            None => break,
            Some((b',', next)) => {
                elements.push(Vec::new());
                rest = next;
            }
            Some((_, next)) => rest = next,
        }
    }
    let at = elements.len().checked_sub(1).and_then(|last| last.checked_sub(hops)).ok_or(Refusal::BadXfcc)?;
    let found = elements.into_iter().nth(at).unwrap_or_default();
    if found.is_empty() { Err(Refusal::NoName) } else { Ok(found) }
}

/// A value up to its delimiter, and what follows, which begins with the delimiter.
fn value(rest: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let is_delimiter = |byte: &u8| matches!(byte, b',' | b';');
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let end = rest.iter().position(is_delimiter).unwrap_or(rest.len());
        let (value, behind) = rest.split_at_checked(end).ok_or(Refusal::BadXfcc)?;
        return if value.contains(&b'"') { Err(Refusal::BadXfcc) } else { Ok((value, behind)) };
    };
    let mut is_escaped = false;
    let end = quoted.iter().position(|byte| match byte {
        _ if std::mem::take(&mut is_escaped) => false,
        b'\\' => {
            is_escaped = true;
            false
        }
        byte => *byte == b'"',
    });
    let (value, behind) = end.and_then(|end| quoted.split_at_checked(end)).ok_or(Refusal::BadXfcc)?;
    let behind = behind.get(1..).unwrap_or_default();
    if behind.first().is_none_or(is_delimiter) { Ok((value, behind)) } else { Err(Refusal::BadXfcc) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(header: &str, hops: usize) -> Result<String, Refusal> {
        names(header.as_bytes(), San::Uri, hops).map(|names| String::from_utf8(names).unwrap())
    }

    const BY: &str = "By=spiffe://td/ns/edge/sa/gateway;Hash=468ed33b";
    const ADDED: &str = "By=spiffe://td/ns/edge/sa/gateway;Hash=468ed33b;Subject=\"CN=eve,O=\\\"x\\\"\";URI=spiffe://td/ns/eve/sa/eve;DNS=eve.example";

    cases! {
        fn deterministic_elements_are_counted_from_the_end() {
            let header = format!("URI=spiffe://td/a,{BY};URI=spiffe://td/b , {BY};Uri=spiffe://td/c;DNS=c.example;DNS=d.example");
            assert_eq!(uri(&header, 0).as_deref(), Ok("spiffe://td/c"));
            assert_eq!(uri(&header, 1).as_deref(), Ok("spiffe://td/b "));
            assert_eq!(uri(&header, 2).as_deref(), Ok("spiffe://td/a"));
            assert_eq!(uri(&header, 3), Err(Refusal::BadXfcc));
            assert_eq!(names(header.as_bytes(), San::Dns, 0).as_deref(), Ok(&b"c.example,d.example"[..]));
            assert_eq!(names(header.as_bytes(), San::Dns, 1), Err(Refusal::NoName));
            assert_eq!(names(header.as_bytes(), San::Email, 0), Err(Refusal::NoName));
            assert_eq!(uri("URI=\"spiffe://td/a\"", 0).as_deref(), Ok("spiffe://td/a"));
        }

        fn contract_nothing_that_a_client_sends_before_it_changes_the_element_that_a_proxy_adds() {
            let honest = uri(ADDED, 0);
            assert_eq!(honest.as_deref(), Ok("spiffe://td/ns/eve/sa/eve"));
            let alphabet = [
                "URI=spiffe://td/ns/acme/sa/victim", "\"", "\\", ";", ",", "=", " ", "x", "URI=", "Subject=\"", "\\\"", "By=a;URI=\"",
            ];
            let count = alphabet.len();
            // Every sequence of up to four of these.
            for length in 1..=4u32 {
                for number in 0..count.pow(length) {
                    let sent: String = (0..length).map(|at| alphabet[number / count.pow(at) % count]).collect();
                    let seen = uri(&format!("{sent},{ADDED}"), 0);
                    assert!(seen == honest || seen == Err(Refusal::BadXfcc), "{sent}: {seen:?}");
                }
            }
        }

        fn contract_what_is_not_well_formed_proves_nothing() {
            let bad = [
                "", ",", ";", "=", "URI", "=x", "URI=a,", "URI=a;", "URI=a,,URI=b", "URI=a\"", "URI=\"a", "URI=\"a\"b", "URI=\"a\\\"",
                "U-RI=a", "abcdefghijklmnopqrst=a", "URI=a,\u{e4}=b", "URI=\"a\" ;Hash=b",
            ];
            for header in bad {
                assert_eq!(uri(header, 0), Err(Refusal::BadXfcc), "{header}");
            }
            assert_eq!(uri("URI=", 0), Err(Refusal::NoName));
            assert_eq!(uri("Hash=a", 0), Err(Refusal::NoName));
        }
    }
}
