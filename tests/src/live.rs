//! What can be changed while Envoy runs: the plugin (ECDS) and the listeners (LDS), by files that it watches.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    Result,
    bootstrap::{Bootstrap, write_filter, write_listeners},
    paths,
};

/// The changeable parts of one bootstrap.
pub struct Live {
    /// The plugin's configuration.
    pub plugin: Value,
    /// The plugin's code.
    pub code: PathBuf,
    filter: Value,
    filter_file: PathBuf,
    listeners_file: PathBuf,
    version: u32,
}

impl Live {
    /// Moves plugin and listeners of `bootstrap` into files below `dir`.
    pub fn of(bootstrap: &mut Bootstrap, dir: &Path) -> Result<Self> {
        let (filter_folder, listeners_folder) = (dir.join("filter"), dir.join("listeners"));
        fs::create_dir(&filter_folder)?;
        fs::create_dir(&listeners_folder)?;
        let (filter_file, listeners_file) = (filter_folder.join("file.json"), listeners_folder.join("file.json"));
        let (plugin, code) = (bootstrap.plugin()?, paths::wasm()?);
        let filter = bootstrap.filter_from(&filter_file)?;
        let listeners = bootstrap.listeners_from(&listeners_file)?;
        let mut live = Self { plugin, code, filter, filter_file, listeners_file, version: 0 };
        live.update()?;
        write_listeners(&live.listeners_file, 1, &listeners)?;
        Ok(live)
    }

    /// Hands Envoy the plugin as it is now.
    pub fn update(&mut self) -> Result<()> {
        self.version += 1;
        write_filter(&self.filter_file, self.version, &self.filter, &self.plugin.to_string(), &self.code)
    }

    /// Makes code that differs from the present one by a custom section with nothing in it.
    pub fn change_code(&mut self) -> Result<()> {
        let mut bytes = fs::read(&self.code)?;
        // Section 0 of 2 bytes: a name of one byte, and no content.
        bytes.extend([0, 2, 1, b'x']);
        self.code = self.filter_file.with_extension(format!("{}.wasm", self.version));
        fs::write(&self.code, bytes)?;
        self.update()
    }

    /// Takes every listener away.
    pub fn remove_listeners(&mut self) -> Result<()> {
        write_listeners(&self.listeners_file, 2, &json!([]))
    }
}
