//! A running `meshmeter serve` with what an attack needs of it, and a client of few lines.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use crate::{
    Result,
    collector::{INGEST_TOKEN, READ_TOKEN},
    paths,
    process::Process,
    wait::{self, PATIENCE, ensure},
};

/// The collector, and the directory that it is in.
pub struct Served {
    process: Process,
    address: SocketAddr,
    pub dir: Arc<TempDir>,
}

/// The response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Served {
    /// Starts it in a directory of its own.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::limited("", Arc::new(TempDir::new()?), arguments).await
    }

    /// Starts it in a directory, behind what a shell does before: `ulimit -n 512;`.
    pub async fn limited(before: &str, dir: Arc<TempDir>, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(paths::collector()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database"]).arg(dir.path().join("ledger.db"));
        command.args(arguments.iter().map(OsStr::new)).env_remove("MESHMETER_JOURNAL_TOKEN");
        command.env("MESHMETER_NO_BUILTIN_PRICES", "true");
        command.env("MESHMETER_INGEST_TOKEN", INGEST_TOKEN).env("MESHMETER_READ_TOKEN", READ_TOKEN);
        let mut process = Process::start("collector", dir.path(), &mut command)?;
        loop {
            if let Some(address) = listening(&process.stdout()) {
                return Ok(Self { process, address, dir });
            }
            process.alive()?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger.db")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// The status of a path that nobody needs a token for.
    pub async fn health(&self, path: &str) -> Result<u16> {
        Ok(ask(&mut connect(self.address).await?, "GET", path, None, b"").await?.status)
    }

    /// The sum of a metric over all its labels that hold `with`.
    pub async fn metric(&self, name: &str, with: &str) -> Result<u64> {
        let page = ask(&mut connect(self.address).await?, "GET", "/metrics", Some(READ_TOKEN), b"").await?;
        ensure(page.status == 200, || format!("/metrics: {page:?}"))?;
        let lines = page.body.lines().filter(|line| line.starts_with(name) && line.contains(with));
        Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
    }

    /// How many calls of an emitter its ledger has.
    pub fn entries(&self, emitter: &str) -> Result<u64> {
        let ledger = rusqlite::Connection::open(self.ledger())?;
        ledger.busy_timeout(PATIENCE)?;
        let count: i64 =
            ledger.query_row("SELECT count(*) FROM ledger WHERE emitter = ?1", [emitter], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    /// Waits until a path has this status.
    pub async fn becomes(&self, path: &str, status: u16) -> Result<()> {
        wait::until(&format!("{path} to be {status}"), || async {
            let is = self.health(path).await?;
            ensure(is == status, || format!("it is {is}"))
        })
        .await
    }

    /// Waits until its log has a text.
    pub async fn says(&self, text: &str) -> Result<()> {
        wait::until(&format!("the log to say {text:?}"), || async { ensure(self.log().contains(text), || self.log()) })
            .await
    }

    /// All went well: no log.
    pub fn quiet(mut self) {
        self.process.quiet();
    }
}

/// A connection.
pub async fn connect(address: SocketAddr) -> Result<TcpStream> {
    Ok(timeout(PATIENCE, TcpStream::connect(address)).await??)
}

/// A connection with TLS.
pub async fn connect_tls(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = connect(address).await?;
    let name = ServerName::try_from("localhost")?;
    Ok(timeout(PATIENCE, TlsConnector::from(config.clone()).connect(name, stream)).await??)
}

/// One request, which the connection is closed after.
pub async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &[u8],
) -> Result<Response> {
    let mut request = head(method, path, token, body.len()).into_bytes();
    request.extend_from_slice(body);
    let mut response = Vec::new();
    timeout(PATIENCE, async {
        // Who is refused may be cut off in the middle.
        let _ = stream.write_all(&request).await;
        read(stream, &mut response).await
    })
    .await??;
    parse(&response).ok_or_else(|| format!("no response: {:?}", String::from_utf8_lossy(&response)).into())
}

/// Until the end; one that comes without a farewell is an end as well, if there is something before it.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), response: &mut Vec<u8>) -> Result<()> {
    match stream.read_to_end(response).await {
        Err(error) if response.is_empty() => Err(error.into()),
        _ => Ok(()),
    }
}

/// The head of a request.
pub fn head(method: &str, path: &str, token: Option<&str>, length: usize) -> String {
    let authorization = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n{authorization}\
         content-type: application/cloudevents-batch+json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A response that is whole.
pub fn parse(response: &[u8]) -> Option<Response> {
    let text = String::from_utf8_lossy(response);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, head: head.to_owned(), body: body.to_owned() })
}

/// A batch of an emitter's events.
pub fn batch(emitter: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let events: Vec<String> = numbers.into_iter().map(|number| event(emitter, number)).collect();
    format!("[{}]", events.join(",")).into_bytes()
}

fn event(emitter: &str, number: u64) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"meshmeter.call.v1","source":"meshmeter","id":"{emitter}-{number}","time":"2026-01-31T23:59:59.000000000Z","subject":"acme","data":{{"emitter":"{emitter}","sequence":{number},"tenant":"acme","tenant_source":"header","provider":"openai","api":"openai_chat","operation":"chat","response_model":"gpt-4.1","stream":false,"status":200,"outcome":"completed","evidence":"reported","duration_us":5000,"input_tokens":3,"output_tokens":2,"input_text_tokens":3,"output_text_tokens":2,"extractor":"meshmeter/0.1.0"}}}}"#
    )
}

/// Writes a file that not everybody may read, as a whole: another takes its place.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    let next = path.with_extension("next");
    fs::write(&next, text)?;
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600))?;
    Ok(fs::rename(next, path)?)
}

fn listening(text: &str) -> Option<SocketAddr> {
    let (_, address) = text.split_once("listening on ")?.1.split_once("://")?;
    // A line that is not whole has no end yet.
    address.split_once('\n')?.0.parse().ok()
}
