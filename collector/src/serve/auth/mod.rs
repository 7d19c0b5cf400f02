//! Who may do what: credentials with a name and a scope, proven by a bearer token or a client certificate.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::files::Watched;
use super::log;
use crate::ingest::rate::{Admitted, Bucket};
use crate::ingest::refusal::Refusal;
use crate::ledger::Sender;
use credential::DEFAULT_NAME;
pub use credential::{Policy, Token, is_option};
pub use source::{Problem, Source, Sources};

mod credential;
mod source;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Sending events of one's own emitters.
    Ingest,
    /// Sending the events of journals, whoever counted them.
    Journal,
    /// Reading reports and metrics.
    Read,
}

/// The credentials of all scopes.
pub struct Tokens {
    known: RwLock<Arc<Known>>,
    /// Whether nobody is asked for one.
    open: bool,
}

#[derive(Default)]
struct Known {
    tokens: Vec<(Scope, Token)>,
    /// By scope, name and rate: tokens of one name share it, also over a change of the file.
    buckets: HashMap<(Scope, String, u32), Arc<Bucket>>,
}

impl Known {
    fn of(tokens: Vec<(Scope, Token)>, before: &Known) -> Known {
        let mut buckets = HashMap::new();
        for (scope, token) in &tokens {
            let Some(rate) = token.policy.rate else { continue };
            let key = (*scope, token.name.clone(), rate);
            let bucket = before.buckets.get(&key).cloned();
            buckets.entry(key).or_insert_with(|| bucket.unwrap_or_else(|| Arc::new(Bucket::new(rate, Instant::now()))));
        }
        Known { tokens, buckets }
    }

    /// Lets the token that was found pass, if it has one of the scopes.
    fn judge(&self, found: Option<(Scope, &Token)>, scopes: &[Scope]) -> Result<Admitted, Refusal> {
        match found {
            None => Err(Refusal::Unauthorized("wrong_token")),
            Some((scope, token)) if scopes.contains(&scope) => Ok(self.admit(scope, token)),
            Some(_) => Err(Refusal::Forbidden),
        }
    }

    fn admit(&self, scope: Scope, token: &Token) -> Admitted {
        let key = token.policy.rate.map(|rate| (scope, token.name.clone(), rate));
        Admitted {
            sender: Sender { limits: token.policy.limits.clone(), ..Sender::new(&token.name, scope == Scope::Journal) },
            bucket: key.and_then(|key| self.buckets.get(&key).cloned()),
        }
    }
}

impl Tokens {
    /// These are known, or everybody is let in.
    pub fn new(known: Vec<(Scope, Token)>, open: bool) -> Tokens {
        Tokens { known: RwLock::new(Arc::new(Known::of(known, &Known::default()))), open }
    }

    /// From now on these are known, and no others.
    pub fn replace(&self, known: Vec<(Scope, Token)>) {
        let known = Arc::new(Known::of(known, &self.known()));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Whether there is one of a scope, or none is needed.
    pub fn allow(&self, scope: Scope) -> bool {
        self.open || self.known().tokens.iter().any(|(known, _)| *known == scope)
    }

    /// Lets a request pass whose bearer token has one of the scopes, or says why not. If it has none, the SPIFFE id of the
    /// connection's verified certificate decides.
    pub fn authorize(&self, headers: &HeaderMap, id: Option<&str>, scopes: &[Scope]) -> Result<Admitted, Refusal> {
        if self.open {
            return Ok(Admitted { sender: Sender::new(DEFAULT_NAME, false), bucket: None });
        }
        if headers.contains_key(AUTHORIZATION) {
            let candidate = bearer(headers).ok_or(Refusal::Unauthorized("wrong_token"))?;
            return self.authorize_secret(candidate, scopes);
        }
        let known = self.known();
        let found = {
            let Some(id) = id else { return Err(Refusal::Unauthorized("no_token")) };
            // An id may have several scopes, and be named by several patterns: the first that serves.
            let matching = || known.tokens.iter().filter(|(_, token)| token.has_id(id));
            let serving = matching().find(|(scope, _)| scopes.contains(scope));
            serving.or_else(|| matching().next()).map(|(scope, token)| (*scope, token))
        };
        known.judge(found, scopes)
    }

    /// Lets pass whoever has this token, if it has one of the scopes.
    pub fn authorize_secret(&self, candidate: &[u8], scopes: &[Scope]) -> Result<Admitted, Refusal> {
        let known = self.known();
        let mut found = None;
        // All of them are compared, whatever was found, so that the time tells nothing.
        for (scope, token) in &known.tokens {
            if token.has_secret(candidate) {
                found = Some((*scope, token));
            }
        }
        known.judge(found, scopes)
    }

    /// Whether nobody is asked for a token.
    pub fn is_open(&self) -> bool {
        self.open
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads credentials again when a file has changed. Those that cannot be used are said, and the old ones stay.
#[derive(Debug)]
pub struct Reread {
    sources: Sources,
    watched: Watched,
}

impl Reread {
    /// To be made before the sources are loaded for the first time.
    pub fn new(sources: Sources) -> Reread {
        Reread { watched: Watched::new(sources.files()), sources }
    }

    /// Looks at the files once.
    pub fn look(&mut self, tokens: &Tokens) {
        if !self.watched.changed() {
            return;
        }
        match self.sources.load() {
            Ok(known) => {
                let count = known.len();
                tokens.replace(known);
                log::info(&format!("the token files have changed: {count} credentials are known now"));
            }
            Err(problem) => log::error(&format!("the new tokens are not used, the old ones stay: {}", problem.text())),
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

    fn token(text: &str) -> Token {
        Token::parse(text).unwrap()
    }

    fn headers(authorization: Option<&str>) -> HeaderMap {
        authorization.map(|text| (AUTHORIZATION, text.parse().unwrap())).into_iter().collect()
    }

    const SENDING: &[Scope] = &[Scope::Ingest, Scope::Journal];

    #[test]
    fn contract_every_header_gets_the_right_response() {
        let known = vec![
            (Scope::Ingest, token("send-old-0123456")),
            (Scope::Ingest, token("east send-new-0123456")),
            (Scope::Journal, token("journal-01234567")),
            (Scope::Read, token("read-0123456789a")),
        ];
        let tokens = Tokens::new(known, false);
        let cases = [
            (None, 401, 401),
            (Some("Bearer send-old-0123456"), 200, 403),
            (Some("bearer  send-new-0123456 "), 200, 403),
            (Some("Bearer east send-new-0123456"), 401, 401),
            (Some("Bearer journal-01234567"), 200, 403),
            (Some("Bearer read-0123456789a"), 403, 200),
            (Some("Bearer send-old-012345"), 401, 401),
            (Some("Bearer send-old-01234562"), 401, 401),
            (Some("Bearer "), 401, 401),
            (Some("Bearer"), 401, 401),
            (Some("Basic send-old-0123456"), 401, 401),
            (Some("send-old-0123456"), 401, 401),
        ];
        for (header, ingest, read) in cases {
            for (scopes, expected) in [(SENDING, ingest), (&[Scope::Read], read)] {
                let response = tokens.authorize(&headers(header), None, scopes);
                let status = response.map_or_else(|refusal| refusal.status(), |_| 200);
                assert_eq!(status, expected, "{header:?} for {scopes:?}");
            }
        }
        let sender = |header: &str| tokens.authorize(&headers(Some(header)), None, SENDING).unwrap().sender;
        let is = Sender::new;
        assert_eq!(sender("Bearer send-old-0123456"), is("default", false));
        assert_eq!(sender("Bearer send-new-0123456"), is("east", false));
        assert_eq!(sender("Bearer journal-01234567"), is("default", true));
    }

    #[test]
    fn contract_a_certificates_id_decides_only_where_no_token_was_shown() {
        let id = "spiffe://td/ns/egress/sa/gateway";
        let known = vec![
            (Scope::Ingest, token("gateways spiffe://td/ns/egress/sa/*")),
            (Scope::Read, token("spare 0123456789abcdef")),
            (Scope::Read, token("all spiffe://td/ns/*/sa/*")),
        ];
        let tokens = Tokens::new(known, false);
        let name = |header, id, scopes: &[Scope]| {
            tokens.authorize(&headers(header), id, scopes).map(|admitted| admitted.sender.credential)
        };
        assert_eq!(name(None, Some(id), SENDING), Ok("gateways".to_owned()));
        assert_eq!(name(None, Some(id), &[Scope::Read]), Ok("all".to_owned()));
        assert_eq!(name(None, Some("spiffe://td/ns/other/sa/x"), SENDING), Err(Refusal::Forbidden));
        assert_eq!(
            name(None, Some("spiffe://other/ns/egress/sa/x"), SENDING),
            Err(Refusal::Unauthorized("wrong_token"))
        );
        assert_eq!(name(None, None, SENDING), Err(Refusal::Unauthorized("no_token")));
        let wrong = Some("Bearer 0123456789abcdeX");
        assert_eq!(name(wrong, Some(id), SENDING), Err(Refusal::Unauthorized("wrong_token")), "a wrong token is wrong");
        let as_text = format!("Bearer {id}");
        assert_eq!(name(Some(&as_text), None, SENDING), Err(Refusal::Unauthorized("wrong_token")), "an id is no token");
    }

    #[test]
    fn contract_tokens_of_one_name_share_a_rate_and_keep_it_over_a_change() {
        let line = |secret: &str| (Scope::Ingest, token(&format!("east {secret} rate=1")));
        let tokens = Tokens::new(vec![line("old-0123456789abc"), line("new-0123456789abc")], false);
        let take = |secret: &str, events| {
            let headers = headers(Some(&format!("Bearer {secret}")));
            tokens.authorize(&headers, None, SENDING).unwrap().take(events, Instant::now())
        };
        assert_eq!(take("old-0123456789abc", 1000), Ok(()));
        assert!(matches!(take("new-0123456789abc", 1), Err(Refusal::TooMany(_))));
        tokens.replace(vec![line("newer-0123456789a"), (Scope::Ingest, token("west west-0123456789ab"))]);
        assert!(matches!(take("newer-0123456789a", 0), Err(Refusal::TooMany(_))), "a new token pays no old debts off");
        assert_eq!(take("west-0123456789ab", 1_000_000), Ok(()));
    }
}
