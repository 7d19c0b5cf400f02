//! Makes a table of what `web/build.mjs` wrote into `web/dist`, so that `serve` has the page in itself. Without it, the table is
//! empty, and everything else works.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=web/dist");
    let dist = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web/dist");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&dist)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    // The same table whatever order the file system has.
    files.sort();
    let mut table = String::from("pub const FILES: &[(&str, &[u8])] = &[\n");
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name in web/dist is no UTF-8")?;
        // What begins with a dot is of git and of tools/web.
        if !name.starts_with('.') {
            writeln!(table, "    ({name:?}, include_bytes!({path:?})),")?;
        }
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("web.rs"), table)?;
    Ok(())
}
