//! Sessions of browsers: a random name in a cookie stands for a read token. They are in memory only, so that a restart ends all of
//! them; and they hold the token, not what it allows, so that one that is withdrawn or limited is so for its sessions at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;

/// How long one lasts.
pub const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// How many there are at most. Whoever logs in then ends the one that has the least time left.
const MOST: usize = 4096;
/// The same of one token, so that its holder does not end those of others.
const MOST_OF_TOKEN: usize = 256;
/// The bytes of a name: not to be guessed.
const NAME: usize = 16;

/// Whose browsers are logged in.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<Hash, Session>>);

/// What a session is found by: how long that takes tells nothing of the name.
type Hash = [u8; 32];

struct Session {
    secret: Arc<[u8]>,
    ends: Instant,
}

/// Without the token.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Begins one for a token; its name, 32 hex digits.
    pub fn begin(&self, secret: &[u8], now: Instant) -> Result<String, String> {
        let mut name = [0; NAME];
        let random = ring::default_provider().secure_random;
        random.fill(&mut name).map_err(|_| "the system gives no random bytes".to_owned())?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, session| session.ends > now);
        if all.values().filter(|session| *session.secret == *secret).count() >= MOST_OF_TOKEN {
            end_first(&mut all, |session| *session.secret == *secret);
        }
        if all.len() >= MOST {
            end_first(&mut all, |_| true);
        }
        let ends = now.checked_add(LASTS).unwrap_or(now);
        all.insert(hash(&name), Session { secret: secret.into(), ends });
        Ok(name)
    }

    /// The token that a session stands for, if it has not ended.
    pub fn secret(&self, name: &str, now: Instant) -> Option<Arc<[u8]>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&hash(name)).filter(|session| session.ends > now).map(|session| session.secret.clone())
    }

    /// Ends one.
    pub fn end(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(name));
    }
}

/// Ends the one of some that has the least time left.
fn end_first(all: &mut HashMap<Hash, Session>, of: impl Fn(&Session) -> bool) {
    let first =
        all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.ends).map(|(hash, _)| *hash);
    if let Some(first) = first {
        all.remove(&first);
    }
}

fn hash(name: &str) -> Hash {
    Sha256::digest(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_session_stands_for_its_token_until_it_ends() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let (one, other) = (sessions.begin(b"one", now).unwrap(), sessions.begin(b"other", now).unwrap());
        assert!(one.len() == 32 && one != other, "{one} {other}");
        let secret = |name: &str, after: Duration| sessions.secret(name, now + after).map(|secret| secret.to_vec());
        assert_eq!(secret(&one, LASTS - Duration::from_secs(1)), Some(b"one".to_vec()));
        assert_eq!(secret(&other, Duration::ZERO), Some(b"other".to_vec()));
        assert_eq!(secret(&one, LASTS), None, "it lasts so long");
        sessions.end(&other);
        assert_eq!(secret(&other, Duration::ZERO), None);
        assert_eq!(secret("", Duration::ZERO), None);
    }

    #[test]
    fn contract_sessions_are_bounded_and_one_token_ends_only_its_own() {
        let sessions = Sessions::default();
        let begun = Instant::now();
        let kept = sessions.begin(b"kept", begun).unwrap();
        let mut first = String::new();
        for number in 0..u64::try_from(MOST_OF_TOKEN).unwrap() + 1 {
            let name = sessions.begin(b"many", begun + Duration::from_secs(number)).unwrap();
            first = if number == 0 { name } else { first };
        }
        assert!(sessions.secret(&first, begun).is_none() && sessions.secret(&kept, begun).is_some());
        for token in 0..MOST {
            sessions.begin(&token.to_be_bytes(), begun + LASTS / 2).unwrap();
        }
        assert_eq!(sessions.0.lock().unwrap().len(), MOST);
        assert!(sessions.secret(&kept, begun).is_none(), "the oldest is the first to end");
    }
}
