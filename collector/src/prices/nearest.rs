//! Which of the names that are known somebody may have meant.

/// A longer word is nobody's slip of a known name; the work is the product of the lengths.
const LONGEST: usize = 64;

/// The known name that is nearest to a word: one that differs by few letters, or that has most of its parts, whichever separates
/// them. Of two that are as near, the first.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let known = known.filter_map(|name| Some((distance(&word, name)?, name)));
    known.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How far a name is from a word; `None` if it is another one altogether.
fn distance(word: &str, name: &str) -> Option<usize> {
    let slips = edits(word, name);
    // A third of the letters: `inputtext`, `mistrall_ai`.
    if slips <= word.len().min(name.len()) / 3 {
        return Some(slips);
    }
    // `input_tokens` has the first part of `input_text`, `azure` that of `azure.ai.openai`, `gemini` the last of `gcp.gemini`.
    let parts = |text: &str| text.split(['_', '.', '-', ' ']).map(str::to_owned).collect::<Vec<_>>();
    let (asked, parts) = (parts(word), parts(name));
    let same = asked.iter().filter(|part| part.len() > 2 && parts.contains(part)).count();
    let most = asked.len().max(1);
    // Behind all slips; more parts in common are nearer.
    (same.saturating_mul(2) >= most)
        .then(|| LONGEST.saturating_mul(most.saturating_sub(same).saturating_add(1)).saturating_add(slips.min(LONGEST)))
}

/// The letters to add, leave out or change, to make one of the other.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut left = at.saturating_add(1);
        let mut corner = std::mem::replace(row.first_mut().unwrap_or(&mut 0), left);
        for (slot, wanted) in row.iter_mut().skip(1).zip(&other) {
            let changed = corner.saturating_add(usize::from(letter != *wanted));
            let best = changed.min(left.saturating_add(1)).min(slot.saturating_add(1));
            corner = std::mem::replace(slot, best);
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_what_somebody_meant_is_found() {
        let keys = [
            "provider",
            "model",
            "valid_from",
            "valid_to",
            "input_text",
            "input_audio",
            "cache_read",
            "cache_write_5m",
            "output_text",
            "web_searches",
        ];
        let cases = [
            ("input_tokens", Some("input_text")),
            ("inputtext", Some("input_text")),
            ("Input_Text", Some("input_text")),
            ("cached_read", Some("cache_read")),
            ("cache_write", Some("cache_write_5m")),
            ("web_search", Some("web_searches")),
            ("valid_until", Some("valid_to")),
            ("models", Some("model")),
            ("price", None),
            ("", None),
            ("zzzzzzzzzz", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, keys.into_iter()), expected, "{word}");
        }
        let providers = [
            "openai",
            "azure.ai.openai",
            "azure.ai.inference",
            "aws.bedrock",
            "gcp.gemini",
            "gcp.vertex_ai",
            "mistral_ai",
        ];
        for (word, expected) in [
            ("azure", Some("azure.ai.openai")),
            ("azure_openai", Some("azure.ai.openai")),
            ("bedrock", Some("aws.bedrock")),
            ("gemini", Some("gcp.gemini")),
            ("vertex_ai", Some("gcp.vertex_ai")),
            ("mistral", Some("mistral_ai")),
            ("OpenAI", Some("openai")),
            ("ours", None),
        ] {
            assert_eq!(nearest(word, providers.into_iter()), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(65), ["a"].into_iter()), None);
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("abc", "")), (3, 3, 3));
    }
}
