//! The bootstrap that users take is accepted by the very Envoy it is for.

use std::{collections::BTreeMap, fs, process::Command};

use e2e::{Result, bootstrap::Bootstrap, envoy, identity::Identity, paths, stack};

#[test]
fn contract_envoy_accepts_the_shipped_bootstrap() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let identity = Identity::create(dir.path())?;
    let mut files = stack::files(dir.path(), &identity)?;
    // The system's authorities, which need not be on the machine that runs this.
    files.insert("/etc/ssl/certs/ca-certificates.crt", identity.file("ca.crt").to_string_lossy().into_owned());
    let mut bootstrap = Bootstrap::shipped()?;
    bootstrap.replace(&files)?;
    envoy::validate(dir.path(), &bootstrap)
}

#[test]
fn contract_envoy_refuses_what_is_not_a_bootstrap() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let identity = Identity::create(dir.path())?;
    let mut bootstrap = Bootstrap::shipped()?;
    let mut files = stack::files(dir.path(), &identity)?;
    files.insert("/etc/meshmeter/jwks.json", "/nowhere/jwks.json".to_owned());
    bootstrap.replace(&files)?;
    let problem = envoy::validate(dir.path(), &bootstrap).expect_err("a file is missing").to_string();
    assert!(problem.contains("/nowhere/jwks.json"), "{problem}");
    Ok(())
}

#[test]
fn contract_the_bootstrap_names_no_unknown_file() -> Result<()> {
    let unknown = BTreeMap::from([("/etc/meshmeter/nothing", String::new())]);
    let problem = Bootstrap::shipped()?.replace(&unknown).expect_err("it is not there").to_string();
    assert!(problem.ends_with("does not contain /etc/meshmeter/nothing"), "{problem}");
    Ok(())
}

#[test]
fn contract_envoy_has_the_version_of_the_project() -> Result<()> {
    let version = fs::read_to_string(paths::workspace().join("envoy/VERSION"))?;
    let output = Command::new(paths::envoy()?).arg("--version").output()?;
    let says = String::from_utf8_lossy(&output.stdout);
    assert!(says.contains(&format!("/{}/", version.trim())), "envoy/VERSION is {version:?}, Envoy says {says}");
    Ok(())
}
