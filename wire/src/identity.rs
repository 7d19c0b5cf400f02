//! Who called, and who is charged, as a record says it, and what may be a tenant.

/// The longest tenant, bytes: it becomes a metric label and an invoice's key.
pub const MAX_TENANT: usize = 128;
/// The longest principal, bytes: SPIFFE ids may have 2048, in practice they are short.
pub const MAX_PRINCIPAL: usize = 256;
/// The tenant of a call that no source identifies.
pub const UNKNOWN: &str = "unknown";
/// The tenant of a call whose identity does not pass validation.
pub const INVALID: &str = "invalid";
/// The tenant, or model, of metrics that found no room under their own name.
pub const OVERFLOW: &str = "overflow";
/// What a tenant may be, as a part of a sentence.
pub const ALLOWED: &str = "must be ASCII letters, digits and ._-@:/, at most 128 bytes, without path segments that are \
                           empty, `.` or `..`, and not unknown, invalid or overflow";

words! {
    /// Where the tenant came from.
    Source {
        /// The client certificate's SPIFFE id.
        Spiffe "spiffe",
        /// Another name in the client certificate.
        Certificate "certificate",
        /// A name in the client certificate that a proxy in front has checked.
        Xfcc "xfcc",
        /// What the proxy's node says of itself.
        Node "node",
        /// An API key, known by its hash.
        ApiKey "api_key",
        /// A claim of a verified JWT.
        Jwt "jwt",
        /// A request header that the configuration trusts.
        Header "header",
        /// No source matched.
        Unknown "unknown",
        /// A source showed something that names no tenant.
        Invalid "invalid",
    }
}

/// Who called, and who is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who is charged: a path such as `org/team/user`.
    pub tenant: String,
    /// Where the tenant came from.
    pub source: Source,
    /// The authenticated workload that called (a SPIFFE id).
    pub principal: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Identity { tenant: UNKNOWN.to_owned(), source: Source::Unknown, principal: None }
    }
}

/// Names that no tenant has: what metrics and records say in the place of one.
const RESERVED: [&str; 3] = [UNKNOWN, INVALID, OVERFLOW];

/// A tenant is a label and a key of money: [`ALLOWED`] says what it may be.
pub fn tenant(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let fits = text.len() <= MAX_TENANT;
    let clean = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@:/".contains(&byte));
    let path = text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    (fits && clean && path && !is_reserved(text)).then_some(text)
}

/// Whether a name stands for no tenant, in whatever case it is written.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// Whether a record may have this tenant from this source: `unknown` and `invalid` are those of calls that nobody is known
/// to have made, and no source can name them.
pub fn is_from(name: &str, source: Source) -> bool {
    match source {
        Source::Unknown => name == UNKNOWN,
        Source::Invalid => name == INVALID,
        _ => tenant(name.as_bytes()).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_what_can_be_a_tenant_is_bounded_and_names_somebody() {
            assert!(tenant(&[b'a'; MAX_TENANT]).is_some());
            assert!(tenant(&[b'a'; MAX_TENANT + 1]).is_none());
            assert!(tenant(&[0xff]).is_none());
            for good in ["unknown/team", "overflowing", "a..b", "...", "a.b"] {
                assert_eq!(tenant(good.as_bytes()), Some(good));
            }
            for bad in ["", "a b", "a,b", "/a", "a/", "a//b", ".", "..", "a/../b", "\u{e4}", "unknown", "Invalid", "OVERFLOW"] {
                assert_eq!(tenant(bad.as_bytes()), None, "{bad:?}");
            }
        }

        fn contract_a_record_has_the_tenant_that_its_source_can_have() {
            let good = [(UNKNOWN, Source::Unknown), (INVALID, Source::Invalid), ("acme", Source::Header), ("a/b", Source::Jwt), ("a", Source::Spiffe)];
            for (name, source) in good {
                assert!(is_from(name, source), "{name} {source:?}");
            }
            let bad = [
                ("acme", Source::Unknown), ("acme", Source::Invalid), (UNKNOWN, Source::Invalid), (INVALID, Source::Unknown),
                (UNKNOWN, Source::Header), (INVALID, Source::Jwt), (OVERFLOW, Source::Spiffe), ("..", Source::Header), ("", Source::Unknown),
            ];
            for (name, source) in bad {
                assert!(!is_from(name, source), "{name} {source:?}");
            }
        }
    }
}
