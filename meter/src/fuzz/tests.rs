//! Every fuzz function over the seeds, and over random mutations of them; the same ones in every run.

use std::path::Path;

use super::{Draw, TARGETS};

/// Mutations per target; `MESHMETER_MUTATIONS` asks for more.
const MUTATIONS: usize = 3000;
/// The longest mutated input, bytes: byte by byte, long ones take their time.
const MAX_INPUT: usize = 2000;

/// What is worth putting in, in libFuzzer's own format.
const DICTIONARY: &str = include_str!("../../fuzz/dictionary");

fn seeds() -> Vec<Vec<u8>> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["fuzz/seeds", "../tests/fixtures/provider"] {
        let entries = std::fs::read_dir(crate_dir.join(dir)).unwrap_or_else(|error| panic!("{dir}: {error}"));
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    // Directories come in any order.
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn words() -> Vec<Vec<u8>> {
    let lines = DICTIONARY.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
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

fn mutate(seeds: &[Vec<u8>], words: &[Vec<u8>], draw: &mut Draw) -> Vec<u8> {
    let mut input = slice(&seeds[draw.below(seeds.len())], MAX_INPUT, draw);
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

/// A part of a seed, often all of it.
fn slice(seed: &[u8], max: usize, draw: &mut Draw) -> Vec<u8> {
    let from = if draw.below(3) == 0 { draw.below(seed.len().max(1)) } else { 0 };
    seed[from..].iter().take(max).copied().collect()
}

#[test]
fn contract_every_fuzz_function_holds_for_seeds_and_mutations() {
    let (seeds, words) = (seeds(), words());
    let mutations = std::env::var("MESHMETER_MUTATIONS").map_or(MUTATIONS, |number| number.parse().unwrap());
    for (name, run) in TARGETS {
        let holds = |input: &[u8]| {
            let outcome = std::panic::catch_unwind(|| run(input));
            assert!(outcome.is_ok(), "{name}: the input is {:?}", input.escape_ascii().to_string());
        };
        seeds.iter().for_each(|seed| holds(seed));
        let mut draw = Draw(0x6d65_7465_726d_6574);
        (0..mutations).for_each(|_| holds(&mutate(&seeds, &words, &mut draw)));
    }
}

#[test]
fn contract_each_target_is_declared() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let target = std::fs::read_to_string(dir.join(format!("targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("meter::fuzz::{name}(")), "targets/{name}.rs");
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} has no [[bin]]");
    }
    assert_eq!(std::fs::read_dir(dir.join("targets")).unwrap().count(), TARGETS.len());
}
