//! The files that the AWS command line keeps credentials and settings in: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What the files say of a profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Profile(BTreeMap<String, String>);

impl Profile {
    /// The profile that the environment names (`AWS_PROFILE`), else the one called `default`.
    pub fn of_the_environment() -> Profile {
        let name = env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned());
        let file = |variable: &str, usual: &str| {
            let home = || Some(Path::new(&env::var_os("HOME")?).join(".aws").join(usual));
            let path = env::var_os(variable).map(PathBuf::from).or_else(home);
            path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
        };
        Profile::read(&file("AWS_CONFIG_FILE", "config"), &file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &name)
    }

    fn read(config: &str, credentials: &str, name: &str) -> Profile {
        let mut settings = BTreeMap::new();
        settings.extend(section(config, &format!("profile {name}")));
        if name == "default" {
            settings.extend(section(config, name));
        }
        // What both have, the credentials file decides.
        settings.extend(section(credentials, name));
        Profile(settings)
    }

    /// A setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The settings of a section. Nested ones, which are indented, are not wanted here.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut is_it = false;
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        if let Some(header) = line.trim().strip_prefix('[').and_then(|line| line.split(']').next()) {
            is_it = header.split_whitespace().eq(name.split_whitespace());
        } else if is_it
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_profile_is_read_as_the_aws_command_line_reads_it() {
        let config =
            "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = path\n[profile  ci]\nregion=us-east-2\n";
        let credentials =
            "# by hand\n[default]\naws_access_key_id = A\naws_secret_access_key = B=C\n\n[ci]\naws_access_key_id=D\n";
        let default = Profile::read(config, credentials, "default");
        assert_eq!(default.get("region"), Some("eu-west-1"));
        assert_eq!(default.get("aws_access_key_id"), Some("A"));
        assert_eq!(default.get("aws_secret_access_key"), Some("B=C"));
        assert_eq!(default.get("addressing_style"), None);
        let ci = Profile::read(config, credentials, "ci");
        assert_eq!((ci.get("region"), ci.get("aws_access_key_id")), (Some("us-east-2"), Some("D")));
        assert_eq!(ci.get("aws_secret_access_key"), None);
        assert_eq!(Profile::read(config, credentials, "other"), Profile::default());
    }
}
