//! As much of Rust's syntax as tells which modules a file declares and uses.

/// A file without comments, texts, and what is compiled for tests only.
pub fn shipped(source: &str) -> String {
    without_tests(&code(source))
}

/// Without comments and what stands in quotes.
fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest, '"'),
            'r' if raw(rest).is_some() && !code.ends_with(is_name) => raw(rest).unwrap_or(rest.len()),
            // A lifetime has no end mark.
            '\'' if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') => quoted(rest, '\''),
            _ => 0,
        };
        let taken = if skipped == 0 { first.len_utf8() } else { skipped };
        code.push_str(if skipped == 0 { &rest[..taken] } else { " " });
        rest = &rest[taken..];
    }
    code
}

fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if next == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long a raw text is, if one begins here.
fn raw(text: &str) -> Option<usize> {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let inner = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inner.find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len()))
}

fn is_name(next: char) -> bool {
    next.is_alphanumeric() || next == '_'
}

/// Without the items behind `#[cfg(…test…)]`.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(") {
        let end = rest[at..].find(']').map_or(rest.len(), |end| at + end + 1);
        let condition = &rest[at..end];
        kept.push_str(&rest[..at]);
        rest = &rest[end..];
        if names(condition).any(|name| name == "test") && !condition.contains("not(test)") {
            rest = &rest[item(rest)..];
        }
    }
    kept + rest
}

/// How long the item is that begins here: to its `;`, or to the `}` that closes its first `{`.
fn item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, next) in code.char_indices() {
        match next {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && next == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|next| !is_name(next)).filter(|name| !name.is_empty())
}

/// The modules that a file declares and that have files of their own.
pub fn modules(code: &str) -> Vec<String> {
    let declared = code.split(';').filter_map(|item| {
        let mut words = item.split_whitespace().rev();
        let (name, keyword) = (words.next()?, words.next()?);
        (keyword == "mod" && name.chars().all(is_name)).then(|| name.to_owned())
    });
    declared.collect()
}

/// The modules directly under the root that a file names, of a module so many steps below the root.
pub fn used(code: &str, depth: usize) -> Vec<String> {
    let supers = "super::".repeat(depth);
    let mut used = Vec::new();
    for root in ["crate::", supers.as_str()] {
        for (at, _) in code.match_indices(root) {
            let before = &code[..at];
            if before.ends_with(is_name) || before.ends_with("::") {
                continue;
            }
            let behind = &code[at + root.len()..];
            match behind.strip_prefix('{') {
                None => used.extend(names(behind).next().filter(|name| behind.starts_with(*name)).map(str::to_owned)),
                Some(group) => used.extend(firsts(group)),
            }
        }
    }
    used.retain(|name| name != "super");
    used
}

/// The first name of each path in a group, to its `}`.
fn firsts(group: &str) -> Vec<String> {
    let (mut depth, mut path, mut firsts) = (0_usize, String::new(), Vec::new());
    for next in group.chars() {
        match next {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                firsts.extend(names(&path).next().map(str::to_owned));
                path.clear();
                if next == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ if depth == 0 => path.push(next),
            _ => {}
        }
    }
    firsts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_every_way_to_name_a_module_is_seen() {
        let source = "use crate::{a::{self, x}, b};\nuse crate::c::y;\nfn f() { crate::d::g(super::super::e::h) }\n\
            pub(crate) fn g<'a>(c: char) -> &'a str { if c == '\"' { \"crate::no\" } else { r#\"\"crate::no\"# } }\n\
            // crate::no\n/* crate::no */ use super::sibling; use super::super::super::no;";
        let mut found = used(&shipped(source), 2);
        found.sort();
        assert_eq!(found, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn contract_what_only_tests_use_does_not_count() {
        let source = "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(any(test, feature = \"fuzzing\"))]\npub mod fuzz;\n\
            #[cfg(not(test))]\npub(crate) mod b;\nmod inline { use crate::c; }\n\
            #[cfg(test)]\n#[path = \"x.rs\"]\nmod more { use crate::{d}; fn f() {} }\nuse crate::e;\n\
            #[cfg(test)]\nuse crate::{f, g};\nuse crate::h;";
        let shipped = shipped(source);
        assert_eq!(modules(&shipped), ["a", "b"]);
        assert_eq!(used(&shipped, 1), ["c", "e", "h"]);
    }
}
