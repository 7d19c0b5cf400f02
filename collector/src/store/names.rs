//! The fields of an entry that may name a person. The entry's hash is not over what they say but over a digest of it with a random
//! salt, which is kept beside the entry. Where the salt is thrown away, what was said can be replaced: the chain still verifies, and
//! nobody can find out the name by trying.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;

use super::error::StoreError;

/// Bytes of a salt: of an entry's and of a field's.
const SALT: usize = 16;
/// Bytes of a digest.
const DIGEST: usize = 32;

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
        Names::Salted(halves(digest(&[b"meshmeter salt", &self.0, before]))[0])
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
    Salt([u8; SALT]),
    /// By this digest; what it was of was replaced.
    Digest([u8; DIGEST]),
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
                    match field {
                        Sealed::Salt(salt) => bytes.extend([b"s".as_slice(), salt].concat()),
                        Sealed::Digest(digest) => bytes.extend([b"d".as_slice(), digest].concat()),
                    }
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
        let (was_plain, mut rest) = bytes.split_first()?;
        let mut fields = Vec::new();
        while let Some((mark, behind)) = rest.split_first() {
            let (field, behind) = match mark {
                b's' => behind.split_first_chunk().map(|(salt, behind)| (Sealed::Salt(*salt), behind))?,
                b'd' => behind.split_first_chunk().map(|(digest, behind)| (Sealed::Digest(*digest), behind))?,
                _ => return None,
            };
            fields.push(field);
            rest = behind;
        }
        (*was_plain <= 1).then_some(Names::Replaced { was_plain: *was_plain == 1, fields })
    }

    /// How each of so many fields is sealed; a plain one by a salt of `fresh`. Nothing if they are not so many.
    pub fn sealed(&self, fields: usize, fresh: &Names) -> Option<Vec<Sealed>> {
        let of = |salt: &[u8; SALT]| {
            let pairs = (0..u32::MAX).map(u32::to_le_bytes);
            let salts = pairs.flat_map(|pair| halves(digest(&[b"meshmeter field", salt, &pair])));
            salts.take(fields).map(Sealed::Salt).collect()
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
    pub fn digest(&self, says: &str) -> [u8; DIGEST] {
        match self {
            Sealed::Salt(salt) => digest(&[salt, says.as_bytes()]),
            Sealed::Digest(digest) => *digest,
        }
    }
}

/// A digest as two salts.
fn halves(digest: [u8; DIGEST]) -> [[u8; SALT]; 2] {
    let mut halves = [[0; SALT]; 2];
    halves.iter_mut().zip(digest.chunks_exact(SALT)).for_each(|(half, bytes)| half.copy_from_slice(bytes));
    halves
}

fn digest(parts: &[&[u8]]) -> [u8; DIGEST] {
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
    let mut found = Vec::with_capacity(8);
    let mut json = serde_json::Deserializer::from_str(text);
    if (Members { is_data: false, found: &mut found }).deserialize(&mut json).is_err() {
        return Vec::new();
    }
    let place = |value: &str| {
        let begin = value.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        begin..begin.saturating_add(value.len())
    };
    found.into_iter().map(|(what, value)| Field { what, at: place(value.get()) }).collect()
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

/// Finds an object's members that are personal or have such members, each time they are there.
struct Members<'f, 'e> {
    /// Whether it is the event's `data`.
    is_data: bool,
    found: &'f mut Vec<(What<'e>, &'e RawValue)>,
}

impl<'de> DeserializeSeed<'de> for Members<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Members { is_data, found } = self;
        while let Some(Text(name)) = map.next_key()? {
            let what = match (&*name, is_data) {
                ("tenant", _) | ("subject", false) => What::Tenant,
                ("principal", true) => What::Principal,
                ("session_id", true) => What::Session,
                ("agent_id", true) => What::Agent,
                ("tags", true) => {
                    tags(map.next_value()?, found);
                    continue;
                }
                ("data", false) => {
                    map.next_value_seed(Members { is_data: true, found: &mut *found })?;
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            found.push((what, map.next_value()?));
        }
        Ok(())
    }
}

fn tags<'e>(value: &'e RawValue, found: &mut Vec<(What<'e>, &'e RawValue)>) {
    let tags: Vec<Vec<&RawValue>> = serde_json::from_str(value.get()).unwrap_or_default();
    for tag in tags {
        let [name, value, ..] = tag.as_slice() else { continue };
        let Ok(Text(name)) = serde_json::from_str(name.get()) else { continue };
        found.push((What::Tag(name), value));
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
        for bad in [&[][..], &[2], &[0; 5], &[1; 34], b"\0sshort", b"\0x"] {
            assert_eq!(Names::from_bytes(Some(bad)), None, "{bad:?}");
        }
    }
}
