//! Why a person changes something: a text that stands in the ledger for good.

/// The longest, characters. It is read by people, and hashed with its entry by whoever verifies the ledger.
const MAX: usize = 1000;

/// Whether the ledger takes it.
pub fn fits(reason: &str) -> Result<(), String> {
    let count = reason.chars().count();
    if count <= MAX { Ok(()) } else { Err(format!("must have at most {MAX} characters, not {count}")) }
}

/// Whether it says something, too.
pub fn says(reason: &str) -> Result<(), String> {
    if reason.trim().is_empty() { Err("must say why, for the ledger".to_owned()) } else { fits(reason) }
}

/// The same of the reason that is called why.
pub fn why(reason: &str) -> Result<(), String> {
    says(reason).map_err(|problem| format!("why: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_a_reason_says_something_in_a_thousand_characters() {
        assert!(why("é".repeat(1000).as_str()).is_ok());
        assert_eq!(why(&"a".repeat(1001)).unwrap_err(), "why: must have at most 1000 characters, not 1001");
        assert_eq!(why(" \n").unwrap_err(), "why: must say why, for the ledger");
        assert!(fits("").is_ok(), "some have a reason by default");
    }
}
