//! What a container runtime wraps around the lines that Envoy prints: taken off, and what it cut put together again.

use std::borrow::Cow;

use serde::Deserialize;

use super::input::MAX_LINE;

/// Docker cuts lines at 16 KiB; a cut inside of a character changes the length by a few bytes.
const DOCKER_CUT: usize = (16 << 10) - 8;

/// The pieces of cut lines, of standard output and standard error.
#[derive(Default)]
pub struct Joiner {
    pending: [Vec<u8>; 2],
}

/// A line without its wrapping.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwrapped<'a> {
    Line(Cow<'a, [u8]>),
    /// The rest is still to come.
    Piece,
    /// Put together it is over the bound.
    TooLong,
}

struct Piece<'a> {
    stream: usize,
    bytes: Cow<'a, [u8]>,
    is_last: bool,
}

impl Joiner {
    /// Takes the wrapping off a line.
    pub fn unwrap<'a>(&mut self, line: &'a [u8]) -> Unwrapped<'a> {
        let Some(piece) = cri(line).or_else(|| docker(line)) else { return Unwrapped::Line(Cow::Borrowed(line)) };
        let Some(pending) = self.pending.get_mut(piece.stream) else { return Unwrapped::Line(piece.bytes) };
        if pending.is_empty() && piece.is_last {
            return Unwrapped::Line(piece.bytes);
        }
        // One byte over the bound is enough to know.
        let room = MAX_LINE.saturating_add(1).saturating_sub(pending.len());
        pending.extend(piece.bytes.iter().take(room));
        if !piece.is_last {
            return Unwrapped::Piece;
        }
        let whole = std::mem::take(pending);
        if whole.len() > MAX_LINE { Unwrapped::TooLong } else { Unwrapped::Line(Cow::Owned(whole)) }
    }

    /// The pieces whose rest never came.
    pub fn rest(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.pending.iter_mut().map(std::mem::take).filter(|piece| !piece.is_empty())
    }
}

/// `2026-01-31T12:00:00.000000000Z stdout F LINE`, as containerd and CRI-O write it; P instead of F: to be continued.
fn cri(line: &[u8]) -> Option<Piece<'_>> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let time = words.next()?;
    let is_time = (20..=40).contains(&time.len()) && time.get(10) == Some(&b'T') && time.first()?.is_ascii_digit();
    let stream = stream(words.next()?)?;
    let tag = words.next()?;
    let is_last = match tag.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    is_time.then_some(Piece { stream, bytes: Cow::Borrowed(words.next().unwrap_or_default()), is_last })
}

fn stream(word: &[u8]) -> Option<usize> {
    match word {
        b"stdout" => Some(0),
        b"stderr" => Some(1),
        _ => None,
    }
}

/// `{"log":"LINE\n","stream":"stdout","time":"…"}`, as Docker writes it; no line feed: to be continued.
fn docker(line: &[u8]) -> Option<Piece<'_>> {
    #[derive(Deserialize)]
    struct Docker<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        stream: &'a str,
    }
    if !line.starts_with(b"{\"log\":\"") {
        return None;
    }
    let Docker { log, stream } = serde_json::from_slice(line).ok()?;
    let is_last = log.ends_with('\n') || log.len() < DOCKER_CUT;
    Some(Piece { stream: self::stream(stream.as_bytes())?, bytes: Cow::Owned(log.into_owned().into_bytes()), is_last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(lines: &[String]) -> Vec<String> {
        let mut joiner = Joiner::default();
        let mut seen = Vec::new();
        for line in lines {
            match joiner.unwrap(line.as_bytes()) {
                Unwrapped::Line(line) => seen.push(String::from_utf8_lossy(&line).trim_end().to_owned()),
                Unwrapped::Piece => {}
                Unwrapped::TooLong => seen.push("<too long>".to_owned()),
            }
        }
        seen.extend(joiner.rest().map(|rest| format!("{}<unended>", String::from_utf8_lossy(&rest))));
        seen
    }

    #[test]
    fn contract_cri_lines_are_unwrapped_and_joined_by_stream() {
        let lines = [
            "2026-11-20T19:35:00.123456789Z stdout F {\"a\":1}",
            "2026-11-20T19:35:00.123456789+01:00 stdout P {\"b\"",
            "2026-11-20T19:35:00.123456789Z stderr F noise",
            "2026-11-20T19:35:00.123456789Z stdout P:x :",
            "2026-11-20T19:35:00.123456789Z stdout F 2}",
            "2026-11-20T19:35:00.123456789Z stdout F",
            "2026-11-20T19:35:00.123456789Z stdout Q kept",
            "2026-11-20 19:35:00 stdout F kept",
            "2026-11-20T19:35:00.123456789Z stdout P torn",
        ];
        let expected =
            ["{\"a\":1}", "noise", "{\"b\":2}", "", lines[6], lines[7], "torn<unended>"].map(str::to_owned).to_vec();
        assert_eq!(unwrapped(&lines.map(str::to_owned)), expected);
    }

    fn docker(log: &str, stream: &str) -> String {
        serde_json::json!({"log": log, "stream": stream, "time": "2026-11-20T19:35:00Z"}).to_string()
    }

    #[test]
    fn contract_docker_lines_are_unwrapped_and_joined_where_docker_cut_them() {
        let long = "x".repeat(40_000);
        let cut: Vec<&str> = [&long[..16_384], &long[16_384..32_768], &long[32_768..]].to_vec();
        let lines = [
            docker("{\"a\":\"\\n\"}\n", "stdout"),
            docker(cut[0], "stdout"),
            docker("noise\n", "stderr"),
            docker(cut[1], "stdout"),
            docker(&format!("{}\n", cut[2]), "stdout"),
            docker("a shipper took the line feed off", "stdout"),
        ];
        let expected = ["{\"a\":\"\\n\"}", "noise", &long, "a shipper took the line feed off"];
        assert_eq!(unwrapped(&lines), expected.map(str::to_owned));
    }

    #[test]
    fn contract_pieces_without_end_take_no_more_memory_than_a_line() {
        let piece = format!("2026-11-20T19:35:00.1Z stdout P {}", "x".repeat(100_000));
        let mut lines = vec![piece; 30];
        lines.push("2026-11-20T19:35:00.1Z stdout F end".to_owned());
        lines.push("2026-11-20T19:35:00.1Z stdout F after".to_owned());
        assert_eq!(unwrapped(&lines), ["<too long>", "after"]);
    }
}
