//! Calls that are paid for by something else than tokens, and calls whose counts come elsewhere.

use wire::record::Deferred;

use super::*;

#[track_caller]
fn units(play: &Play<'_>, classes: &[(Class, u64)]) -> Record {
    let record = play.run().unwrap();
    assert_eq!(record.usage.iter().collect::<Vec<_>>(), classes, "{:.999}", format!("{play:?}"));
    let evidence = if classes.is_empty() { Evidence::Missing } else { Evidence::Reported };
    assert_eq!(
        (record.evidence, record.missing_reason.is_some()),
        (evidence, classes.is_empty()),
        "{:.999}",
        format!("{play:?}")
    );
    assert_eq!(record.unknown_usage, None, "{:.999}", format!("{play:?}"));
    record
}

const SPEECH: Play<'_> = Play {
    host: "api.openai.com",
    path: "/v1/audio/speech",
    request: r#"{"model":"tts-1-hd","input":"Hi \"\u00e4\ud83d\ude00\u4f60\n","voice":"coral","instructions":"slowly"}"#,
    status: Some(200),
    content_type: "audio/mpeg",
    encoding: None,
    body: "\u{fffd}\u{fffd}\u{0}",
    cut: None,
};
const IMAGES: Play<'_> = Play {
    path: "/v1/images/generations",
    request: r#"{"model":"dall-e-3","prompt":"a cat","n":2,"size":"1024x1792","quality":"hd"}"#,
    content_type: "application/json",
    body: r#"{"created":1,"data":[{"revised_prompt":"x","url":"https://a"},{"url":"https://b"}]}"#,
    ..SPEECH
};
const VIDEOS: Play<'_> = Play {
    path: "/v1/videos",
    request: r#"{"model":"sora-2","prompt":"x","seconds":"8","size":"1280x720"}"#,
    body: r#"{"id":"video_1","object":"video","model":"sora-2","status":"queued","seconds":"8","size":"720x1280"}"#,
    ..IMAGES
};
const CACHED: Play<'_> = Play {
    host: "us-central1-aiplatform.googleapis.com",
    path: "/v1/projects/p/locations/us-central1/cachedContents",
    request: r#"{"model":"projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash","ttl":"7200s","contents":[]}"#,
    body: r#"{"name":"projects/1/locations/us-central1/cachedContents/9","createTime":"2026-07-03T00:00:00Z","expireTime":"2026-07-03T01:00:00Z","usageMetadata":{"totalTokenCount":7931,"textCount":31000}}"#,
    ..IMAGES
};

cases! {
    fn deterministic_a_guardrail_that_is_applied_alone_is_a_call_with_parts() {
        let head = RequestHead { method: b"POST", host: b"bedrock-runtime.eu-west-1.amazonaws.com", path: b"/guardrail/g/version/1/apply", content_encoding: None };
        let mut call = Call::begin(&head, &DETECT, 0).unwrap();
        call.request_body(br#"{"source":"INPUT","content":[{"text":{"text":"Hi"}}]}"#);
        call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
        call.response_body(br#"{"action":"NONE","usage":{"topicPolicyUnits":1,"contentPolicyUnits":2,"wordPolicyUnits":3}}"#);
        call.response_end();
        let records = call.finish(Ended::default(), &mut Ratios::default());
        let told: Vec<_> = records.iter().map(|record| (record.part.as_deref(), record.response_model.as_deref(), record.usage.get(Class::GuardrailUnits))).collect();
        assert_eq!(told, [(None, None, None), (Some("guardrail"), Some("topicPolicyUnits"), Some(1)), (Some("guardrail"), Some("contentPolicyUnits"), Some(2))]);
        assert_eq!((records[0].evidence, records[0].operation.as_str(), &records[0].unknown_usage), (Evidence::Reported, "guardrail", &None));
    }

    fn deterministic_speech_in_bytes_is_paid_by_characters() {
        // H, i, space, quote, a umlaut, a face, a sign, a new line: eight.
        let record = units(&SPEECH, &[(Class::Characters, 8)]);
        assert!(record.flags.is_empty());
        units(&Play { path: "/v1/tts", host: "api.x.ai", request: r#"{"text":"four"}"#, ..SPEECH }, &[(Class::Characters, 4)]);
        units(&Play { request: r#"{"model":"tts-1","input":""}"#, ..SPEECH }, &[]);
        // Models that count tokens are not paid by characters, and say no counts in bytes.
        let record = units(&Play { request: r#"{"model":"gpt-4o-mini-tts","input":"abc"}"#, ..SPEECH }, &[]);
        assert_eq!(record.missing_reason, Some(Missing::UnknownFormat));
        let counted = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n";
        let record = Play { content_type: "text/event-stream", body: counted, ..SPEECH }.run().unwrap();
        assert_eq!((record.usage.get(Class::Characters), record.usage.input_total()), (None, Some(14)));
        units(&Play { status: Some(400), body: "{\"error\":{}}", ..SPEECH }, &[]);
        let record = Play { cut: Some(Cut::Client), ..SPEECH }.run().unwrap();
        assert_eq!((record.outcome, record.usage.get(Class::Characters)), (Outcome::ClientAborted, Some(8)), "the request was read whole");
        let other = Play { path: "/v1/embeddings", body: r#"{"usage":{"prompt_tokens":1,"total_tokens":1}}"#, content_type: "application/json", ..SPEECH };
        assert_eq!(other.run().unwrap().usage.get(Class::Characters), None);
    }

    fn contract_only_a_documented_default_stands_for_a_model_that_nobody_names() {
        let nameless = Play { request: r#"{"prompt":"a cat","size":"256x256"}"#, ..IMAGES };
        let generate = Play {
            host: "api.cohere.ai",
            path: "/v1/generate",
            request: r#"{"prompt":"test","model":""}"#,
            body: r#"{"id":"1","generations":[{"text":"Hi"}],"meta":{"billed_units":{"input_tokens":1,"output_tokens":46}}}"#,
            ..IMAGES
        };
        for (play, model) in [(nameless, "dall-e-2"), (generate, "command")] {
            let record = play.run().unwrap();
            assert_eq!((record.request_model.as_deref(), record.response_model.as_deref()), (Some(model), None), "{play:?}");
            assert!(record.flags.contains(Flag::ModelAssumed), "{play:?}");
        }
        assert_eq!(nameless.run().unwrap().quality.as_deref(), Some("standard"));
        // What tells of another model, or that the request is not known; what is no request; a host whose default nobody documents.
        let counted = r#"{"data":[{"b64_json":"eHg="}],"usage":{"input_tokens":5,"output_tokens":272,"total_tokens":277}}"#;
        for play in [
            Play { request: r#"{"prompt":"a cat","quality":"high"}"#, ..nameless },
            Play { request: r#"{"prompt":"a cat","size":"1536x1024"}"#, ..nameless },
            Play { body: r#"{"data":[{"b64_json":"eHg="}],"quality":"low"}"#, ..nameless },
            Play { body: counted, ..nameless },
            Play { request: r#"{"prompt":"a cat","#, ..nameless },
            Play { request: "{}", ..nameless },
            Play { host: "api.together.xyz", ..nameless },
            Play { path: "/v1/chat", request: r#"{"message":"Hi"}"#, ..generate },
        ] {
            let record = play.run().unwrap();
            assert_eq!((record.request_model.as_deref(), record.flags.contains(Flag::ModelAssumed)), (None, false), "{play:?}");
        }
        let named = Play { request: r#"{"prompt":"a cat","model":"dall-e-3"}"#, ..nameless }.run().unwrap();
        assert_eq!((named.request_model.as_deref(), named.flags.contains(Flag::ModelAssumed)), (Some("dall-e-3"), false));
    }

    fn deterministic_a_header_has_the_speed_of_a_native_body() {
        let path = b"/model/us.anthropic.claude-3-5-haiku-20241022-v1:0/invoke";
        let head = RequestHead { method: b"POST", host: b"bedrock-runtime.us-east-2.amazonaws.com", path, content_encoding: None };
        let mut call = Call::begin(&head, &DETECT, 0).unwrap();
        call.response_head(&ResponseHead { status: Some(200), content_type: None, content_encoding: None });
        call.response_header("x-amzn-bedrock-performanceconfig-latency", b"optimized");
        call.response_body(br#"{"type":"message","usage":{"input_tokens":5,"output_tokens":2}}"#);
        let record = call.finish(Ended::default(), &mut Ratios::default()).remove(0);
        assert_eq!((record.speed.as_deref(), record.usage.input_total()), (Some("optimized"), Some(5)));
    }

    fn deterministic_images_without_counts_are_paid_by_the_image() {
        let record = units(&IMAGES, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("1024x1792"), Some("hd")));
        let both = r#"{"data":[{"url":"u","b64_json":"eHg="},{"url":null,"b64_json":"eHg="}],"size":"1024x1024","quality":"low"}"#;
        let record = units(&Play { body: both, ..IMAGES }, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("1024x1024"), Some("low")));
        let record = units(&Play { request: r#"{"model":"dall-e-2","prompt":"x"}"#, ..IMAGES }, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("1024x1024"), Some("standard")));
        let record = units(&Play { request: r#"{"model":"sdxl","width":512,"height":768,"steps":30}"#, ..IMAGES }, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("512x768"), Some("30-steps")));
        let of_steps = |rest: &str| format!("{{\"model\":\"stabilityai/stable-diffusion-xl-base-1.0\"{rest}}}");
        let record = units(&Play { request: &of_steps(""), ..IMAGES }, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("1024x1024"), Some("standard")));
        let record = units(&Play { request: &of_steps(r#","steps":40"#), ..IMAGES }, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("1024x1024"), Some("40-steps")));
        let counted = r#"{"data":[{"b64_json":"eHg="}],"usage":{"input_tokens":5,"output_tokens":272,"total_tokens":277}}"#;
        let record = Play { request: r#"{"model":"gpt-image-1"}"#, body: counted, ..IMAGES }.run().unwrap();
        assert_eq!((record.usage.get(Class::ImagesOut), record.usage.output_total()), (None, Some(272)));
        units(&Play { body: r#"{"data":[]}"#, ..IMAGES }, &[]);
        units(&Play { status: Some(400), body: r#"{"error":{"type":"image_generation_user_error"}}"#, ..IMAGES }, &[]);
    }

    fn deterministic_images_of_vertex_and_bedrock_are_counted() {
        let imagen = Play {
            host: "us-central1-aiplatform.googleapis.com",
            path: "/v1/projects/p/locations/us-central1/publishers/google/models/imagen-4.0:predict",
            request: r#"{"instances":[{"prompt":"x"}],"parameters":{"sampleCount":3,"sampleImageSize":"2K"}}"#,
            body: r#"{"predictions":[{"bytesBase64Encoded":"eHg=","mimeType":"image/png"},{"raiFilteredReason":"no"},{"bytesBase64Encoded":"eHg="}]}"#,
            ..IMAGES
        };
        let record = units(&imagen, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.operation.as_str(), record.request_model.as_deref(), record.size.as_deref()), ("generate_content", Some("imagen-4.0"), Some("2K")));
        let embeddings = r#"{"predictions":[{"embeddings":{"statistics":{"token_count":3}}}]}"#;
        assert_eq!(units(&Play { body: embeddings, ..imagen }, &[(Class::InputText, 3)]).operation, "embeddings");
        let canvas = Play {
            host: "bedrock-runtime.us-east-1.amazonaws.com",
            path: "/model/amazon.nova-canvas-v1%3A0/invoke",
            request: r#"{"taskType":"TEXT_IMAGE","imageGenerationConfig":{"numberOfImages":2,"width":1024,"height":512,"quality":"premium"}}"#,
            body: r#"{"images":["eHg=","eHg="]}"#,
            ..IMAGES
        };
        let record = units(&canvas, &[(Class::ImagesOut, 2)]);
        assert_eq!((record.size.as_deref(), record.quality.as_deref()), (Some("1024x512"), Some("premium")));
        units(&Play { body: r#"{"result":"success","artifacts":[{"base64":"eHg=","finishReason":"SUCCESS"}]}"#, ..canvas }, &[(Class::ImagesOut, 1)]);
    }

    fn deterministic_images_that_are_embedded_are_counted() {
        let cohere = Play {
            host: "api.cohere.com", path: "/v2/embed", request: r#"{"model":"embed-english-v3.0","images":["data:x"]}"#,
            body: r#"{"id":"e","embeddings":{},"meta":{"billed_units":{"images":1}}}"#, ..IMAGES
        };
        units(&cohere, &[(Class::ImagesIn, 1)]);
        let titan = Play {
            host: "bedrock-runtime.us-east-1.amazonaws.com", path: "/model/amazon.titan-embed-image-v1/invoke",
            request: r#"{"inputText":"a cat","inputImage":"eHg="}"#, body: r#"{"embedding":[0.1],"inputTextTokenCount":3}"#, ..IMAGES
        };
        units(&titan, &[(Class::InputText, 3), (Class::ImagesIn, 1)]);
        let vertex = Play {
            host: "us-central1-aiplatform.googleapis.com",
            path: "/v1/projects/p/locations/us-central1/publishers/google/models/multimodalembedding@001:predict",
            request: r#"{"instances":[{"text":"caf\u00e9","image":{"gcsUri":"gs://b/c"}},{"image":{"bytesBase64Encoded":"eHg="}}]}"#,
            body: r#"{"predictions":[{"imageEmbedding":[0.1],"textEmbedding":[0.2]}]}"#, ..IMAGES
        };
        units(&vertex, &[(Class::ImagesIn, 2), (Class::Characters, 4)]);
        let text = r#"{"predictions":[{"embeddings":{"statistics":{"token_count":3}}}]}"#;
        units(&Play { request: r#"{"instances":[{"text":"four"}]}"#, body: text, ..vertex }, &[(Class::InputText, 3)]);
    }

    fn deterministic_videos_are_paid_by_the_second_and_fetched_later() {
        let record = units(&VIDEOS, &[(Class::VideoSeconds, 8)]);
        assert_eq!((record.deferred, record.size.as_deref()), (Some(Deferred::Job), Some("720x1280")));
        assert_eq!(units(&Play { body: r#"{"id":"v"}"#, ..VIDEOS }, &[(Class::VideoSeconds, 8)]).size.as_deref(), Some("1280x720"));
        units(&Play { request: r#"{"model":"sora-2"}"#, body: r#"{"id":"v"}"#, ..VIDEOS }, &[(Class::VideoSeconds, 4)]);
        units(&Play { path: "/v1/videos/video_1/remix", request: r#"{"prompt":"y"}"#, ..VIDEOS }, &[(Class::VideoSeconds, 8)]);
        let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nsora-2-pro\r\n--b\r\nContent-Disposition: form-data; name=\"seconds\"\r\n\r\n12\r\n--b--\r\n";
        let record = units(&Play { request: form, body: r#"{"id":"v"}"#, ..VIDEOS }, &[(Class::VideoSeconds, 12)]);
        assert_eq!(record.request_model.as_deref(), Some("sora-2-pro"));
        let grok = Play { host: "api.x.ai", path: "/v1/videos/generations", request: r#"{"model":"grok-imagine-video","duration":6,"resolution":"720p"}"#, body: r#"{"request_id":"r"}"#, ..VIDEOS };
        assert_eq!(units(&grok, &[(Class::VideoSeconds, 6)]).size.as_deref(), Some("720p"));
        let veo = Play {
            host: "generativelanguage.googleapis.com", path: "/v1beta/models/veo-3.0:predictLongRunning",
            request: r#"{"instances":[{"prompt":"x"}],"parameters":{"sampleCount":2,"durationSeconds":6,"resolution":"1080p"}}"#, body: r#"{"name":"operations/1"}"#, ..VIDEOS
        };
        let record = units(&veo, &[(Class::VideoSeconds, 12)]);
        assert_eq!((record.request_model.as_deref(), record.size.as_deref()), (Some("veo-3.0"), Some("1080p")));
        units(&Play { request: r#"{"instances":[]}"#, ..veo }, &[(Class::VideoSeconds, 8)]);
        for failed in [Play { status: Some(400), body: r#"{"error":{}}"#, ..VIDEOS }, Play { body: r#"{"id":"v","status":"failed","seconds":"8"}"#, ..VIDEOS }] {
            units(&failed, &[]);
        }
    }

    fn deterministic_pages_and_seconds_of_sound_are_counted() {
        let ocr = Play {
            host: "api.mistral.ai", path: "/v1/ocr", request: r#"{"model":"mistral-ocr-latest","document":{"type":"document_url","document_url":"https://x"}}"#,
            body: r#"{"pages":[{"index":0,"markdown":"x"}],"model":"mistral-ocr-2512","usage_info":{"pages_processed":3,"pages_processed_annotation":2,"doc_size_bytes":4096}}"#, ..IMAGES
        };
        units(&ocr, &[(Class::Pages, 3), (Class::AnnotatedPages, 2)]);
        units(&Play { body: r#"{"usage_info":{"pages_processed":3,"pages_processed_annotation":0}}"#, ..ocr }, &[(Class::Pages, 3)]);
        let whisper = Play {
            host: "api.groq.com", path: "/openai/v1/audio/transcriptions",
            request: "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nmodel\r\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-large-v3\r\n--x--\r\n",
            body: r#"{"task":"transcribe","duration":36.709999084472656,"text":"a","x_groq":{"id":"req_1"}}"#, ..IMAGES
        };
        let record = units(&whisper, &[(Class::AudioSeconds, 37)]);
        assert_eq!(record.request_model.as_deref(), Some("whisper-large-v3"));
        let both = r#"{"duration":36.7,"text":"a","usage":{"type":"duration","seconds":37}}"#;
        units(&Play { body: both, ..whisper }, &[(Class::AudioSeconds, 37)]);
        let tokens = r#"{"duration":36.7,"usage":{"type":"tokens","input_tokens":5,"output_tokens":3,"total_tokens":8}}"#;
        assert_eq!(Play { body: tokens, ..whisper }.run().unwrap().usage.get(Class::AudioSeconds), None);
        assert_eq!(Play { body: r#"{"text":"a"}"#, ..whisper }.run().unwrap().missing_reason, Some(Missing::Absent));
    }

    fn deterministic_a_cached_content_is_paid_for_and_so_is_the_time_it_is_kept() {
        let kept = |request: &str, body: &str| Play { request, body, ..CACHED }.run().unwrap().usage.get(Class::CacheStorageTokenHours);
        let record = units(&CACHED, &[(Class::InputText, 7931), (Class::CacheStorageTokenHours, 7931)]);
        assert_eq!((record.provider.as_str(), record.region.as_deref()), ("gcp.vertex_ai", Some("us-central1")));
        let untimed = r#"{"name":"cachedContents/9","usageMetadata":{"totalTokenCount":3512}}"#;
        let gemini = Play { host: "generativelanguage.googleapis.com", path: "/v1beta/cachedContents", request: "{}", body: untimed, ..CACHED };
        units(&gemini, &[(Class::CacheStorageTokenHours, 3512)]);
        assert_eq!(kept(r#"{"ttl":"120s"}"#, untimed), Some(118), "3,512 tokens for 2 minutes, rounded up");
        assert_eq!(kept("{}", untimed), Some(3512), "an hour, if nobody says");
        // The call began 5 s after the epoch.
        assert_eq!(kept(r#"{"expireTime":"1970-01-01T02:00:05Z"}"#, untimed), Some(7024));
        let day = r#"{"createTime":"2026-05-28T14:45:17.041985Z","expireTime":"2026-05-29T14:45:17.041985123Z","usageMetadata":{"totalTokenCount":1000}}"#;
        assert_eq!(kept("{}", day), Some(24_001), "what is no whole second counts as one");
        assert_eq!(kept(r#"{"ttl":"60s"}"#, r#"{"createTime":"9","expireTime":"x","usageMetadata":{"totalTokenCount":60}}"#), Some(1));
        let hostile = r#"{"createTime":"1970-01-01T00:00:00Z","expireTime":"9999-12-31T23:59:59Z","usageMetadata":{"totalTokenCount":1099511627776}}"#;
        assert_eq!(kept(r#"{"ttl":"999999999999999999s"}"#, hostile), Some(wire::usage::MAX_COUNT));
        units(&Play { status: Some(400), body: r#"{"error":{"status":"INVALID_ARGUMENT"}}"#, ..CACHED }, &[]);
    }

    fn contract_calls_whose_counts_come_elsewhere_say_so() {
        let responses = Play { host: "api.openai.com", path: "/v1/responses", request: r#"{"model":"o","background":true,"input":"x"}"#, body: r#"{"object":"response","id":"r","status":"queued","usage":null}"#, ..IMAGES };
        let counted = r#"{"object":"response","status":"completed","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}"#;
        let batch = r#"{"id":"b","object":"batch","status":"validating","usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}}"#;
        let gemini = "generativelanguage.googleapis.com";
        let cases = [
            (responses, Some(Deferred::Background)),
            (Play { request: r#"{"model":"o","input":"x"}"#, ..responses }, Some(Deferred::Background)),
            (Play { body: counted, ..responses }, None),
            (Play { request: r#"{"model":"o"}"#, body: r#"{"object":"response","status":"in_progress"}"#, ..responses }, None),
            (Play { status: Some(429), ..responses }, None),
            (Play { path: "/v1/batches", request: r#"{"input_file_id":"f"}"#, body: batch, ..responses }, Some(Deferred::Batch)),
            (Play { path: "/openai/batches?api-version=1", host: "r.openai.azure.com", body: batch, ..responses }, Some(Deferred::Batch)),
            (Play { host: "api.anthropic.com", path: "/v1/messages/batches", request: r#"{"requests":[]}"#, body: r#"{"id":"b","type":"message_batch"}"#, ..responses }, Some(Deferred::Batch)),
            (Play { host: gemini, path: "/v1beta/models/gemini-2.5-pro:batchGenerateContent", body: r#"{"name":"batches/1","metadata":{}}"#, ..responses }, Some(Deferred::Batch)),
            (Play { host: "api.mistral.ai", path: "/v1/batch/jobs", body: r#"{"id":"j","status":"QUEUED"}"#, ..responses }, Some(Deferred::Batch)),
            (Play { host: "api.perplexity.ai", path: "/async/chat/completions", request: r#"{"request":{"model":"sonar"}}"#, body: r#"{"id":"a","status":"CREATED"}"#, ..responses }, Some(Deferred::Job)),
            (Play { host: "api.replicate.com", path: "/v1/predictions", body: r#"{"id":"p","status":"starting","metrics":{}}"#, ..responses }, Some(Deferred::Job)),
        ];
        for (play, deferred) in cases {
            let record = play.run().unwrap();
            assert_eq!((record.deferred, record.usage.is_empty()), (deferred, play.body != counted), "{play:?}");
        }
        // What only repeats or ends a batch is no call.
        assert_eq!(Play { path: "/v1/batches/b/cancel", body: batch, ..responses }.run(), None);
        assert_eq!(Play { host: "shop.internal", path: "/v1/batches", request: "{}", body: r#"{"id":"b","status":"queued"}"#, ..responses }.run(), None);
    }

    fn contract_hostile_responses_make_no_more_than_they_hold() {
        let images = format!("{{\"data\":[{}]}}", vec!["{\"url\":\"u\"}"; 10_000].join(","));
        units(&Play { body: &images, ..IMAGES }, &[(Class::ImagesOut, 10_000)]);
        for body in [r#"{"data":{"url":"u"}}"#, r#"{"data":[{"url":1},{"url":""},{"url":null}]}"#, r#"{"data":["url"]}"#] {
            units(&Play { body, ..IMAGES }, &[]);
        }
        for seconds in ["-8", "1e99", "8 s", "NaN", ""] {
            let body = format!("{{\"seconds\":\"{seconds}\"}}");
            units(&Play { request: r#"{"model":"sora-2"}"#, body: &body, ..VIDEOS }, &[(Class::VideoSeconds, 4)]);
        }
    }
}
