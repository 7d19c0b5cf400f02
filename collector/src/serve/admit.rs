//! Who is let in: what a request shows is compared, a connection that has shown something valid is kept, and who has shown
//! something wrong waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use super::App;
use super::auth::Scope;
use super::connections::Connection;
use crate::ingest::rate::Admitted;
use crate::ingest::refusal::Refusal;

/// Wrong tokens of a place that get their response at once.
const FREE: Duration = Duration::from_secs(5);
/// What each of them costs.
const COST: Duration = Duration::from_secs(1);
/// The longest that a wrong token waits: less than the patience of a proxy, so that it hears what is wrong.
const LONGEST: Duration = Duration::from_secs(2);
/// Places that are remembered. When there are more, those forgotten begin anew.
const PLACES: usize = 4096;

/// Who has shown wrong tokens lately, as the time until which it is remembered.
#[derive(Debug, Default)]
pub struct Wrong(Mutex<HashMap<IpAddr, Instant>>);

impl Wrong {
    /// One more from there; how long its response waits.
    fn delay(&self, place: IpAddr, now: Instant) -> Duration {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES && !places.contains_key(&place) {
            places.retain(|_, until| *until > now);
            if places.len() >= PLACES {
                places.clear();
            }
        }
        let until = places.entry(place).or_insert(now);
        let most = FREE.saturating_add(LONGEST);
        let ahead = until.saturating_duration_since(now).saturating_add(COST).min(most);
        *until = now.checked_add(ahead).unwrap_or(now);
        ahead.saturating_sub(FREE)
    }
}

impl App {
    /// Lets a request pass whose credential has one of the scopes, or says why not; a wrong one after a while.
    pub async fn admit(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        scopes: &[Scope],
    ) -> Result<Admitted, Refusal> {
        self.admitted(connection, self.tokens.authorize(headers, connection.id(), scopes)).await
    }

    /// The same of a token that was shown before, when its session began: it may have been withdrawn since.
    pub async fn admit_secret(
        &self,
        connection: &Connection,
        secret: &[u8],
        scopes: &[Scope],
    ) -> Result<Admitted, Refusal> {
        self.admitted(connection, self.tokens.authorize_secret(secret, scopes)).await
    }

    async fn admitted(&self, connection: &Connection, shown: Result<Admitted, Refusal>) -> Result<Admitted, Refusal> {
        match shown {
            Ok(admitted) => {
                self.registry.prove(connection, &admitted.sender.credential)?;
                Ok(admitted)
            }
            Err(refusal) => {
                if let Refusal::Unauthorized(_) = refusal {
                    tokio::time::sleep(self.wrong.delay(connection.place(), Instant::now())).await;
                }
                Err(refusal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_first_wrong_tokens_are_free_then_each_waits_and_nobody_else_does() {
        let wrong = Wrong::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        let waits: Vec<u64> = (0..9).map(|_| wrong.delay(one, now).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 2, 2]);
        assert_eq!(wrong.delay(other, now), Duration::ZERO);
        assert_eq!(wrong.delay(one, now + Duration::from_secs(60)), Duration::ZERO, "forgiven");
    }

    #[test]
    fn contract_what_is_remembered_of_wrong_tokens_is_bounded() {
        let wrong = Wrong::default();
        let now = Instant::now();
        for number in 0..100_000_u32 {
            wrong.delay(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(wrong.0.lock().unwrap().len() <= PLACES);
    }
}
