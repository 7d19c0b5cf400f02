//! Where entries are sent, as a person names it.

use std::fmt;
use std::str::FromStr;

/// The port of a broker that is named without one.
const PORT: &str = "9092";
/// The longest name that a topic can have.
const LONGEST: usize = 249;

/// Brokers to ask first, and a topic: `kafka://a:9092,b:9092/usage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As Kafka's clients take them: `a:9092,b:9092`.
    pub brokers: String,
    /// The topic.
    pub topic: String,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        const FORM: &str = "must be kafka://HOST:PORT[,HOST:PORT]/TOPIC";
        let (hosts, topic) = text.strip_prefix("kafka://").and_then(|rest| rest.split_once('/')).ok_or(FORM)?;
        if hosts.contains('@') {
            return Err("must not have a user or password in it: see --sasl");
        }
        let brokers: Vec<String> = hosts.split(',').map(broker).collect::<Option<_>>().ok_or(FORM)?;
        Ok(Address { brokers: brokers.join(","), topic: self::topic(topic)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}", self.brokers, self.topic)
    }
}

/// A broker with its port.
fn broker(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        // An IPv6 address, whose colons are its own.
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
            let port = if after.is_empty() { PORT } else { after.strip_prefix(':')? };
            (text.get(..address.len().checked_add(2)?).filter(|_| is_address)?, port)
        }
        None => text.split_once(':').unwrap_or((text, PORT)),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_known = host.starts_with('[') || (!host.is_empty() && host.chars().all(is_host));
    let port = Some(port).filter(|port| port.bytes().all(|digit| digit.is_ascii_digit()))?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0 && is_known)?;
    Some(format!("{host}:{port}"))
}

/// A topic's name, if Kafka would take it.
pub fn topic(text: &str) -> Result<String, &'static str> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > LONGEST || matches!(text, "." | "..") || !text.chars().all(is_legal) {
        return Err("a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_an_address_names_brokers_and_a_topic() {
        let read = |text: &str| text.parse::<Address>().map(|address| (address.brokers, address.topic));
        let read = |text: &str| read(text).unwrap();
        assert_eq!(read("kafka://kafka:9093/usage"), ("kafka:9093".to_owned(), "usage".to_owned()));
        assert_eq!(read("kafka://a.example,b:1/u.v_w-1").0, "a.example:9092,b:1");
        assert_eq!(read("kafka://[::1]:9094,[2001:db8::1]/t").0, "[::1]:9094,[2001:db8::1]:9092");
    }

    #[test]
    fn contract_what_is_no_address_is_refused() {
        let long = format!("kafka://a/{}", "t".repeat(250));
        for wrong in [
            "",
            "usage",
            "kafka://",
            "kafka:///usage",
            "kafka://a:9092",
            "kafka://a:9092/",
            "kafka://a:9092/a/b",
            "kafka://a:0/t",
            "kafka://a:65536/t",
            "kafka://a:+1/t",
            "kafka://a:/t",
            "kafka://a,/t",
            "kafka://a b/t",
            "kafka://a/t?x=1",
            "kafka://a/..",
            "kafka://[::1/t",
            "kafka://[x]:1/t",
            "kafka://[::1]9092/t",
            "kafka://a:1:2/t",
            "http://a/t",
            &long,
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        assert!("kafka://me:secret@a:9092/t".parse::<Address>().unwrap_err().contains("--sasl"));
    }
}
