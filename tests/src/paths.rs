//! Where the built artefacts and the shipped files are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::Result;

/// The top of the checkout.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// A file under `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Envoy: `MESHMETER_ENVOY`, else `envoy` on the PATH.
pub fn envoy() -> Result<PathBuf> {
    if let Some(path) = env::var_os("MESHMETER_ENVOY") {
        return present(path.into(), "MESHMETER_ENVOY");
    }
    let found = env::var_os("PATH")
        .and_then(|path| env::split_paths(&path).map(|folder| folder.join("envoy")).find(|path| path.is_file()));
    found.ok_or_else(|| "no Envoy: set MESHMETER_ENVOY (the justfile does), or put envoy on the PATH".into())
}

/// The Envoys of `envoy/OLDER_VERSIONS`, each with its version, where tools/setup puts them.
pub fn older_envoys() -> Result<Vec<(String, PathBuf)>> {
    let file = workspace().join("envoy/OLDER_VERSIONS");
    let versions = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let found = versions.lines().map(|version| {
        let path = workspace().join(".tools/bin").join(format!("envoy-{version}"));
        Ok((version.to_owned(), present(path, &format!("Envoy {version} (tools/setup e2e brings it)"))?))
    });
    found.collect()
}

/// The filter: `MESHMETER_WASM`, else where cargo builds it.
pub fn wasm() -> Result<PathBuf> {
    let built = || workspace().join("target/wasm32-wasip1/release/filter.wasm");
    present(env::var_os("MESHMETER_WASM").map_or_else(built, PathBuf::from), "the filter (MESHMETER_WASM)")
}

/// The collector: `MESHMETER_COLLECTOR`, else beside this very binary, else where cargo builds it.
pub fn collector() -> Result<PathBuf> {
    if let Some(path) = env::var_os("MESHMETER_COLLECTOR") {
        return present(path.into(), "MESHMETER_COLLECTOR");
    }
    let exe = env::current_exe()?;
    // target/debug/demo and target/debug/deps/contract_api-0123 both lead to target/debug/meshmeter.
    let beside = exe.ancestors().skip(1).take(2).map(|folder| folder.join("meshmeter"));
    let built = ["debug", "release"].map(|profile| workspace().join("target").join(profile).join("meshmeter"));
    beside
        .chain(built)
        .find(|path| path.is_file())
        .ok_or_else(|| "no collector: build it with `cargo build -p collector`, or set MESHMETER_COLLECTOR".into())
}

/// The filter of the chaos test, which traps on demand: `MESHMETER_WASM_TRAP`, else where `just` puts it.
pub fn trap_wasm() -> Result<PathBuf> {
    let built = || workspace().join("target/wasm32-wasip1/release/filter-trap.wasm");
    present(env::var_os("MESHMETER_WASM_TRAP").map_or_else(built, PathBuf::from), "the filter (MESHMETER_WASM_TRAP)")
}

/// The collector of the control run, which recognises no event again: `MESHMETER_COLLECTOR_FORGETFUL`, else where `just`
/// puts it.
pub fn forgetful_collector() -> Result<PathBuf> {
    let built = || workspace().join("target/debug/meshmeter-forgetful");
    let path = env::var_os("MESHMETER_COLLECTOR_FORGETFUL").map_or_else(built, PathBuf::from);
    present(path, "the collector (MESHMETER_COLLECTOR_FORGETFUL)")
}

/// A Python that has the SDKs of `tests/sdk/requirements.txt`: `MESHMETER_SDK_PYTHON`, else where tools/setup puts it.
pub fn sdk_python() -> Result<PathBuf> {
    let installed = || workspace().join(".tools/sdk/bin/python");
    let path = env::var_os("MESHMETER_SDK_PYTHON").map_or_else(installed, PathBuf::from);
    present(path, "a Python with the SDKs (MESHMETER_SDK_PYTHON; tools/setup e2e brings it)")
}

/// A Python that has the validator of FOCUS (`tests/focus/requirements.txt`), where tools/setup puts it.
pub fn focus_python() -> Result<PathBuf> {
    let path = workspace().join(".tools/focus/bin/python");
    present(path, "a Python with the validator of FOCUS (tools/setup e2e brings it)")
}

/// Prometheus or promtool, on the PATH, where Debian's package puts both.
pub fn prometheus(program: &str) -> Result<PathBuf> {
    let found = env::var_os("PATH")
        .and_then(|path| env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file()));
    found.ok_or_else(|| format!("no {program} on the PATH: tools/setup e2e brings Debian's package prometheus").into())
}

/// The OpenTelemetry Collector: `MESHMETER_OTELCOL`, else where tools/setup puts it.
pub fn otelcol() -> Result<PathBuf> {
    tool("otelcol", "MESHMETER_OTELCOL")
}

/// Envoy's rate limit service: `MESHMETER_RATELIMIT`, else where tools/setup puts it.
pub fn ratelimit() -> Result<PathBuf> {
    tool("ratelimit", "MESHMETER_RATELIMIT")
}

/// Kafka's jars, and what is compiled against them, where tools/setup puts both.
pub fn kafka() -> PathBuf {
    env::var_os("MESHMETER_KAFKA").map_or_else(|| workspace().join(".tools/kafka"), PathBuf::from)
}

fn tool(name: &str, variable: &str) -> Result<PathBuf> {
    let path = env::var_os(variable).map_or_else(|| workspace().join(".tools/bin").join(name), PathBuf::from);
    present(path, &format!("{name} ({variable}; tools/setup e2e brings it)"))
}

/// A file under `tests/sdk`.
pub fn sdk(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(name)
}

/// The bootstrap that users take.
pub fn bootstrap() -> PathBuf {
    workspace().join("envoy/envoy.yaml")
}

/// The price book that users start from.
pub fn prices() -> PathBuf {
    workspace().join("collector/prices/example.toml")
}

fn present(path: PathBuf, what: &str) -> Result<PathBuf> {
    if path.is_file() { Ok(path) } else { Err(format!("{what}: no file at {}", path.display()).into()) }
}
