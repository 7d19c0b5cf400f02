//! The names of metrics in Envoy. A set of labels is part of the stat's name, `NAME.LABEL=.=VALUE;.;…`, which stock Istio, and
//! Envoy with a `stats_tags` rule per label, take apart again.

use meter::telemetry::Metric;

/// The longest value of a label, bytes.
const MAX_VALUE: usize = 128;

/// A stat's name with its labels.
pub fn stat_name(metric: Metric, values: &[&str]) -> String {
    let spec = metric.spec();
    let mut name = String::with_capacity(160);
    name.push_str(spec.name);
    for (index, (label, value)) in spec.labels.iter().zip(values).enumerate() {
        // The dot ends the name; without it the first label would become a part of it.
        name.push_str(if index == 0 { "." } else { "" });
        name.push_str(label);
        name.push_str("=.=");
        push_value(&mut name, value);
        name.push_str(";.;");
    }
    name
}

/// A label's value in characters that cannot end it, nor wake one of Envoy's or Istio's own rules.
fn push_value(name: &mut String, value: &str) {
    let from = name.len();
    name.extend(value.chars().take(MAX_VALUE).map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | '@' | ':' | '/' | '+' => c,
        _ => '_',
    }));
    for woken in ["cache.", "component.", "tag."] {
        while let Some(at) = name.get(from..).and_then(|value| value.find(woken)) {
            let dot = from.saturating_add(at).saturating_add(woken.len());
            name.replace_range(dot.saturating_sub(1)..dot, "_");
        }
    }
    if name.len() == from {
        name.push_str("unknown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_stat_names_are_in_istios_form() {
        assert_eq!(stat_name(Metric::Records, &[]), "meshmeter_records_total");
        assert_eq!(
            stat_name(Metric::Tokens, &["acme/ml", "openai", "gpt-4.1", "input_text"]),
            "gen_ai_client_inference_usage_tokens_total.tenant=.=acme/ml;.;gen_ai_provider_name=.=openai;.;gen_ai_response_model=.=gpt-4.1;.;gen_ai_token_type=.=input_text;.;",
        );
    }

    /// Envoy finds a label by a substring of the stat's name.
    #[test]
    fn contract_no_label_is_the_end_of_another() {
        let labels: Vec<&str> = Metric::ALL.iter().flat_map(|metric| metric.spec().labels).copied().collect();
        assert!(labels.contains(&"tenant") && labels.len() >= 20);
        for one in &labels {
            for other in &labels {
                assert!(one == other || !one.ends_with(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn contract_hostile_values_stay_inside_their_label() {
        let name = stat_name(Metric::IdentityRefused, &["a;.;tenant=.=x cache.y component.z vtag.w \n\u{1F600}"]);
        assert_eq!(
            name,
            "meshmeter_identity_refused_total.meshmeter_reason=.=a_._tenant_._x_cache_y_component_z_vtag_w___;.;"
        );
        assert!(stat_name(Metric::IdentityRefused, &[&"x".repeat(9999)]).len() < 200);
        assert!(stat_name(Metric::IdentityRefused, &[""]).contains("=.=unknown;.;"));
    }
}
