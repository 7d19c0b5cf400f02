//! One connection, asked by whoever has no runtime.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::address::Target;
use crate::store::StoreError;

/// How long a connection may take in all, and what is needed before it can be used.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, with the thread of whoever asks as its runtime.
pub struct Connection {
    pub client: Client,
    runtime: Option<Runtime>,
}

impl Connection {
    /// Connects, and makes ready.
    pub fn open(target: &Target, settings: &str) -> Result<Connection, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Database(format!("no runtime: {error}").into()))?;
        let client = runtime.block_on(within(PATIENCE, async {
            let (client, connection) = target.config.connect(target.tls.clone()).await?;
            // What it says at its end, whoever asks next is told too.
            tokio::spawn(async move { drop(connection.await) });
            client.batch_execute(settings).await?;
            Ok(client)
        }));
        let client = client.map_err(|error: StoreError| match error {
            StoreError::Database(error) => StoreError::Database(format!("{}: {error}", target.name).into()),
            unusable => unusable,
        })?;
        Ok(Connection { client, runtime: Some(runtime) })
    }

    /// Waits for a response.
    pub fn wait<T>(&self, response: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(response),
            None => Err(StoreError::Database("the connection has ended".into())),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Who drops it may be in another runtime, where waiting for this one's end is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A response that comes in time.
pub async fn within<T, E: From<StoreError>>(
    patience: Duration,
    response: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(patience, response).await.unwrap_or_else(|_| {
        let seconds = patience.as_secs();
        Err(StoreError::Database(format!("the server has not responded within {seconds} seconds").into()).into())
    })
}
