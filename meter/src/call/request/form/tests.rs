use super::*;

#[derive(Default)]
struct Kept {
    fields: Vec<(String, String, bool)>,
    unclear: bool,
}

impl Fields for Kept {
    fn matters(&self, name: &str) -> bool {
        ["model", "prompt", "n", "no"].contains(&name)
    }
    fn field(&mut self, name: &str, value: &str, is_plain: bool) {
        self.fields.push((name.to_owned(), value.to_owned(), is_plain));
    }
    fn unclear(&mut self) {
        self.unclear = true;
    }
}

/// The fields of a body in pieces of a size, and whether servers may differ.
fn read(content_type: Option<&str>, body: &[u8], size: usize) -> (Vec<(String, String, bool)>, bool) {
    let (mut form, mut kept) = (Form::new(content_type.map(str::as_bytes)), Kept::default());
    for piece in body.chunks(size) {
        form.feed(piece, &mut kept);
    }
    (kept.fields, kept.unclear || form.is_odd())
}

const FORM: &str = "--x-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
    --x-1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
    RIFF\r\n--x-\r\r\n--x\r\n--x-1y\r\n\r\n--x-1\r\nContent-Disposition: form-data; name=prompt\r\n\r\na\r\n-b\r\r\n--x-1 \r\n\
    Content-Disposition: form-data; name=\"n\"\r\n\r\n\r\n--x-1--\r\nContent-Disposition: form-data; name=\"no\"\r\n\r\nx\r\n--x-1--";
const SIZES: [usize; 7] = [1, 2, 3, 5, 8, 64, usize::MAX];

fn field(name: &str, value: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

cases! {
    fn contract_fields_are_read_however_a_form_is_cut_and_files_are_not() {
        let expected = [("model", "whisper-1"), ("prompt", "a  -b"), ("n", "")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned(), true)).into();
        for size in SIZES {
            for content_type in [None, Some("multipart/form-data; boundary=x-1"), Some("Multipart/Form-Data;boundary=\"x-1\"")] {
                assert_eq!(read(content_type, FORM.as_bytes(), size), (expected.clone(), false), "pieces of {size}");
            }
        }
    }

    fn contract_what_servers_read_in_a_form_is_read_and_what_they_differ_in_is_flagged() {
        let long = "B".repeat(200);
        let file = "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\n--B\r\n\r\nx\r\n";
        let with = |from: &str, to: &str| format!("{}{}--B--\r\n", field("model", "m").replace(from, to), file.replace("\n--B\r", "\n--b\r"));
        let cases = [
            // In any legal form, and in some that all servers take.
            ("plain", with("", ""), false),
            ("leading line", format!("\r\n{}", with("", "")), false),
            ("preamble", format!("This is a preamble\r\n{}", with("", "")), false),
            ("another form before", format!("--A\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--A--\r\n{}", with("", "")), false),
            ("epilogue", format!("{}--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--B--", with("", "")), false),
            ("long header", with("\"\r\n\r\n", &format!("\"\r\nx-pad: {}\r\n\r\n", "a".repeat(5000))), false),
            ("header before", with("Content-Disposition", "x: y\r\ncontent-disposition"), false),
            ("unquoted", with("\"model\"", "model"), false),
            ("spaces", with("name=\"model\"", "NAME  =  \"model\" "), false),
            ("folded", with("; name", ";\r\n name"), false),
            ("line feeds", with("", "").replace("\r\n", "\n"), false),
            ("padded", with("m\r\n", &format!("{}m{}\r\n", " ".repeat(300), "\t \r\n".repeat(300))), false),
            // Where servers differ.
            ("encoded name", with("name=\"model\"", "name*=utf-8''mo%64el"), true),
            ("name in pieces", with("name=\"model\"", "name*0=mo; name*1=del"), true),
            ("backslash", with("name=\"model\"", "name=\"mo\\del\""), true),
            ("single quotes", with("\"model\"", "'model'"), true),
            ("two names", with("name=\"model\"", "name=\"x\"; name=\"model\""), true),
            ("no file's name", with("\"model\"", "\"model\"; filename=\"\""), true),
            ("a file", with("\"model\"", "\"model\"; filename*=''"), true),
            ("long disposition", with("\"model\"", &format!("\"model\"; x={}", "a".repeat(2000))), true),
            ("two dispositions", with("Content-Disposition: form-data; name=\"x\"\r\n", "").replacen("Content-Disposition", "Content-Disposition: form-data; name=x\r\nContent-Disposition", 1), true),
            ("coding", with("\r\n\r\nm", "\r\nContent-Transfer-Encoding: base64\r\n\r\nm"), true),
            ("no end", field("model", "m") + "--B\r\n", true),
            ("end with more", with("", "").replace("--B--\r\n", "--B--x"), true),
        ];
        for (what, body, unclear) in &cases {
            for size in SIZES {
                let (fields, is_unclear) = read(Some("multipart/form-data; boundary=B"), body.as_bytes(), size);
                let models: Vec<_> = fields.iter().map(|(name, value, _)| (name.as_str(), value.as_str())).collect();
                assert_eq!((models, is_unclear), (vec![("model", "m")], *unclear), "{what} by {size}");
            }
        }
        let body = with("", "").replace("--B", &format!("--{long}"));
        let (fields, unclear) = read(Some(&format!("multipart/form-data; boundary={long}")), body.as_bytes(), 9);
        assert_eq!((fields.len(), unclear), (1, false), "a long boundary");
    }

    fn contract_lines_that_part_fields_to_some_servers_only_are_flagged() {
        let kind = Some("multipart/form-data; boundary=B");
        let inner = "x\n--B\nContent-Disposition: form-data; name=\"model\"\n\ncheap\n--B--\n";
        let body = format!("{}{}--B--", field("prompt", inner), field("model", "m"));
        let (fields, unclear) = read(kind, body.as_bytes(), 7);
        assert_eq!((fields.last().map(|(name, value, _)| (name.as_str(), value.as_str())), unclear), (Some(("model", "m")), true));
        assert_eq!(fields.len(), 2, "{fields:?}");
        for content_type in ["multipart/form-data", "multipart/form-data; boundary=\"B\"; boundary=C", "multipart/form-data; boundary=B; charset=utf-16", "multipart/form-data; boundary="] {
            let (_, unclear) = read(Some(content_type), format!("{}--B--", field("model", "m")).as_bytes(), 7);
            assert!(unclear, "{content_type}");
        }
    }

    fn deterministic_what_cannot_be_read_gives_nothing_and_is_flagged() {
        let long_line = format!("--{}\r\n", "a".repeat(300));
        let long_value = format!("--a\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{}\r\n--a--", "a".repeat(600));
        let bad = b"--a\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\xff\xfem\0\r\n--a--";
        let bodies: [&[u8]; 8] = [b"", b"--", b"-\r\n", b"--\0\r\n", b"- x\r\n", long_line.as_bytes(), long_value.as_bytes(), bad];
        for body in bodies {
            assert_eq!(read(None, body, 7), (vec![], true), "{body:?}");
        }
        assert_eq!(read(None, b"--a\r\nno head\r\n\r\nx\r\n--a--", 7), (vec![], false));
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(cases::properties())]
        #[test]
        fn deterministic_any_bytes_say_the_same_however_they_are_cut(
            parts in prop::collection::vec(prop_oneof![
                Just("--x".to_owned()), Just("\r\n".to_owned()), Just("\n".to_owned()), Just("--".to_owned()), Just("\r".to_owned()),
                Just("Content-Disposition: form-data; name=\"model\"".to_owned()), Just("; filename=a".to_owned()), "[a-x \t-]{0,3}",
            ], 0..40),
            size in 1usize..9,
            said in any::<bool>(),
        ) {
            let body = format!("--x\r\n{}", parts.concat());
            let kind = said.then_some("multipart/form-data; boundary=x");
            prop_assert_eq!(read(kind, body.as_bytes(), size), read(kind, body.as_bytes(), usize::MAX));
        }
    }
}
