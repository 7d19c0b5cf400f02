//! The few regular expressions of price lists as patterns: literals, digits, small choices, and names that end otherwise.

/// Where a pattern may not go on.
const END: char = '\0';
/// A choice of choices grows fast; a price list's is small.
const MAX_PATTERNS: usize = 32;

/// The patterns that match what a regular expression does, and those that take something out again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Globs {
    pub models: Vec<String>,
    pub except: Vec<String>,
}

/// Turns a regular expression into patterns; `None` if patterns cannot say it.
pub(super) fn globs(regex: &str) -> Option<Globs> {
    let mut rest = regex;
    let anchored = rest.strip_prefix('^').map(|after| rest = after).is_some();
    let mut except = Vec::new();
    if anchored && let Some(after) = rest.strip_prefix("(?!") {
        let (inner, after) = group(after)?;
        except = choices(inner)?.into_iter().map(finish).collect();
        rest = after;
    }
    let models = choices(rest)?.into_iter().map(|text| finish(if anchored { text } else { format!("*{text}") }));
    Some(Globs { models: models.collect(), except })
}

/// A pattern goes on unless it ends.
fn finish(text: String) -> String {
    match text.strip_suffix(END) {
        Some(text) => text.to_owned(),
        None if text.ends_with('*') => text,
        None => format!("{text}*"),
    }
}

/// The text of a group whose opening is read, and what follows it.
fn group(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' => depth = depth.saturating_add(1),
            ')' if depth == 0 => return Some((text.get(..at)?, text.get(at.saturating_add(1)..)?)),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Every text that an expression can be, in the words of patterns.
fn choices(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for branch in branches(text) {
        all.append(&mut sequence(branch)?);
    }
    (all.len() <= MAX_PATTERNS).then_some(all)
}

/// The parts between the bars that stand in no group.
fn branches(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let is_bar = |letter: char| {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == '|' && depth == 0
    };
    text.split(is_bar).collect()
}

fn sequence(mut rest: &str) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    while let Some(letter) = rest.chars().next() {
        rest = rest.get(letter.len_utf8()..)?;
        let mut items: Vec<String> = match letter {
            '\\' => {
                let escaped = rest.chars().next()?;
                rest = rest.get(escaped.len_utf8()..)?;
                match escaped {
                    'd' => vec!["#".to_owned()],
                    _ if escaped.is_ascii_punctuation() => vec![literal(escaped)?],
                    _ => return None,
                }
            }
            '(' => {
                let (inner, after) = group(rest)?;
                rest = after;
                choices(inner.strip_prefix("?:").unwrap_or(inner))?
            }
            '[' => {
                let (inner, after) = rest.split_once(']')?;
                rest = after;
                let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-@._:/".contains(letter);
                // A dash between two letters is a range.
                let is_range = inner.chars().count() > 2 && inner.trim_matches('-').contains('-');
                if inner.is_empty() || is_range || !inner.chars().all(is_plain) {
                    return None;
                }
                let mut letters: Vec<String> = inner.to_ascii_lowercase().chars().map(String::from).collect();
                letters.dedup();
                letters
            }
            '$' => vec![END.to_string()],
            '.' => {
                rest = rest.strip_prefix('*')?;
                vec!["*".to_owned()]
            }
            _ => vec![literal(letter)?],
        };
        if let Some(after) = rest.strip_prefix('?') {
            rest = after;
            items.push(String::new());
        } else if let Some((times, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            rest = after;
            let times = times.parse::<usize>().ok().filter(|times| (1..=MAX_PATTERNS).contains(times))?;
            items.iter_mut().for_each(|item| *item = item.repeat(times));
        }
        let longer = |text: &String| items.iter().map(|item| format!("{text}{item}")).collect::<Vec<_>>();
        texts = texts.iter().flat_map(longer).collect();
        if texts.len() > MAX_PATTERNS {
            return None;
        }
    }
    // Nothing can follow an end.
    let ends_early = |text: &String| text.trim_end_matches(END).contains(END);
    (!texts.iter().any(ends_early)).then_some(texts)
}

fn literal(letter: char) -> Option<String> {
    let is_special = letter == END || "*+?{}|^)#!".contains(letter);
    (!is_special).then(|| letter.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_what_lists_say_becomes_patterns_and_the_rest_is_refused() {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            (r"^claude-fable-5-\d{8}$", &["claude-fable-5-########"], &[]),
            (r"^gpt-5\.6-sol-\d{4}-\d{2}-\d{2}$", &["gpt-5.6-sol-####-##-##"], &[]),
            (r"^gemini-3\.5-flash-\d", &["gemini-3.5-flash-#*"], &[]),
            (r"^claude-opus-5[-@]\d{2}$", &["claude-opus-5-##", "claude-opus-5@##"], &[]),
            (r"^composer-2\.5\[fast=true\]$", &["composer-2.5[fast=true]"], &[]),
            (r"^(x/)?jev(-\d{2})?$", &["x/jev-##", "x/jev", "jev-##", "jev"], &[]),
            (r"^(?!.*-[tT][tT][sS](?:$|-))", &["*"], &["*-tts", "*-tts-*"]),
            (r"^o[134]", &["o1*", "o3*", "o4*"], &[]),
            (r"stral", &["*stral*"], &[]),
        ];
        for (regex, models, except) in cases {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            let expected = Globs { models: owned(models), except: owned(except) };
            assert_eq!(globs(regex), Some(expected), "{regex}");
        }
        for regex in ["a+", "a.b", r"\w", "[a-z]", "[^a]", "(a", "a{1,2}", "a*", "(?=a)b", "a$b", "^(?<!a)b", "a{99}"] {
            assert_eq!(globs(regex), None, "{regex}");
        }
    }
}
