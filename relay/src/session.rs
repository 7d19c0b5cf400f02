//! A session: the transactional id is this relay's, and the position is what readers have.

use std::sync::Arc;
use std::time::Duration;

use krafka::admin::AdminClient;
use krafka::producer::TransactionalProducer;
use krafka::{CloseOptions, Compression, KrafkaError, Record};

use crate::failure::Failure;
use crate::kafka::{self, Topic};
use crate::options::Options;
use crate::position::Position;
use crate::source::{Message, Source, SourceError};

/// After so long the coordinator ends a transaction of a relay that is gone, for readers to pass it. One that comes back ends it
/// before.
const TRANSACTION: Duration = Duration::from_secs(60);
/// How long a message may wait for its acknowledgement: less, or the transaction would end before.
const DELIVERY: Duration = Duration::from_secs(40);
/// How long the client waits before it repeats a request: the next transaction begins when the marks of the last one are written.
const RETRY: Duration = Duration::from_millis(20);
/// How long what is left behind may take to be put away.
const FAREWELL: Duration = Duration::from_secs(2);

/// A session with the brokers.
pub struct Session {
    producer: TransactionalProducer,
    topic: Topic,
    position: Position,
}

/// What a session found when it was opened, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The relay had a position.
    Resumed,
    /// It had none, and begins.
    Begun,
}

impl Session {
    /// Takes the transactional id, so that whoever had it can write no more, and finds out what was sent.
    ///
    /// A process that had a session before looks first whether another one has taken over since: then that one stays.
    pub async fn open(
        options: &Options,
        source: &Arc<dyn Source>,
        had_one: bool,
    ) -> Result<(Session, Opened), Failure> {
        let client = format!("meshmeter-relay-{}", options.name);
        let kafka = kafka::connect(&options.to.brokers, &client, &options.security).await?;
        let admin = kafka.admin();
        let name = &options.to.topic;
        let Some(topic) = kafka::topic(&admin, name).await? else {
            return Err(Failure::Refused(format!("{}: there is no such topic: create it", options.to)));
        };
        if kafka::topic(&admin, &options.positions).await?.is_none() {
            kafka::create_positions(&admin, &options.positions).await?;
        }
        if let Some(policy) = kafka::forgets(&admin, &options.positions).await? {
            return Err(Failure::Broken(format!(
                "the topic {} keeps the relay's position and has cleanup.policy={policy}: it must be compact, or the position is \
                 lost one day, and with it what was sent",
                options.positions
            )));
        }
        if had_one
            && let Some(holder) = kafka::holder(&kafka, &admin, &options.positions, &options.name).await?
            && holder != options.by
        {
            return Err(Failure::Broken(format!(
                "another relay of the name {} has taken over: {holder}; one of a name can run",
                options.name
            )));
        }
        let producer = kafka
            .producer()
            .compression(Compression::Lz4)
            .transaction_timeout(TRANSACTION)
            .delivery_timeout(DELIVERY)
            .max_block(DELIVERY)
            .retry_backoff(RETRY)
            .metrics_push(false)
            .build_transactional(&client)
            .await
            .map_err(|error| Failure::of(&format!("taking the transactional id {client}"), &error))?;
        // From here on nobody else can commit anything for this relay.
        let found = async {
            let found = kafka::position(&kafka, &admin, &options.positions, &options.name).await?;
            let position = match &found {
                Some(position) => known(position, options, &topic, source).await?,
                None => beginning(&admin, options, &topic, source).await?,
            };
            let opened = if found.is_some() { Opened::Resumed } else { Opened::Begun };
            Ok((Position { by: options.by.clone(), ..position }, opened))
        };
        match found.await {
            Ok((position, opened)) => {
                let mut session = Session { producer, topic, position };
                // Who has taken over can be read from here on.
                match session.send(options, Vec::new()).await {
                    Ok(()) => Ok((session, opened)),
                    Err(failure) => {
                        session.close().await;
                        Err(failure)
                    }
                }
            }
            Err(failure) => {
                let _ = producer.close_with(CloseOptions::new().timeout(FAREWELL)).await;
                Err(failure)
            }
        }
    }

    /// What was sent.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Sends entries in one transaction, with the position behind them. After an error nobody knows whether it was committed, and
    /// the session is of no use any more.
    pub async fn send(&mut self, options: &Options, entries: Vec<Message>) -> Result<(), Failure> {
        let mut position = self.position.clone();
        let failed = |error: KrafkaError| Failure::of("sending", &error);
        self.producer.begin().map_err(failed)?;
        let mut sent = Vec::with_capacity(entries.len().saturating_add(1));
        for message in entries {
            let advanced = position.advance(message.writer, message.entry, &message.hash, self.topic.partitions);
            let partition = advanced.map_err(Failure::Broken)?;
            sent.push(self.producer.enqueue(record(&options.to.topic, partition, message)).await.map_err(failed)?);
        }
        let value = serde_json::to_vec(&position).map_err(|error| Failure::Broken(error.to_string()))?;
        let noted = Record::new(&options.positions, value).key(options.name.clone()).partition(0);
        sent.push(self.producer.enqueue(noted).await.map_err(failed)?);
        for acknowledged in sent {
            let written = acknowledged.await.map_err(failed)?;
            if !written.is_persisted() {
                return Err(Failure::Passing("sending: a message was not acknowledged".to_owned()));
            }
        }
        self.producer.commit().await.map_err(|error| Failure::of("committing", &error))?;
        self.position = position;
        Ok(())
    }

    /// Ends it. A transaction that is open is given up.
    pub async fn close(self) {
        let _ = self.producer.close_with(CloseOptions::new().timeout(FAREWELL)).await;
    }
}

fn record(topic: &str, partition: i32, message: Message) -> Record {
    let id = message.id();
    Record::new(topic, message.json)
        .partition(partition)
        .key(id.clone())
        .header("content-type", "application/json")
        .header("meshmeter-entry", id)
        .header("meshmeter-kind", message.kind)
        .header("meshmeter-hash", message.hash)
}

/// A position that was found, if it is of this ledger and this topic.
async fn known(
    found: &Position,
    options: &Options,
    topic: &Topic,
    source: &Arc<dyn Source>,
) -> Result<Position, Failure> {
    if found.topic_id != topic.id {
        return Err(Failure::Broken(format!(
            "the topic {} was created anew since the relay {} sent to it: give the relay another --name to send to it from the \
             beginning",
            options.to.topic, options.name
        )));
    }
    for (writer, place) in &found.writers {
        let (writer, entry) = (*writer, place.entry);
        if entry == 0 || place.hash.is_empty() {
            continue;
        }
        let there = ask(source, move |source| source.hash(writer, entry)).await?;
        let problem = match there {
            Some(hash) if hash == place.hash => continue,
            Some(_) => "is another one in this ledger",
            None => "is not in this ledger",
        };
        return Err(Failure::Broken(format!(
            "entry {writer}:{entry}, the last one that the relay {} has sent, {problem}: it is another ledger, or an older state of it",
            options.name
        )));
    }
    Ok(found.clone())
}

/// Where a relay begins that has no position.
async fn beginning(
    admin: &AdminClient,
    options: &Options,
    topic: &Topic,
    source: &Arc<dyn Source>,
) -> Result<Position, Failure> {
    let Some(from) = &options.from else {
        if kafka::written(admin, &options.to.topic, topic.partitions).await? > 0 {
            return Err(Failure::Broken(format!(
                "the topic {} is not empty, and the relay {} has no position in {}: --from says where it begins",
                options.to.topic, options.name, options.positions
            )));
        }
        return Ok(Position::first(&Default::default(), &topic.id, "", topic.partitions));
    };
    let ends = ask(source, Source::ends).await?;
    for (writer, first) in &from.0 {
        let end = ends.iter().find(|end| end.writer == *writer).map_or(0, |end| end.entry);
        if *first > end.saturating_add(1) {
            return Err(Failure::Refused(format!("--from {writer}:{first}: the chain of this writer ends at {end}")));
        }
    }
    Ok(Position::first(from, &topic.id, "", topic.partitions))
}

/// Asks the ledger on a thread that may wait.
pub async fn ask<T: Send + 'static>(
    source: &Arc<dyn Source>,
    question: impl FnOnce(&dyn Source) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, Failure> {
    let source = source.clone();
    let answer = tokio::task::spawn_blocking(move || question(&*source)).await;
    Ok(answer.map_err(|error| Failure::Passing(format!("reading the ledger: {error}")))??)
}
