//! What may be shown on a terminal.

/// Names come from calls and files: what could steer a terminal is shown, not sent.
pub fn printable(text: impl AsRef<str>) -> String {
    text.as_ref().chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
