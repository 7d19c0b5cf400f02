use std::collections::BTreeSet;

use super::*;

/// Every reference in a part of the document.
fn references<'d>(part: &'d Value, found: &mut BTreeSet<&'d str>) {
    match part {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
            Value::String(to) if name == "$ref" => drop(found.insert(to)),
            value => references(value, found),
        }),
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn contract_the_reference_names_every_path_of_the_http_api() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("MESHMETER_WRITE_DOCS").is_some() {
        std::fs::write(path, DOCUMENT.as_str()).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap();
    assert!(found == *DOCUMENT, "docs/openapi.json is not what the code says: run `just docs`");
}

#[test]
fn contract_a_path_has_one_method_and_its_operation_a_name_of_its_own() {
    let paths: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    let names: BTreeSet<&str> = ROUTES.iter().map(|route| (route.describe)().id).collect();
    assert_eq!((paths.len(), names.len()), (ROUTES.len(), ROUTES.len()));
}

#[test]
fn contract_every_part_that_is_referred_to_is_there_and_none_is_there_for_nothing() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let of = |kind: &str| {
        let parts = document["components"][kind].as_object().unwrap();
        parts.keys().map(|name| format!("#/components/{kind}/{name}")).collect::<Vec<_>>()
    };
    let there: BTreeSet<String> = ["schemas", "parameters"].map(of).concat().into_iter().collect();
    assert_eq!(found.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), there);
}

#[test]
fn contract_every_parameter_of_a_question_is_described() {
    let document = document();
    for parameter in crate::report::PARAMETERS {
        assert!(document["components"]["parameters"].get(parameter.name).is_some(), "{}", parameter.name);
    }
}
