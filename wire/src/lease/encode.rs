//! Requests and responses as JSON.

use super::{Budget, Ceiling, Lease, Request, Response};
use crate::json::Object;

/// A request's body.
pub fn encode_request(request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Object::begin(&mut out);
    body.number("number", request.number);
    body.number("acknowledged", request.acknowledged);
    body.number("revision", request.revision);
    body.objects("leases", &request.leases, |object, wanted| {
        object.text("budget", &wanted.budget);
        object.text("subject", &wanted.subject);
        object.number("at_s", wanted.at_s);
        object.number("up_to", wanted.up_to);
        object.number("need", wanted.need);
    });
    body.objects("prices", &request.prices, |object, priced| {
        object.text("tenant", &priced.tenant);
        object.text("provider", &priced.provider);
        object.text("model", &priced.model);
    });
    body.end();
    out
}

/// A response's body.
pub fn encode_response(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Object::begin(&mut out);
    body.number("number", response.number);
    body.number("revision", response.revision);
    if let Some(budgets) = &response.budgets {
        body.objects("budgets", budgets, budget);
    }
    body.list("leases", &response.leases, |out, item| or_null(out, item.as_ref(), lease));
    body.list("prices", &response.prices, |out, item| or_null(out, item.as_ref(), ceiling));
    body.end();
    out
}

fn budget(object: &mut Object<'_>, budget: &Budget) {
    object.text("name", &budget.name);
    let scope =
        [("tenant", &budget.scope.tenant), ("provider", &budget.scope.provider), ("model", &budget.scope.model)];
    for (name, value) in scope {
        if let Some(value) = value {
            object.text(name, value);
        }
    }
    object.bool("per_tenant", budget.per_tenant);
    object.text("unit", budget.unit.as_str());
    object.text("mode", budget.mode.as_str());
}

fn lease(object: &mut Object<'_>, lease: &Lease) {
    object.number("window_s", lease.window_s);
    object.number("until_s", lease.until_s);
    object.number("granted", lease.granted);
    object.number("charged", lease.charged);
    object.number("limit", lease.limit);
    object.number("left", lease.left);
    object.number("available", lease.available);
}

fn ceiling(object: &mut Object<'_>, ceiling: &Ceiling) {
    object.number("input", ceiling.input);
    object.number("output", ceiling.output);
    object.number("call", ceiling.call);
}

fn or_null<T>(out: &mut Vec<u8>, item: Option<&T>, write: impl Fn(&mut Object<'_>, &T)) {
    match item {
        None => out.extend_from_slice(b"null"),
        Some(item) => {
            let mut object = Object::begin(out);
            write(&mut object, item);
            object.end();
        }
    }
}
