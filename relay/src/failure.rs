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
