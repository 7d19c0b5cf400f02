use super::*;

#[test]
fn deterministic_a_model_brings_its_provider_and_columns_have_one_order() {
    let names =
        |text: &str| dimensions(text).map(|by| by.into_iter().map(Dimension::name).collect::<Vec<_>>().join(" "));
    assert_eq!(names("model,tenant"), Ok("tenant provider model".to_owned()));
    assert_eq!(names("provider, day,day"), Ok("day provider".to_owned()));
    let allowed = "must be a list of day, month, tenant, provider, model, separated by commas";
    assert_eq!(names(""), Err(allowed.to_owned()));
    assert_eq!(names("tenant,"), Err(allowed.to_owned()));
}

#[test]
fn deterministic_sums_beyond_128_bits_are_an_error_not_a_number() {
    let most = Sum { calls: i128::MAX, ..Sum::default() };
    let mut row = Total {
        key: Vec::new(),
        evidence: Evidence::Reported,
        counted: Counted::Calls,
        quantity: 1,
        charge: Charge::default(),
        unpriced: 0,
        fallback: 0,
    };
    assert!(most.clone().add(&row).is_err());
    assert!(most.clone().merge(&most).is_err());
    let mut sum = Sum::default();
    row.counted = Counted::Usage(Class::InputText);
    sum.usage.insert(Class::InputText, i128::MAX);
    assert!(sum.add(&row).is_err());
}

#[test]
fn contract_csv_fields_survive_any_model_name() {
    let mut lines = BTreeMap::new();
    let key = vec!["a \"b\", c\r\nd".to_owned()];
    lines.insert((key, Grade(Evidence::Missing)), Sum { calls: 1, ..Sum::default() });
    let question = Question { selection: Selection::default(), by: vec![Dimension::Model], round: None };
    let csv = Report { question, lines }.render(Format::Csv).unwrap();
    let (_, line) = csv.split_once("\r\n").unwrap();
    let empty = ",".repeat(Class::ALL.len() + 3);
    assert_eq!(line, format!("\"a \"\"b\"\", c\r\nd\",missing,1{empty}\r\n"));
}
