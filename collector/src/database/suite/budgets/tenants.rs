//! Credentials that may charge some tenants only.

use super::*;
use crate::ledger::limits::Limits;
use crate::tenant::TenantPattern;

pub(super) fn a_credential_of_one_tenant_gets_no_others_lease(fresh: Fresh<'_>) {
    let mut both = Both::new(fresh);
    let of = |name: &str, tenant: Option<&str>, per_tenant| Draft {
        tenant: tenant.map(str::to_owned),
        per_tenant: Some(per_tenant),
        ..draft(name, "100")
    };
    for budget in [
        of("acme", Some("acme"), false),
        of("acme-ml", Some("acme/ml"), false),
        of("globex", Some("globex"), false),
        of("all", None, false),
        of("each", None, true),
    ] {
        both.set(&budget, NOON_NS);
    }
    let limits = Limits { tenants: vec![TenantPattern::parse("acme/ml/*").unwrap()], ..Limits::default() };
    let at_s = second(NOON_NS) as u64;
    let wants = [
        ("acme", "", true),
        ("acme-ml", "", true),
        ("globex", "", false),
        ("all", "", true),
        ("each", "acme/ml/ann", true),
        ("each", "acme/ml", false),
        ("each", "globex", false),
        ("each", "", false),
        ("each", "acme/ml/../x", false),
        ("acme", "acme/ml/ann", false),
        ("none", "", false),
    ];
    let wanted = |(budget, subject, _): &(&str, &str, bool)| {
        let (budget, subject) = ((*budget).to_owned(), (*subject).to_owned());
        Wanted { budget, subject, at_s, up_to: 10, need: 10 }
    };
    let priced = |tenant: &str| wire::lease::Priced {
        tenant: tenant.to_owned(),
        provider: "openai".to_owned(),
        model: "responded".to_owned(),
    };
    let request = Request {
        number: 1,
        leases: wants.iter().map(wanted).collect(),
        prices: vec![priced("acme/ml/ann"), priced("globex")],
        ..Request::default()
    };
    let sender = Sender { limits: limits.into(), ..by_key(&emitter(1)) };
    let response = both.lease(&LeaseRequest { sender, request }, NOON_NS);
    for ((budget, subject, is_allowed), lease) in wants.iter().zip(&response.leases) {
        assert_eq!(lease.map(|lease| lease.granted), is_allowed.then_some(10), "{budget} {subject}");
    }
    let names: Vec<String> = response.budgets.unwrap().into_iter().map(|budget| budget.name).collect();
    assert_eq!(names, ["acme", "acme-ml", "all", "each"]);
    let ceiling = wire::lease::Ceiling { input: 2500, ..Default::default() };
    assert_eq!(response.prices, [Some(ceiling), None], "nor does it hear what others pay");
    both.assert_same();
}
