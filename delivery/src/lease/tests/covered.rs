//! Which budgets cover a call.

use super::*;

cases! {
    fn deterministic_the_index_finds_what_a_look_at_every_budget_finds() {
        let mut random = Jitter::new(1);
        let mut pick = |texts: &[&'static str]| texts[(random.next() % texts.len() as u64) as usize];
        let tenants = ["", "a", "a/b", "a/b/c", "ab", "b", "b/a", "a/bc", "c/d/e/f/g"];
        let budgets: Vec<Budget> = (0..1000).map(|n| {
            let mut some = |texts: &[&'static str]| Some(pick(texts)).filter(|text| !text.is_empty()).map(str::to_owned);
            let scope = Scope { tenant: some(&tenants), provider: some(&["", "", "openai", "azure"]), model: some(&["", "", "gpt-5", "gpt-4"]) };
            Budget { scope, mode: if n % 10 == 0 { Mode::Soft } else { Mode::Hard }, ..budget(&format!("b{n}")) }
        }).collect();
        let catalogue = Catalogue::new(42, budgets.clone());
        let mut all = 0;
        for tenant in ["a", "a/b", "a/b/c", "a/b/c/d/e/f", "ab", "b/a/x", "c/d/e/f/g", "unknown"] {
            for (provider, model) in [("openai", Some("gpt-5")), ("azure", Some("gpt-4")), ("x", None), ("openai", Some(""))] {
                let call = Spending { tenant, provider, model, started_s: 0 };
                let mut found: Vec<_> = catalogue.covering(&call).iter().map(|budget| budget.name.clone()).collect();
                let covers = |budget: &&Budget| budget.mode != Mode::Soft && budget.scope.covers(tenant, provider, model);
                let mut expected: Vec<_> = budgets.iter().filter(covers).map(|budget| budget.name.clone()).collect();
                found.sort();
                expected.sort();
                assert_eq!(found, expected, "{tenant} {provider} {model:?}");
                all += found.len();
            }
        }
        assert!(all > 1000);
    }

    fn contract_each_tenant_has_a_lease_of_its_own_where_the_budget_says_so() {
        let each = Budget { per_tenant: true, scope: Scope { tenant: Some("org".into()), ..Scope::default() }, ..budget("each") };
        let mut worker = Worker::knows("", vec![each]);
        assert!(worker.admit(NOW, &call("other"), &bound(1)).unwrap().is_empty());
        for tenant in ["org/a", "org/b", "org"] {
            assert_eq!(worker.refuses(NOW, &call(tenant), &bound(10)).0, Reason::NoLease);
        }
        let request = worker.ask(NOW, 0).unwrap();
        let mut subjects: Vec<_> = request.leases.iter().map(|wanted| wanted.subject.as_str()).collect();
        subjects.sort_unstable();
        assert_eq!(subjects, ["org", "org/a", "org/b"]);
        let leases: Vec<_> = request.leases.iter().map(|wanted| {
            let granted = if wanted.subject == "org/a" { 10 } else { 0 };
            Some(lease(NOW, granted, 0, [100, granted]))
        }).collect();
        worker.gets(NOW, &request, &leases);
        assert!(worker.admit(NOW, &call("org/a"), &bound(10)).is_ok());
        assert_eq!(worker.refuses(NOW, &call("org/b"), &bound(10)).0, Reason::Exhausted);
    }
}
