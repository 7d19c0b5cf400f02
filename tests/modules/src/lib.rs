//! The arrows between the modules directly under a crate's `src`, as its source says them: `crate::x` in module `y` is an
//! arrow from `y` to `x`. What only tests use does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

mod source;

/// From which module to which, and a file that says so.
pub type Arrows = BTreeMap<(String, String), PathBuf>;

/// The arrows of a crate; its root is `src/lib.rs`.
pub fn arrows(root: &Path) -> Arrows {
    let src = root.join("src");
    let mut arrows = Arrows::new();
    let text = source::shipped(&read(&src.join("lib.rs")));
    for module in source::modules(&text) {
        let file = file_of(&src, &module);
        follow(&mut arrows, &[module], &file);
    }
    arrows
}

fn follow(arrows: &mut Arrows, path: &[String], file: &Path) {
    let text = source::shipped(&read(file));
    let Some(own) = path.first() else { return };
    for used in source::used(&text, path.len()) {
        if used != *own {
            arrows.entry((own.clone(), used)).or_insert_with(|| file.to_owned());
        }
    }
    // What `x.rs` and `x/mod.rs` declare lies in `x/`.
    let directory = if file.ends_with("mod.rs") { file.with_file_name("") } else { file.with_extension("") };
    for module in source::modules(&text) {
        let file = file_of(&directory, &module);
        follow(arrows, &[path, &[module]].concat(), &file);
    }
}

fn file_of(directory: &Path, module: &str) -> PathBuf {
    let file = directory.join(format!("{module}.rs"));
    if file.exists() { file } else { directory.join(module).join("mod.rs") }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The arrows that lie on a circle, each with the file that says so.
pub fn circles(arrows: &Arrows) -> Vec<String> {
    let found = arrows.iter().filter(|((from, to), _)| reached(arrows, to).contains(from.as_str()));
    found.map(|((from, to), file)| format!("{from} -> {to}, in {}", file.display())).collect()
}

/// Where one comes to from a module.
fn reached<'a>(arrows: &'a Arrows, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        let targets = arrows.keys().filter(|(from, _)| from == module).map(|(_, to)| to.as_str());
        next.extend(targets.filter(|to| reached.insert(*to)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Libraries of the workspace whose modules stand in an order.
    const CRATES: [&str; 6] = ["wire", "meter", "delivery", "warehouse", "relay", "collector"];

    #[test]
    fn contract_no_modules_use_each_other() {
        let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        for name in CRATES {
            let arrows = arrows(&workspace.join(name));
            assert!(arrows.len() > 2, "{name}: its source was not understood: {arrows:?}");
            let circles = circles(&arrows);
            assert!(circles.is_empty(), "{name}: modules use each other in a circle:\n{}", circles.join("\n"));
        }
    }

    #[test]
    fn contract_a_circle_is_found_and_what_only_leads_to_it_is_not_blamed() {
        let arrow = |from: &str, to: &str| ((from.to_owned(), to.to_owned()), PathBuf::from(from));
        let mut arrows = Arrows::from([arrow("a", "b"), arrow("b", "c"), arrow("z", "a"), arrow("c", "y")]);
        assert!(circles(&arrows).is_empty());
        arrows.extend([arrow("c", "a")]);
        assert_eq!(circles(&arrows), ["a -> b, in a", "b -> c, in b", "c -> a, in c"]);
    }
}
