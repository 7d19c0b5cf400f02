//! Whether an error names the option as its fault. One that repeats its input has the words, too, and so has one that lists
//! what a request may have: of these nothing is learned, because any client can provoke them.
//!
//! A word is none of a fault if our own value follows it, in whatever spelling of whatever language; if it may, because the
//! text is cut there; or if it is one of a list of other names. In doubt there is no fault: the client sees another error.

/// What a refusal names, and the values that the plugin gives.
const WORDS: [&[u8]; 2] = [b"stream_options", b"include_usage"];
/// Quotes, as texts within texts spell them; backslashes may stand before each.
#[rustfmt::skip]
const QUOTES: &[&[u8]] = &[
    b"\"", b"'", b"`", b"&quot;", b"&apos;", b"&#34;", b"&#39;", b"&#034;", b"&#039;", b"&#x22;", b"&#x27;", b"%22", b"%27",
    b"\\u0022", b"\\u0027", b"u0022", b"u0027", b"\xe2\x80\x98", b"\xe2\x80\x99", b"\xe2\x80\x9c", b"\xe2\x80\x9d",
];
/// What stands between a name and its value.
const SETS: &[&[u8]] = &[b":", b"=", b">", b"%3A", b"%3a", b"%3D", b"%3d", b"&gt;"];
/// Words that begin a value or a type, and no sentence.
const VALUES: &[&[u8]] = &[
    b"true",
    b"null",
    b"none",
    b"nil",
    b"false",
    b"object",
    b"array",
    b"map",
    b"dict",
    b"struct",
    b"some",
    b"bool",
    b"boolean",
    b"optional",
    b"type",
    b"hash",
];
/// Words before a name that is offered, and at fault in nothing.
const OFFERS: &[&[u8]] = &[
    b"expect",
    b"one of",
    b"mean",
    b"similar",
    b"available",
    b"accepted",
    b"permitted:",
    b"allowed:",
    b"allows",
    b"valid are",
];
/// In so many bytes before a name they are looked for.
const NEAR: usize = 48;
/// What a list names before it that stands in the path to the option.
const PATHS: &[&[u8]] = &[b"body", b"request", b"json", b"stream_options"];

/// Whether an error names the option as its fault.
pub(super) fn is_named(error: &[u8]) -> bool {
    WORDS.iter().any(|word| {
        memchr::memmem::find_iter(error, word).any(|at| {
            let (before, from) = error.split_at_checked(at).unwrap_or_default();
            is_fault(before, from.get(word.len()..).unwrap_or_default())
        })
    })
}

fn is_fault(before: &[u8], behind: &[u8]) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let open = quote_before(before);
    let close = quote_behind(behind);
    let lead = before.get(..before.len().saturating_sub(open.len())).unwrap_or_default().trim_ascii_end();
    // The first word of a sentence that is quoted; a member that was cut is none.
    let is_member = matches!(lead.last(), Some(b',' | b'{' | b'('));
    let begins =
        !is_member && close.is_empty() && (goes_on(behind) || behind.strip_prefix(b":").is_some_and(is_sentence));
    // Cut, or a part of something longer.
    let is_cut = !open.is_empty() && !begins && !is_pair(open, close);
    if is_cut || is_part(behind.first()) || (open.is_empty() && is_part(before.last())) {
        return false;
    }
    let rest = behind.get(close.len()..).unwrap_or_default();
    let rest = rest.trim_ascii_start();
    let closer = rest.first().copied();
    let value = rest.strip_prefix(b"]").unwrap_or(rest).trim_ascii_start();
    if let Some(set) = SETS.iter().find(|set| value.starts_with(set)) {
        let value = value.get(1..).unwrap_or_default().trim_ascii_start();
        let is_text = value.starts_with(b"[") || !quote_behind(value).is_empty();
        return *set == b":" && (is_text || !is_member) && is_sentence(value);
    }
    if value.starts_with(b"..") || value.starts_with("…".as_bytes()) || value.starts_with(b"\\u2026") {
        return false;
    }
    is_alone(lead, closer) && !is_offered(lead)
}

/// Whether a name without a value stands where no list of names and no text that was cut has it.
fn is_alone(lead: &[u8], closer: Option<u8>) -> bool {
    match lead.last() {
        Some(b',') => {
            let path = lead.get(..lead.len().saturating_sub(1)).unwrap_or_default();
            let path = path.get(..path.len().saturating_sub(quote_before(path).len())).unwrap_or_default();
            // A path ends with the name, or goes on within it.
            PATHS.iter().any(|name| path.ends_with(name)) && matches!(closer, Some(b']' | b')' | b','))
        }
        Some(b'[') => closer == Some(b']'),
        Some(b'(') => closer == Some(b')'),
        Some(b'/') => !lead.ends_with(b"</") && !lead.ends_with(b"\\/"),
        Some(b'{' | b'<' | b'&' | b'?' | b'-' | b'*' | b'|' | b';') => false,
        _ => true,
    }
}

/// Whether the name is one that a request could have.
fn is_offered(lead: &[u8]) -> bool {
    let near = lead.get(lead.len().saturating_sub(NEAR)..).unwrap_or_default().to_ascii_lowercase();
    OFFERS.iter().any(|offer| memchr::memmem::find(&near, offer).is_some())
}

/// Whether what follows a name and a colon is said of it: words, in a list or not, and no value.
fn is_sentence(value: &[u8]) -> bool {
    let mut rest = value.trim_ascii_start();
    rest = rest.strip_prefix(b"[").unwrap_or(rest).trim_ascii_start();
    rest = rest.get(quote_behind(rest).len()..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
    let (word, behind) = rest.split_at_checked(length).unwrap_or_default();
    let is_value = VALUES.iter().any(|value| word.eq_ignore_ascii_case(value));
    word.len() > 1 && word.iter().all(u8::is_ascii_alphabetic) && !is_value && goes_on(behind)
}

/// Whether another word follows.
fn goes_on(behind: &[u8]) -> bool {
    behind.strip_prefix(b" ").and_then(<[u8]>::first).is_some_and(u8::is_ascii_alphabetic)
}

/// The quote that ends a text, with the backslashes before it.
fn quote_before(text: &[u8]) -> &[u8] {
    let Some(quote) = QUOTES.iter().filter(|quote| text.ends_with(quote)).max_by_key(|quote| quote.len()) else {
        return b"";
    };
    let from = text.len().saturating_sub(quote.len());
    let slashes = text.get(..from).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
    text.get(from.saturating_sub(slashes)..).unwrap_or_default()
}

/// The quote that begins a text, with the backslashes before it.
fn quote_behind(text: &[u8]) -> &[u8] {
    let slashes = text.iter().take_while(|byte| **byte == b'\\').count();
    let rest = text.get(slashes..).unwrap_or_default();
    let quote = QUOTES.iter().filter(|quote| rest.starts_with(quote)).max_by_key(|quote| quote.len());
    quote.and_then(|quote| text.get(..slashes.saturating_add(quote.len()))).unwrap_or_default()
}

/// Whether two quotes belong together: the same, or those of typography.
fn is_pair(open: &[u8], close: &[u8]) -> bool {
    let high = |quote: &[u8]| quote.starts_with(b"\xe2\x80");
    open == close || (high(open) && high(close))
}

#[cfg(test)]
mod tests {
    use super::*;

    cases! {
        fn contract_refusals_name_the_option_as_their_fault() {
            for error in [
                // vLLM and whatever else is made with FastAPI.
                r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')}]"}"#,
                r#"{"message":"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}]"}"#,
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}}]}"#,
                r#"{"detail":[{"loc":["body", "stream_options", "include_usage"],"msg":"extra fields not permitted"}]}"#,
                "1 validation error for Request\nbody -> stream_options\n  extra fields not permitted",
                // OpenAI's words.
                r#"{"error":{"message":"Unknown parameter: 'stream_options'.","param":"stream_options","code":"unknown_parameter"}}"#,
                r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error"}}"#,
                r#"{"error":{"message":"bad","param":"stream_options.include_usage"}}"#,
                r#"{"error":{"message":"Unsupported parameter: \"stream_options\""}}"#,
                // Bedrock, Fireworks, Anthropic, Go, Django, ajv.
                r#"{"message":"stream_options: extraneous key [include_usage] is not permitted"}"#,
                r#"{"error":{"message":"Extra inputs are not permitted, field: 'stream_options', value: {'include_usage': True}"}}"#,
                r#"{"error":{"message":"stream_options: Extra inputs are not permitted"}}"#,
                r#"{"error":{"message":"stream_options is not supported"}}"#,
                r#"json: unknown field "stream_options""#,
                "Unrecognized request argument supplied: stream_options",
                r#"{"stream_options":["This field is not allowed."]}"#,
                r#"{"stream_options":{"include_usage":["This field is not allowed."]}}"#,
                r#"[{"instancePath":"/stream_options","message":"must NOT have additional properties"}]"#,
                "unknown field `stream_options`, expected one of `model`, `messages`",
                "stream_options is not supported with this model",
                "The parameter (stream_options) is not supported",
            ] {
                assert!(is_named(error.as_bytes()), "{error}");
            }
        }

        fn contract_an_echo_of_the_request_or_a_list_of_names_is_no_refusal() {
            for error in [
                r#"{"detail":[{"type":"missing","loc":["body","messages"],"input":{"model":"m","stream":true,"stream_options":{"include_usage":true}}}]}"#,
                r#"{"detail":[{"input":{"model":"m","stream": true, "stream_options": {"include_usage": true}}}]}"#,
                r#"{"message":"[{'type': 'missing', 'loc': ('body', 'messages'), 'input': {'stream': True, 'stream_options': {'include_usage': True}}}]"}"#,
                r#"{"message":"bad request: {\"stream\":true,\"stream_options\":{\"include_usage\":true}}"}"#,
                r#"{"message":"{\\\"stream_options\\\":{\\\"include_usage\\\":true}}"}"#,
                r#"{"message":"{\u0022stream_options\u0022:{\u0022include_usage\u0022:true}}"}"#,
                "<p>{&quot;stream_options&quot;:{&quot;include_usage&quot;:true}}</p>",
                "<r><stream_options><include_usage>true</include_usage></stream_options></r>",
                "?stream=true&stream_options[include_usage]=true", "%7B%22stream_options%22%3A%7B%22include_usage%22%3Atrue",
                "ChatRequest(stream=True, stream_options=StreamOptions(include_usage=True, x=False))",
                "{stream=true, stream_options={include_usage=true}}", "{:stream_options=>{:include_usage=>true}}",
                "map[stream:true stream_options:map[include_usage:true]]",
                r#"Object {"stream_options": Object {"include_usage": Bool(true)}}"#,
                "ChatRequest { stream_options: Some(StreamOptions { include_usage: Some(true) }) }",
                "Array ( [stream_options] => Array ( [include_usage] => 1 ) )",
                "model: m\nstream_options:\n  include_usage: true\n",
                // Cut wherever the client likes.
                r#"{"message":"{\"stream\":true,\"stream_options"}"#, r#"{"message":"{\"stream\":true,\"stream_options\""}"#,
                r#"{"message":"{\"stream\":true,\"stream_options\":"}"#, r#"{"message":"{\"stream_options\":{\"include_usage"}"#,
                r#"{"message":"{\"stream_options\":{\"include_usage\":tr"}"#, "{'stream': True, 'stream_options'...",
                "{'model': 'm', 'str...nclude_usage': True}}", "{'model': 'm', 'stre...tions': {'include_usage': True}}",
                r#"{"stream":true,"stream_options"#, r#"{"stream":true,"stream_options""#, "stream=true, stream_options...",
                // What a request may have.
                "unknown field `foo`, expected one of `model`, `messages`, `stream_options`, `tools` at line 1",
                "unknown field `foo`, expected `include_usage`", "unknown field `x`, expected one of `stream_options`, `a`",
                "Unknown field 'stream_option'. Did you mean 'stream_options'?",
                "messages is missing; got: model, stream, stream_options", "keys: ['model', 'stream', 'stream_options']",
                "stream_options: object\ninclude_usage: boolean", "- stream_options\n- model", "x_stream_options is bad",
                r#"{"properties":{"stream_options":{"type":"object","properties":{"include_usage":{"type":"boolean"}}}}}"#,
                "stream_options: Optional[StreamOptions] = None", "", "no such model",
            ] {
                assert!(!is_named(error.as_bytes()), "{error}");
            }
        }

        fn contract_our_words_cut_anywhere_and_closed_anyhow_are_no_refusal() {
            for echo in [
                r#""input":{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
                r#""input":"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"#,
                r#""input":"{'model': 'm', 'stream': True, 'stream_options': {'include_usage': True}}"#,
                r#""input":"{\\\"stream\\\":true,\\\"stream_options\\\":{\\\"include_usage\\\":true}}"#,
            ] {
                for end in 0..=echo.len() {
                    for close in ["", "\"", "...", "\"}", "...\"}", " ... (cut)", "\u{2026}", ": it is too long"] {
                        let error = format!("{}{close}", &echo[..end]);
                        assert!(!is_named(error.as_bytes()), "{error}");
                    }
                }
            }
        }
    }
}
