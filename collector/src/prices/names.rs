//! The names under which a model may have a price: as a call has it, then without what providers put around a name.

/// A name has a handful of forms; the bound is for names that nobody has.
const MOST: usize = 24;

/// Where Bedrock's inference profiles are served from; the model's own name stands behind the point.
const PROFILES: [&str; 10] = ["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca", "sa", "me"];

/// The forms of a name in lower case: itself, then those with less and less around it.
pub(super) fn forms(name: &str) -> Vec<String> {
    let mut forms = vec![name.to_owned()];
    let mut at = 0_usize;
    while let Some(form) = forms.get(at).cloned() {
        for rule in RULES {
            match rule(&form) {
                Some(next) if forms.len() < MOST && !next.is_empty() && !forms.contains(&next) => forms.push(next),
                _ => {}
            }
        }
        at = at.saturating_add(1);
    }
    forms
}

type Rule = fn(&str) -> Option<String>;

/// In the order in which they are tried.
const RULES: [Rule; 8] =
    [of_path, of_profile, without_version, with_date, without_date_at, of_tuned, without_date, without_latest];

/// `publishers/google/models/x`, `models/x`, `arn:…:inference-profile/x`, `org/x`: what stands behind the next slash.
fn of_path(name: &str) -> Option<String> {
    name.split_once('/').map(|(_, rest)| rest.to_owned())
}

/// `us.anthropic.claude-…` is `anthropic.claude-…` in the price lists that do not tell profiles apart.
fn of_profile(name: &str) -> Option<String> {
    let (profile, rest) = name.split_once('.')?;
    (PROFILES.contains(&profile) && rest.contains('.')).then(|| rest.to_owned())
}

/// `amazon.nova-lite-v1:0`.
fn without_version(name: &str) -> Option<String> {
    let (rest, version) = name.rsplit_once(':')?;
    let is_version = !version.is_empty() && version.len() <= 2 && is_number(version);
    is_version.then(|| rest.to_owned())
}

/// Vertex writes `claude-sonnet-4-5@20250929` where others have `claude-sonnet-4-5-20250929`.
fn with_date(name: &str) -> Option<String> {
    let (rest, date) = name.rsplit_once('@')?;
    is_day(date).then(|| format!("{rest}-{date}"))
}

/// `…@20250929`, `…@latest`, `…@default`, `…@001`.
fn without_date_at(name: &str) -> Option<String> {
    let (rest, date) = name.rsplit_once('@')?;
    (matches!(date, "latest" | "default") || is_number(date)).then(|| rest.to_owned())
}

/// A tuned model, `ft:gpt-4.1-2025-04-14:org::id`, has the price of its kind.
fn of_tuned(name: &str) -> Option<String> {
    let (base, _) = name.strip_prefix("ft:")?.split_once(':')?;
    Some(format!("ft:{base}"))
}

/// `…-2025-04-14`, `…-20250929`.
fn without_date(name: &str) -> Option<String> {
    let begin = |length: usize| name.len().checked_sub(length).filter(|begin| name.is_char_boundary(*begin));
    let spelled = begin("-2025-04-14".len()).and_then(|at| {
        let (rest, date) = name.split_at(at);
        let digits = date.replace('-', "");
        let has_dashes = date.bytes().enumerate().all(|(at, byte)| (byte == b'-') == matches!(at, 0 | 5 | 8));
        (has_dashes && is_day(&digits)).then(|| rest.to_owned())
    });
    let compact = || {
        let (rest, date) = name.rsplit_once('-')?;
        is_day(date).then(|| rest.to_owned())
    };
    spelled.or_else(compact)
}

/// `…-latest`, and what Ollama calls `…:latest`.
fn without_latest(name: &str) -> Option<String> {
    name.strip_suffix("-latest").or_else(|| name.strip_suffix(":latest")).map(str::to_owned)
}

/// A day of this century, `20250929`.
fn is_day(digits: &str) -> bool {
    let number = |from: usize, to: usize| digits.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    digits.len() == 8
        && digits.starts_with("20")
        && is_number(digits)
        && number(4, 6).is_some_and(|month| (1..=12).contains(&month))
        && number(6, 8).is_some_and(|day| (1..=31).contains(&day))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn contract_a_name_is_looked_for_without_what_providers_put_around_it() {
        let cases: [(&str, &str); 17] = [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("global.amazon.nova-lite-v1:0", "amazon.nova-lite-v1"),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
                "anthropic.claude-haiku-4-5-20251001-v1:0",
            ),
            ("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
            ("publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("google/gemini-2.5-pro", "gemini-2.5-pro"),
            ("models/gemini-2.5-flash", "gemini-2.5-flash"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@default", "claude-sonnet-4-5"),
            ("gpt-4.1-2025-04-14", "gpt-4.1"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("mistral-large-latest", "mistral-large"),
            ("ft:gpt-4.1-2025-04-14:acme::abc", "ft:gpt-4.1"),
            ("fireworks/accounts/fireworks/models/kimi-k2", "accounts/fireworks/models/kimi-k2"),
            ("fireworks/accounts/fireworks/models/kimi-k2", "kimi-k2"),
        ];
        for (name, form) in cases {
            let forms = forms(name);
            assert_eq!(forms[0], name);
            assert!(forms.contains(&form.to_owned()), "{name}: {forms:?} without {form}");
        }
        // A free variant has no paid one's price, a number is no date, a day that is none is none.
        for name in ["deepseek-r1:free", "gpt-4-32k", "m-20251399", "m-19991231", "gpt-4.1", "kimi-k2-0905", "a.b"] {
            assert_eq!(forms(name), [name]);
        }
    }

    proptest! {
        #[test]
        fn deterministic_forms_are_few_and_each_once(name in "(us\\.|ft:|a/|models/|[-@:.]|2025|-09-29|20250929|latest|é|v1){0,12}") {
            let forms = forms(&name);
            let unique: std::collections::HashSet<&String> = forms.iter().collect();
            prop_assert!(forms.len() <= MOST && unique.len() == forms.len());
            prop_assert!(forms.iter().skip(1).all(|form| !form.is_empty() && form.len() <= name.len()));
        }
    }
}
