//! What names from calls, files and command lines can do to whoever looks at them: nothing, whatever is printed.

use std::process::Output;

use wire::usage::Class;

use crate::command::run;
use crate::support::*;

/// What clears a screen, sets a title, turns a line around, hides, begins a line of its own, and is a formula.
const HOSTILE: &str =
    "=cmd|'/C calc'!A0,\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\u{85}\r\nok\t\"";

/// Whether a character is one that a terminal or an editor obeys, or that nobody sees.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[track_caller]
fn is_safe(what: &str, text: &str) {
    for line in text.lines() {
        let bad: Vec<char> = line.chars().filter(|c| steers(*c)).collect();
        assert!(bad.is_empty(), "{what} prints {bad:?} in {line:?}");
    }
}

/// A ledger in which every name that a sender chooses is hostile, with a hole, an alarm and dead letters.
fn filled(dir: &Dir) -> Server {
    let server = Server::start(dir, &[]);
    let hostile = |model: &str| {
        let mut record = record(model, &[(Class::InputText, 3)]);
        record.provider = HOSTILE.to_owned();
        record.node = Some(HOSTILE.to_owned());
        record
    };
    let event = |model: &str, sequence| wire::event::encode(&hostile(model), &emitter(1), sequence);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let unreadable =
        text(event(HOSTILE, 5)).replace("\"outcome\":\"completed\"", "\"outcome\":\"\\u001b[2J\\u202e\\u000a\"");
    let batch =
        [event(HOSTILE, 1), event("+1", 2), event(HOSTILE, 4), unreadable.into(), b"{\"id\":\"\\u009b\"}".to_vec()];
    assert_eq!(server.send(&batch).taken(), (3, 0, 2));
    assert_eq!(server.send(&[event("another", 1)]).json()["alarms"], 1);
    server
}

fn ask(command: &[&str], dir: &Dir) -> (i32, String, String) {
    let output = meshmeter(&[command, &["--database", &dir.database()]].concat()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn contract_no_command_prints_what_steers_a_terminal() {
    let dir = Dir::new();
    let server = filled(&dir);
    let provider = serde_json::Value::from(HOSTILE).to_string().replace('\u{7f}', "\\u007f");
    let prices =
        format!("[[price]]\nprovider = {provider}\nmodel = \"*\"\nvalid_from = 2026-01-01\ninput_text = \"1\"\n");
    let prices = dir.write("prices.toml", prices);
    let prices = prices.to_str().unwrap();
    let by = "day,month,tenant,provider,model";
    let call = format!("{}-1", emitter(1));
    let month = ["statement", "--tenant", "acme", "--month", "2026-01"];
    let of_month = |more: &[&'static str]| [&month, more].concat();
    let statements =
        [&["--records"][..], &[], &["--format", "csv"], &["--format", "json"], &["--format", "html"]].map(of_month);
    let commands: [&[&str]; 12] = [
        &["report", "--by", by],
        &["report", "--by", by, "--format", "json"],
        &["report", "--by", by, "--format", "csv"],
        &["gaps", "--all"],
        &["gaps", "--all", "--format", "json"],
        &["verify"],
        &["explain", &call],
        &["explain", &call, "--format", "json"],
        &["rerate", "--prices", prices, "--reason", HOSTILE],
        &["rerate", "--prices", prices, "--dry-run"],
        &["correct", &call, "--void", "--reason", HOSTILE],
        &["verify"],
    ];
    let statements = statements.iter().map(Vec::as_slice);
    for command in commands.into_iter().chain(statements) {
        let (code, out, error) = ask(command, &dir);
        assert!([0, 3].contains(&code) && error.is_empty() && !out.is_empty(), "{command:?}: {code} {error}");
        is_safe(&format!("{command:?}"), &out);
    }
    // What is wrong with a ledger is said with its names.
    dir.sql("UPDATE rollup SET quantity = quantity + 1 WHERE class = 'calls'").unwrap();
    let (code, _, error) = ask(&["verify"], &dir);
    assert!(code == 1 && error.contains("the sum of calls") && error.lines().count() == 1, "{error}");
    is_safe("verify", &error);
    for path in ["/v1/report?by=day,tenant,model", "/v1/report?format=csv", "/metrics", "/v1/report?format=%1b[2J"] {
        is_safe(path, &server.get(path, Some(READ)).body);
    }
    is_safe("serve", &server.log());
}

#[test]
fn contract_json_has_the_names_as_they_were_sent_and_csv_no_formula() {
    let dir = Dir::new();
    let server = filled(&dir);
    let (_, json, _) = ask(&["report", "--format", "json"], &dir);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let models: Vec<&str> =
        report["lines"].as_array().unwrap().iter().map(|line| line["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["+1", HOSTILE]);
    assert_eq!(server.get("/v1/report", Some(READ)).body, json, "the service says what the command says");
    let (_, csv, _) = ask(&["report", "--format", "csv"], &dir);
    assert_eq!(server.get("/v1/report?format=csv", Some(READ)).body, csv);
    let shown = r#""'=cmd|'/C calc'!A0,\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\u{85}\r\nok\t""""#;
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[1].starts_with(&format!("acme,{shown},\"'+1\",,reported,1,3,")), "{csv}");
    assert!(lines[2].starts_with(&format!("acme,{shown},{shown},,reported,2,6,")), "{csv}");
}

#[test]
fn contract_what_is_said_of_files_and_arguments_steers_no_terminal() {
    let dir = Dir::new();
    let hostile = "\u{1b}[2J\u{9b}\u{202e}\u{200b}x\nok";
    let name = dir.file(hostile);
    let missing = name.to_str().unwrap();
    let list = dir.write(
        "list.json",
        "{\"a\\u001b[2J\\u202e\": {\"input_cost_per_token\": 1e-06, \"litellm_provider\": \"openai\", \"mode\": \"chat\"},
          \"b\\u001b\\u000a\": {\"output_cost_per_image\": 1, \"litellm_provider\": \"openai\", \"mode\": \"chat\"}}",
    );
    let bad = dir.write("bad.toml", "[[price]]\nprovider = \"\\u001b[2J\\u202e\\nok\"\n\"\\u009b\\n\" = 1\n");
    let plugin = dir.write("plugin.json", "{\"\\u001b[2J\\u202e\":1,\"metrics\":{\"\\u009b\":1}}");
    let journal = dir.write("journal", format!("{hostile}\n\u{1b}[2J\n"));
    let (list, bad, plugin, journal) =
        (list.to_str().unwrap(), bad.to_str().unwrap(), plugin.to_str().unwrap(), journal.to_str().unwrap());
    let url = "http://127.0.0.1:1";
    let commands: [(i32, &[&str]); 15] = [
        (2, &["report", "--since", hostile]),
        (2, &["report", "--by", hostile]),
        (2, &["report", hostile]),
        (2, &["verify", "--noted", hostile]),
        (2, &[hostile]),
        (1, &["report", "--database", missing]),
        (1, &["correct", "a-1", "--void", "--reason", "x", "--database", missing]),
        (1, &["prices", "check", missing, bad]),
        (1, &["prices", "import", "litellm", bad]),
        (0, &["prices", "import", "litellm", list]),
        (1, &["check", plugin]),
        (1, &["check", missing]),
        (1, &["reconcile", "--collector", url, missing]),
        (1, &["reconcile", "--collector", hostile, journal]),
        (1, &["serve", "--insecure-no-auth", "--listen", "127.0.0.1:0", "--database", missing, "--prices", missing]),
    ];
    for (code, command) in commands {
        let done = run(command);
        assert!(done.code == code && !done.error.is_empty(), "{command:?}: {} {}", done.code, done.error);
        is_safe(&format!("{command:?}"), &done.error);
        is_safe(&format!("{command:?}"), &done.out);
        assert!(done.error.lines().chain(done.out.lines()).all(|line| line != "ok"), "{command:?}: {}", done.error);
    }
}

#[test]
fn contract_a_mistyped_address_of_a_database_is_neither_shown_nor_taken_for_a_file() {
    let dir = Dir::new();
    let addresses = [
        "postgres//meter:s3cret@h/b",
        "postgresql:/meter:s3cret@h/b",
        "mysql://meter:s3cret@h/b",
        "POSTGRES://meter:s3cret@h/b",
        "meter:s3cret@h/b",
        "host=h user=meter password=s3cret dbname=b",
        "password='s3 cret'",
    ];
    let done = |args: &[&str], variable: Option<&str>| -> Output {
        let mut command = meshmeter(args);
        command.current_dir(dir.file(".")).envs(variable.map(|value| ("MESHMETER_DATABASE", value)));
        command.output().unwrap()
    };
    let serve = ["serve", "--insecure-no-auth", "--listen", "127.0.0.1:0"];
    let commands: [&[&str]; 5] =
        [&serve, &["report"], &["gaps"], &["verify"], &["correct", "a-1", "--void", "--reason", "x"]];
    for address in addresses {
        let joined = format!("--database={address}");
        let mut all: Vec<(Vec<&str>, Option<&str>)> = Vec::new();
        for command in commands {
            all.push(([command, &["--database", address]].concat(), None));
            all.push(([command, &[&joined]].concat(), None));
            all.push((command.to_vec(), Some(address)));
        }
        // Where it was not asked for at all.
        let prices = ["--prices", address];
        all.extend([
            (vec!["report", address], None),
            (vec![address], None),
            (vec!["check", address], None),
            (vec!["prices", "check", address], None),
            ([&serve[..], &prices].concat(), None),
            (vec!["reconcile", "--collector", address, "journal"], None),
            (vec!["reconcile", "--collector", "http://127.0.0.1:1", address], None),
            (vec!["reconcile", "--collector", "http://127.0.0.1:1", "--ca-file", address, "journal"], None),
            (vec!["report", "--since", address], None),
        ]);
        for (args, variable) in all {
            let output = done(&args, variable);
            let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
            assert!(!said.contains("cret"), "{args:?} {variable:?}: {said}");
            assert!([Some(1), Some(2)].contains(&output.status.code()) && !said.is_empty(), "{args:?}: {said}");
        }
        let output = done(&["report", "--database", address], None);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("must be postgres://USER:PASSWORD@HOST/DATABASE, or the path of a file"), "{said}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.file(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    // Whoever means a file says so.
    let output = done(&[&serve[..], &["--database", "./a:b@c.db", "--prices", "none.toml"]].concat(), None);
    assert!(String::from_utf8(output.stderr).unwrap().contains("none.toml: No such file"));
}
