//! What is rated: one call, or a part of one, with all that its price depends on.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wire::record::{Flag, Record};
use wire::usage::Usage;

use super::conditions::{Fact, Facts};

/// One call, or a part of one, with all that its price depends on.
#[derive(Clone, Copy, Debug)]
pub struct RatingInput<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The model that responded.
    pub response_model: Option<&'a str>,
    /// The model that was asked for.
    pub request_model: Option<&'a str>,
    /// The model, deployment, profile or ARN of the path; the service behind Hugging Face's router.
    pub path_model: Option<&'a str>,
    /// When it began, UTC.
    pub began: DateTime,
    /// Who pays.
    pub tenant: &'a str,
    /// The service tier that the provider says it used.
    pub service_tier: Option<&'a str>,
    /// The service tier that was asked for.
    pub service_tier_asked: Option<&'a str>,
    /// The speed that the provider says it served with.
    pub speed: Option<&'a str>,
    /// The provider's region.
    pub region: Option<&'a str>,
    /// Where inference ran.
    pub inference_geo: Option<&'a str>,
    /// The size of what was made.
    pub size: Option<&'a str>,
    /// The quality of what was made.
    pub quality: Option<&'a str>,
    /// How much a search was to put into the prompt.
    pub search_context: Option<&'a str>,
    /// Which of the provider's tools searched the web.
    pub search_tool: Option<&'a str>,
    /// What the call did, in the event's words.
    pub operation: Option<&'a str>,
    /// The counts.
    pub usage: &'a Usage,
    /// Whether it is a call of its own to which the provider responded: it has the fee of a request, if there is one.
    pub has_response: bool,
    /// Whether the provider bills nothing for it, by its own words.
    pub is_not_billed: bool,
    /// What the provider says that it cost.
    pub provider_cost_nano_usd: Option<u64>,
}

/// Who hands calls on to services, at their prices: "no markup from Hugging Face",
/// <https://huggingface.co/docs/inference-providers/pricing>.
const ROUTER: &str = "huggingface";

/// A service behind Hugging Face's router.
#[derive(Debug)]
pub(super) struct Service {
    /// As the router calls it.
    pub name: &'static str,
    /// As the meter calls it, and price books do.
    pub provider: &'static str,
}

impl Service {
    /// A model of the service as Hugging Face writes it, `NAME:SERVICE`.
    pub fn of(&self, model: &str) -> String {
        let model = self.model_of(model).unwrap_or(model);
        format!("{model}:{}", self.name)
    }

    /// The model of such a name.
    pub fn model_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (model, service) = name.rsplit_once(':')?;
        service.eq_ignore_ascii_case(self.name).then_some(model)
    }
}

const fn service(name: &'static str, provider: &'static str) -> Service {
    Service { name, provider }
}

const SERVICES: &[Service] = &[
    service("cerebras", "cerebras"),
    service("cohere", "cohere"),
    service("featherless-ai", "featherless_ai"),
    service("fireworks-ai", "fireworks"),
    service("groq", "groq"),
    service("hyperbolic", "hyperbolic"),
    service("nebius", "nebius"),
    service("novita", "novita"),
    service("nscale", "nscale"),
    service("ovhcloud", "ovhcloud"),
    service("publicai", "publicai"),
    service("sambanova", "sambanova"),
    service("together", "together"),
    service("zai-org", "zai"),
];

/// What requests ask for that is no tier with a price: the standard one in all its names, or a way to reach it.
const TIERS_OF_NO_PRICE: [&str; 7] =
    ["auto", "default", "on_demand", "standard", "standard_only", "shared", "dedicated"];

/// Vertex calls the tiers of calls that are paid one by one so.
const ON_DEMAND: &str = "on_demand_";

impl<'a> RatingInput<'a> {
    /// A call of a model of which nothing else is known.
    pub fn new(provider: &'a str, model: &'a str, began: DateTime, usage: &'a Usage) -> RatingInput<'a> {
        RatingInput {
            provider,
            response_model: Some(model),
            request_model: None,
            path_model: None,
            began,
            tenant: "",
            service_tier: None,
            service_tier_asked: None,
            speed: None,
            region: None,
            inference_geo: None,
            size: None,
            quality: None,
            search_context: None,
            search_tool: None,
            operation: None,
            usage,
            has_response: false,
            is_not_billed: false,
            provider_cost_nano_usd: None,
        }
    }

    /// The call of a record, paid by a tenant; `None` if it began after the year 2262.
    pub fn of(record: &'a Record, tenant: &'a str) -> Option<RatingInput<'a>> {
        let began = i64::try_from(record.started_ns).ok()?;
        let began = Timestamp::from_nanosecond(began.into()).ok()?.to_zoned(TimeZone::UTC).datetime();
        let has_status = record.status.is_some_and(|status| status < 400);
        // What another model was used for is not what was asked for: without a name of its own it has no price.
        let asked = |name: &'a Option<String>| name.as_deref().filter(|_| record.part.is_none());
        Some(RatingInput {
            provider: &record.provider,
            response_model: record.response_model.as_deref(),
            request_model: asked(&record.request_model),
            path_model: asked(&record.path_model),
            began,
            tenant,
            service_tier: record.service_tier.as_deref(),
            service_tier_asked: record.service_tier_asked.as_deref(),
            speed: record.speed.as_deref(),
            region: record.region.as_deref(),
            inference_geo: record.inference_geo.as_deref(),
            size: record.size.as_deref(),
            quality: record.quality.as_deref(),
            search_context: record.search_context.as_deref(),
            search_tool: record.search_tool.as_deref(),
            operation: Some(&record.operation),
            usage: &record.usage,
            // A client that hangs up in the middle of a response has had one.
            has_response: record.part.is_none() && has_status,
            is_not_billed: record.flags.contains(Flag::NotBilled),
            provider_cost_nano_usd: record.provider_cost_nano_usd,
        })
    }

    /// The names under which it may have a price, in the order in which they are looked for. On Bedrock the profile that the
    /// path names decides what a call costs; Azure serves the deployment that the path names, whatever model the body asks for;
    /// elsewhere the path's name is the customer's own.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let RatingInput { response_model, request_model, path_model, .. } = *self;
        let names = match self.provider {
            "aws.bedrock" => [path_model, response_model, request_model],
            "azure.ai.openai" => [response_model, path_model, request_model],
            _ => [response_model, request_model, path_model],
        };
        names.into_iter().flatten().filter(|name| !name.is_empty())
    }

    /// The service behind Hugging Face's router that responded: the path names it, or the model that was asked for, behind a colon.
    pub(super) fn service(&self) -> Option<&'static Service> {
        if self.provider != ROUTER {
            return None;
        }
        let asked = self.request_model.and_then(|model| model.rsplit_once(':')).map(|(_, service)| service);
        let named = |name: &str| SERVICES.iter().find(|service| service.name.eq_ignore_ascii_case(name));
        self.path_model.and_then(named).or_else(|| asked.and_then(named))
    }

    /// Whether it went to provisioned throughput on Bedrock, by the ARN in its path: paid for by the hour.
    pub(super) fn is_provisioned(&self) -> bool {
        let is = |name: &str| name.starts_with("arn:") && name.contains(":provisioned-model/");
        self.provider == "aws.bedrock" && self.path_model.or(self.request_model).is_some_and(is)
    }

    /// Whether another service tier than the standard one was asked for, and nothing says which one it got.
    pub(super) fn is_tier_unsure(&self) -> bool {
        let is_known = |tier: &str| TIERS_OF_NO_PRICE.iter().any(|known| known.eq_ignore_ascii_case(tier));
        self.service_tier.is_none() && self.service_tier_asked.is_some_and(|tier| !tier.is_empty() && !is_known(tier))
    }

    pub(super) fn facts(&self) -> Facts {
        let time = self.began.time();
        let minute = i16::from(time.hour()).saturating_mul(60).saturating_add(time.minute().into());
        let weekday = self.began.date().weekday().to_monday_zero_offset();
        let mut facts = Facts {
            values: Default::default(),
            minute: u16::try_from(minute).unwrap_or_default(),
            weekday: u8::try_from(weekday).unwrap_or_default(),
        };
        let tier = self.service_tier.map(|tier| match tier.get(..ON_DEMAND.len()) {
            Some(begin) if begin.eq_ignore_ascii_case(ON_DEMAND) => tier.get(ON_DEMAND.len()..).unwrap_or_default(),
            _ => tier,
        });
        for (fact, value) in [
            (Fact::ServiceTier, tier),
            (Fact::Speed, self.speed),
            (Fact::Region, self.region),
            (Fact::InferenceGeo, self.inference_geo),
            (Fact::Size, self.size),
            (Fact::Quality, self.quality),
            (Fact::SearchContext, self.search_context),
            (Fact::SearchTool, self.search_tool),
            (Fact::Operation, self.operation),
        ] {
            facts.set(fact, value);
        }
        facts
    }
}
