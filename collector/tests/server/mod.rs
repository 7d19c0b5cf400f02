//! A real PostgreSQL server for tests: in a directory of its own, stopped and removed with the last test that uses it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// PostgreSQL refuses to be root. The shell that starts it waits for the end of its input, which comes even if the test
/// is killed, and then leaves nothing behind.
const RUN: &str = r#"
if [ "$(id -u)" = 0 ]; then
    user=postgres; id "$user" >/dev/null 2>&1 || user=nobody
    exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups sh -c "$RUN"
fi
set -e
umask 077
mkdir "$DIR"
trap 'rm -rf "$DIR"' EXIT
control() { "$BIN/pg_ctl" -D "$DIR/data" -s -w -t 60 "$@" </dev/null >>"$DIR/log" 2>&1; }
{
    "$BIN/initdb" -D "$DIR/data" -U meshmeter -A trust --locale=C -E UTF8 --no-sync >"$DIR/log" 2>&1
    printf '%s\n' "$SETTINGS" >>"$DIR/data/postgresql.conf"
    printf '%s\n' "$ACCESS" >"$DIR/data/pg_hba.conf"
    printf '%s\n' "$CERTIFICATE" >"$DIR/data/server.crt"
    printf '%s\n' "$KEY" >"$DIR/data/server.key"
    control -l "$DIR/log" start
} || { cat "$DIR/log" >&2; exit 1; }
echo ready
while read -r command; do
    if [ "$command" = crash ]; then control -l "$DIR/log" -m immediate restart || { cat "$DIR/log" >&2; exit 1; }; fi
    echo ready
done
control -m immediate stop
"#;

/// A running server.
pub struct Server {
    bin: PathBuf,
    dir: PathBuf,
    process: Mutex<(Child, Option<ChildStdin>, BufReader<ChildStdout>)>,
}

impl Server {
    /// The one that the tests of this process share, without waiting for its disk. `None` where there is no PostgreSQL.
    pub fn shared() -> Option<Arc<Server>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Server::start("fsync = off", &Default::default())?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// One of its own, with more settings, and the certificate and the key of `ssl = on`.
    pub fn start(settings: &str, [certificate, key]: &[String; 2]) -> Option<Server> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(bin) = binaries() else {
            eprintln!("skipped: no PostgreSQL server on this machine (MESHMETER_POSTGRES_BIN names its directory)");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("meshmeter-pg-{}-{number}", std::process::id()));
        let mut config = format!("unix_socket_directories = '{}'\nmax_connections = 200\n", dir.display());
        if !settings.contains("listen_addresses") {
            config.push_str("listen_addresses = ''\n");
        }
        let _ = writeln!(config, "{settings}");
        let access = "local all secret scram-sha-256\nlocal all all trust\nhostssl all all 127.0.0.1/32 trust";
        let mut process = Command::new("sh")
            .args(["-c", RUN])
            .env("RUN", RUN)
            .env("BIN", &bin)
            .env("DIR", &dir)
            .env("SETTINGS", config)
            .env("ACCESS", access)
            .env("CERTIFICATE", certificate)
            .env("KEY", key)
            .current_dir("/")
            // An interrupt is for the tests; the server ends when they have.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let server = Server { bin, dir, process: Mutex::new((process, input, output)) };
        server.ready();
        Some(server)
    }

    #[allow(dead_code)] // Not every test needs one.
    /// Ends it as a crash would, and starts it again.
    pub fn crash(&self) {
        writeln!(self.process.lock().unwrap().1.as_mut().unwrap(), "crash").unwrap();
        self.ready();
    }

    fn ready(&self) {
        let mut line = String::new();
        self.process.lock().unwrap().2.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "PostgreSQL did not start");
    }

    /// A new and empty database.
    pub fn database(self: &Arc<Server>) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        Database { server: self.clone(), name }
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-F",
            "\u{1f}",
            "-R",
            "\u{1e}",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "meshmeter",
            "-d",
            database,
            "-h",
        ])
        .arg(&self.dir)
        .env("PGOPTIONS", "-c search_path=meshmeter -c client_min_messages=warning");
        psql
    }

    fn sql(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let output = self.psql(database).args(["-c", sql]).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let rows = text.strip_suffix('\n').unwrap_or(&text).split('\u{1e}').filter(|row| !row.is_empty());
        Ok(rows.map(|row| row.split('\u{1f}').map(str::to_owned).collect()).collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let (process, input, _) = self.process.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        drop(input.take());
        let _ = process.wait();
    }
}

/// A database of a server, which it keeps running.
pub struct Database {
    server: Arc<Server>,
    name: String,
}

#[allow(dead_code)] // Not every test asks for everything.
impl Database {
    /// Where it is.
    pub fn url(&self) -> String {
        self.url_of("meshmeter")
    }

    /// Where it is for a user, or a user and a password.
    pub fn url_of(&self, user: &str) -> String {
        let dir = self.server.dir.to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{dir}/{}", self.name)
    }

    /// Its name on its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server that it is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Does something in a transaction that ends when this is dropped.
    pub fn hold(&self, sql: &str) -> Held {
        let mut psql = self.server.psql(&self.name);
        let mut process = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "BEGIN; {sql}; SELECT 'held';").unwrap();
        let mut line = [0; 4];
        process.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"held");
        Held(process, Some(input))
    }

    /// Rows of texts, or the server's error.
    pub fn sql(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        self.server.sql(&self.name, sql)
    }
}

/// A transaction that is open.
pub struct Held(Child, Option<ChildStdin>);

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.1.take());
        let _ = self.0.wait();
    }
}

/// Where the server's programs are.
fn binaries() -> Option<PathBuf> {
    let has_all = |dir: &Path| ["initdb", "pg_ctl", "postgres", "psql"].iter().all(|name| dir.join(name).is_file());
    if let Some(dir) = std::env::var_os("MESHMETER_POSTGRES_BIN") {
        return Some(PathBuf::from(dir));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian has each version's in a directory of its own.
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|all| all.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    debian.into_iter().rev().chain(std::env::split_paths(&path)).find(|dir| has_all(dir))
}
