//! The fields of an entry that may name a person. The entry's hash is not over what they say but over a digest of it with a random
//! salt, which is kept beside the entry. Where the salt is thrown away, what was said can be replaced: the chain still verifies, and
//! nobody can find out the name by trying.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;

use super::error::StoreError;

/// Bytes of an entry's salt.
const SALT: usize = 16;
/// Bytes of a field's salt, or of its digest.
const LONG: usize = 32;

/// What the salts of new entries are drawn from.
#[derive(Clone, Copy, Default)]
pub struct Secret(pub [u8; 32]);

/// Without it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Random bytes.
pub fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    let random = ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| StoreError::Unusable("the system gives no random bytes".to_owned()))?;
    Ok(bytes)
}

impl Secret {
    /// A new one.
    pub fn drawn() -> Result<Secret, StoreError> {
        Ok(Secret(random()?))
    }

    /// The salts of an entry; no two entries stand behind the same hash.
    pub fn salt(&self, before: &[u8; 32]) -> Names {
        let long = digest(&[b"meshmeter salt", &self.0, before]);
        let mut salt = [0; SALT];
        salt.iter_mut().zip(long).for_each(|(salt, byte)| *salt = byte);
        Names::Salted(salt)
    }
}

/// How the personal fields of an entry are in its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// As they are: it was written before there were salts.
    #[default]
    Plain,
    /// By digests with this salt.
    Salted([u8; SALT]),
    /// By digests, after one of them was replaced.
    Replaced {
        /// Whether the entry's hash is over what they said, as it was written before there were salts.
        was_plain: bool,
        /// Of each field, in their order.
        fields: Vec<Sealed>,
    },
}

/// How a field is in the hash of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// By a digest with this salt.
    Salt([u8; LONG]),
    /// By this digest; what it was of was replaced.
    Digest([u8; LONG]),
}

impl Names {
    /// As the store keeps it.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Names::Plain => None,
            Names::Salted(salt) => Some(salt.to_vec()),
            Names::Replaced { was_plain, fields } => {
                let mut bytes = vec![u8::from(*was_plain)];
                for field in fields {
                    let (mark, long) = match field {
                        Sealed::Salt(salt) => (b's', salt),
                        Sealed::Digest(digest) => (b'd', digest),
                    };
                    bytes.push(mark);
                    bytes.extend_from_slice(long);
                }
                Some(bytes)
            }
        }
    }

    /// Reads what the store keeps.
    pub fn from_bytes(bytes: Option<&[u8]>) -> Option<Names> {
        let Some(bytes) = bytes else { return Some(Names::Plain) };
        if let Ok(salt) = bytes.try_into() {
            return Some(Names::Salted(salt));
        }
        let (was_plain, rest) = bytes.split_first()?;
        let field = |bytes: &[u8]| {
            let (mark, long) = bytes.split_first()?;
            let long = long.try_into().ok()?;
            match mark {
                b's' => Some(Sealed::Salt(long)),
                b'd' => Some(Sealed::Digest(long)),
                _ => None,
            }
        };
        let fields = rest.chunks(LONG.saturating_add(1)).map(field).collect::<Option<Vec<Sealed>>>()?;
        (*was_plain <= 1).then_some(Names::Replaced { was_plain: *was_plain == 1, fields })
    }

    /// How each of so many fields is sealed; a plain one by a salt of `fresh`. Nothing if they are not so many.
    pub fn sealed(&self, fields: usize, fresh: &Names) -> Option<Vec<Sealed>> {
        let of = |salt: &[u8; SALT]| {
            let numbers = (0..u32::MAX).take(fields).map(u32::to_le_bytes);
            numbers.map(|number| Sealed::Salt(digest(&[b"meshmeter field", salt, &number]))).collect()
        };
        match (self, fresh) {
            (Names::Salted(salt), _) | (Names::Plain, Names::Salted(salt)) => Some(of(salt)),
            (Names::Replaced { fields: sealed, .. }, _) if sealed.len() == fields => Some(sealed.clone()),
            _ => None,
        }
    }

    /// Of each field, whether it was replaced.
    pub fn replaced(&self) -> impl Iterator<Item = bool> + '_ {
        let fields: &[Sealed] = match self {
            Names::Replaced { fields, .. } => fields,
            _ => &[],
        };
        fields.iter().map(|field| matches!(field, Sealed::Digest(_)))
    }
}

impl Sealed {
    /// The digest of a field that says this.
    pub fn digest(&self, says: &str) -> [u8; LONG] {
        match self {
            Sealed::Salt(salt) => digest(&[salt, says.as_bytes()]),
            Sealed::Digest(digest) => *digest,
        }
    }
}

fn digest(parts: &[&[u8]]) -> [u8; LONG] {
    let mut sha = Sha256::new();
    parts.iter().for_each(|part| sha.update(part));
    sha.finalize().into()
}

/// What a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<'e> {
    /// A tenant.
    Tenant,
    /// The workload that called.
    Principal,
    /// The session.
    Session,
    /// The agent.
    Agent,
    /// The value of the tag of this name.
    Tag(Cow<'e, str>),
}

/// A personal field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'e> {
    /// What it is.
    pub what: What<'e>,
    /// Where it stands, as JSON.
    pub at: Range<usize>,
}

/// The personal fields of an event, or of what an entry says about a budget, in the order of the text. What cannot be read has none.
pub fn fields(text: &str) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    let Ok(Members(members)) = serde_json::from_str(text) else { return found };
    let mut add = |what, value: &RawValue| {
        let begin = value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
        found.push(Field { what, at: begin..begin.saturating_add(value.get().len()) });
    };
    for (name, value) in members {
        match &*name {
            "subject" | "tenant" => add(What::Tenant, value),
            "data" => {
                let Ok(Members(data)) = serde_json::from_str(value.get()) else { continue };
                data.into_iter().for_each(|(name, value)| of_data(&name, value, &mut add));
            }
            _ => {}
        }
    }
    found
}

fn of_data<'e>(name: &str, value: &'e RawValue, add: &mut dyn FnMut(What<'e>, &'e RawValue)) {
    match name {
        "tenant" => add(What::Tenant, value),
        "principal" => add(What::Principal, value),
        "session_id" => add(What::Session, value),
        "agent_id" => add(What::Agent, value),
        "tags" => {
            let tags: Vec<Vec<&RawValue>> = serde_json::from_str(value.get()).unwrap_or_default();
            for tag in tags {
                let [name, value, ..] = tag.as_slice() else { continue };
                let Ok(Text(name)) = serde_json::from_str(name.get()) else { continue };
                add(What::Tag(name), value);
            }
        }
        _ => {}
    }
}

/// What a field says, if it is a text.
pub fn text_of(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str(json).ok().map(|Text(text)| text)
}

/// A text, as it stands there where it can be.
struct Text<'e>(Cow<'e, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'de>, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// Those of an object's members that may be personal or have such members, each time they are there.
struct Members<'e>(Vec<(Cow<'e, str>, &'e RawValue)>);

const NAMES: [&str; 7] = ["subject", "tenant", "data", "principal", "session_id", "agent_id", "tags"];

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut found = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    if NAMES.contains(&&*name) {
                        found.push((name, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(What<'_>, &str)> {
        fields(text).into_iter().map(|field| (field.what, &text[field.at])).collect()
    }

    #[test]
    fn contract_every_personal_field_is_found_where_it_stands_however_often_and_however_written() {
        let text = r#" {"subject" : "acme/ann", "id":"e-1","data":{"ten@u0061nt":"acme@/ann","x":{"tenant":"not this"},
            "principal":"spiffe://x/ann","tenant":"twice","tags":[["user","ann","jwt"],["team","@u00e9","header"]],
            "session_id":"s","agent_id":null},"data":{"principal":"again"}} "#
            .replace('@', "\\");
        let tag = |name: &'static str| What::Tag(name.into());
        let expected = [
            (What::Tenant, r#""acme/ann""#),
            (What::Tenant, r#""acme@/ann""#),
            (What::Principal, r#""spiffe://x/ann""#),
            (What::Tenant, r#""twice""#),
            (tag("user"), r#""ann""#),
            (tag("team"), r#""@u00e9""#),
            (What::Session, r#""s""#),
            (What::Agent, "null"),
            (What::Principal, r#""again""#),
        ];
        let found: Vec<_> = found(&text).into_iter().map(|(what, json)| (what, json.replace('\\', "@"))).collect();
        assert_eq!(found, expected.map(|(what, json)| (what, json.to_owned())));
        assert_eq!(self::found(r#"{"revision":1,"name":"n","tenant":"acme/ann"}"#), [(What::Tenant, r#""acme/ann""#)]);
        for none in ["", "{", "[]", r#"{"data":{"tags":[1]}}"#, r#"{"data":{"tags":[["a"],[1,2]]}}"#] {
            assert_eq!(self::found(none), [], "{none}");
        }
    }

    #[test]
    fn deterministic_what_fields_are_sealed_with_is_read_back_and_a_digest_stays_when_its_salt_is_gone() {
        let salted = Secret([7; 32]).salt(&[9; 32]);
        let before = salted.sealed(3, &Names::Plain).unwrap();
        let digests: Vec<_> = before.iter().map(|sealed| sealed.digest("ann")).collect();
        assert_eq!(digests.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "a salt of its own for each");
        let fields = vec![before[0], Sealed::Digest(digests[1]), before[2]];
        let replaced = Names::Replaced { was_plain: false, fields };
        let after = replaced.sealed(3, &salted).unwrap();
        assert_eq!(after.iter().map(|sealed| sealed.digest("ann")).collect::<Vec<_>>(), digests);
        assert_eq!(after[1].digest("x"), digests[1]);
        assert_ne!(after[0].digest("x"), digests[0]);
        assert_eq!(replaced.replaced().collect::<Vec<_>>(), [false, true, false]);
        assert!(replaced.sealed(2, &salted).is_none() && Names::Plain.sealed(2, &Names::Plain).is_none());
        for names in [Names::Plain, salted, replaced] {
            assert_eq!(Names::from_bytes(names.to_bytes().as_deref()), Some(names));
        }
        for bad in [&[][..], &[2], &[0; 5], &[1; 34]] {
            assert_eq!(Names::from_bytes(Some(bad)), None, "{bad:?}");
        }
    }
}
