//! What a credential may charge: which tenants, and how much for one call.

use wire::record::Record;
use wire::usage::Class;

use crate::money::Charge;
use crate::tenant::TenantPattern;

/// Tokens of one call that no real call exceeds: the largest context windows hold 10 million.
const TOKENS: u64 = 20_000_000;
/// What no real call costs.
const CHARGE: Charge = Charge::from_usd(1000);

/// What a credential may charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Which tenants; none: all.
    pub tenants: Vec<TenantPattern>,
    /// Tokens of one call, and how many of each other thing that is counted.
    pub tokens: u64,
    /// The cost of one call.
    pub charge: Charge,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { tenants: Vec::new(), tokens: TOKENS, charge: CHARGE }
    }
}

impl Limits {
    /// Whether a record may be charged as far as tenant and counts tell; otherwise the reason.
    pub fn allow(&self, record: &Record) -> Result<(), String> {
        let tenant = &record.identity.tenant;
        if !self.tenants.is_empty() && !self.tenants.iter().any(|pattern| pattern.matches(tenant)) {
            return Err("data.tenant: its credential may not charge this tenant".to_owned());
        }
        let mut tokens = 0_u64;
        for (class, count) in record.usage.iter() {
            if count > self.tokens {
                return Err(format!("data.{}: must be at most {} in one call, not {count}", class.name(), self.tokens));
            }
            tokens = tokens.saturating_add(if is_token(class) { count } else { 0 });
        }
        if tokens > self.tokens {
            let most = self.tokens;
            return Err(format!("data: input_tokens and output_tokens must be at most {most} together, not {tokens}"));
        }
        Ok(())
    }

    /// Whether a call may cost so much; otherwise the reason.
    pub fn allow_charge(&self, charge: Charge) -> Result<(), String> {
        if charge <= self.charge {
            return Ok(());
        }
        Err(format!("data: costs {charge} USD; one call must cost at most {} USD", self.charge))
    }
}

fn is_token(class: Class) -> bool {
    class.name().ends_with("_tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_what_is_beyond_the_limits_is_named() {
        let record = |tenant: &str, counts: &[(Class, u64)]| {
            let mut record = Record::default();
            record.identity.tenant = tenant.to_owned();
            counts.iter().for_each(|(class, count)| record.usage.set(*class, Some(*count)));
            record
        };
        let tenants = vec![TenantPattern::parse("acme/*").unwrap()];
        let limits = Limits { tenants, tokens: 10, charge: "0.50".parse().unwrap() };
        let (input, output, seconds) = (Class::InputText, Class::OutputText, Class::AudioSeconds);
        let cases = [
            (record("acme/ml", &[(input, 4), (output, 6), (seconds, 10)]), ""),
            (record("acme", &[]), "data.tenant"),
            (record("acme/ml", &[(input, 11)]), "data.input_text_tokens"),
            (record("acme/ml", &[(seconds, 11)]), "data.audio_seconds"),
            (record("acme/ml", &[(input, 5), (output, 6)]), "data: input_tokens and output_tokens"),
        ];
        for (record, field) in cases {
            let found = limits.allow(&record).err().unwrap_or_default();
            assert!(found.starts_with(field) && found.is_empty() == field.is_empty(), "{found} instead of {field}");
        }
        assert_eq!(limits.allow_charge("0.50".parse().unwrap()), Ok(()));
        let dear = limits.allow_charge("0.500000000000001".parse().unwrap());
        assert_eq!(dear, Err("data: costs 0.500000000000001 USD; one call must cost at most 0.50 USD".to_owned()));
        assert_eq!(Limits::default().charge.to_string(), "1000.00");
    }
}
