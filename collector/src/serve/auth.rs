//! Who may do what: bearer tokens of two scopes, compared in constant time, never shown.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::{Choice, ConstantTimeEq};

use super::refusal::Refusal;

/// A bearer token.
pub struct Token(Box<[u8]>);

impl Token {
    /// A token: visible ASCII, so that it fits into a header.
    pub fn new(text: &str) -> Result<Token, &'static str> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token must be of visible ASCII characters, without spaces");
        }
        Ok(Token(text.as_bytes().into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Sending events.
    Ingest,
    /// Reading reports and metrics.
    Read,
}

/// The tokens of both scopes.
pub struct Tokens {
    pub ingest: Vec<Token>,
    pub read: Vec<Token>,
    /// Whether nobody is asked for one.
    pub open: bool,
}

impl Tokens {
    /// Lets a request pass, or says why not.
    pub fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<(), Refusal> {
        if self.open {
            return Ok(());
        }
        let token = bearer(headers).ok_or(Refusal::Unauthorized)?;
        // Both scopes are always compared, so that the time tells nothing of either.
        let (ingest, read) = (any(&self.ingest, token), any(&self.read, token));
        let (wanted, other) = match scope {
            Scope::Ingest => (ingest, read),
            Scope::Read => (read, ingest),
        };
        if wanted.into() {
            Ok(())
        } else if other.into() {
            Err(Refusal::Forbidden)
        } else {
            Err(Refusal::Unauthorized)
        }
    }
}

fn any(tokens: &[Token], candidate: &[u8]) -> Choice {
    tokens.iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(candidate))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_every_header_gets_the_right_answer() {
        let token = |text| Token::new(text).unwrap();
        let tokens =
            Tokens { ingest: vec![token("send-old"), token("send-new")], read: vec![token("read")], open: false };
        let cases = [
            (None, Some(401), Some(401)),
            (Some("Bearer send-old"), None, Some(403)),
            (Some("bearer  send-new "), None, Some(403)),
            (Some("Bearer read"), Some(403), None),
            (Some("Bearer sen"), Some(401), Some(401)),
            (Some("Bearer send-old2"), Some(401), Some(401)),
            (Some("Bearer "), Some(401), Some(401)),
            (Some("Bearer"), Some(401), Some(401)),
            (Some("Basic send-old"), Some(401), Some(401)),
            (Some("send-old"), Some(401), Some(401)),
        ];
        for (header, ingest, read) in cases {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, header.parse().unwrap());
            }
            for (scope, expected) in [(Scope::Ingest, ingest), (Scope::Read, read)] {
                let refused = tokens.authorize(&headers, scope).err().map(|refusal| refusal.status().as_u16());
                assert_eq!(refused, expected, "{header:?} for {scope:?}");
            }
        }
    }

    #[test]
    fn contract_a_token_is_never_shown() {
        let token = Token::new("secret").unwrap();
        assert!(!format!("{token:?}").contains("secret"));
        for bad in ["", "a b", "a\nb", "ä"] {
            assert!(Token::new(bad).is_err(), "{bad:?}");
        }
    }
}
