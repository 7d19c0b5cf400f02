//! Responses of the plugin's own, in the form of the provider's errors, so that its clients understand them.

use delivery::lease::{Reason, Refusal};
use meter::provider::Api;
use wire::lease::Unit;
use wire::record::NotAsked;

use crate::host::{self, Failure};

/// Libraries wait no longer by themselves, seconds; one that is told to wait for longer would come again at once.
const LONGEST_WAIT_S: u64 = 60;

/// The response to a stream that cannot be asked for its usage, where the configuration wants it refused.
pub fn unasked(reason: NotAsked) -> Result<(), Failure> {
    let why = match reason {
        NotAsked::Disabled => "this proxy does not change requests",
        NotAsked::Signed => "the request's body is signed",
        NotAsked::Encoded => "the request's body is compressed",
        NotAsked::NotJson => "the request's content type is not JSON",
        NotAsked::Unreadable => "the request's body is not a JSON object",
        NotAsked::Ambiguous => {
            "`stream` or `stream_options` is there twice, in another case, or neither true, false nor an object"
        }
        NotAsked::UnknownPath
        | NotAsked::NotKnown
        | NotAsked::KnownLate
        | NotAsked::RefusedBefore
        | NotAsked::Failed => "this proxy cannot change the request",
    };
    let body = format!(
        "{{\"error\":{{\"message\":\"This stream would not report its usage, and it cannot be asked to: {why}. Set \
         \\\"stream_options\\\": {{\\\"include_usage\\\": true}} in a plain JSON body.\",\"type\":\
         \"invalid_request_error\",\"param\":\"stream_options\",\"code\":\"usage_not_asked\"}}}}"
    );
    host::send_response(400, "meshmeter_usage_not_asked", &[JSON], body.as_bytes())
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// The response to a call for which a budget has no room.
pub fn by_budget(api: Option<Api>, refusal: &Refusal) -> Result<(), Failure> {
    let is_money = refusal.budget.as_ref().is_some_and(|budget| budget.unit == Unit::Usd);
    let status = if is_money && refusal.is_spent { 402 } else { 429 };
    let wait_s = refusal.retry_after_ms.map(|ms| ms.div_ceil(1000).max(1));
    let seconds = wait_s.map(|s| s.to_string());
    let mut headers = vec![JSON];
    headers.extend(seconds.as_deref().map(|seconds| ("retry-after", seconds)));
    let millis = refusal.retry_after_ms.filter(|_| refusal.reason == Reason::NoLease).map(|ms| ms.to_string());
    headers.extend(millis.as_deref().map(|millis| ("retry-after-ms", millis)));
    if wait_s.is_none_or(|s| s > LONGEST_WAIT_S) {
        headers.push(("x-should-retry", "false"));
    }
    let message = message(refusal, seconds.as_deref());
    let (body, error_type) = body(api, status, &message, seconds.as_deref());
    headers.extend(error_type.map(|name| ("x-amzn-errortype", name)));
    host::send_response(status, "meshmeter_budget", &headers, body.as_bytes())
}

/// Which budget, in what unit, and when to come again; nothing of what others spend.
fn message(refusal: &Refusal, seconds: Option<&str>) -> String {
    let why = match refusal.reason {
        Reason::Exhausted => "less is left of it than this call can cost",
        Reason::TooLarge => "this call can cost more than all of it",
        Reason::NoLease | Reason::Shadow => "this proxy has to ask for more of it",
        Reason::CollectorAway => "nobody can say what is left of it",
    };
    let what = refusal.budget.as_ref().map_or_else(String::new, |budget| {
        // In a JSON text whatever the name is.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name: String = budget.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        format!(" {name} ({})", budget.unit.as_str())
    });
    let when = match seconds {
        Some(seconds) => format!("try again in {seconds} s"),
        None => "ask for less: a shorter prompt, a smaller max_tokens".to_owned(),
    };
    format!("Refused by budget{what}: {why}; {when}.")
}

/// An error as the API has it, and its name where that is in a header.
fn body(api: Option<Api>, status: u32, message: &str, seconds: Option<&str>) -> (String, Option<&'static str>) {
    let is_spent = status == 402;
    let of = |spent, else_| if is_spent { spent } else { else_ };
    match api {
        Some(Api::AnthropicMessages) => {
            let kind = of("billing_error", "rate_limit_error");
            (format!("{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"{message}\"}}}}"), None)
        }
        Some(Api::Gemini | Api::GeminiInteractions) => {
            let details = seconds.map_or_else(String::new, |seconds| {
                let kind = "type.googleapis.com/google.rpc.RetryInfo";
                format!(",\"details\":[{{\"@type\":\"{kind}\",\"retryDelay\":\"{seconds}s\"}}]")
            });
            let error = format!(
                "{{\"error\":{{\"code\":{status},\"message\":\"{message}\",\"status\":\"RESOURCE_EXHAUSTED\"{details}}}}}"
            );
            (error, None)
        }
        Some(Api::BedrockConverse | Api::BedrockInvoke | Api::BedrockAgent) => {
            let kind = of("ServiceQuotaExceededException", "ThrottlingException");
            (format!("{{\"message\":\"{message}\"}}"), Some(kind))
        }
        Some(Api::Cohere) => (format!("{{\"message\":\"{message}\"}}"), None),
        Some(Api::OpenAiChat | Api::OpenAiResponses | Api::Plain) | None => {
            let (kind, code) = (of("insufficient_quota", "tokens"), of("insufficient_quota", "rate_limit_exceeded"));
            let error = format!(
                "{{\"error\":{{\"message\":\"{message}\",\"type\":\"{kind}\",\"param\":null,\"code\":\"{code}\"}}}}"
            );
            (error, None)
        }
    }
}
