//! Every fuzz function over the seeds, and over random mutations of them; the same ones in every run.

use std::path::{Path, PathBuf};

use super::{Draw, Function};

/// Mutations per target; `MESHMETER_MUTATIONS` asks for more.
const MUTATIONS: usize = 3000;
/// What a crate's functions are tried with.
#[derive(Debug)]
pub struct Trial {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    longest: usize,
}

impl Trial {
    /// Begins with the seeds and the dictionary of `tests/fuzz` that have the crate's name, and the files of more
    /// directories below `tests`; mutations have at most `longest` bytes.
    pub fn new(crate_name: &str, more: &[&str], longest: usize) -> Trial {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        let mut files = Vec::new();
        for dir in [format!("fuzz/seeds/{crate_name}").as_str()].iter().chain(more) {
            let entries = std::fs::read_dir(tests.join(dir)).unwrap_or_else(|error| panic!("{dir}: {error}"));
            files.extend(entries.map(|entry| entry.unwrap().path()));
        }
        // Directories come in any order.
        files.sort();
        let seeds = files.into_iter().map(|file: PathBuf| std::fs::read(file).unwrap()).collect();
        let dictionary = std::fs::read_to_string(tests.join("fuzz/dictionary").join(crate_name)).unwrap();
        Trial { seeds, words: words(&dictionary), longest }
    }

    /// Panics with the input for which a function does.
    pub fn run(&self, targets: &[(&str, Function)]) {
        let mutations = std::env::var("MESHMETER_MUTATIONS").map_or(MUTATIONS, |number| number.parse().unwrap());
        for (name, run) in targets {
            let holds = |input: &[u8]| {
                let outcome = std::panic::catch_unwind(|| run(input));
                assert!(outcome.is_ok(), "{name}: the input is {:?}", input.escape_ascii().to_string());
            };
            self.seeds.iter().for_each(|seed| holds(seed));
            let mut draw = Draw(0x6d65_7465_726d_6574);
            (0..mutations).for_each(|_| holds(&self.mutate(&mut draw)));
        }
    }

    fn mutate(&self, draw: &mut Draw) -> Vec<u8> {
        let Trial { seeds, words, longest } = self;
        let mut input = slice(&seeds[draw.below(seeds.len())], *longest, draw);
        for _ in 0..=draw.below(6) {
            let at = draw.below(input.len() + 1);
            let end = (at + draw.below(40)).min(input.len());
            let new = match draw.below(6) {
                0 => Vec::new(),
                1 => vec![draw.below(256) as u8; draw.below(4)],
                2 | 3 => words[draw.below(words.len())].clone(),
                4 => slice(&seeds[draw.below(seeds.len())], 200, draw),
                _ => input[at..end].repeat(1 + draw.below(3)),
            };
            let end = if draw.below(2) == 0 { at } else { end };
            input.splice(at..end, new);
        }
        input
    }
}

/// Panics if a function has no target in `tests/fuzz`, or a target no function.
pub fn declared(crate_name: &str, targets: &[(&str, Function)]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz");
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    let files = std::fs::read_dir(dir.join("targets")).unwrap().map(|entry| entry.unwrap().path());
    let of_crate =
        files.filter(|file| std::fs::read_to_string(file).unwrap().contains(&format!("{crate_name}::fuzz::")));
    assert_eq!(of_crate.count(), targets.len());
    for (name, _) in targets {
        let target = std::fs::read_to_string(dir.join(format!("targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("{crate_name}::fuzz::{name}(")), "targets/{name}.rs");
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} has no [[bin]]");
    }
}

/// What is worth putting in, in libFuzzer's own format.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let lines = dictionary.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| unescaped(line.trim_matches('"').as_bytes())).collect()
}

fn unescaped(written: &[u8]) -> Vec<u8> {
    let mut word = Vec::new();
    let mut rest = written;
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, behind) = match (first, behind) {
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
                (digit(*high) * 16 + digit(*low), behind)
            }
            (b'\\', [escaped, behind @ ..]) => (*escaped, behind),
            _ => (first, behind),
        };
        word.push(byte);
        rest = behind;
    }
    word
}

/// A part of a seed, often all of it.
fn slice(seed: &[u8], max: usize, draw: &mut Draw) -> Vec<u8> {
    let from = if draw.below(3) == 0 { draw.below(seed.len().max(1)) } else { 0 };
    seed[from..].iter().take(max).copied().collect()
}
