//! The region that a call is served from, where it has a price of its own.

use super::{catalogue, hosts};

/// A host name with a region in it: one label, or the rest of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InHost {
    /// What stands before the region; a star is any number of labels, and the region the last one behind them.
    before: &'static str,
    after: &'static str,
    /// What hosts that end so are in, whatever stands before; empty: what stands there.
    is: &'static str,
}

pub(super) const fn in_host(before: &'static str, after: &'static str) -> InHost {
    InHost { before, after, is: "" }
}

/// Hosts that end so are all in one region.
pub(super) const fn all_in(region: &'static str, after: &'static str) -> InHost {
    InHost { before: "*", after, is: region }
}

/// The areas that Bedrock's inference profiles are for: <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>.
const PROFILES: &[&str] = &["us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "mx", "il", "in", "kr", "global"];

/// The longest region that is believed; the longest there are have some twenty characters.
const MAX_REGION: usize = 32;

/// The region in the name of a cluster that is named after its host, plainly or as Istio does.
pub(super) fn of_cluster(cluster: &str) -> Option<String> {
    of_host(cluster.rsplit('|').next()?.as_bytes())
}

/// The region in a host's name, which may carry a port.
pub(super) fn of_host(host: &[u8]) -> Option<String> {
    let host = hosts::without_port(host);
    let host = std::str::from_utf8(host).ok().filter(|host| host.len() <= hosts::MAX_HOST)?.to_ascii_lowercase();
    catalogue::PROVIDERS.iter().flat_map(|provider| provider.regions).find_map(|known| {
        let rest = host.strip_suffix(known.after)?;
        if !known.is.is_empty() {
            return Some(known.is.to_owned());
        }
        clean(match known.before {
            "*" => rest.rsplit_once('.')?.1,
            before => rest.strip_prefix(before)?,
        })
    })
}

/// Vertex names the place in the path: `projects/P/locations/us-central1/…`; Cloudflare's gateway that of Bedrock:
/// `aws-bedrock/bedrock-runtime/us-east-1/…`.
pub(super) fn of_path(path: &[u8]) -> Option<String> {
    let mut segments = path.split(|&byte| byte == b'/');
    if segments.find(|segment| matches!(*segment, b"projects" | b"bedrock-runtime"))? == b"bedrock-runtime" {
        return clean(std::str::from_utf8(segments.next()?).ok()?);
    }
    let (_, locations) = (segments.next()?, segments.next()?);
    let place = segments.next().filter(|_| locations == b"locations")?;
    clean(std::str::from_utf8(place).ok()?)
}

/// The region of a model, if its name has one: that of an ARN, or the area of a profile.
pub(super) fn of_model(model: &str) -> Option<String> {
    of_arn(model).or_else(|| of_profile(model))
}

/// The fourth field of `arn:aws:bedrock:us-east-1:…`.
fn of_arn(model: &str) -> Option<String> {
    let mut fields = model.strip_prefix("arn:")?.split(':');
    clean(fields.nth(2)?)
}

/// The area of a profile: `eu.anthropic.claude-…`.
fn of_profile(model: &str) -> Option<String> {
    let (area, rest) = model.split_once('.')?;
    (PROFILES.contains(&area) && rest.contains('.')).then(|| area.to_owned())
}

fn clean(region: &str) -> Option<String> {
    let fits = (1..=MAX_REGION).contains(&region.len());
    let allowed = region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (fits && allowed).then(|| region.to_owned())
}

/// What Azure says of itself in `x-ms-region`: `East US` is `eastus`, as everywhere else.
pub(super) fn of_azure(value: &[u8]) -> Option<String> {
    let letters = value.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase);
    clean(std::str::from_utf8(&letters.take(MAX_REGION.saturating_add(1)).collect::<Vec<u8>>()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn deterministic_hosts_paths_and_models_name_the_region() {
            let cases = [
                ("eu.api.openai.com", "/v1/responses", None, Some("eu")),
                ("EU.API.openai.com:443", "/v1/responses", None, Some("eu")),
                ("api.openai.com", "/v1/responses", None, None),
                ("bedrock-runtime.us-east-1.amazonaws.com", "/model/x/converse", Some("eu.anthropic.claude-x"), Some("us-east-1")),
                ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "/", None, Some("us-gov-west-1")),
                ("vpce-0a1.bedrock-runtime.eu-west-3.vpce.amazonaws.com", "/", None, Some("eu-west-3")),
                ("bedrock-mantle.us-east-2.api.aws", "/", None, Some("us-east-2")),
                ("bedrock.corp", "/", Some("arn:aws:bedrock:us-west-2:1:inference-profile/us.anthropic.x"), Some("us-west-2")),
                ("bedrock.corp", "/", Some("arn:aws:bedrock:::foundation-model/x"), None),
                ("bedrock.corp", "/", Some("global.anthropic.claude-x"), Some("global")),
                ("bedrock.corp", "/", Some("gpt.4.1"), None),
                ("us-central1-aiplatform.googleapis.com", "/v1/projects/p/locations/us-central1/x", None, Some("us-central1")),
                ("aiplatform.eu.rep.googleapis.com", "/v1/projects/p/locations/eu/x", None, Some("eu")),
                ("aiplatform.googleapis.com", "/v1/projects/p/locations/global/publishers/google/models/m", None, Some("global")),
                ("aiplatform.googleapis.com", "/v1/publishers/google/models/m", None, None),
                ("us-east-1.api.x.ai", "/", None, Some("us-east-1")),
                ("dashscope-intl.aliyuncs.com", "/", None, Some("intl")),
                ("w.ap-southeast-1.maas.aliyuncs.com", "/", None, Some("ap-southeast-1")),
                ("us-south.ml.cloud.ibm.com", "/", None, Some("us-south")),
                ("acme.openai.azure.us", "/openai/v1/responses", None, Some("us-gov")),
                ("acme.cognitiveservices.azure.us:443", "/", None, Some("us-gov")),
                ("acme.openai.azure.com", "/", None, None),
                ("inference.generativeai.us-chicago-1.oci.oraclecloud.com", "/", None, Some("us-chicago-1")),
                ("gateway.ai.cloudflare.com", "/v1/a/g/aws-bedrock/bedrock-runtime/us-east-1/model/m/invoke", None, Some("us-east-1")),
            ];
            for (host, path, model, region) in cases {
                let found = of_host(host.as_bytes()).or_else(|| of_path(path.as_bytes()));
                assert_eq!(found.or_else(|| of_model(model?)).as_deref(), region, "{host}{path}");
            }
            assert_eq!(of_cluster("outbound|443||eu.api.openai.com").as_deref(), Some("eu"));
            assert_eq!((of_cluster("eu.api.openai.com").as_deref(), of_cluster("openai")), (Some("eu"), None));
            assert_eq!((of_azure(b"East US 2").as_deref(), of_azure(b"a;b"), of_azure(&[b'a'; 99])), (Some("eastus2"), None, None));
        }

        fn deterministic_a_hostile_host_names_no_region() {
            let long = format!("{}.api.openai.com", "a".repeat(33));
            for host in ["a.b.api.openai.com", "a b.api.openai.com", ".api.openai.com", "\u{e9}.api.openai.com", &long] {
                assert_eq!(of_host(host.as_bytes()), None, "{host}");
            }
        }
    }
}
