//! Requests that servers read and strict readers do not, or not alike: the client must not choose by that what it pays.

use super::*;

const SPEECH: &str = "/v1/audio/speech";
const VIDEOS: &str = "/v1/videos";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const COUNTED: &str = r#"{"text":"x","usage":{"type":"tokens","input_tokens":20000,"output_tokens":2000,"total_tokens":22000,"input_token_details":{"audio_tokens":20000,"text_tokens":0}}}"#;

fn run(path: &str, content_type: Option<&str>, request: &[u8], response: (&str, &str)) -> Record {
    let head = RequestHead { method: b"POST", host: b"api.openai.com", path: path.as_bytes(), content_encoding: None };
    let mut call = Call::begin(&head, &DETECT, 0).unwrap();
    content_type.into_iter().for_each(|kind| call.request_type(kind.as_bytes()));
    request.chunks(700).for_each(|chunk| call.request_body(chunk));
    let (kind, body) = response;
    call.response_head(&ResponseHead {
        status: Some(200),
        content_type: Some(kind.as_bytes()),
        content_encoding: None,
    });
    call.response_body(body.as_bytes());
    call.response_end();
    call.finish(Ended { now_ns: MS, ..Ended::default() }, &mut Ratios::default()).into_iter().next().unwrap()
}

fn field(boundary: &str, name: &str, value: &str) -> String {
    format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

cases! {
    fn contract_a_form_before_the_form_and_a_padded_value_make_no_video_cheaper() {
        let real = [field("B", "model", "sora-2-pro"), field("B", "seconds", "12"), field("B", "size", "1792x1024")].concat();
        let cheap = [field("A", "model", "sora-2"), field("A", "seconds", "4"), field("A", "size", "720x1280")].concat();
        let padded = real.replace("12\r\n", &format!("12{}\r\n", " ".repeat(300)))
            .replace("\"size\"", &format!("\"size\"\r\nx: {}", "a".repeat(600)));
        let bodies = [format!("{real}--B--\r\n"), format!("{cheap}--A--\r\n{real}--B--\r\n"), format!("{padded}--B--\r\n"),
            format!("{real}--B--\r\n{}--B--", cheap.replace("--A", "--B"))];
        for body in bodies {
            let response = ("application/json", r#"{"id":"video_1","object":"video","status":"queued"}"#);
            let record = run(VIDEOS, Some("multipart/form-data; boundary=B"), body.as_bytes(), response);
            let said = (record.request_model.as_deref(), record.usage.get(Class::VideoSeconds), record.size.as_deref());
            assert_eq!(said, (Some("sora-2-pro"), Some(12), Some("1792x1024")), "{body:.300}");
            assert!(record.flags.is_empty(), "{body:.300}");
        }
    }

    fn contract_a_form_whose_model_can_be_read_in_two_ways_or_not_at_all_is_flagged() {
        let kind = Some("multipart/form-data; boundary=B");
        let end = "--B--\r\n";
        for (body, kind, model) in [
            (format!("{}{}{end}", field("B", "model", "whisper-1"), field("B", "model", "gpt-4o-transcribe")), kind, Some("gpt-4o-transcribe")),
            (format!("{}{end}", field("B", "model", "gpt-4o-transcribe").replace("name=\"model\"", "name=\"model\"; filename=\"\"")), kind, Some("gpt-4o-transcribe")),
            (format!("{{\"model\":\"whisper-1\"}}\r\n{}{end}", field("B", "model", "gpt-4o-transcribe")), kind, Some("gpt-4o-transcribe")),
            ("{\"model\":\"gpt-4o-transcribe\"}".to_owned(), kind, Some("gpt-4o-transcribe")),
            (format!("{}{end}", field("B", "model", &"m".repeat(300))), kind, None),
            ("model=gpt-4o-transcribe".to_owned(), Some("application/x-www-form-urlencoded"), None),
            ("<model>gpt-4o-transcribe</model>".to_owned(), None, None),
            (format!("{}{end}", field("B", "model", "gpt-4o-transcribe")), Some("application/json"), Some("gpt-4o-transcribe")),
        ] {
            let record = run(TRANSCRIPTIONS, kind, body.as_bytes(), ("application/json", COUNTED));
            assert_eq!((record.request_model.as_deref(), record.evidence), (model, Evidence::Reported), "{body:.300}");
            assert!(record.flags.contains(Flag::RequestUnclear), "{body:.300}");
        }
        let body = format!("{}{end}", field("B", "model", "gpt-4o-transcribe"));
        let record = run(TRANSCRIPTIONS, kind, body.as_bytes(), ("application/json", COUNTED));
        assert!(record.flags.is_empty() && record.request_model.is_some());
        // Sound in the body's place says nothing, and nothing is expected of it.
        assert!(run(TRANSCRIPTIONS, Some("audio/wav"), b"RIFF", ("application/json", COUNTED)).flags.is_empty());
    }

    fn contract_speech_from_a_request_that_is_no_strict_json_is_estimated_and_flagged() {
        let text = "x".repeat(4000);
        let json = format!(r#"{{"model":"tts-1","voice":"a","input":"{text}"}}"#);
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(json.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let cases = [
            (json.clone().into_bytes(), 4000..=4000, false),
            (json.replace("\"}", "\",}").into_bytes(), 4000..=4000, true),
            (json.replace("\"}", "\"").into_bytes(), 4000..=4000, true),
            (wide, 4000..=4100, true),
            (json.replace("\"input\"", "\"input\":\"x\",,\"input\"").into_bytes(), 4000..=4100, true),
            (json.replace('"', "'").into_bytes(), 4000..=4100, true),
        ];
        for (body, expected, unclear) in cases {
            let record = run(SPEECH, Some("application/json"), &body, ("audio/mpeg", "\u{fffd}"));
            assert!(record.usage.get(Class::Characters).is_some_and(|count| expected.contains(&count)), "{} {:?}", String::from_utf8_lossy(body.get(..40).unwrap()), record.usage);
            assert_eq!(record.flags.contains(Flag::RequestUnclear), unclear, "{}", String::from_utf8_lossy(body.get(..40).unwrap()));
            assert_eq!(record.evidence, if unclear { Evidence::Estimated } else { Evidence::Reported });
        }
    }

    fn contract_spaces_around_the_name_of_a_model_are_none_of_it() {
        let record = run("/v1/chat/completions", None, br#"{"model":" gpt-4.1\n"}"#, ("application/json", CHAT));
        assert_eq!(record.request_model.as_deref(), Some("gpt-4.1"));
    }
}
