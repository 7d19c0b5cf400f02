//! AWS event streams as Bedrock writes them. Source: Smithy's specification of `application/vnd.amazon.eventstream`.

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::Crc;

/// A message with an event of this type.
pub fn event(kind: &str, payload: &str) -> Vec<u8> {
    message(&[(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], payload)
}

/// A message with the exception that ends a stream.
pub fn exception(kind: &str, payload: &str) -> Vec<u8> {
    message(
        &[(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")],
        payload,
    )
}

/// A chunk of `invoke-with-response-stream`: the vendor's own event, in base64.
pub fn chunk(vendor: &str) -> Vec<u8> {
    event("chunk", &format!(r#"{{"bytes":"{}","p":"abcdefghijk"}}"#, STANDARD.encode(vendor)))
}

fn message(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        block.extend_from_slice(name.as_bytes());
        // 7: a text.
        block.push(7);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    // Two lengths, their checksum, and the checksum of all.
    let mut message = length(block.len() + payload.len() + 16).to_vec();
    message.extend_from_slice(&length(block.len()));
    message.extend_from_slice(&checksum(&message));
    message.extend_from_slice(&block);
    message.extend_from_slice(payload.as_bytes());
    message.extend_from_slice(&checksum(&message));
    message
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn contract_an_empty_message_is_that_of_the_specification() {
        assert_eq!(super::message(&[], ""), [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255]);
    }
}
