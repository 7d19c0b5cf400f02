//! What becomes of a relay after a failure.

use krafka::KrafkaError;
use krafka::error::ErrorCode;

use crate::source::SourceError;

/// How the client names the errors of a broker that takes nothing more from a session.
const FENCED: [&str; 2] = ["InvalidProducerEpoch", "ProducerFenced"];

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can go away by itself: another session is tried.
    Passing(String),
    /// Somebody has to change something; where a session worked before, another one is tried all the same.
    Refused(String),
    /// To go on would lose or double entries.
    Broken(String),
    /// Kafka takes nothing more from this session: another one has its transactional id, or its transaction took too long.
    Fenced,
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        if error.may_pass { Failure::Passing(error.problem) } else { Failure::Refused(error.problem) }
    }
}

impl Failure {
    /// What an error of the client means. `doing` is what was tried, to be put before it.
    pub fn of(doing: &str, error: &KrafkaError) -> Failure {
        let text = format!("{doing}: {}", said(error));
        match error {
            KrafkaError::Fenced { .. } => Failure::Fenced,
            // What the client says of a message that the broker refuses for that reason.
            KrafkaError::TransactionAbortable { message } if FENCED.iter().any(|word| message.contains(word)) => {
                Failure::Fenced
            }
            KrafkaError::Auth { .. } | KrafkaError::Config { .. } | KrafkaError::UnknownTopic { .. } => {
                Failure::Refused(text)
            }
            KrafkaError::Broker { code, .. } => match code {
                ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch => Failure::Fenced,
                ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
                    Failure::Refused(format!("{text}; max.message.bytes of the topic must be larger"))
                }
                code if is_refusal(*code) => Failure::Refused(text),
                _ => Failure::Passing(text),
            },
            _ => Failure::Passing(text),
        }
    }
}

/// Whether a broker says so until somebody changes something.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::InvalidTopic
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::SaslAuthenticationFailed
            | ErrorCode::UnsupportedVersion
            | ErrorCode::InvalidReplicationFactor
            | ErrorCode::PolicyViolation
    )
}

/// An error with what is behind it. The client's own text of a network error leaves out which broker it was.
fn said(error: &KrafkaError) -> String {
    match error {
        KrafkaError::Broker { code: ErrorCode::TopicAuthorizationFailed, message } => {
            format!("no permission on a topic ({message})")
        }
        KrafkaError::Broker { code: ErrorCode::TransactionalIdAuthorizationFailed, message } => {
            format!("no permission to write under this transactional id ({message})")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: &KrafkaError) -> Failure {
        Failure::of("sending", error)
    }

    #[test]
    fn contract_a_takeover_is_known_by_each_of_its_errors() {
        // As the client says it of a message that the broker refused.
        let refused = "produce to usage-0 failed with InvalidProducerEpoch";
        for error in [
            KrafkaError::fenced("another producer"),
            KrafkaError::transaction_abortable(refused),
            KrafkaError::broker(ErrorCode::ProducerFenced, ""),
            KrafkaError::broker(ErrorCode::InvalidProducerEpoch, ""),
        ] {
            assert_eq!(of(&error), Failure::Fenced, "{error}");
        }
        let broken_off = KrafkaError::transaction_abortable("produce to usage-0 failed with NotLeaderOrFollower");
        assert!(matches!(of(&broken_off), Failure::Passing(_)));
    }

    #[test]
    fn contract_what_somebody_must_change_is_told_from_what_passes() {
        let refused = [ErrorCode::TopicAuthorizationFailed, ErrorCode::UnsupportedVersion, ErrorCode::MessageTooLarge];
        for code in refused {
            assert!(matches!(of(&KrafkaError::broker(code, "")), Failure::Refused(_)), "{code:?}");
        }
        assert!(matches!(of(&KrafkaError::auth("wrong password")), Failure::Refused(_)));
        for error in [KrafkaError::timeout("producing"), KrafkaError::broker(ErrorCode::CoordinatorNotAvailable, "")] {
            assert!(matches!(of(&error), Failure::Passing(_)), "{error}");
        }
        let locked = SourceError { problem: "database is locked".to_owned(), may_pass: true };
        assert!(matches!(Failure::from(locked), Failure::Passing(_)));
    }
}
