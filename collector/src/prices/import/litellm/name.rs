//! What a key of the list says: the model's name, and before it a region, a size, a quality or a commitment.

use std::collections::BTreeSet;

use super::super::Import;
use super::super::draft::{Conditions, only};

/// A key, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// As its provider has it.
    pub name: String,
    /// Size, quality and region.
    pub conditions: Conditions,
    /// Width times height.
    pub pixels: Option<u64>,
    /// Whether a call that names no size and no quality is one of these: the provider's default.
    pub is_default: bool,
}

pub(super) const REGION: &str = "region";
pub(super) const SIZE: &str = "size";
const QUALITY: &str = "quality";
const QUALITIES: [&str; 4] = ["hd", "high", "low", "medium"];
/// What is made unless another quality is asked for.
const USUAL: [&str; 2] = ["standard", "50-steps"];
const DEFAULT_SIZE: &str = "1024-x-1024";
const MORE_STEPS: &str = "max-steps";
/// Azure Government, as hosts name it and as its responses do.
pub(super) const US_GOV: &str = "us-gov";
const GOVERNMENT: [&str; 2] = [US_GOV, "usgov*"];
/// What ends the name of a model of OpenAI's videos in its larger sizes: <https://developers.openai.com/api/docs/pricing>.
const HIGH_RES: (&str, [&str; 2]) = ("-high-res", ["1024x1792", "1792x1024"]);
/// Every size but the small one, which has a price of its own.
const ANY_SIZE: &str = "max-x-max";
const NOT_SMALL: &str = "!512x512";

/// Takes a key apart; `None` if no call can be told to be meant, which is noted.
pub(super) fn of(key: &str, provider: &str, import: &mut Import<'_>) -> Option<Name> {
    let family = match provider {
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        _ if provider.starts_with("vertex_ai-") => "vertex_ai",
        _ => provider.strip_suffix("-embedding-models").unwrap_or(provider),
    };
    let own = |text: &'_ str| -> Option<String> { Some(text.strip_prefix(family)?.strip_prefix('/')?.to_owned()) };
    let mut rest = own(key).unwrap_or_else(|| key.to_owned());
    let is_bedrock = matches!(family, "bedrock" | "bedrock_mantle");
    let mut name = Name { name: String::new(), conditions: Conditions::new(), pixels: None, is_default: false };
    let (mut is_usual, mut is_usual_size) = (false, false);
    while let Some((head, tail)) = rest.split_once('/') {
        if head.ends_with("-commitment") || (head == "*" && is_bedrock) {
            import.notes.add("left out, for a commitment, of which a call says nothing", key);
            return None;
        } else if let Some((width, height)) = size(head) {
            name.conditions.extend(only(SIZE, [format!("{width}x{height}")]));
            name.pixels = width.checked_mul(height);
            is_usual_size = head == DEFAULT_SIZE;
        } else if QUALITIES.contains(&head) || head == MORE_STEPS {
            name.conditions.extend(only(QUALITY, [head.to_owned()]));
        } else if USUAL.contains(&head) {
            is_usual = true;
        } else if head == ANY_SIZE {
            name.conditions.extend(only(SIZE, [NOT_SMALL.to_owned()]));
        } else if head == US_GOV && family == "azure" {
            name.conditions.extend(only(REGION, GOVERNMENT.map(str::to_owned)));
        } else if head == "invoke" && is_bedrock {
            // One of two ways to call the same model.
        } else if is_bedrock && is_region(head) {
            name.conditions.extend(only(REGION, [head.to_owned()]));
        } else if is_bedrock && tail.contains('/') && own(tail).is_some() {
            // The family again, behind a size.
        } else {
            break;
        }
        rest = own(tail).unwrap_or_else(|| tail.to_owned());
    }
    name.is_default = is_usual && is_usual_size;
    if let Some(model) = rest.strip_suffix(HIGH_RES.0).filter(|model| model.starts_with("sora-")) {
        name.conditions.extend(only(SIZE, HIGH_RES.1.map(str::to_owned)));
        rest = model.to_owned();
    }
    if rest.is_empty() || rest.contains(['*', '#']) || rest.starts_with('!') {
        import.notes.add("left out, its name cannot stand in a price book", key);
        return None;
    }
    Some(Name { name: rest, ..name })
}

impl Name {
    /// Other names for a model in responses: the longer one of a fine-tuned model; a dash in place of @ before a version.
    pub fn aliases(&self) -> BTreeSet<String> {
        let mut aliases = BTreeSet::new();
        if self.name.starts_with("ft:") {
            aliases.insert(format!("{}:*", self.name));
        }
        if let Some((model, version)) = self.name.split_once('@').filter(|(model, _)| !model.is_empty()) {
            aliases.insert(if version == "default" { model.to_owned() } else { format!("{model}-{version}") });
        }
        aliases
    }
}

/// `1024-x-1536`.
fn size(text: &str) -> Option<(u64, u64)> {
    let (width, height) = text.split_once("-x-")?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    Some((number(width)?, number(height)?))
}

/// A region of AWS: `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let has_area =
        parts.next().is_some_and(|area| area.len() == 2 && area.bytes().all(|byte| byte.is_ascii_lowercase()));
    let has_number = parts
        .next_back()
        .is_some_and(|number| number.len() == 1 && number.as_bytes().first().is_some_and(u8::is_ascii_digit));
    let middle: Vec<&str> = parts.collect();
    has_area && has_number && matches!(middle.as_slice(), [_] | ["gov", _])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::import::{Import, Options};

    #[test]
    fn deterministic_a_key_is_taken_apart() {
        let options = Options::default();
        let mut import = Import::new(&options);
        let cases = [
            ("gpt-5", "openai", "gpt-5", ""),
            ("openai/gpt-5", "openai", "gpt-5", ""),
            ("low/1024-x-1536/gpt-image-1", "openai", "gpt-image-1", "quality=low size=1024x1536"),
            ("azure/standard/1024-x-1024/dall-e-3", "azure", "dall-e-3", "size=1024x1024"),
            ("azure/hd/1024-x-1792/dall-e-3", "azure", "dall-e-3", "quality=hd size=1024x1792"),
            ("azure/eu/gpt-5", "azure", "eu/gpt-5", ""),
            ("azure/us-gov/gpt-5.1", "azure", "gpt-5.1", "region=us-gov"),
            ("openai/sora-2-pro-high-res", "openai", "sora-2-pro", "size=1024x1792"),
            (
                "1024-x-1024/50-steps/bedrock/amazon.nova-canvas-v1:0",
                "bedrock",
                "amazon.nova-canvas-v1:0",
                "size=1024x1024",
            ),
            ("max-x-max/max-steps/stability.x", "bedrock", "stability.x", "quality=max-steps size=!512x512"),
            ("bedrock/us-gov-west-1/anthropic.claude-v2", "bedrock", "anthropic.claude-v2", "region=us-gov-west-1"),
            ("bedrock/claude_platform/claude-x", "bedrock", "claude_platform/claude-x", ""),
            ("bedrock/invoke/anthropic.x", "bedrock_converse", "anthropic.x", ""),
            ("fireworks_ai/accounts/fireworks/models/x", "fireworks_ai", "accounts/fireworks/models/x", ""),
            ("vertex_ai/claude@20", "vertex_ai-anthropic_models", "claude@20", ""),
        ];
        for (key, provider, expected, conditions) in cases {
            let name = of(key, provider, &mut import).unwrap();
            let said: Vec<String> =
                name.conditions.iter().map(|(key, values)| format!("{key}={}", values.first().unwrap())).collect();
            assert_eq!((name.name.as_str(), said.join(" ").as_str()), (expected, conditions), "{key}");
        }
        assert!(of("azure/standard/1024-x-1024/dall-e-3", "azure", &mut import).unwrap().is_default);
        assert_eq!(of("1024-x-1536/m", "openai", &mut import).unwrap().pixels, Some(1024 * 1536));
        for key in ["bedrock/us-east-1/1-month-commitment/m", "bedrock/*/6-month-commitment/m", "bedrock/a*"] {
            assert_eq!(of(key, "bedrock", &mut import), None, "{key}");
        }
    }
}
