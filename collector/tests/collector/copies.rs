//! Ledgers that are only read: on a medium that cannot be written, as copies, and where there is none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::*;

/// Who may not write, whoever runs the tests: root may write anywhere.
const NOBODY: u32 = 65534;

/// A directory with copies, in which nobody can write, and a program that reads them.
struct ReadOnly<'a> {
    dir: &'a Dir,
    path: PathBuf,
}

impl ReadOnly<'_> {
    fn new<'a>(dir: &'a Dir, name: &str, files: &[&str]) -> ReadOnly<'a> {
        let path = dir.file(name);
        fs::create_dir(&path).unwrap();
        for file in files {
            fs::copy(dir.file(file), path.join(file)).unwrap();
            fs::set_permissions(path.join(file), fs::Permissions::from_mode(0o444)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
        ReadOnly { dir, path }
    }

    fn ask(&self, args: &[&str]) -> Output {
        // Beside the copies, for nobody may have a look at where it was built.
        let program = self.dir.file("meshmeter");
        if !program.exists() {
            // By another process: what this one writes is "busy" as long as a child that another test starts right then has
            // the file, too.
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_meshmeter")).arg(&program).status().unwrap();
            assert!(copied.success());
        }
        let mut command = Command::new(program);
        command.args(args).arg("--database").arg(self.path.join("ledger.db")).env_clear();
        if writes_anywhere(self.dir) {
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        command.output().unwrap()
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755));
    }
}

/// Whether permissions mean nothing to whoever runs the tests.
fn writes_anywhere(dir: &Dir) -> bool {
    let locked = dir.file("locked");
    fs::create_dir_all(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    fs::write(locked.join("x"), "").is_ok()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn contract_a_ledger_is_read_where_nothing_can_be_written() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    assert_eq!(server.send(&events(&emitter(1), [1, 2, 4])).taken(), (3, 0, 0));
    let in_use = ReadOnly::new(&dir, "in-use", &["ledger.db", "ledger.db-wal"]);
    assert!(fs::metadata(dir.file("ledger.db-wal")).unwrap().len() > 0, "there is a log");
    let there = |args: &[&str]| meshmeter(&[args, &["--database", &dir.database()]].concat()).output().unwrap();
    let questions: [(i32, &[&str]); 4] =
        [(0, &["report"]), (3, &["gaps"]), (0, &["verify"]), (0, &["rerate", "--dry-run", "--prices", "prices.toml"])];
    fs::copy(price_book(), dir.file("prices.toml")).unwrap();
    let responses: Vec<Output> = questions[..3].iter().map(|(_, args)| there(args)).collect();
    for (_, args) in &questions[..3] {
        let output = in_use.ask(args);
        let error = text(output.stderr);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{args:?}: {error}");
        assert!(error.contains("ledger.db: its log (-wal) cannot be read where nothing can be written"), "{error}");
    }
    assert!(server.terminate().success());
    let copy = ReadOnly::new(&dir, "copy #1?%", &["ledger.db"]);
    for ((code, args), there) in questions.iter().zip(&responses) {
        let output = copy.ask(args);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {}", text(output.stderr));
        assert_eq!(text(output.stdout), text(there.stdout.clone()), "{args:?}");
    }
    let prices = dir.file("prices.toml");
    let output = copy.ask(&["rerate", "--dry-run", "--prices", prices.to_str().unwrap()]);
    assert!(output.status.success() && text(output.stdout).starts_with("3 calls, 0 would be"), "rerate --dry-run");
    let output = copy.ask(&["rerate", "--prices", prices.to_str().unwrap()]);
    assert!(output.status.code() == Some(1) && !output.stderr.is_empty(), "what is written cannot be");
    assert_eq!(copy.files(), ["ledger.db"], "nothing was written beside it");
}

#[test]
fn contract_a_ledger_that_nobody_may_read_or_that_is_none_is_said_and_left() {
    let dir = Dir::new();
    dir.write("ledger.db", "");
    let empty = ReadOnly::new(&dir, "empty", &["ledger.db"]);
    dir.write("ledger.db", "no database at all, and longer than the head of one would be. ".repeat(9));
    let other = ReadOnly::new(&dir, "other", &["ledger.db"]);
    let closed = ReadOnly::new(&dir, "closed", &["ledger.db"]);
    fs::set_permissions(closed.path.join("ledger.db"), fs::Permissions::from_mode(0o000)).unwrap();
    for (place, problem) in
        [(&empty, "has no ledger yet"), (&other, "is not a database of meshmeter"), (&closed, "Permission denied")]
    {
        for args in [["report"], ["gaps"], ["verify"]] {
            let output = place.ask(&args);
            let error = text(output.stderr);
            assert!(output.status.code() == Some(1) && error.contains(problem), "{args:?}: {error}");
        }
        assert_eq!(place.files(), ["ledger.db"]);
    }
}

#[test]
fn contract_whoever_reads_makes_no_ledger() {
    let dir = Dir::new();
    let missing = dir.file("missing.db");
    let prices = price_book().to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["report"],
        &["gaps"],
        &["verify"],
        &["rerate", "--prices", prices],
        &["rerate", "--prices", prices, "--dry-run"],
        &["correct", "a-1", "--void", "--reason", "x"],
    ];
    for command in commands {
        let output = meshmeter(command).arg("--database").arg(&missing).output().unwrap();
        let error = text(output.stderr);
        assert!(
            output.status.code() == Some(1)
                && error.contains("missing.db: there is no such file; --database or MESHMETER_DATABASE says"),
            "{error}"
        );
        assert!(!Path::new(&missing).exists(), "{command:?}");
    }
}
