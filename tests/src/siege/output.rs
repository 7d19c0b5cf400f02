//! Names that reach terminals, spreadsheets and files.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output},
};

use hyper::Method;
use serde_json::{Value, json};

use super::Attack;
use crate::{
    Result,
    client::{Call, Route},
    collector::{Collector, INGEST_TOKEN, JOURNAL_TOKEN},
    fault::Fault,
    paths,
    process::Process,
    stack::{Stack, metered},
    wait::{self, ensure},
};

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "names-that-steer",
        keeps: "a model's name neither steers a terminal nor is a formula, and JSON has it as it was",
        short: true,
        run: || Box::pin(names_that_steer()),
    },
    Attack {
        name: "pipe-without-end",
        keeps: "reconcile ends in order on SIGTERM while a pipe gives nothing, with what it gave in the ledger",
        short: true,
        run: || Box::pin(pipe_without_end()),
    },
    Attack {
        name: "ledger-on-read-only-media",
        keeps: "a copy that nobody can write is read, and nothing is made where none is",
        short: true,
        run: || Box::pin(read_only_ledger()),
    },
    Attack {
        name: "mistyped-address",
        keeps: "the password in a mistyped address is not printed, and no file gets its name",
        short: true,
        run: || Box::pin(mistyped_address()),
    },
    Attack {
        name: "empty-price-book",
        keeps: "no collector starts without prices or takes a book that is empty or cut off, and none waits for a pipe or a device in its place",
        short: false,
        run: || Box::pin(empty_price_book()),
    },
];

/// A formula, a cleared screen, a title, C1, a line turned around, nothing at all, and lines of its own.
const HOSTILE: &str =
    "=cmd|'/C calc'!A0\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\r\n\tno gaps";

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn safe(what: &str, text: &str) -> Result<()> {
    let bad: String = text.lines().flat_map(str::chars).filter(|c| steers(*c)).collect();
    ensure(bad.is_empty(), || format!("{what} has {bad:?}"))?;
    ensure(text.lines().all(|line| line.trim() != "no gaps"), || format!("{what} has a line of its own: {text}"))
}

async fn names_that_steer() -> Result<()> {
    let stack = Stack::start().await?;
    let body = json!({"model": HOSTILE, "messages": [{"role": "user", "content": "hi"}]});
    let call = Call::post("api.openai.com", "/v1/chat/completions", &body).fault(Fault::Status(401));
    let (response, event) = metered(&stack, &stack.llm(), call, "hostile").await?;
    ensure(response.status == 401, || format!("the call got {}", response.status))?;
    ensure(event.text("request_model") == HOSTILE, || "the record has another name than was asked for".to_owned())?;
    stack.collector.holds(1).await?;
    let json = stack.collector.report_text(&["--format", "json"])?;
    let report: Value = serde_json::from_str(&json)?;
    let model = report["lines"][0]["model"].as_str().unwrap_or_default();
    ensure(model == HOSTILE, || format!("the report's JSON says {model:?}"))?;
    let csv = stack.collector.report_text(&["--format", "csv"])?;
    ensure(csv.contains(",\"'=cmd|") && csv.lines().count() == 2, || format!("the report's CSV: {csv}"))?;
    let page = |question: &'static str| {
        let collector = &stack.collector;
        async move { Result::Ok(String::from_utf8(collector.get(question).await?.body.to_vec())?) }
    };
    let printed = [
        ("the table", stack.collector.report_text(&[])?),
        ("the JSON", json),
        ("the CSV", csv),
        ("gaps", stack.collector.about("gaps", &["--all"])?),
        ("gaps in JSON", stack.collector.about("gaps", &["--all", "--format", "json"])?),
        ("the service's JSON", page("/v1/report").await?),
        ("the service's CSV", page("/v1/report?format=csv").await?),
    ];
    for (what, text) in printed {
        safe(what, &text)?;
    }
    stack.finish()
}

async fn pipe_without_end() -> Result<()> {
    let stack = Stack::start().await?;
    let call = stack.provider.catalogue().get("responses.json")?.call();
    metered(&stack, &stack.llm(), call, "one").await?;
    stack.settled(1).await?;
    let line = fs::read_to_string(stack.file("journal"))?;
    // On another ledger, which has nothing yet.
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path()).await?;
    let pipe = dir.path().join("pipe");
    ensure(Command::new("mkfifo").arg(&pipe).status()?.success(), || "no pipe".to_owned())?;
    let mut command = Command::new(paths::collector()?);
    command.args(["reconcile", "--format", "json", "--collector", &format!("http://{}", collector.address())]);
    command.arg(&pipe).env("MESHMETER_JOURNAL_TOKEN", JOURNAL_TOKEN);
    let mut reconcile = Process::start("reconcile", dir.path(), &mut command)?;
    // Opened as soon as it is being read.
    let write = move || fs::File::options().write(true).open(pipe);
    let mut pipe = tokio::task::spawn_blocking(write).await??;
    std::io::Write::write_all(&mut pipe, line.as_bytes())?;
    wait::until("the pipe to be empty", || async {
        let left = rustix::io::ioctl_fionread(&pipe)?;
        ensure(left == 0, || format!("{left} bytes are in it"))
    })
    .await?;
    let status = reconcile.stop()?;
    let (said, complained) = (reconcile.stdout(), reconcile.stderr());
    reconcile.quiet();
    ensure(status.code() == Some(1), || format!("it ended with {status}"))?;
    ensure(complained.contains("interrupted"), || format!("it says {complained:?}"))?;
    let summary: Value = serde_json::from_str(said.lines().last().unwrap_or_default())?;
    ensure(summary["accepted"] == 1 && summary["complete"] == false, || format!("it did {summary}"))?;
    ensure(collector.report()?.calls() == 1, || "what the pipe gave is not in the ledger".to_owned())?;
    drop(pipe);
    collector.stop()?;
    collector.quiet();
    stack.finish()
}

async fn read_only_ledger() -> Result<()> {
    let stack = Stack::start().await?;
    let call = stack.provider.catalogue().get("responses.json")?.call();
    metered(&stack, &stack.llm(), call, "one").await?;
    stack.settled(1).await?;
    let there = stack.collector.report_text(&[])?;
    let ledger = stack.collector.database().to_owned();
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("meshmeter");
    fs::copy(paths::collector()?, &program)?;
    let place = dir.path().join("place");
    fs::create_dir(&place)?;
    // As the collector leaves it when it ends: no log is left, and the file still wants one.
    for file in ["ledger.db", "ledger.db-wal"] {
        fs::copy(ledger.with_file_name(file), place.join(file))?;
    }
    rusqlite::Connection::open(place.join("ledger.db"))?.query_row(
        "PRAGMA wal_checkpoint(TRUNCATE)",
        [],
        |_| Ok(()),
    )?;
    for (path, mode) in [(dir.path(), 0o755), (&place.join("ledger.db"), 0o444), (&place, 0o555)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    let ask = |command: &str, name: &str| -> Result<Output> {
        let mut asked = Command::new(&program);
        asked.args([command, "--database"]).arg(place.join(name));
        if rustix::process::geteuid().is_root() {
            // Who may write anywhere is not stopped by permissions.
            asked.uid(65534);
        }
        Ok(asked.output()?)
    };
    let report = ask("report", "ledger.db")?;
    let problem = || String::from_utf8_lossy(&report.stderr).into_owned();
    ensure(report.status.success() && report.stdout == there.as_bytes(), problem)?;
    for command in ["gaps", "verify"] {
        let output = ask(command, "ledger.db")?;
        let problem = || format!("{command}: {}", String::from_utf8_lossy(&output.stderr));
        ensure(output.status.success(), problem)?;
    }
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777))?;
    for command in ["report", "gaps", "verify"] {
        let output = ask(command, "none.db")?;
        ensure(output.status.code() == Some(1), || format!("{command} without a ledger: {}", output.status))?;
    }
    ensure(fs::read_dir(&place)?.count() == 1, || "a reader made a file".to_owned())?;
    stack.finish()
}

async fn mistyped_address() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let addresses =
        ["postgres//u:s3cret@h/b", "postgresql:/u:s3cret@h/b", "mysql://u:s3cret@h/b", "host=h password=s3cret"];
    let serve = ["serve", "--insecure-no-auth", "--listen", "127.0.0.1:0", "--database"];
    let commands: [&[&str]; 5] =
        [&serve, &["report", "--database"], &["gaps", "--database"], &["check"], &["reconcile", "x", "--collector"]];
    for address in addresses {
        for command in commands {
            let output =
                Command::new(paths::collector()?).args(command).arg(address).current_dir(dir.path()).output()?;
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let refused = matches!(output.status.code(), Some(1 | 2)) && !said.is_empty();
            ensure(refused && !said.contains("s3cret"), || format!("{command:?} {address}: {} {said}", output.status))?;
        }
    }
    let made = fs::read_dir(dir.path())?.count();
    ensure(made == 0, || format!("{made} files with such a name were made"))
}

async fn empty_price_book() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let prices = dir.path().join("prices.toml");
    let whole = fs::read_to_string(paths::prices())?;
    for text in ["", "# soon\n", &whole[..whole.len() - 1]] {
        fs::write(&prices, text)?;
        let output = serve(dir.path(), &prices)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure(output.status.code() == Some(1) && said.contains("prices.toml: "), || {
            format!("{}: {said}", output.status)
        })?;
    }
    fs::write(&prices, &whole)?;
    let mut process = Process::start("collector", dir.path(), &mut serve(dir.path(), &prices)?)?;
    let address = wait::until("the collector to listen", || async {
        let said = process.stdout();
        let address = said.trim().strip_prefix("listening on http://").ok_or("it does not")?;
        Ok(address.parse()?)
    })
    .await?;
    let batch = Call::get("collector", "/v1/events")
        .method(Method::POST)
        .header("authorization", &format!("Bearer {INGEST_TOKEN}"))
        .header("content-type", "application/cloudevents-batch+json");
    let batch = Call { body: "[{}]".into(), ..batch };
    let mut expected = Vec::new();
    for (text, told) in [("", "has no [[price]] in it"), (&whole[..whole.len() / 2], "the new prices are not used")] {
        fs::write(&prices, text)?;
        expected.push(told);
        wait::until("the book to be refused", || async {
            Route::plain(address).send(&batch).await?;
            let log = process.stderr();
            let told = log.matches("the new prices are not used").count();
            ensure(told == expected.len() && log.contains(expected[told - 1]), || log)
        })
        .await?;
    }
    // What would keep a reader waiting, or has no end: batches are taken meanwhile.
    let pipe = dir.path().join("pipe");
    ensure(Command::new("mkfifo").arg(&pipe).status()?.success(), || "no pipe could be made".to_owned())?;
    let endless = dir.path().join("endless");
    std::os::unix::fs::symlink("/dev/zero", &endless)?;
    for other in [pipe, endless] {
        fs::rename(&other, &prices)?;
        expected.push("must be a regular file");
        wait::until("what is no file to be refused", || async {
            let response = Route::plain(address).send(&batch).await?;
            let log = process.stderr();
            let told = log.matches("the new prices are not used").count();
            ensure(response.status == 200 && told == expected.len() && log.contains("must be a regular file"), || log)
        })
        .await?;
    }
    // Put in its place as a whole.
    let new = dir.path().join("new.toml");
    fs::write(&new, &whole)?;
    fs::rename(&new, &prices)?;
    wait::until("the whole book to be taken", || async {
        Route::plain(address).send(&batch).await?;
        ensure(process.stderr().contains("new prices, "), || process.stderr())
    })
    .await?;
    ensure(process.stop()?.success(), || "it did not end as it should".to_owned())?;
    process.quiet();
    Ok(())
}

fn serve(dir: &Path, prices: &Path) -> Result<Command> {
    let mut command = Command::new(paths::collector()?);
    command.args(["serve", "--listen", "127.0.0.1:0", "--database"]).arg(dir.join("ledger.db"));
    command.arg("--prices").arg(prices).arg("--no-builtin-prices").env("MESHMETER_INGEST_TOKEN", INGEST_TOKEN);
    Ok(command)
}
