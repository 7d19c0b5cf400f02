//! Who may do what: bearer tokens with a name and a scope, compared in constant time, never shown.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use super::refusal::Refusal;
use crate::ledger::Sender;

/// The name of a token that was given none.
const DEFAULT_NAME: &str = "default";
/// The longest name, bytes.
const MAX_NAME: usize = 64;

/// A bearer token.
pub struct Token {
    name: String,
    secret: Box<[u8]>,
}

impl Token {
    /// Reads `TOKEN` or `NAME TOKEN`. Emitters belong to the name, so that a token can be changed.
    pub fn parse(line: &str) -> Result<Token, &'static str> {
        let line = line.trim();
        let (name, secret) = line.split_once(char::is_whitespace).unwrap_or((DEFAULT_NAME, line));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_word) {
            return Err("a token's name must be of 1 to 64 ASCII letters, digits and ._-");
        }
        let secret = secret.trim();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token must be of visible ASCII characters, without spaces, and may have a name before it");
        }
        Ok(Token { name: name.to_owned(), secret: secret.as_bytes().into() })
    }

    /// Whether both are the same secret.
    pub fn is_same(&self, other: &Token) -> bool {
        self.secret.ct_eq(&other.secret).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Sending events of one's own emitters.
    Ingest,
    /// Sending the events of journals, whoever counted them.
    Journal,
    /// Reading reports and metrics.
    Read,
}

/// The tokens of all scopes.
pub struct Tokens {
    known: Vec<(Scope, Token)>,
    /// Whether nobody is asked for one.
    open: bool,
}

impl Tokens {
    /// These are known, or everybody is let in.
    pub fn new(known: Vec<(Scope, Token)>, open: bool) -> Tokens {
        Tokens { known, open }
    }

    /// Whether there is one of a scope, or none is needed.
    pub fn allow(&self, scope: Scope) -> bool {
        self.open || self.known.iter().any(|(known, _)| *known == scope)
    }

    /// Lets a request pass whose token has one of the scopes, or says why not.
    pub fn authorize(&self, headers: &HeaderMap, scopes: &[Scope]) -> Result<Sender, Refusal> {
        if self.open {
            return Ok(Sender::new(DEFAULT_NAME, false));
        }
        let candidate = bearer(headers).ok_or(Refusal::Unauthorized)?;
        let mut found = None;
        // All of them are compared, whatever was found, so that the time tells nothing.
        for (scope, token) in &self.known {
            if token.secret.ct_eq(candidate).into() {
                found = Some((*scope, token));
            }
        }
        match found {
            None => Err(Refusal::Unauthorized),
            Some((scope, token)) if scopes.contains(&scope) => Ok(Sender::new(&token.name, scope == Scope::Journal)),
            Some(_) => Err(Refusal::Forbidden),
        }
    }
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
        let token = |text| Token::parse(text).unwrap();
        let known = vec![
            (Scope::Ingest, token("send-old")),
            (Scope::Ingest, token("east send-new")),
            (Scope::Journal, token("journal")),
            (Scope::Read, token("read")),
        ];
        let tokens = Tokens::new(known, false);
        let cases = [
            (None, 401, 401),
            (Some("Bearer send-old"), 200, 403),
            (Some("bearer  send-new "), 200, 403),
            (Some("Bearer east send-new"), 401, 401),
            (Some("Bearer journal"), 200, 403),
            (Some("Bearer read"), 403, 200),
            (Some("Bearer sen"), 401, 401),
            (Some("Bearer send-old2"), 401, 401),
            (Some("Bearer "), 401, 401),
            (Some("Bearer"), 401, 401),
            (Some("Basic send-old"), 401, 401),
            (Some("send-old"), 401, 401),
        ];
        for (header, ingest, read) in cases {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, header.parse().unwrap());
            }
            for (scopes, expected) in [(&[Scope::Ingest, Scope::Journal][..], ingest), (&[Scope::Read], read)] {
                let status =
                    tokens.authorize(&headers, scopes).map_or_else(|refusal| refusal.status().as_u16(), |_| 200);
                assert_eq!(status, expected, "{header:?} for {scopes:?}");
            }
        }
        let sender = |header: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
            tokens.authorize(&headers, &[Scope::Ingest, Scope::Journal]).unwrap()
        };
        assert_eq!(sender("Bearer send-old"), Sender::new("default", false));
        assert_eq!(sender("Bearer send-new"), Sender::new("east", false));
        assert_eq!(sender("Bearer journal"), Sender::new("default", true));
    }

    #[test]
    fn contract_a_token_is_never_shown() {
        let token = Token::parse("east secret").unwrap();
        assert_eq!(format!("{token:?}"), "Token(east)");
        for bad in ["", " ", "a b c", "a\u{7f}", "ä", "n:m token", &format!("{} token", "n".repeat(65))] {
            let problem = Token::parse(bad).err().unwrap_or_else(|| panic!("{bad:?}"));
            assert!(problem.starts_with("a token"), "{bad:?}");
        }
    }
}
