//! The response to a stream that cannot be asked for its usage, where the configuration wants it refused.

use wire::record::NotAsked;

use crate::host::{self, Failure};

/// Ends the stream with an error in OpenAI's form.
pub fn refuse(reason: NotAsked) -> Result<(), Failure> {
    let why = match reason {
        NotAsked::Disabled => "this proxy does not change requests",
        NotAsked::Signed => "the request's body is signed",
        NotAsked::Encoded => "the request's body is compressed",
        NotAsked::NotJson => "the request's content type is not JSON",
        NotAsked::Unreadable => "the request's body is not a JSON object",
        NotAsked::Ambiguous => {
            "`stream` or `stream_options` is there twice, in another case, or neither true, false nor an object"
        }
        NotAsked::UnknownPath | NotAsked::NotKnown | NotAsked::RefusedBefore | NotAsked::Failed => {
            "this proxy cannot change the request"
        }
    };
    let body = format!(
        "{{\"error\":{{\"message\":\"This stream would not report its usage, and it cannot be asked to: {why}. Set \
         \\\"stream_options\\\": {{\\\"include_usage\\\": true}} in a plain JSON body.\",\"type\":\
         \"invalid_request_error\",\"param\":\"stream_options\",\"code\":\"usage_not_asked\"}}}}"
    );
    host::send_response(400, "meshmeter_usage_not_asked", &[("content-type", "application/json")], body.as_bytes())
}
