//! Which Envoy this is. One older than those that the plugin is tested on may lack what it needs; then the log says so first.

use crate::host;

/// The oldest minor version of Envoy 1 that is tested, the last one of envoy/OLDER_VERSIONS.
const OLDEST: u64 = 38;

/// Says once that this Envoy is older. Envoy tells its version in a stream only.
pub fn warn_if_untested() {
    let Some((major, minor)) = version().filter(|version| *version < (1, OLDEST)) else { return };
    if host::first_to_mark("meshmeter: Envoy is old") {
        log::warn!(
            "meshmeter: this is Envoy {major}.{minor}, and the plugin is tested on Envoy 1.{OLDEST} and later: what may be missing \
             is in docs/envoy-versions.md"
        );
    }
}

/// Major and minor version, if this is an Envoy that says so.
fn version() -> Option<(u64, u64)> {
    let number =
        |name: &str| host::number(&["xds\0node\0user_agent_build_version\0version\0", name].concat()).ok().flatten();
    // Protobuf leaves out what is zero.
    Some((number("major_number")?, number("minor_number").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::abi;

    #[test]
    fn contract_an_envoy_that_is_older_than_those_tested_is_said_once() {
        crate::tests::set_logger();
        let set = |name: &str, number: u64| {
            abi::set_property(
                &["xds\0node\0user_agent_build_version\0version\0", name].concat(),
                &number.to_le_bytes(),
            );
        };
        warn_if_untested();
        set("major_number", 1);
        set("minor_number", OLDEST);
        warn_if_untested();
        assert!(!abi::logged("tested on"));
        set("minor_number", OLDEST - 1);
        warn_if_untested();
        warn_if_untested();
        assert_eq!(abi::times_logged("this is Envoy 1.37, and the plugin is tested on Envoy 1.38 and later"), 1);
    }

    #[test]
    fn contract_the_oldest_version_is_one_that_is_tested() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy/OLDER_VERSIONS");
        let versions = std::fs::read_to_string(file).unwrap();
        let oldest = versions.lines().last().unwrap();
        assert!(oldest.starts_with(&format!("1.{OLDEST}.")), "{oldest}");
    }
}
