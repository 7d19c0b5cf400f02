//! Tokens that are guessed, stolen, or no longer good.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    honest::Honest,
    served::{Served, ask, batch, connect, write_secret},
};
use crate::{
    Result,
    collector::INGEST_TOKEN,
    wait::{self, ensure},
};

const STOLEN: &str = "stolen-0123456789abcdef";
const NEXT: &str = "next-0123456789abcdef";

/// 64 at once, each with one wrong token after the other.
pub async fn wrong_tokens() -> Result<()> {
    let served = Served::start(&[]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    let mut guesses = tokio::task::JoinSet::new();
    let address = served.address();
    for sender in 0..64 {
        guesses.spawn(async move {
            for guess in 0..100_000 {
                let token = format!("guess-{sender}-{guess:016}");
                let mut stream = connect(address).await?;
                let status = ask(&mut stream, "POST", "/v1/events", Some(&token), b"[]").await?.status;
                ensure(status == 401, || format!("a guess got {status}"))?;
            }
            Ok::<(), crate::Error>(())
        });
    }
    honest.goes_on().await?;
    wait::until("the guesses", || async {
        let refused = served.metric("meshmeter_collector_requests_refused_total", "wrong_token").await?;
        ensure(refused >= 40, || format!("{refused} were refused"))
    })
    .await?;
    guesses.abort_all();
    while let Some(guess) = guesses.join_next().await {
        if let Ok(Err(error)) = guess {
            return Err(error);
        }
    }
    let log = served.log();
    ensure(
        log.contains("wrong_token: POST /v1/events from 127.0.0.1:")
            && log.lines().count() < 20
            && !log.contains("guess-"),
        || log,
    )?;
    honest.end(&served).await?;
    served.quiet();
    Ok(())
}

/// A token of 10 events a second sends as many as it can.
pub async fn flood() -> Result<()> {
    let dir = Arc::new(TempDir::new()?);
    let tokens = dir.path().join("ingest");
    write_secret(&tokens, &format!("stolen {STOLEN} rate=10\nhonest {INGEST_TOKEN}\n"))?;
    let file = tokens.to_string_lossy().into_owned();
    let served = Served::limited("", dir, &["--ingest-token-file", &file]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    let (emitter, begun) = (format!("{:032x}", 9), Instant::now());
    let mut refused = 0;
    for number in 0..40_u64 {
        let events = batch(&emitter, number * 50 + 1..number * 50 + 51);
        let mut stream = connect(served.address()).await?;
        let response = ask(&mut stream, "POST", "/v1/events", Some(STOLEN), &events).await?;
        match response.status {
            200 => {}
            429 => {
                refused += 1;
                ensure(response.head.contains("retry-after: "), || format!("{response:?}"))?;
            }
            _ => return Err(format!("{response:?}").into()),
        }
    }
    // What may come at once, what has become free meanwhile, and the one batch that went beyond.
    let allowed = 10 * (10 + begun.elapsed().as_secs() + 1) + 50;
    let kept = served.entries(&emitter)?;
    ensure(kept <= allowed && refused > 0, || format!("{kept} events came in, {allowed} were allowed"))?;
    honest.goes_on().await?;
    honest.end(&served).await?;
    served.quiet();
    Ok(())
}

/// The file of tokens is changed while it is used: well, badly, and well again.
pub async fn reread() -> Result<()> {
    let dir = Arc::new(TempDir::new()?);
    let tokens = dir.path().join("ingest");
    write_secret(&tokens, &format!("east {STOLEN}\nhonest {INGEST_TOKEN}\n"))?;
    let file = tokens.to_string_lossy().into_owned();
    let served = Served::limited("", dir, &["--ingest-token-file", &file]).await?;
    let honest = Honest::start(served.address(), INGEST_TOKEN, 1);
    let address = served.address();
    let status = |token: &'static str| async move {
        let events = batch(&format!("{:032x}", 9), [1]);
        let mut stream = connect(address).await?;
        Ok::<u16, crate::Error>(ask(&mut stream, "POST", "/v1/events", Some(token), &events).await?.status)
    };
    ensure(status(STOLEN).await? == 200 && status(NEXT).await? == 401, || "before".to_owned())?;
    for bad in [format!("east {NEXT}\nshort\n"), String::new(), format!("east {NEXT}\nwest {NEXT}\n")] {
        let before = served.log().matches("the new tokens are not used").count();
        write_secret(&tokens, &bad)?;
        wait::until("the bad file to be refused", || async {
            ensure(served.log().matches("the new tokens are not used").count() > before, || served.log())
        })
        .await?;
        ensure(status(STOLEN).await? == 200 && status(NEXT).await? == 401, || "a bad file was used".to_owned())?;
    }
    // The emitter belongs to the name: it goes on under the new token.
    write_secret(&tokens, &format!("east {NEXT}\nhonest {INGEST_TOKEN}\n"))?;
    wait::until("the new token", || async {
        let is = status(NEXT).await?;
        ensure(is == 200, || format!("{is}"))
    })
    .await?;
    ensure(status(STOLEN).await? == 401, || "the old token still counts".to_owned())?;
    ensure(served.entries(&format!("{:032x}", 9))? == 1, || "the event is not there once".to_owned())?;
    let log = served.log();
    ensure(!log.contains(NEXT) && !log.contains(STOLEN), || format!("a token is in the log: {log}"))?;
    honest.goes_on().await?;
    honest.end(&served).await?;
    served.quiet();
    Ok(())
}
