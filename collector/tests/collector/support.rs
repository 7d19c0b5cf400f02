//! A running `meshmeter`, a client of few lines, and events to send.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wire::identity::{Identity, Source};
use wire::record::{Evidence, Outcome, Record};
use wire::usage::{Class, Usage};

#[path = "../server/mod.rs"]
pub mod server;

pub const INGEST: &str = "ingest-token-of-the-tests";
pub const JOURNAL: &str = "journal-token-of-the-tests";
pub const READ: &str = "read-token-of-the-tests";
pub const BATCH: &str = "application/cloudevents-batch+json";
/// 2026-01-31T23:59:59.999999999Z
pub const LAST_OF_JANUARY_NS: u64 = 1_769_903_999_999_999_999;
/// Long enough for any machine; whoever waits longer has found a deadlock.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of a test and the database of its ledger, both gone at its end.
pub struct Dir {
    path: PathBuf,
    database: Database,
}

enum Database {
    /// `ledger.db` in the directory.
    Sqlite,
    Postgres(server::Database),
}

impl Dir {
    pub fn new() -> Dir {
        let database = if crate::ON_POSTGRES { Database::Postgres(postgres().database()) } else { Database::Sqlite };
        Dir::with(database)
    }

    fn with(database: Database) -> Dir {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("meshmeter-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Dir { path, database }
    }

    /// On a file, whatever the others are on.
    pub fn of_file() -> Dir {
        Dir::with(Database::Sqlite)
    }

    /// On a database of a PostgreSQL server.
    #[allow(dead_code)] // Not on SQLite.
    pub fn on(database: server::Database) -> Dir {
        Dir::with(Database::Postgres(database))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    /// A file that not everybody may read.
    pub fn write_secret(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Where the ledger is, for `--database`.
    pub fn database(&self) -> String {
        match &self.database {
            Database::Sqlite => self.file("ledger.db").to_str().unwrap().to_owned(),
            Database::Postgres(database) => database.url(),
        }
    }

    fn sqlite(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.file("ledger.db")).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    /// What a statement gives, as texts, or the database's error.
    pub fn sql(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        match &self.database {
            Database::Sqlite => sqlite_rows(&self.sqlite(), sql).map_err(|error| error.to_string()),
            Database::Postgres(database) => database.sql(sql),
        }
    }

    /// The first column of all rows.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        self.sql(sql).unwrap().into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.texts(sql)[0].parse().unwrap()
    }

    /// Whichever of the two is for this database.
    pub fn either<'a>(&self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        if matches!(self.database, Database::Sqlite) { sqlite } else { postgres }
    }

    /// Nobody can write until this is dropped.
    pub fn lock(&self) -> Box<dyn std::any::Any> {
        match &self.database {
            Database::Sqlite => {
                let connection = self.sqlite();
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                Box::new(connection)
            }
            Database::Postgres(database) => Box::new(database.hold("LOCK TABLE chain IN EXCLUSIVE MODE")),
        }
    }

    /// Takes the ledger away, as if there had never been one.
    pub fn forget(&self) {
        match &self.database {
            Database::Sqlite => {
                for end in ["", "-wal", "-shm"] {
                    let _ = fs::remove_file(self.file(&format!("ledger.db{end}")));
                }
            }
            Database::Postgres(database) => {
                let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
                let _ = database.sql(&format!("SELECT pg_terminate_backend(pid) {others}"));
                until("its sessions have ended", || database.sql(&format!("SELECT 1 {others}")).unwrap().is_empty());
                database.sql("DROP SCHEMA meshmeter CASCADE").unwrap();
            }
        }
    }
}

/// All statements of a text; what the last one gives.
fn sqlite_rows(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    use rusqlite::fallible_iterator::FallibleIterator as _;
    use rusqlite::types::Value;
    let mut last = Vec::new();
    let mut statements = rusqlite::Batch::new(connection, sql);
    while let Some(mut statement) = statements.next()? {
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        last.clear();
        while let Some(row) = rows.next()? {
            let text = |column| {
                row.get(column).map(|value| match value {
                    Value::Text(text) => text,
                    Value::Integer(number) => number.to_string(),
                    other => format!("{other:?}"),
                })
            };
            last.push((0..columns).map(text).collect::<Result<_, _>>()?);
        }
    }
    Ok(last)
}

/// The server that the tests share. Without one there is nothing here to test.
fn postgres() -> std::sync::Arc<server::Server> {
    server::Server::shared().unwrap_or_else(|| std::process::exit(0))
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub fn meshmeter(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshmeter"));
    // What has no price here has none in the built-in book either.
    command.args(args).env_clear().env("MESHMETER_NO_BUILTIN_PRICES", "true").stdin(Stdio::null());
    command
}

/// A running `meshmeter serve`, killed when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it on the directory's database, with tokens, and waits until it listens.
    pub fn start(dir: &Dir, more: &[&str]) -> Server {
        Server::start_in(dir, more, &[])
    }

    /// The same, in an environment that has these variables, too.
    pub fn start_in(dir: &Dir, more: &[&str], variables: &[(&str, &str)]) -> Server {
        let mut command = meshmeter(&["serve", "--listen", "127.0.0.1:0", "--database", &dir.database()]);
        command.args(more).env("MESHMETER_INGEST_TOKEN", INGEST).env("MESHMETER_READ_TOKEN", READ);
        command.env("MESHMETER_JOURNAL_TOKEN", JOURNAL).envs(variables.iter().copied());
        let log = dir.file("log");
        let errors = fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut process = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok()) else {
            let _ = process.kill();
            panic!("not listening: {line:?}, log: {}", fs::read_to_string(&log).unwrap());
        };
        Server { address, process, log }
    }

    /// SIGKILL: nothing is finished.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM; returns how the process ended.
    pub fn terminate(self) -> ExitStatus {
        self.end("TERM")
    }

    /// The same by a signal of that name.
    pub fn end(mut self, signal: &str) -> ExitStatus {
        let kill = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.process.wait().unwrap()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Memory of the process, MiB: now, and the most that it has ever been.
    #[cfg(target_os = "linux")]
    #[allow(dead_code)] // On SQLite only.
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
        };
        (mib("VmRSS:"), mib("VmHWM:"))
    }

    pub fn send(&self, events: &[Vec<u8>]) -> Response {
        send(self.address, events).expect("a response")
    }

    pub fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request(self.address, "POST", "/v1/events", headers, body).expect("a response")
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> Response {
        let bearer = format!("Bearer {}", token.unwrap_or(""));
        let headers: &[(&str, &str)] = if token.is_some() { &[("authorization", &bearer)] } else { &[] };
        request(self.address, "GET", path, headers, b"").expect("a response")
    }

    /// The value of a metric, 0 if it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics", Some(READ)).body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- log of meshmeter\n{}", self.log());
        }
    }
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Accepted, duplicates, dead letters of a batch that was taken.
    pub fn taken(&self) -> (u64, u64, u64) {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        let count = |name: &str| json[name].as_u64().unwrap();
        (count("accepted"), count("duplicates"), count("dead_letters"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One request on a connection of its own; `None` if the connection breaks.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Response> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).ok()?;
    let response = String::from_utf8(response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    (length == Some(body.len())).then(|| Response { status, head: head.to_owned(), body: body.to_owned() })
}

pub fn send(address: SocketAddr, events: &[Vec<u8>]) -> Option<Response> {
    let bearer = format!("Bearer {INGEST}");
    request(address, "POST", "/v1/events", &[("authorization", &bearer), ("content-type", BATCH)], &array(events))
}

pub fn array(events: &[Vec<u8>]) -> Vec<u8> {
    [b"[".as_slice(), &events.join(b",".as_slice()), b"]"].concat()
}

pub fn emitter(number: u32) -> String {
    format!("{number:032x}")
}

/// The record of a call of the tenant `acme`.
pub fn record(model: &str, counts: &[(Class, u64)]) -> Record {
    let mut usage = Usage::default();
    for (class, count) in counts {
        usage.set(*class, Some(*count));
    }
    Record {
        started_ns: LAST_OF_JANUARY_NS,
        identity: Identity { tenant: "acme".to_owned(), source: Source::Header, principal: None },
        provider: "openai".to_owned(),
        api: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        request_model: Some("asked-for".to_owned()),
        response_model: Some(model.to_owned()),
        status: Some(200),
        outcome: Outcome::Completed,
        evidence: Evidence::Reported,
        usage,
        ..Record::default()
    }
}

/// An event of 3 input and 2 output tokens.
pub fn event(emitter: &str, sequence: u64) -> Vec<u8> {
    let counts = [(Class::InputText, 3), (Class::OutputText, 2)];
    wire::event::encode(&record("gpt-4.1", &counts), emitter, sequence)
}

pub fn events(emitter: &str, sequences: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    sequences.into_iter().map(|sequence| event(emitter, sequence)).collect()
}

pub fn price_book() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/prices/example.toml"))
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `meshmeter doctor`: its exit code, and what it found: code, severity and what was seen.
pub fn doctor(token: &str, args: &[&str]) -> (i32, Vec<[String; 3]>) {
    let mut command = meshmeter(&[&["doctor", "--format", "json"], args].concat());
    let output = command.env("MESHMETER_READ_TOKEN", token).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let found = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| ["code", "severity", "what"].map(|name| found[name].as_str().unwrap().to_owned()));
    let found: Vec<_> = found.collect();
    for (name, severity) in [("errors", "error"), ("warnings", "warning"), ("notes", "note")] {
        assert_eq!(report[name], found.iter().filter(|[_, found, _]| found == severity).count(), "{text}");
    }
    (output.status.code().unwrap(), found)
}

/// The codes of what was found.
pub fn codes(found: &[[String; 3]]) -> Vec<&str> {
    found.iter().map(|[code, ..]| code.as_str()).collect()
}

pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
