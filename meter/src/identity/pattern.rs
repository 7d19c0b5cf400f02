//! Patterns: from an identity to the path of a tenant, such as `spiffe://prod.example/ns/{ns}/sa/{sa}` to `org/{ns}/{sa}`.
//!
//! A pattern matches the whole identity or nothing. `{name}` stands for one character or more, up to the first that is `/` or the
//! character that follows it in the pattern, so there is one way to match, found without going back.

use wire::identity::{ALLOWED, tenant};

use super::{Refusal, checked};

/// More names than this no pattern has.
const MAX_NAMES: usize = 8;

/// A pattern, and the tenant that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    identity: Vec<Piece>,
    tenant: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

/// What is wrong with a pattern: the key of the configuration, and the problem.
pub type Problem = (&'static str, String);

impl Pattern {
    /// Reads both halves.
    #[cold]
    pub fn parse(identity: &str, tenant: &str) -> Result<Pattern, Problem> {
        let identity = pieces(identity).map_err(|problem| ("pattern", problem.to_owned()))?;
        let tenant = pieces(tenant).map_err(|problem| ("tenant", problem.to_owned()))?;
        let names = || identity.iter().filter_map(Piece::name);
        if names().count() > MAX_NAMES {
            return Err(("pattern", format!("must have at most {MAX_NAMES} names in braces")));
        }
        if names().enumerate().any(|(at, name)| names().take(at).any(|before| before == name)) {
            return Err(("pattern", "must not have a name in braces twice".to_owned()));
        }
        if identity.windows(2).any(|pair| pair.iter().all(|piece| piece.name().is_some())) {
            return Err(("pattern", "must have a character between two names in braces".to_owned()));
        }
        if tenant.iter().filter_map(Piece::name).any(|name| !names().any(|known| known == name)) {
            return Err(("tenant", "must only have names in braces that are in pattern".to_owned()));
        }
        let pattern = Pattern { identity, tenant };
        // Two in one segment could make the same tenant of different identities: `a-b` and `c`, `a` and `b-c`.
        let example = pattern.fill(|_| Some("{"));
        if example.as_deref().is_some_and(|path| path.split('/').any(|segment| segment.matches('{').count() > 1)) {
            return Err(("tenant", "must have at most one name in braces in a path segment".to_owned()));
        }
        match pattern.fill(|_| Some("x")).is_some_and(|path| self::tenant(path.as_bytes()).is_some()) {
            true => Ok(pattern),
            false => Err(("tenant", ALLOWED.to_owned())),
        }
    }

    /// The tenant of an identity.
    #[inline(never)]
    pub fn tenant(&self, identity: &str) -> Result<String, Refusal> {
        let values = self.values(identity).ok_or(Refusal::NoMatch)?;
        let value = |wanted: &str| values.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let tenant = self.fill(value).ok_or(Refusal::NoMatch)?;
        checked(tenant.as_bytes())?;
        Ok(tenant)
    }

    /// The text before the first name.
    pub fn prefix(&self) -> &str {
        match self.identity.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    fn values<'a>(&'a self, identity: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut rest = identity;
        let mut values = Vec::new();
        let mut pieces = self.identity.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Name(name) => {
                    let stop = pieces.peek().and_then(|next| next.text()?.chars().next());
                    let end = rest.find(|c| c == '/' || Some(c) == stop).unwrap_or(rest.len());
                    let (value, behind) = rest.split_at_checked(end).filter(|(value, _)| !value.is_empty())?;
                    values.push((name.as_str(), value));
                    rest = behind;
                }
            }
        }
        rest.is_empty().then_some(values)
    }

    fn fill<'a>(&'a self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.tenant.iter().map(|piece| piece.text().or_else(|| value(piece.name()?))).collect()
    }
}

impl Piece {
    fn text(&self) -> Option<&str> {
        match self {
            Piece::Text(text) => Some(text),
            Piece::Name(_) => None,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Piece::Name(name) => Some(name),
            Piece::Text(_) => None,
        }
    }
}

/// Splits a text at its names in braces.
#[cold]
fn pieces(text: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or("has a { without a }")?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("must have names of lower-case letters, digits and underscores in braces");
        }
        pieces.extend(literal(before)?);
        pieces.push(Piece::Name(name.to_owned()));
        rest = behind;
    }
    pieces.extend(literal(rest)?);
    Ok(pieces)
}

fn literal(text: &str) -> Result<Option<Piece>, &'static str> {
    match text {
        "" => Ok(None),
        text if text.contains('}') => Err("has a } without a {"),
        text => Ok(Some(Piece::Text(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pattern: &str, tenant: &str, identity: &str) -> Result<String, Refusal> {
        Pattern::parse(pattern, tenant).unwrap().tenant(identity)
    }

    const ISTIO: (&str, &str) = ("spiffe://prod.example/ns/{ns}/sa/{sa}", "org/{ns}/{sa}");

    cases! {
        fn deterministic_a_pattern_names_the_tenant_by_what_its_names_stand_for() {
            let good = [
                (ISTIO.0, ISTIO.1, "spiffe://prod.example/ns/team-a/sa/alice", "org/team-a/alice"),
                (ISTIO.0, "{sa}", "spiffe://prod.example/ns/team-a/sa/alice", "alice"),
                ("spiffe://prod.example/ns/batch/sa/runner", "internal/batch", "spiffe://prod.example/ns/batch/sa/runner", "internal/batch"),
                ("{user}@example.com", "people/{user}", "alice.b@example.com", "people/alice.b"),
                ("{svc}.{ns}.svc.cluster.local", "{ns}/{svc}", "api.shop.svc.cluster.local", "shop/api"),
                ("tenant:{t}", "{t}", "tenant:acme", "acme"),
                ("{a}-{b}", "{a}/{b}", "x-y-z", "x/y-z"),
                ("{all}", "t-{all}", "acme", "t-acme"),
            ];
            for (pattern, tenant, identity, expected) in good {
                assert_eq!(map(pattern, tenant, identity).as_deref(), Ok(expected), "{pattern} {identity}");
            }
        }

        fn contract_what_only_looks_like_the_pattern_names_nobody() {
            let look_alikes = [
                "", "spiffe://prod.example", "spiffe://prod.example/ns/team-a/sa/", "spiffe://prod.example/ns//sa/alice",
                "spiffe://prod.example.evil/ns/team-a/sa/alice", "spiffe://evil/spiffe://prod.example/ns/team-a/sa/alice",
                "spiffe://prod.example/ns/team-a/sa/alice/x", "spiffe://prod.example/ns/team-a/x/sa/alice",
                "spiffe://prod.example/ns/team-a/sa/alice/", "xspiffe://prod.example/ns/team-a/sa/alice",
                "SPIFFE://prod.example/ns/team-a/sa/alice", "spiffe://Prod.example/ns/team-a/sa/alice",
                "spiffe://prodXexample/ns/team-a/sa/alice", "spiffe://prod.example/NS/team-a/sa/alice",
            ];
            for identity in look_alikes {
                assert_eq!(map(ISTIO.0, ISTIO.1, identity), Err(Refusal::NoMatch), "{identity}");
            }
            for identity in ["eve@example.com@evil.com", "eve@example.com.evil", "@example.com", "a/b@example.com"] {
                assert_eq!(map("{user}@example.com", "{user}", identity), Err(Refusal::NoMatch), "{identity}");
            }
            for identity in ["a.b.c.svc.cluster.local", "a.svc.cluster.local", "a.b.svc.cluster.local."] {
                assert_eq!(map("{svc}.{ns}.svc.cluster.local", "{ns}/{svc}", identity), Err(Refusal::NoMatch), "{identity}");
            }
        }

        fn contract_what_a_name_stands_for_cannot_leave_its_segment() {
            let of = |ns: &str| map(ISTIO.0, ISTIO.1, &format!("spiffe://prod.example/ns/{ns}/sa/x"));
            for bad in [".", "..", "a%2fb", "a,b", "a b", "a;b", "\u{e4}", "a\0", "{ns}", &"n".repeat(200)] {
                assert_eq!(of(bad), Err(Refusal::InvalidValue), "{bad}");
            }
            assert_eq!(map("{t}", "{t}", "overflow"), Err(Refusal::ReservedName));
            assert_eq!(of("..."), Ok("org/.../x".to_owned()));
        }

        fn contract_a_wrong_pattern_is_refused_by_the_name_of_its_key() {
            let twice = "must not have a name in braces twice";
            let names = "must have names of lower-case letters, digits and underscores in braces";
            let cases = [
                ("a{b", "x", ("pattern", "has a { without a }")),
                ("a}b", "x", ("pattern", "has a } without a {")),
                ("{a}}", "x", ("pattern", "has a } without a {")),
                ("{}", "x", ("pattern", names)),
                ("{A}", "x", ("pattern", names)),
                ("{{a}}", "x", ("pattern", names)),
                ("{a}/{a}", "x", ("pattern", twice)),
                ("{a}{b}", "x", ("pattern", "must have a character between two names in braces")),
                ("{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "x", ("pattern", "must have at most 8 names in braces")),
                ("{a}", "{b}", ("tenant", "must only have names in braces that are in pattern")),
                ("{a}/{b}", "{a}-{b}", ("tenant", "must have at most one name in braces in a path segment")),
                ("{a}", "{a}{a}", ("tenant", "must have at most one name in braces in a path segment")),
                ("{a}", "{a", ("tenant", "has a { without a }")),
                ("{a}", "/{a}", ("tenant", ALLOWED)),
                ("{a}", "x//{a}", ("tenant", ALLOWED)),
                ("{a}", "x/../{a}", ("tenant", ALLOWED)),
                ("{a}", "x,{a}", ("tenant", ALLOWED)),
                ("{a}", "unknown", ("tenant", ALLOWED)),
                ("{a}", "", ("tenant", ALLOWED)),
            ];
            for (pattern, tenant, (key, problem)) in cases {
                assert_eq!(Pattern::parse(pattern, tenant), Err((key, problem.to_owned())), "{pattern} {tenant}");
            }
        }
    }
}
