//! Links between the documents lead somewhere: every relative link names a file, and every anchor a heading.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest README, bytes. What is longer belongs into docs/.
const README: usize = 10_240;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The project's documents: at the root, below docs/, istio/ and tests/recordings/
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root().join("docs"), root().join("istio"), root().join("tests/recordings")];
    let mut take = |directory: &Path, directories: Option<&mut Vec<PathBuf>>| {
        let entries: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        let (below, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.is_dir());
        found.extend(files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")));
        if let Some(directories) = directories {
            directories.extend(below);
        }
    };
    take(&root(), None);
    while let Some(directory) = directories.pop() {
        take(&directory, Some(&mut directories));
    }
    found
}

/// The lines of a document outside its code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    })
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let mut anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let again = seen.entry(slug.clone()).or_default();
        *again += 1;
        if *again == 1 { slug } else { format!("{slug}-{}", *again - 1) }
    };
    headings.map(&mut anchor).collect()
}

/// The targets of a document's links and images.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        // What is in backticks is no link.
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("` `");
        found.extend(plain.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    found
}

/// What is wrong with a link of this document.
fn problem(document: &Path, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { document.to_owned() } else { document.parent()?.join(file) };
    if !path.exists() {
        return Some(format!("{}: {target}: there is no such file", document.display()));
    }
    let anchor = anchor?;
    let is_there = anchors(&fs::read_to_string(&path).unwrap()).iter().any(|heading| heading == anchor);
    (!is_there).then(|| format!("{}: {target}: there is no such heading", document.display()))
}

#[test]
fn contract_links_between_documents_lead_somewhere() {
    let mut links = 0;
    let mut problems = Vec::new();
    for document in documents() {
        let targets = targets(&fs::read_to_string(&document).unwrap());
        links += targets.len();
        problems.extend(targets.iter().filter_map(|target| problem(&document, target)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(links > 100, "only {links} links were found");
}

/// The directories of the repository whose files documents name.
const DIRECTORIES: &[&str] = &[
    "wire/",
    "meter/",
    "delivery/",
    "filter/",
    "collector/",
    "tests/",
    "tools/",
    "envoy/",
    "istio/",
    "docs/",
    ".github/",
];

/// The files and directories of the repository that a line names in backticks.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |text: &&str| {
        DIRECTORIES.iter().any(|directory| text.starts_with(directory))
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    line.split('`').skip(1).step_by(2).filter(is_path)
}

#[test]
fn contract_files_that_documents_name_exist() {
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for name in prose(&text).flat_map(named) {
            assert!(root().join(name).exists(), "{} names {name}, which does not exist", document.display());
            count += 1;
        }
    }
    assert!(count > 30, "only {count} names were found");
}

#[test]
fn deterministic_a_broken_link_is_found() {
    let document = root().join("README.md");
    assert!(problem(&document, "docs/no-such-file.md").is_some());
    assert!(problem(&document, "docs/limits.md#no-such-heading").is_some());
    assert_eq!(problem(&document, "docs/limits.md#what-is-not-metered"), None);
    assert_eq!(anchors("# A b\n```\n# no\n```\n## `a_b`: c, d?\n## A b\n"), ["a-b", "a_b-c-d", "a-b-1"]);
    assert_eq!(targets("[a](b.md#c) `[d](e)` ![f](g.svg)\n```\n[h](i)\n```\n"), ["b.md#c", "g.svg"]);
}

#[test]
fn contract_the_readme_is_short() {
    let length = fs::metadata(root().join("README.md")).unwrap().len();
    assert!(
        length <= README as u64,
        "README.md has {length} bytes, at most {README} are wanted: move the rest to docs/"
    );
}
