//! Where a PostgreSQL server is, and who asks: from a URL. Its password is shown nowhere.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{Roots, Tls};
use crate::store::StoreError;

/// The variable that gives the password when the URL does not, as PostgreSQL's own programs have it.
const PASSWORD: &str = "PGPASSWORD";
/// PostgreSQL's own port.
const PORT: u16 = 5432;
/// How long a host may take to respond at first.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a host may leave data without a response of its network.
const SILENCE: Duration = Duration::from_secs(5);
/// When an idle connection asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A URL, not yet looked at: what is wrong with it is said when it is used, without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// What an address says.
pub struct Target {
    pub config: Config,
    pub tls: Tls,
    /// The hosts and the database, for messages.
    pub name: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://…")
    }
}

impl Address {
    /// The address in a text, if it is the URL of a PostgreSQL database.
    pub fn of(text: &str) -> Option<Address> {
        ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)).then(|| Address(text.to_owned()))
    }

    /// Reads it.
    pub fn target(&self) -> Result<Target, StoreError> {
        self.read().map_err(|problem| StoreError::Unusable(format!("the URL of the database: {problem}")))
    }

    fn read(&self) -> Result<Target, String> {
        let (url, tls) = TlsWish::taken_out_of(&self.0)?;
        // Its error names an option, never a value.
        let mut config: Config = url.parse().map_err(|error| super::failure::text(&error))?;
        if config.get_hosts().is_empty() {
            return Err("must name a host: postgres://USER:PASSWORD@HOST/DATABASE".to_owned());
        }
        let misread = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        if config.get_hosts().iter().any(misread) {
            return Err("more than one @: one that is part of the password is written %40".to_owned());
        }
        let tls = tls.settle(&config)?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if let (None, Ok(password)) = (config.get_password(), std::env::var(PASSWORD)) {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("meshmeter");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(config.get_keepalives_idle().min(KEEPALIVE));
        let name = name(&config);
        Ok(Target { config, tls: Tls::new(tls)?, name })
    }
}

fn name(config: &Config) -> String {
    // One port for all hosts, or one for each.
    let ports = config.get_ports();
    let port = |place: usize| ports.get(place).or(ports.first()).copied().unwrap_or(PORT);
    let hosts: Vec<String> = config.get_hosts().iter().enumerate().map(|(place, of)| host(of, port(place))).collect();
    format!("postgres://{}/{}", hosts.join(","), config.get_dbname().or(config.get_user()).unwrap_or(""))
}

/// A socket is a file whose name has the port in it.
fn host(host: &Host, port: u16) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp(name) => format!("{name}:{port}"),
        Host::Unix(path) => format!("{}/.s.PGSQL.{port}", path.display()),
    }
}

/// What a URL says of TLS. There are two ways only: none, or with a certificate that is checked.
struct TlsWish {
    wanted: Option<bool>,
    roots: Roots,
}

impl TlsWish {
    /// The URL without what it says of TLS, and that.
    fn taken_out_of(url: &str) -> Result<(String, TlsWish), String> {
        let mut wish = TlsWish { wanted: None, roots: Roots::Public };
        // A password may have a question mark in it.
        let end = url.find('@').unwrap_or(0);
        let (user, place) = url.split_at(end);
        let Some((place, options)) = place.split_once('?') else { return Ok((url.to_owned(), wish)) };
        let mut rest = Vec::new();
        for option in options.split('&') {
            match option.split_once('=') {
                Some(("sslmode", "disable")) => wish.wanted = Some(false),
                Some(("sslmode", "require" | "verify-full")) => wish.wanted = Some(true),
                Some(("sslmode", _)) => return Err("sslmode: must be disable, require or verify-full".to_owned()),
                Some(("sslrootcert", file)) if !file.contains('%') => wish.roots = Roots::File(file.into()),
                Some(("sslrootcert", _)) => return Err("sslrootcert: must be the path of a file, without %".to_owned()),
                _ => rest.push(option),
            }
        }
        let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        Ok((format!("{user}{place}{query}"), wish))
    }

    /// Whom to trust; `None`: no TLS. Nobody listens in on this machine; elsewhere it takes a word to go without.
    fn settle(self, config: &Config) -> Result<Option<Roots>, String> {
        let is_near = |host: &Host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        };
        let near = config.get_hosts().iter().all(is_near);
        Ok(self.wanted.unwrap_or(!near).then_some(self.roots))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cret";

    fn read(url: &str) -> Result<Target, String> {
        Address::of(url).unwrap().read()
    }

    #[test]
    fn deterministic_a_url_names_hosts_database_and_who_asks() {
        let target = read("postgresql://meter:s3%40cret@db.example:6432,two/bill?application_name=x").unwrap();
        assert_eq!(target.name, "postgres://db.example:6432,two:5432/bill");
        assert_eq!(target.config.get_password(), Some(&b"s3@cret"[..]));
        assert_eq!((target.config.get_ports(), target.config.get_user()), (&[6432, 5432][..], Some("meter")));
        for (url, name) in [
            ("postgres://me@%2Frun%2Fpg", "postgres:///run/pg/.s.PGSQL.5432/me"),
            ("postgres://u@127.0.0.1/billing", "postgres://127.0.0.1:5432/billing"),
            ("postgres://u@a,b:1/c", "postgres://a:5432,b:1/c"),
            ("postgres://u@h:7/b", "postgres://h:7/b"),
        ] {
            assert_eq!(read(url).unwrap().name, name, "{url}");
        }
    }

    #[test]
    fn deterministic_only_this_machine_is_asked_without_tls_unless_it_is_said() {
        let mode = |url: &str| read(url).unwrap().config.get_ssl_mode();
        for url in
            ["postgres://u@db.example/b", "postgres://u:a?b@10.0.0.1/b", "postgres://u@localhost/b?sslmode=require"]
        {
            assert_eq!(mode(url), SslMode::Require, "{url}");
        }
        for url in [
            "postgres://u@127.0.0.1/b",
            "postgres://u@localhost/b",
            "postgres://u@%2Frun/b",
            "postgres://u@db.example/b?sslmode=disable&connect_timeout=1",
        ] {
            assert_eq!(mode(url), SslMode::Disable, "{url}");
        }
    }

    #[test]
    fn deterministic_what_is_wrong_is_said_without_the_password() {
        for (url, problem) in [
            ("postgres://u:s3cret@h/b?sslmode=prefer", "sslmode: must be disable, require or verify-full"),
            ("postgres://u:s3cret@h/b?sslrootcert=/no/such", "sslrootcert: /no/such: No such file or directory"),
            ("postgres://u:x@s3cret@h/b", "more than one @: one that is part of the password is written %40"),
            ("postgres://u:s3cret@h/b?colour=red", "unknown option `colour`"),
            ("postgres://u:s3cret@h:port/b", "invalid value for option `port`"),
            ("postgres://", "must name a host"),
        ] {
            let Err(said) = read(url) else { panic!("{url} was taken") };
            assert!(said.contains(problem), "{url}: {said}");
            assert!(!said.contains(SECRET), "{url}: {said}");
        }
        let address = Address::of("postgres://u:s3cret@h/b").unwrap();
        assert!(!format!("{address:?}").contains(SECRET));
    }
}
