//! `meshmeter top` on a running collector.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use wire::usage::Class;

use crate::auditing::run;
use crate::support::*;

fn top(server: &Server, token: &str, more: &[&str]) -> String {
    let output = top_once(server, token, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn top_once(server: &Server, token: &str, more: &[&str]) -> Output {
    let url = format!("http://{}", server.address);
    let mut command = meshmeter(&[&["top", "--once", "--every", "1", "--collector", &url], more].concat());
    command.env("MESHMETER_READ_TOKEN", token).output().unwrap()
}

/// An event of today.
fn today(tenant: &str, model: &str, sequence: u64) -> Vec<u8> {
    refused_today(tenant, model, sequence, None)
}

/// The same of a call that was refused, if there is a reason.
fn refused_today(tenant: &str, model: &str, sequence: u64, refused_by: Option<&str>) -> Vec<u8> {
    let counts: &[(Class, u64)] =
        if refused_by.is_some() { &[] } else { &[(Class::InputText, 3), (Class::OutputText, 2)] };
    let mut record = record(model, counts);
    record.refused_by = refused_by.map(str::to_owned);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    record.started_ns = u64::try_from(now.as_nanos()).unwrap();
    record.identity.tenant = tenant.to_owned();
    wire::event::encode(&record, &emitter(1), sequence)
}

#[test]
fn contract_top_shows_todays_use_and_what_is_wrong() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let events = [
        today("acme", "gpt-4.1", 1),
        today("acme", "gpt-4.1", 2),
        today("acme/ml", "gpt-4.1", 3),
        today("evil", "\u{1b}[2J\u{202e}", 4),
        // Not of today.
        event(&emitter(1), 7),
    ];
    assert_eq!(server.send(&events).taken(), (5, 0, 0));
    let text = top(&server, READ, &[]);
    let words: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(words.contains(&"all (3) 4 20 0.0001 * 0 0 0.00".to_owned()), "{text}");
    assert!(words.contains(&"acme openai gpt-4.1 2 10 0.00 0 0 0.00".to_owned()), "{text}");
    assert!(text.contains("\\u{1b}[2J\\u{202e}") && !text.contains('\u{1b}'), "{text}");
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("numbers_missing: records that the ledger does not have: 2")
            && last.contains("prices_missing"),
        "{last}"
    );
    let text = top(&server, READ, &["--tenant", "acme", "--group", "tenant", "--sort", "calls"]);
    assert!(text.contains("acme/ml") && !text.contains("evil") && !text.contains("gpt-4.1"), "{text}");
}

#[test]
fn contract_top_shows_what_is_left_of_budgets_and_names_those_that_are_spent() {
    let dir = Dir::new();
    let server = Server::start(&dir, &["--prices", price_book().to_str().unwrap()]);
    let set = |name: &str, tenant: &str, limit: &str| {
        let scope = ["--tenant", tenant, "--unit", "tokens", "--window", "month", "--limit", limit];
        let (code, _, error) =
            run(&dir, &[&["budgets", "set", name, "--who", "ann", "--why", "a test"], &scope[..]].concat());
        assert_eq!(code, 0, "{error}");
    };
    set("small", "acme", "10");
    set("large", "acme/ml", "1000");
    set("other", "beta", "1000");
    let refused = refused_today("acme", "gpt-4.1", 3, Some("budget:small"));
    let events = [today("acme", "gpt-4.1", 1), today("acme/ml", "gpt-4.1", 2), refused];
    assert_eq!(server.send(&events).taken(), (3, 0, 0));
    assert_eq!(server.metric("meshmeter_ledger_refused_calls_total{budget=\"small\"}"), 1);
    let text = top(&server, READ, &[]);
    let words: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let at = |beginning: &str| {
        words.iter().position(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("{beginning}: {text}"))
    };
    assert!(
        at("small acme hard, tokens a month 10 10 0 100 %") < at("large acme/ml hard, tokens a month 1,000 5 995 0 %")
    );
    assert!(at("large") < at("other beta"), "tenants in view come first: {text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("budget small (hard) is spent until ") && !last.contains("large"), "{last}");
    let text = top(&server, READ, &["--tenant", "beta"]);
    assert!(text.contains("other") && !text.contains("small"), "{text}");
    assert_eq!(text.lines().last(), Some("nothing is wrong"));
}

#[test]
fn contract_top_says_what_it_cannot_read() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    let output = top_once(&server, "wrong", &[]);
    assert_eq!(output.status.code(), Some(1), "a script must not take it for a day without calls");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().last().unwrap().starts_with("the collector does not accept the read token"), "{text}");
    let output = meshmeter(&["top"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.contains("no terminal to draw on")), (Some(1), true), "{error}");
}

#[test]
fn contract_top_asks_whoever_is_no_collector_once() {
    let others = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", others.local_addr().unwrap());
    let read = |respond: fn(&mut TcpStream)| {
        let child = meshmeter(&["top", "--once", "--collector", &url]).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stream, _) = others.accept().unwrap();
        assert!(stream.read(&mut [0; 2048]).unwrap() > 0);
        respond(&mut stream);
        let output = child.wait_with_output().unwrap();
        others.set_nonblocking(true).unwrap();
        let again = others.accept();
        others.set_nonblocking(false).unwrap();
        assert!(again.is_err(), "it asks again");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = read(|stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    assert!(text.contains("longer than 65536 bytes"), "{text}");
    let text = read(|_| std::thread::sleep(Duration::from_secs(11)));
    assert!(text.contains("did not end within 10 s"), "{text}");
}

/// In a terminal, which `script` imitates. Whatever ends it, the terminal is left as it was.
#[cfg(target_os = "linux")]
#[test]
fn contract_top_gives_the_terminal_back() {
    let dir = Dir::new();
    let server = Server::start(&dir, &[]);
    assert_eq!(server.send(&[today("acme", "gpt-4.1", 1)]).taken(), (1, 0, 0));
    for end in [b"q".as_slice(), b"\x03", b""] {
        let pid = dir.file("pid");
        let shell = format!(
            "stty rows 24 cols 160; echo $$ >{}; exec {} top --every 1 --collector http://{}",
            pid.display(),
            env!("CARGO_BIN_EXE_meshmeter"),
            server.address
        );
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &shell, "/dev/null"]).env("SHELL", "/bin/sh");
        script.env("MESHMETER_READ_TOKEN", READ).env("TERM", "xterm");
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("acme") {
            let mut piece = [0; 4096];
            let read = screen.read(&mut piece).unwrap();
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&seen));
            seen.extend(&piece[..read]);
        }
        if end.is_empty() {
            let pid = std::fs::read_to_string(&pid).unwrap();
            assert!(Command::new("sh").args(["-c", &format!("kill -TERM {}", pid.trim())]).status().unwrap().success());
        } else {
            keys.write_all(end).unwrap();
        }
        screen.read_to_end(&mut seen).unwrap();
        let status = script.wait().unwrap();
        let seen = String::from_utf8_lossy(&seen);
        assert!(status.success(), "{status}: {seen}");
        let entered = seen.find("\u{1b}[?1049h").expect("it takes the screen");
        let left = seen.rfind("\u{1b}[?1049l").expect("and gives it back");
        assert!(entered < left && seen.rfind("\u{1b}[?25h").is_some_and(|shown| shown > entered), "{seen}");
    }
}
