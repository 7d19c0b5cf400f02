//! Reads metrics in Prometheus' text format, from Envoy or from a collector. What is no sample is left out: the text comes from
//! whoever is at an address.

use std::collections::BTreeMap;

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// The samples of a scrape whose names are of interest.
#[derive(Clone, Debug, Default)]
pub struct Scrape(Vec<Sample>);

impl Scrape {
    /// Reads the samples whose name begins with one of these.
    pub fn parse(text: &str, beginnings: &[&str]) -> Scrape {
        let wanted = |line: &&str| beginnings.iter().any(|beginning| line.starts_with(beginning));
        Scrape(text.lines().filter(wanted).filter_map(sample).collect())
    }

    /// Whether there is any series of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }

    /// The names of all series, sorted, each once.
    pub fn names(&self) -> std::collections::BTreeSet<&str> {
        self.0.iter().map(|sample| sample.name.as_str()).collect()
    }

    /// The sum over all series of a name; 0 if there is none.
    pub fn sum(&self, name: &str) -> f64 {
        self.0.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
    }

    /// The sums over all series of a name, by the value of a label; empty where a series does not have the label.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            *sums.entry(sample.label(label)).or_insert(0.0) += sample.value;
        }
        sums
    }

    /// The series of a name, each as the values of these labels, with its value.
    pub fn series<'a, const N: usize>(&'a self, name: &str, labels: [&str; N]) -> BTreeMap<[&'a str; N], f64> {
        let mut sums = BTreeMap::new();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            *sums.entry(labels.map(|label| sample.label(label))).or_insert(0.0) += sample.value;
        }
        sums
    }
}

impl Sample {
    fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let at = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(at)?;
    let mut labels = Vec::new();
    let rest = match rest.strip_prefix('{') {
        None => rest,
        Some(mut rest) => loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(rest) = rest.strip_prefix('}') {
                break rest;
            }
            let (label, behind) = rest.split_once("=\"")?;
            let (value, behind) = quoted(behind)?;
            labels.push((label.to_owned(), value));
            rest = behind;
        },
    };
    // A time may follow the value.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &[""];

    #[test]
    fn contract_series_are_read_with_their_labels_and_escapes() {
        let text = "# TYPE a counter\na{} 1\na{t=\"x\"} 2\na{t=\"a\\\"b\\\\,c=\\\"}\\n\",u=\"y\"} 39 1700000000\nb 7\nc 1e3\nd NaN\n";
        let scrape = Scrape::parse(text, ALL);
        assert_eq!(scrape.sum("a"), 42.0);
        assert_eq!(scrape.by("a", "t"), BTreeMap::from([("", 1.0), ("x", 2.0), ("a\"b\\,c=\"}\n", 39.0)]));
        assert_eq!(scrape.series("a", ["u", "t"])[&["y", "a\"b\\,c=\"}\n"]], 39.0);
        assert_eq!((scrape.sum("b"), scrape.sum("c"), scrape.sum("x")), (7.0, 1000.0, 0.0));
        assert!(scrape.has("d") && !scrape.has("e"));
        assert_eq!(Vec::from_iter(Scrape::parse(text, &["b", "c"]).names()), ["b", "c"]);
    }

    #[test]
    fn contract_lines_that_are_no_samples_are_left_out() {
        for text in
            ["", "a", "a{", "a{t", "a{t=\"", "a{t=\"x\\", "a{t=\"x\"} ", "a{t=\"x\"}", "a x", "<html>", "{} 1 {", " "]
        {
            assert!(Scrape::parse(text, ALL).names().iter().all(|name| name.is_empty()), "{text}");
        }
    }
}
