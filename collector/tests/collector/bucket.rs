//! A real object store, the one that tools/setup brings, and a collector that reads from it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::auditing::run;
use crate::exporting::varied;
use crate::support::*;

pub const KEY: &str = "key-of-the-tests";
pub const SECRET: &str = "secret-of-the-tests";

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What tools/setup brings.
pub fn tool(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| workspace().join(".tools").join(usual), PathBuf::from);
    assert!(path.is_file(), "no file at {}: tools/setup unit brings it, or set {variable}", path.display());
    path
}

/// An object store on a directory.
pub struct Store {
    process: Child,
    pub directory: PathBuf,
    pub endpoint: String,
}

impl Store {
    pub fn start(directory: PathBuf) -> Store {
        std::fs::create_dir_all(directory.join("data/billing")).unwrap();
        std::fs::create_dir_all(directory.join("meta")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Store::spawn(&directory, port);
        Store { process, directory, endpoint: format!("http://127.0.0.1:{port}") }
    }

    fn spawn(directory: &Path, port: u16) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(directory.join("log")).unwrap();
        let mut command = Command::new(tool("MESHMETER_VERSITYGW", "bin/versitygw"));
        command.args(["--access", KEY, "--secret", SECRET, "--port", &format!("127.0.0.1:{port}")]);
        // Without extended attributes, which not every file system has.
        command.args(["posix", "--sidecar"]).arg(directory.join("meta")).arg(directory.join("data"));
        let log_too = log.try_clone().unwrap();
        let process = command.stdin(Stdio::null()).stdout(log).stderr(log_too).spawn().unwrap();
        until("the object store listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        process
    }

    fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// It ends what it writes: unlike an object store, this one leaves half an object behind where it is killed within.
    pub fn kill(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
            let _ = self.process.wait();
        }
    }

    pub fn again(&mut self) {
        self.process = Store::spawn(&self.directory, self.port());
    }

    /// `meshmeter export` to it.
    pub fn export(&self, dir: &Dir, more: &[&str]) -> Command {
        let to = ["export", "--to", "s3://billing/mesh/meter", "--endpoint", &self.endpoint];
        self.command(dir, &[&to, more].concat())
    }

    /// A command that may read it and write to it.
    pub fn command(&self, dir: &Dir, args: &[&str]) -> Command {
        let mut command = meshmeter(args);
        command.args(["--database", &dir.database()]);
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_REGION", "us-east-1");
        // What the killed ones leave behind is gone with the test.
        command.env("TMPDIR", &self.directory);
        command
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of the object store\n{}", std::fs::read_to_string(self.directory.join("log")).unwrap());
        }
    }
}

/// How a command ends, and what it says.
pub fn said(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn fidelity_a_collector_that_has_read_a_bucket_ends_in_order() {
    let dir = Dir::new();
    drop(varied(&dir));
    assert_eq!(run(&dir, &["close", "2026-02", "--anyway"]).0, 0);
    let store = Store::start(dir.file("store"));
    let seal = ["seal", "--before", "2026-03", "--to", "s3://billing/mesh", "--endpoint", &store.endpoint];
    let (code, _, error) = said(store.command(&dir, &[&seal[..], &["--who", "ann", "--no-vacuum"]].concat()));
    assert_eq!(code, Some(0), "{error}");
    let temporary = dir.file("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let left = || std::fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let aws = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "us-east-1")];
    let variables = [&aws[..], &[("TMPDIR", temporary.to_str().unwrap())]].concat();
    for (number, signal) in [(1, "TERM"), (2, "INT")] {
        let server = Server::start_in(&dir, &[], &variables);
        let asked = server.get("/v1/report?since=2026-01&until=2026-01&by=session", Some(READ));
        assert_eq!(asked.status, 200, "{asked:?}");
        assert_eq!(left().len(), 1, "what it read is copied there");
        assert_eq!(server.send(&events(&emitter(7), [number])).taken(), (1, 0, 0));
        assert!(!server.log().contains("panicked"), "{}", server.log());
        assert_eq!(server.end(signal).code(), Some(0), "{signal}");
        assert_eq!(left(), Vec::<std::ffi::OsString>::new(), "{signal}");
    }
    let (code, _, error) = said(store.command(&dir, &["verify"]));
    assert_eq!((code, error.as_str()), (Some(0), ""));
}
