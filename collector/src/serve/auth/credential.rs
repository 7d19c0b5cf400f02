//! A credential: a line with a name, what proves it, and what it may do.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::ingest::rate::MAX_RATE;
use crate::ledger::limits::Limits;
use crate::money::Charge;
use crate::tenant::TenantPattern;

/// The name of a token that was given none.
pub const DEFAULT_NAME: &str = "default";
/// The longest name, bytes.
const MAX_NAME: usize = 64;
/// The shortest token, bytes: what is shorter can be guessed.
const MIN_SECRET: usize = 16;
/// The longest token, SPIFFE id or tenant pattern, bytes.
const MAX_WORD: usize = 2048;
/// The most tenant patterns of a line.
const MAX_TENANTS: usize = 256;
const SPIFFE: &str = "spiffe://";
const FORM: &str = "a token's line must be [NAME] TOKEN or NAME spiffe://ID, with tenants=, rate=, max_tokens= or \
                    max_usd= behind it, each once";

/// Who may do something.
pub struct Token {
    pub(super) name: String,
    proof: Proof,
    pub(super) policy: Arc<Policy>,
}

enum Proof {
    /// A bearer token.
    Secret(Box<[u8]>),
    /// A SPIFFE id in a client certificate; `*` stands for any text within a segment of its path.
    Spiffe(String),
}

/// What may be sent with a credential; the tenants of one that reads are those that it may know of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What may be charged.
    pub limits: Arc<Limits>,
    /// Events a second, in the long run.
    pub rate: Option<u32>,
}

impl Token {
    /// Reads a line. Emitters belong to the name, so that a token can be changed.
    pub fn parse(line: &str) -> Result<Token, String> {
        let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
        let mut policy = Policy::default();
        let mut seen: Vec<&str> = Vec::new();
        while let Some((key, value)) = words.last().and_then(|word| option(word)) {
            if seen.contains(&key) {
                return Err(format!("{FORM}; {key}= stands there twice"));
            }
            policy.set(key, value)?;
            seen.push(key);
            words.pop();
        }
        if let Some(key) = words.iter().find_map(|word| misspelled(word)) {
            return Err(format!("{FORM}; {key}= is none of these"));
        }
        let (name, secret) = match *words.as_slice() {
            [secret] => (DEFAULT_NAME, secret),
            [name, secret] => (name, secret),
            _ => return Err(FORM.to_owned()),
        };
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_word) {
            return Err("a token's name must be of 1 to 64 ASCII letters, digits and ._-".to_owned());
        }
        let proof = if secret.starts_with(SPIFFE) {
            if words.len() == 1 {
                return Err("a token's line with a SPIFFE id must begin with a name".to_owned());
            }
            Proof::Spiffe(spiffe(secret)?.to_owned())
        } else {
            Proof::Secret(self::secret(secret)?.into())
        };
        Ok(Token { name: name.to_owned(), proof, policy: Arc::new(policy) })
    }

    /// Whether both are proven by the same.
    pub fn is_same(&self, other: &Token) -> bool {
        match (&self.proof, &other.proof) {
            (Proof::Secret(one), Proof::Secret(another)) => one.ct_eq(another).into(),
            (Proof::Spiffe(one), Proof::Spiffe(another)) => one == another,
            _ => false,
        }
    }

    /// Whether it needs a client certificate.
    pub fn is_spiffe(&self) -> bool {
        matches!(self.proof, Proof::Spiffe(_))
    }

    /// Whether it says how much may be sent: more than a name, a proof and tenants.
    pub fn limits_sending(&self) -> bool {
        let Policy { limits, rate } = &*self.policy;
        let Limits { tenants: _, tokens, charge } = &**limits;
        let default = Limits::default();
        rate.is_some() || *tokens != default.tokens || *charge != default.charge
    }

    /// Whether this bearer token proves it, compared in constant time.
    pub(super) fn has_secret(&self, candidate: &[u8]) -> bool {
        matches!(&self.proof, Proof::Secret(secret) if secret.ct_eq(candidate).into())
    }

    /// Whether this id of a verified certificate proves it.
    pub(super) fn has_id(&self, id: &str) -> bool {
        matches!(&self.proof, Proof::Spiffe(pattern) if matches_id(pattern, id))
    }
}

/// Only the name: neither the secret nor what it is for.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

impl Policy {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let limits = Arc::make_mut(&mut self.limits);
        match key {
            "tenants" => {
                let patterns: Result<Vec<TenantPattern>, _> = value.split(',').map(TenantPattern::parse).collect();
                match patterns {
                    Ok(patterns) if patterns.len() <= MAX_TENANTS => limits.tenants = patterns,
                    Ok(_) => return Err(format!("a token's tenants must be {MAX_TENANTS} at most")),
                    Err(problem) => {
                        return Err(format!("a token's tenants must be separated by commas, and each {problem}"));
                    }
                }
            }
            "rate" => match value.parse() {
                Ok(rate @ 1..=MAX_RATE) => self.rate = Some(rate),
                _ => return Err(format!("a token's rate must be a whole number of events a second, 1 to {MAX_RATE}")),
            },
            "max_tokens" => match value.parse() {
                Ok(tokens @ 1..) => limits.tokens = tokens,
                _ => return Err("a token's max_tokens must be a whole number of at least 1".to_owned()),
            },
            _ => match value.parse::<Charge>() {
                Ok(charge) if charge > Charge::default() => limits.charge = charge,
                Ok(_) => return Err("a token's max_usd must be more than 0".to_owned()),
                Err(problem) => return Err(format!("a token's max_usd {problem}")),
            },
        }
        Ok(())
    }
}

/// Whether a word of a line says what its credential may do.
pub fn is_option(word: &str) -> bool {
    option(word).is_some()
}

/// Name and value, if a word is an option.
fn option(word: &str) -> Option<(&str, &str)> {
    let (key, value) = word.split_once('=')?;
    ["tenants", "rate", "max_tokens", "max_usd"].contains(&key).then_some((key, value))
}

/// The key of a word that looks like an option and is none: `tenant=acme` is a slip of the keyboard. Base64 has = at its end
/// only. What is as long as a token may be one, and is not repeated.
fn misspelled(word: &str) -> Option<&str> {
    let (key, value) = word.split_once('=')?;
    let looks_like_one = value.bytes().any(|byte| byte != b'=') && is_key(key);
    (looks_like_one && option(word).is_none() && key.len() < MIN_SECRET).then_some(key)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn secret(word: &str) -> Result<&[u8], String> {
    if word.len() > MAX_WORD || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("a token must be of {MIN_SECRET} to {MAX_WORD} visible ASCII characters, without spaces"));
    }
    // An option at the wrong place, or a long misspelled one.
    let looks_like_an_option =
        word.split_once('=').is_some_and(|(key, value)| value.bytes().any(|byte| byte != b'=') && is_key(key));
    if looks_like_an_option {
        return Err(FORM.to_owned());
    }
    if word.len() < MIN_SECRET {
        return Err(format!(
            "a token must have at least {MIN_SECRET} characters: a shorter one can be guessed (openssl rand -hex 32 makes one)"
        ));
    }
    Ok(word.as_bytes())
}

/// A SPIFFE id in which `*` may stand in the path, never in the trust domain.
fn spiffe(word: &str) -> Result<&str, String> {
    Some(word)
        .filter(|word| is_id(word, true))
        .ok_or_else(|| "a token's SPIFFE id must be spiffe://TRUST-DOMAIN/PATH; only in PATH * stands for any text within a segment".to_owned())
}

/// Whether a text is a SPIFFE id with a path. `*` may stand in it only in a pattern.
fn is_id(text: &str, is_pattern: bool) -> bool {
    let Some((domain, path)) = text.strip_prefix(SPIFFE).and_then(|id| id.split_once('/')) else { return false };
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte) || (is_pattern && byte == b'*');
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path);
    text.len() <= MAX_WORD && !domain.is_empty() && domain.bytes().all(in_domain) && path.split('/').all(is_segment)
}

/// Whether an id is one of a pattern: segment by segment, so that no `*` reaches over a slash. What is no id, although an
/// authority has signed it, is none.
fn matches_id(pattern: &str, id: &str) -> bool {
    if !is_id(id, false) {
        return false;
    }
    let mut ids = id.split('/');
    pattern.split('/').all(|pattern| ids.next().is_some_and(|id| matches_text(pattern.as_bytes(), id.as_bytes())))
        && ids.next().is_none()
}

/// Whether a text is one of a pattern in which `*` stands for any text: in time of both lengths at most.
fn matches_text(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut of) = (0_usize, 0_usize);
    // Where the last star stands, and from where on it takes text.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(of) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at = at.saturating_add(1);
            }
            Some(wanted) if wanted == byte => (at, of) = (at.saturating_add(1), of.saturating_add(1)),
            _ => {
                let Some((begin, taken)) = star else { return false };
                star = Some((begin, taken.saturating_add(1)));
                (at, of) = (begin.saturating_add(1), taken.saturating_add(1));
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "0123456789abcdef";

    fn policy(options: &str) -> Result<Policy, String> {
        Token::parse(&format!("east {SECRET} {options}")).map(|token| (*token.policy).clone())
    }

    #[test]
    fn contract_a_line_has_a_name_a_proof_and_options_in_any_order() {
        let token = Token::parse(SECRET).unwrap();
        assert!(token.name == "default" && token.has_secret(SECRET.as_bytes()) && *token.policy == Policy::default());
        let token = Token::parse(&format!("\teast  {SECRET}== max_usd=2.50 rate=7 tenants=acme/*,beta max_tokens=9 "));
        let token = token.unwrap();
        assert!(token.name == "east" && token.has_secret(format!("{SECRET}==").as_bytes()));
        let tenants = ["acme/*", "beta"].map(|pattern| TenantPattern::parse(pattern).unwrap());
        let limits = Limits { tenants: tenants.into(), tokens: 9, charge: "2.50".parse().unwrap() };
        let expected = Policy { limits: limits.into(), rate: Some(7) };
        assert_eq!(*token.policy, expected);
        assert_eq!(Token::parse(&format!("{SECRET} rate=7")).unwrap().name, "default");
        for (options, expected) in [("", false), ("tenants=a", false), ("rate=1", true), ("tenants=a max_usd=1", true)]
        {
            assert_eq!(Token::parse(&format!("{SECRET} {options}")).unwrap().limits_sending(), expected, "{options}");
        }
    }

    #[test]
    fn contract_what_is_wrong_in_a_line_is_named_and_the_token_is_not_shown() {
        let cases = [
            ("", "a token's line must be"),
            ("a b c", "a token's line must be"),
            ("short-of-sixteen", "Ok"),
            ("shorter-than-16", "a token must have at least 16 characters"),
            ("a\u{7f}0123456789abcdef", "a token must be of 16 to 2048 visible ASCII characters"),
            ("ä0123456789abcdef", "a token must be of 16 to 2048 visible ASCII characters"),
            ("n:m 0123456789abcdef", "a token's name must be of 1 to 64"),
            ("0123456789abcdef tenant=acme/platform", &format!("{FORM}; tenant= is none of these")),
            ("east 0123456789abcdef tenant=acme", &format!("{FORM}; tenant= is none of these")),
            ("east 0123456789abcdef max_token=3 rate=1", &format!("{FORM}; max_token= is none of these")),
            ("east max_tokens=3 0123456789abcdef", "a token's line must be"),
            ("east abcdefghijklmnopq=0123456789abcdef", FORM),
            ("east 0123456789abcdef rate=1 rate=2", &format!("{FORM}; rate= stands there twice")),
            ("east 0123456789abcdef tenants=", "a token's tenants must be"),
            ("east 0123456789abcdef tenants=a,,b", "a token's tenants must be"),
            ("east 0123456789abcdef tenants=a%", "a token's tenants must be"),
            ("east 0123456789abcdef tenants=*/a", "a token's tenants must be"),
            ("east 0123456789abcdef rate=0", "a token's rate must be a whole number of events a second, 1 to 1000000"),
            ("east 0123456789abcdef rate=1.5", "a token's rate must be"),
            ("east 0123456789abcdef max_tokens=-1", "a token's max_tokens must be a whole number"),
            ("east 0123456789abcdef max_usd=0", "a token's max_usd must be more than 0"),
            ("east 0123456789abcdef max_usd=1e3", "a token's max_usd must be a decimal number of USD"),
            ("spiffe://td/ns/a/sa/b", "a token's line with a SPIFFE id must begin with a name"),
            ("east spiffe://td", "a token's SPIFFE id must be"),
            ("east spiffe://*/ns/a", "a token's SPIFFE id must be"),
            ("east spiffe://td/ns//a", "a token's SPIFFE id must be"),
            ("east spiffe://td/ns/../a", "a token's SPIFFE id must be"),
            ("east spiffe://TD/ns/a", "a token's SPIFFE id must be"),
        ];
        for (line, expected) in cases {
            let said = Token::parse(line).map_or_else(|problem| problem, |_| "Ok".to_owned());
            assert!(said.starts_with(expected), "{line:?}: {said}");
            assert!(!said.contains("0123456789abcdef"), "{line:?}: {said}");
        }
        assert!(Token::parse(&format!("{} 0123456789abcdef", "n".repeat(65))).is_err());
        assert_eq!(format!("{:?}", Token::parse("east 0123456789abcdef").unwrap()), "Token(east)");
        assert_eq!(policy("max_usd=1000").unwrap().limits.charge, "1000".parse().unwrap());
    }

    #[test]
    fn contract_a_star_in_a_spiffe_id_does_not_reach_over_a_slash() {
        let token = |id: &str| Token::parse(&format!("east {id}")).unwrap();
        let cases = [
            ("spiffe://td/ns/x/sa/y", "spiffe://td/ns/x/sa/y", true),
            ("spiffe://td/ns/x/sa/y", "spiffe://td/ns/x/sa/z", false),
            ("spiffe://td/ns/*/sa/meter-*", "spiffe://td/ns/egress/sa/meter-1", true),
            ("spiffe://td/ns/*/sa/meter-*", "spiffe://td/ns/egress/sa/metre", false),
            ("spiffe://td/ns/*/sa/y", "spiffe://td/ns/evil/x/sa/y", false),
            ("spiffe://td/ns/*", "spiffe://td/ns/x/sa/y", false),
            ("spiffe://td/ns/*", "spiffe://other/ns/x", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/gw?x", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/gw#x", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/%67w", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/*", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/..", false),
            ("spiffe://td/ns/x/sa/*", "spiffe://td/ns/x/sa/gw.b_1-A", true),
            ("spiffe://td/*/x", "spiffe://td//x", false),
        ];
        for (pattern, id, expected) in cases {
            assert_eq!(token(pattern).has_id(id), expected, "{pattern} {id}");
        }
        assert!(!token("spiffe://td/ns/x").has_secret(b"spiffe://td/ns/x"), "an id is no bearer token");
    }

    proptest! {
        #[test]
        fn deterministic_a_pattern_matches_what_a_naive_search_finds(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            fn naive(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
                    Some((byte, rest)) => text.first() == Some(byte) && naive(rest, &text[1..]),
                }
            }
            let expected = naive(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches_text(pattern.as_bytes(), text.as_bytes()), expected);
        }

        #[test]
        fn deterministic_any_line_is_read_or_refused_in_words(line in "\\PC{0,60}") {
            if let Err(problem) = Token::parse(&line) {
                prop_assert!(problem.starts_with("a token"), "{}", problem);
            }
        }
    }
}
