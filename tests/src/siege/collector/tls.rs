//! The collector behind TLS: certificates that change, and clients that show some.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

use super::served::{Response, Served, ask, batch, connect, connect_tls, write_secret};
use crate::{
    Result,
    collector::INGEST_TOKEN,
    identity::Identity,
    wait::{self, ensure},
};

const EMITTER: &str = "00000000000000000000000000000009";

/// An authority of its own, with a certificate of the server that it has signed.
fn authority(dir: &Path, name: &str) -> Result<Identity> {
    let dir = dir.join(name);
    fs::create_dir_all(&dir)?;
    let identity = Identity::create(&dir)?;
    fs::set_permissions(identity.file("server.key"), fs::Permissions::from_mode(0o600))?;
    Ok(identity)
}

async fn send(served: &Served, config: &Arc<ClientConfig>, token: Option<&str>, number: u64) -> Result<Response> {
    let mut stream = connect_tls(served.address(), config).await?;
    ask(&mut stream, "POST", "/v1/events", token, &batch(EMITTER, [number])).await
}

fn place(from: &Identity, to: &Path, name: &str) -> Result<()> {
    let next = to.join("next");
    fs::copy(from.file(name), &next)?;
    Ok(fs::rename(next, to.join(name))?)
}

/// The certificate is replaced: first without its key, then with it.
pub async fn changed() -> Result<()> {
    let dir = Arc::new(TempDir::new()?);
    let (old, new) = (authority(dir.path(), "old")?, authority(dir.path(), "new")?);
    let own = dir.path().to_owned();
    let paths = ["server.crt", "server.key"].map(|name| own.join(name).to_string_lossy().into_owned());
    for name in ["server.crt", "server.key"] {
        place(&old, &own, name)?;
    }
    let served = Served::limited("", dir, &["--tls-cert", &paths[0], "--tls-key", &paths[1]]).await?;
    let (by_old, by_new) = (old.anonymous_client()?, new.anonymous_client()?);
    let first = send(&served, &by_old, Some(INGEST_TOKEN), 1).await?;
    ensure(first.status == 200, || format!("{first:?}"))?;
    ensure(send(&served, &by_new, Some(INGEST_TOKEN), 2).await.is_err(), || {
        "a foreign server was believed".to_owned()
    })?;
    place(&new, &own, "server.crt")?;
    served.says("the new certificates are not used").await?;
    let second = send(&served, &by_old, Some(INGEST_TOKEN), 2).await?;
    ensure(second.status == 200, || format!("{second:?}"))?;
    place(&new, &own, "server.key")?;
    wait::until("the new certificate", || async {
        let third = send(&served, &by_new, Some(INGEST_TOKEN), 3).await?;
        ensure(third.status == 200, || format!("{third:?}"))
    })
    .await?;
    ensure(send(&served, &by_old, Some(INGEST_TOKEN), 4).await.is_err(), || "the old one is still shown".to_owned())?;
    let entries = served.entries(EMITTER)?;
    ensure(entries == 3, || format!("{entries} of 3 events are in the ledger"))?;
    served.quiet();
    Ok(())
}

/// Clients with the right id, the wrong one, one of another authority, none; and 300 that never finish their handshake.
pub async fn mutual() -> Result<()> {
    let dir = Arc::new(TempDir::new()?);
    let (ours, foreign) = (authority(dir.path(), "ours")?, authority(dir.path(), "foreign")?);
    let tokens = dir.path().join("ingest");
    write_secret(&tokens, &format!("gateways spiffe://cluster.local/ns/egress/sa/*\nspare {INGEST_TOKEN}\n"))?;
    let files = [ours.file("server.crt"), ours.file("server.key"), ours.file("ca.crt"), tokens];
    let [cert, key, ca, tokens] = files.map(|file| file.to_string_lossy().into_owned());
    let arguments = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca, "--ingest-token-file", &tokens];
    let served = Served::limited("", dir, &arguments).await?;
    let mut slow = Vec::new();
    for _ in 0..300 {
        slow.push(connect(served.address()).await?);
    }
    let right = ours.client("spiffe://cluster.local/ns/egress/sa/gateway")?;
    let wrong = ours.client("spiffe://cluster.local/ns/other/sa/gateway")?;
    let anonymous = ours.anonymous_client()?;
    let cases = [
        ("the right id", &right, None, 200),
        ("another id", &wrong, None, 401),
        ("another id with a token", &wrong, Some(INGEST_TOKEN), 200),
        ("the right id with a wrong token", &right, Some("wrong-0123456789abcdef"), 401),
        ("no certificate", &anonymous, None, 401),
        ("no certificate, a token", &anonymous, Some(INGEST_TOKEN), 200),
    ];
    for (what, client, token, expected) in cases {
        let response = send(&served, client, token, 1).await?;
        ensure(response.status == expected, || format!("{what}: {response:?}"))?;
    }
    // Whom the collector does not know it does not listen to, whatever the id says.
    let stranger = foreign.showing("spiffe://cluster.local/ns/egress/sa/gateway", &ours)?;
    ensure(send(&served, &stranger, None, 2).await.is_err(), || "a foreign authority was believed".to_owned())?;
    let mut plain = connect(served.address()).await?;
    let plain = ask(&mut plain, "POST", "/v1/events", Some(INGEST_TOKEN), &batch(EMITTER, [3])).await;
    ensure(plain.is_err(), || "it responds without TLS".to_owned())?;
    let entries = served.entries(EMITTER)?;
    ensure(entries == 1, || format!("{entries} events are in the ledger, 1 was acknowledged"))?;
    drop(slow);
    served.quiet();
    Ok(())
}
