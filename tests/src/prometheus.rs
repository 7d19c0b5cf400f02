//! The Prometheus text exposition, as far as counters and gauges go.

use std::collections::BTreeMap;

/// One line of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// A whole scrape.
#[derive(Clone, Debug, Default)]
pub struct Scrape(pub Vec<Sample>);

impl Scrape {
    /// Reads a scrape; comments and lines that are no samples are left out.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum over every series of `name` that carries all of `labels`; 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let carries = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|have| have == value))
        };
        // Counters are integers below 2^53: the conversion is exact.
        self.0.iter().filter(carries).map(|sample| sample.value as u64).sum()
    }

    /// What the plugin counted of calls and events. What never comes to rest is left out: what it tries again and again, and how long it runs.
    pub fn counts(&self) -> Vec<Sample> {
        const RESTLESS: [&str; 7] = [
            "meshmeter_events_retried_total",
            "meshmeter_collector_failures_total",
            "meshmeter_lease_failures_total",
            "meshmeter_outbox_bytes",
            "meshmeter_outbox_oldest_age_seconds",
            "meshmeter_plugin_build_info",
            "meshmeter_vm_seconds_total",
        ];
        let is_count = |sample: &&Sample| {
            let name = sample.name.as_str();
            (name.starts_with("gen_ai_client_inference_") || name.starts_with("meshmeter_"))
                && !RESTLESS.contains(&name)
        };
        self.0.iter().filter(is_count).cloned().collect()
    }

    /// Every series whose name contains `part`.
    pub fn named(&self, part: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name.contains(part))
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    Some(Sample { name: name.to_owned(), labels: labels(rest.strip_suffix('}')?)?, value })
}

fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(key.to_owned(), value);
        rest = after[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_labels_with_escapes_are_read() {
        let scrape = Scrape::parse(
            "# TYPE a counter\na{} 1\na{t=\"x\"} 2\na{t=\"a\\\"b\\\\,c=\\\"\",u=\"y\"} 39\nb 7\nh_bucket{le=\"+Inf\"} 3\n",
        );
        assert_eq!(scrape.sum("a", &[]), 42);
        assert_eq!(scrape.sum("a", &[("t", "a\"b\\,c=\""), ("u", "y")]), 39);
        assert_eq!(scrape.sum("a", &[("t", "z")]), 0);
        assert_eq!(scrape.sum("b", &[]), 7);
        assert_eq!(scrape.named("bucket").count(), 1);
        assert!(scrape.counts().is_empty());
        let scrape = Scrape::parse("meshmeter_calls_total 1\nmeshmeter_events_retried_total 2\n");
        assert_eq!(scrape.counts().len(), 1);
    }
}
