//! What is asked of the brokers besides sending: the connection, the topics, and the position that was committed last.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use krafka::admin::{
    AdminClient, ConfigResource, CreateTopicsOptions, DescribeConfigsOptions, DescribeTopicsOptions,
    ListOffsetsOptions, NewTopic, OffsetSpec, TopicPartition,
};
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::consumer::{AutoOffsetReset, Consumer, IsolationLevel};
use krafka::error::ErrorCode;
use krafka::{Kafka, KrafkaError};

use crate::failure::Failure;
use crate::position::Position;

/// How long a call may take that asks a broker.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions after a topic that a broker does not know yet.
const PAUSE: Duration = Duration::from_millis(100);
/// How long positions may take to read: another relay's transaction may have to end first, which takes as long as its timeout.
const READING: Duration = Duration::from_secs(120);
/// How many offsets before its end a topic of positions is read first. Each transaction takes two.
const RECENT: i64 = 1000;

/// How a relay speaks to brokers.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// TLS; without it the connection is plain.
    pub tls: Option<Tls>,
    /// Who the relay says it is.
    pub sasl: Option<Sasl>,
}

/// How TLS is spoken.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates (PEM) that vouch for the brokers, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
    /// The relay's own certificate (PEM, with its chain) and key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

/// A user and a password, and how they are shown.
#[derive(Clone)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: Mechanism,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Which SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `PLAIN`: the broker sees the password.
    Plain,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl").field("mechanism", &self.mechanism).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Security {
    fn config(&self) -> AuthConfig {
        let tls = self.tls.as_ref().map(|tls| {
            let mut config = TlsConfig::new();
            if let Some(authorities) = &tls.authorities {
                config = config.with_ca_cert_pem(authorities.clone());
            }
            if let Some((certificate, key)) = &tls.own {
                config = config.with_client_cert_pem(certificate.clone(), key.clone());
            }
            config
        });
        let sasl = self.sasl.as_ref().map(|Sasl { mechanism, user, password }| match mechanism {
            Mechanism::Plain => AuthConfig::sasl_plain(user, password),
            Mechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(user, password),
            Mechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(user, password),
        });
        match (sasl, tls) {
            (Some(sasl), Some(tls)) => sasl.with_tls(tls),
            (Some(sasl), None) => sasl,
            (None, Some(tls)) => AuthConfig::ssl(tls),
            (None, None) => AuthConfig::plaintext(),
        }
    }
}

/// Connects to a cluster.
pub async fn connect(brokers: &str, client: &str, security: &Security) -> Result<Kafka, Failure> {
    let builder = Kafka::builder(brokers).client_id(client).security(security.config()).allow_auto_create_topics(false);
    builder.connect().await.map_err(|error| Failure::of(&format!("connecting to {brokers}"), &error))
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
}

/// Asks for a topic; none if there is no such topic.
pub async fn topic(admin: &AdminClient, name: &str) -> Result<Option<Topic>, Failure> {
    let options = DescribeTopicsOptions::default().timeout(PATIENCE);
    let described = admin.describe_topics([name], options).await;
    match described.and_then(|mut topics| one(topics.remove(name))) {
        Ok(topic) => {
            let id = topic.topic_id.iter().map(|byte| format!("{byte:02x}")).collect();
            let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            Ok(Some(Topic { id, partitions }))
        }
        Err(error) if is_unknown(&error) => Ok(None),
        Err(error) => Err(Failure::of(&format!("asking for the topic {name}"), &error)),
    }
}

fn is_unknown(error: &KrafkaError) -> bool {
    matches!(
        error,
        KrafkaError::UnknownTopic { .. } | KrafkaError::Broker { code: ErrorCode::UnknownTopicOrPartition, .. }
    )
}

/// Asks for a topic that is there: right after its creation a broker may not know it yet.
async fn of_known<T>(ask: impl AsyncFn() -> Result<T, KrafkaError>) -> Result<T, KrafkaError> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(error) if is_unknown(&error) && begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// What was asked of one thing and must be in the answer.
fn one<T>(answer: Option<Result<T, KrafkaError>>) -> Result<T, KrafkaError> {
    answer.unwrap_or_else(|| Err(KrafkaError::timeout("the answer leaves out what was asked for")))
}

/// Creates the topic of positions, unless it is there.
pub async fn create_positions(admin: &AdminClient, name: &str) -> Result<(), Failure> {
    let doing = format!("creating the topic {name}, which keeps positions");
    let topic = NewTopic::new(name, 1, -1).map_err(|error| Failure::of(&doing, &error))?;
    let topic = topic
        .with_config("cleanup.policy", "compact")
        // Only segments that are closed are compacted: what is read when a relay starts stays small.
        .with_config("segment.ms", "3600000");
    let created = admin.create_topics([topic], CreateTopicsOptions::default().timeout(PATIENCE)).await;
    match created.and_then(|mut topics| one(topics.remove(name))) {
        Ok(()) | Err(KrafkaError::Broker { code: ErrorCode::TopicAlreadyExists, .. }) => Ok(()),
        Err(error) => Err(Failure::of(&doing, &error)),
    }
}

/// Why the topic of positions would forget them, if it would; nothing if the brokers do not let the relay know.
pub async fn forgets(admin: &AdminClient, name: &str) -> Result<Option<String>, Failure> {
    let resource = ConfigResource::topic(name);
    let described = of_known(async || {
        let names = vec!["cleanup.policy".to_owned()];
        let options = DescribeConfigsOptions::default().config_names(names).timeout(PATIENCE);
        one(admin.describe_configs([resource.clone()], options).await?.remove(&resource))
    });
    match described.await {
        Ok(entries) => {
            let policy = entries.iter().find(|entry| entry.name == "cleanup.policy");
            let policy = policy.and_then(|entry| entry.value.clone()).unwrap_or_default();
            Ok(Some(policy).filter(|policy| policy != "compact"))
        }
        Err(KrafkaError::Broker { code: ErrorCode::TopicAuthorizationFailed, .. }) => Ok(None),
        Err(error) => Err(Failure::of(&format!("asking how the topic {name} is cleaned up"), &error)),
    }
}

/// How many messages a topic has ever had, transactions' own marks included; those that are gone count too.
pub async fn written(admin: &AdminClient, name: &str, partitions: i32) -> Result<i64, Failure> {
    let ends = offsets(admin, name, 0..partitions, OffsetSpec::Latest).await?;
    Ok(ends.values().fold(0, |sum: i64, end| sum.saturating_add(*end)))
}

async fn offsets(
    admin: &AdminClient,
    name: &str,
    partitions: impl Iterator<Item = i32>,
    which: OffsetSpec,
) -> Result<HashMap<i32, i64>, Failure> {
    let asked: Vec<_> = partitions.map(|partition| (TopicPartition::new(name, partition), which)).collect();
    let offsets = of_known(async || {
        // Of all that was written, whether it is committed or not.
        let options = ListOffsetsOptions::default().timeout(PATIENCE);
        let listed = admin.list_offsets(asked.clone(), options).await?;
        listed.into_iter().map(|(at, listed)| Ok((at.partition, listed?.offset))).collect()
    });
    offsets.await.map_err(|error| Failure::of(&format!("asking for offsets of {name}"), &error))
}

/// The position that the relay of this name has committed last, if it has.
///
/// It reads as far as the topic goes now, and so waits for transactions of others that are open there. The relay's own are over:
/// this is called when its transactional id is taken.
pub async fn position(
    kafka: &Kafka,
    admin: &AdminClient,
    topic: &str,
    name: &str,
) -> Result<Option<Position>, Failure> {
    find(kafka, admin, topic, name, IsolationLevel::ReadCommitted).await
}

/// Who wrote the last position of the relay of this name, whether it was committed or not.
pub async fn holder(kafka: &Kafka, admin: &AdminClient, topic: &str, name: &str) -> Result<Option<String>, Failure> {
    let found = find(kafka, admin, topic, name, IsolationLevel::ReadUncommitted).await?;
    Ok(found.map(|position| position.by))
}

async fn find(
    kafka: &Kafka,
    admin: &AdminClient,
    topic: &str,
    name: &str,
    isolation: IsolationLevel,
) -> Result<Option<Position>, Failure> {
    let first = offsets(admin, topic, 0..1, OffsetSpec::Earliest).await?.remove(&0).unwrap_or(0);
    let end = offsets(admin, topic, 0..1, OffsetSpec::Latest).await?.remove(&0).unwrap_or(0);
    if first >= end {
        return Ok(None);
    }
    let recent = end.saturating_sub(RECENT).max(first);
    match last(kafka, topic, recent..end, name, isolation).await? {
        None if recent > first => last(kafka, topic, first..end, name, isolation).await,
        found => Ok(found),
    }
}

async fn last(
    kafka: &Kafka,
    topic: &str,
    offsets: Range<i64>,
    name: &str,
    isolation: IsolationLevel,
) -> Result<Option<Position>, Failure> {
    let failed = |error: KrafkaError| Failure::of(&format!("reading positions from {topic}"), &error);
    let consumer = kafka
        .consumer_without_group()
        .isolation_level(isolation)
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(false)
        .fetch_max_wait(Duration::from_millis(100))
        .metrics_push(false)
        .build()
        .await
        .map_err(failed)?;
    let found = read(&consumer, topic, offsets, name).await;
    let _ = consumer.close().await;
    found
}

async fn read(consumer: &Consumer, topic: &str, offsets: Range<i64>, name: &str) -> Result<Option<Position>, Failure> {
    let failed = |error: KrafkaError| Failure::of(&format!("reading positions from {topic}"), &error);
    consumer.assign(topic, vec![0]).await.map_err(failed)?;
    consumer.seek(topic, 0, offsets.start).await.map_err(failed)?;
    let begun = Instant::now();
    let mut found = None;
    loop {
        let records = consumer.poll(Duration::from_millis(200)).await.map_err(failed)?;
        // What is behind the last record, marks of transactions, is passed by fetching alone.
        let is_over =
            records.is_empty() && consumer.fetch_position(topic, 0).await.is_some_and(|next| next >= offsets.end);
        for record in records {
            if record.key.as_deref() == Some(name.as_bytes()) {
                found = record.value;
            }
        }
        if is_over {
            break;
        }
        if begun.elapsed() > READING {
            return Err(Failure::Passing(format!(
                "reading positions from {topic}: another transaction there does not end"
            )));
        }
    }
    let Some(value) = found else { return Ok(None) };
    let position = serde_json::from_slice(&value).map_err(|error| {
        Failure::Broken(format!(
            "the position of {name} in {topic} cannot be read: {error}; use the version that wrote it"
        ))
    })?;
    Ok(Some(position))
}
