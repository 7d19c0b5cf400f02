//! API keys: known by a keyed hash, so that neither the configuration nor a record says what they are.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Caller, Refusal, Shown};

/// A longer value than this is no API key, bytes.
const MAX_API_KEY: usize = 512;
/// A shorter secret than this can be guessed, bytes.
const MIN_SECRET: usize = 16;

/// The secret that hashes are made with: HMAC-SHA256. It is never shown.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// Of a secret as it stands in the environment; none, if it has fewer than 16 bytes without the white space around it.
    #[cold]
    pub fn new(secret: &str) -> Option<HashKey> {
        let secret = secret.trim();
        (secret.len() >= MIN_SECRET).then_some(())?;
        Hmac::new_from_slice(secret.as_bytes()).ok().map(HashKey)
    }

    /// The hash of an API key; none of what is empty, or longer than any API key.
    pub fn hash(&self, api_key: &[u8]) -> Option<Hash> {
        (1..=MAX_API_KEY).contains(&api_key.len()).then_some(())?;
        let mut mac = self.0.clone();
        mac.update(api_key);
        Some(Hash(mac.finalize().into_bytes().into()))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

/// What an API key is known by; written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Hash> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
            b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        Some(Hash(bytes?.try_into().ok()?))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which API keys there are, and whose.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    /// The headers that may hold one, in lower case.
    pub headers: Vec<String>,
    /// The environment variable of the VM that holds the secret.
    pub secret_env: String,
    /// Made of the secret, when that is known.
    pub hash_key: Option<HashKey>,
    /// The tenant of each key, in the order of their hashes.
    pub tenants: Vec<(Hash, String)>,
}

/// The secret apart, which cannot be compared.
impl PartialEq for ApiKeys {
    fn eq(&self, other: &ApiKeys) -> bool {
        (&self.headers, &self.secret_env, &self.tenants) == (&other.headers, &other.secret_env, &other.tenants)
    }
}

impl Eq for ApiKeys {}

impl ApiKeys {
    /// Whose API key the request has, if it has one.
    #[inline(never)]
    pub(super) fn tenant(&self, caller: &impl Caller) -> Result<Option<String>, Refusal> {
        let mut found = None;
        for name in &self.headers {
            let value = match caller.header(name) {
                Shown::Nothing => continue,
                Shown::Unusable(refusal) => return Err(refusal),
                Shown::Value(value) => value,
            };
            let Some(api_key) = api_key(name, &value) else { continue };
            if found.is_some() {
                // Which of them the provider looks at nobody knows.
                return Err(Refusal::SeveralKeys);
            }
            let hash = self.hash_key.as_ref().ok_or(Refusal::NoHashKey)?.hash(api_key).ok_or(Refusal::InvalidValue)?;
            let place = self.tenants.binary_search_by_key(&hash, |(known, _)| *known).ok();
            found = Some(place.and_then(|place| self.tenants.get(place)));
        }
        match found {
            None => Ok(None),
            Some(None) => Err(Refusal::UnknownKey),
            Some(Some((_, tenant))) => Ok(Some(tenant.clone())),
        }
    }
}

/// The key in a header's value. `authorization` has one with the scheme `Bearer` only.
fn api_key<'a>(header: &str, value: &'a [u8]) -> Option<&'a [u8]> {
    let value = value.trim_ascii();
    if header != "authorization" && header != "proxy-authorization" {
        return Some(value);
    }
    let scheme = "Bearer ".len();
    let (begin, rest) = value.split_at_checked(scheme)?;
    begin.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests;
