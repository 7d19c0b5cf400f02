//! Texts that may have a password in them: known by their form, so that they are neither shown nor taken for files.

use std::borrow::Cow;

/// What stands in the place of such a text.
const MASK: &str = "***";
/// Words before the `=` of a connection string, of libpq and of others.
const KEYWORDS: [&str; 13] = [
    "host", "hostaddr", "port", "dbname", "database", "user", "username", "password", "passwd", "pwd", "passfile",
    "service", "sslmode",
];

/// Whether a text is a URL or a connection string, perhaps a mistyped one: `mysql://…`, `postgres//user:word@host`,
/// `postgresql:/…`, `host=… password=…`. A file with such a name is meant if a directory stands before it: `./a:b`.
pub fn is_connection(text: &str) -> bool {
    let text = text.trim_start();
    let lower = text.to_ascii_lowercase();
    let is_path = ["/", "./", "../", "~/"].iter().any(|begin| text.starts_with(begin)) && !text.starts_with("//");
    let has_keyword = || {
        let words = lower.split(|c: char| c.is_ascii_whitespace() || ";&?".contains(c));
        words.filter_map(|word| Some(word.split_once('=')?.0)).any(|key| KEYWORDS.contains(&key))
    };
    let begins_with_scheme = || {
        let (scheme, rest) = lower.split_at(lower.bytes().take_while(u8::is_ascii_alphanumeric).count());
        // Reports are asked by `tag:NAME` and `tenant:N`. A position of the ledger, `1:42`, begins with a digit, and no scheme does.
        let is_dimension = matches!(scheme, "tag" | "tenant");
        rest.starts_with(':') && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_dimension
            || scheme.starts_with("postgres") && rest.starts_with("//")
    };
    text.contains("://") || has_keyword() || !is_path && (text.contains('@') || begins_with_scheme())
}

/// A text that is no connection, else a mask: which part of a mistyped one is the password nobody knows.
pub fn masked(text: &str) -> Cow<'_, str> {
    if is_connection(text) { MASK.into() } else { text.into() }
}

/// What was said of a command line, with a mask in place of every argument that is a connection.
pub fn masked_in(said: String, arguments: impl IntoIterator<Item = String>) -> String {
    arguments.into_iter().fold(said, |said, argument| {
        // `--database=…` is named by its value alone.
        let value = argument.split_once('=').filter(|(option, _)| option.starts_with('-')).map(|(_, value)| value);
        let secrets = value.into_iter().chain([argument.as_str()]).filter(|text| is_connection(text));
        secrets.fold(said, |said, secret| said.replace(secret, MASK))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_connections_are_known_however_they_are_mistyped() {
        for text in [
            "postgres://u:p@h/b",
            "POSTGRES://u:p@h/b",
            " postgres://h/b",
            "postgres//u:p@h/b",
            "Postgresql//h/b",
            "postgres:/u:p@h/b",
            "postgres:u:p@h/b",
            "postgresql:/h",
            "//u:p@h/b",
            "u:p@h/b",
            "p@h",
            "mysql://u:p@h/b",
            "1u:p@h/b",
            "1://u:p",
            "sqlite:ledger.db",
            "file:ledger.db?mode=ro",
            "jdbc:postgresql://h/b",
            "http://h",
            "host=h password=p",
            "dbname=b",
            "Server=h;Password=p",
            "/x?user=u&password=p",
            "./x postgres://u:p@h",
        ] {
            assert!(is_connection(text), "{text}");
            assert_eq!(masked(text), MASK, "{text}");
        }
        for text in [
            "meshmeter.db",
            "ledger-2026.db",
            "data/ledger.db",
            "data//ledger.db",
            "postgres/ledger.db",
            "postgres.db",
            "/var/lib/meshmeter/ledger.db",
            "./a:b@c.db",
            "/run/user@1000.service/x.db",
            "../host.db",
            "a b.db",
            "hosts=2.db",
            "tag:task",
            "tag:task=a",
            "1:42",
            "1:12000:00",
            "1:42,2:17",
            "12:00",
            "",
        ] {
            assert!(!is_connection(text), "{text}");
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn deterministic_what_is_said_of_a_command_line_has_no_connection_in_it() {
        let arguments = ["report", "--database=host=h password=s3cret", "postgres//u:s3cret@h", "--by", "x"];
        let said = "'host=h password=s3cret' for '--database': no; 'postgres//u:s3cret@h' found; x".to_owned();
        let masked = masked_in(said, arguments.map(str::to_owned));
        assert_eq!(masked, "'***' for '--database': no; '***' found; x");
    }
}
