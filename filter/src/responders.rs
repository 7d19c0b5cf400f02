//! Who has responded behind which cluster, for budgets: Envoy says only at the end of a stream where a rewritten request went.

/// Clusters that are remembered; then the one that was learned first gives way.
const MAX: usize = 64;

/// The provider that responded last, by cluster, bounded.
#[derive(Debug, Default)]
pub struct Responders(Vec<(String, String)>);

impl Responders {
    /// A provider has responded behind a cluster.
    pub fn learn(&mut self, cluster: &str, provider: &str) {
        match self.0.iter_mut().find(|(known, _)| known == cluster) {
            Some((_, known)) if known == provider => {}
            Some((_, known)) => *known = provider.to_owned(),
            None => {
                if self.0.len() >= MAX {
                    self.0.remove(0);
                }
                self.0.push((cluster.to_owned(), provider.to_owned()));
            }
        }
    }

    /// Who responded there last.
    pub fn of(&self, cluster: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == cluster).map(|(_, provider)| provider.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_the_last_provider_of_a_cluster_is_known_and_clusters_are_bounded() {
        let mut responders = Responders::default();
        responders.learn("first", "openai");
        responders.learn("gate", "openai");
        responders.learn("gate", "gcp.gemini");
        assert_eq!((responders.of("gate"), responders.of("other")), (Some("gcp.gemini"), None));
        (0..MAX).for_each(|number| responders.learn(&number.to_string(), "x"));
        assert_eq!((responders.0.len(), responders.of("first"), responders.of("0")), (MAX, None, Some("x")));
    }
}
