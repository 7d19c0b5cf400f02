//! JSON to requests and responses, for either side: every problem names its field and what is allowed.

use serde_json::{Map, Value};

use super::{
    Budget, Ceiling, Lease, MAX_AMOUNT, MAX_BUDGETS, MAX_LEASES, MAX_NAME, MAX_PRICES, Mode, Priced, Request, Response,
    Scope, Unit, Wanted,
};
use crate::Invalid;
use crate::emitter::MAX_SEQUENCE;
use crate::identity::MAX_TENANT;

/// The last whole second that 63 bits of nanoseconds can tell.
const MAX_SECONDS: u64 = 9_223_372_036;

/// Reads a request's body. Fields that this version does not know are left alone, here and in a response.
pub fn request(bytes: &[u8]) -> Result<Request, Invalid> {
    let body = parse(bytes)?;
    let body = Fields { fields: &body, place: None };
    Ok(Request {
        number: body.number("number", 1, MAX_SEQUENCE)?,
        acknowledged: body.number("acknowledged", 0, MAX_SEQUENCE)?,
        revision: body.number("revision", 0, MAX_SEQUENCE)?,
        leases: body.list("leases", MAX_LEASES, |item| wanted(&item.object()?))?,
        prices: body.list("prices", MAX_PRICES, |item| priced(&item.object()?))?,
    })
}

/// Reads a response's body.
pub fn response(bytes: &[u8]) -> Result<Response, Invalid> {
    let body = parse(bytes)?;
    let body = Fields { fields: &body, place: None };
    let budgets = || body.list("budgets", MAX_BUDGETS, |item| budget(&item.object()?));
    Ok(Response {
        number: body.number("number", 1, MAX_SEQUENCE)?,
        revision: body.number("revision", 0, MAX_SEQUENCE)?,
        budgets: body.fields.contains_key("budgets").then(budgets).transpose()?,
        leases: body.list("leases", MAX_LEASES, |item| item.or_null(lease))?,
        prices: body.list("prices", MAX_PRICES, |item| item.or_null(ceiling))?,
    })
}

fn wanted(fields: &Fields<'_>) -> Result<Wanted, Invalid> {
    let up_to = fields.number("up_to", 0, MAX_AMOUNT)?;
    Ok(Wanted {
        budget: fields.text("budget", 1, MAX_NAME)?,
        subject: fields.text("subject", 0, MAX_TENANT)?,
        at_s: fields.number("at_s", 0, MAX_SECONDS)?,
        up_to,
        need: fields.number("need", 0, up_to)?,
    })
}

fn priced(fields: &Fields<'_>) -> Result<Priced, Invalid> {
    Ok(Priced {
        tenant: fields.text("tenant", 1, MAX_TENANT)?,
        provider: fields.text("provider", 1, MAX_NAME)?,
        model: fields.text("model", 1, MAX_NAME)?,
    })
}

fn budget(fields: &Fields<'_>) -> Result<Budget, Invalid> {
    let part =
        |name: &'static str| fields.fields.contains_key(name).then(|| fields.text(name, 1, MAX_NAME)).transpose();
    Ok(Budget {
        name: fields.text("name", 1, MAX_NAME)?,
        scope: Scope { tenant: part("tenant")?, provider: part("provider")?, model: part("model")? },
        per_tenant: fields.bool("per_tenant")?,
        unit: fields.word("unit", Unit::from_word, Unit::WORDS)?,
        mode: fields.word("mode", Mode::from_word, Mode::WORDS)?,
    })
}

fn lease(fields: &Fields<'_>) -> Result<Lease, Invalid> {
    let window_s = fields.number("window_s", 0, MAX_SECONDS)?;
    Ok(Lease {
        window_s,
        until_s: fields.number("until_s", window_s, MAX_SECONDS)?,
        granted: fields.number("granted", 0, MAX_AMOUNT)?,
        charged: fields.number("charged", 0, MAX_AMOUNT)?,
        limit: fields.number("limit", 0, MAX_AMOUNT)?,
        left: fields.number("left", 0, MAX_AMOUNT)?,
        available: fields.number("available", 0, MAX_AMOUNT)?,
    })
}

fn ceiling(fields: &Fields<'_>) -> Result<Ceiling, Invalid> {
    Ok(Ceiling {
        input: fields.number("input", 0, MAX_AMOUNT)?,
        output: fields.number("output", 0, MAX_AMOUNT)?,
        call: fields.number("call", 0, MAX_AMOUNT)?,
    })
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Invalid> {
    match crate::read_json(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Invalid::new("", "must be a JSON object")),
        Err(error) => Err(Invalid::new("", format!("not readable as JSON: {error}"))),
    }
}

/// Where in a list.
type Place = Option<(&'static str, usize)>;

/// An item of a list.
struct Item<'a> {
    value: &'a Value,
    place: Place,
}

impl<'a> Item<'a> {
    fn object(&self) -> Result<Fields<'a>, Invalid> {
        match self.value {
            Value::Object(fields) => Ok(Fields { fields, place: self.place }),
            _ => Err(invalid(self.place, "", "must be an object")),
        }
    }

    fn or_null<T>(&self, read: impl Fn(&Fields<'a>) -> Result<T, Invalid>) -> Result<Option<T>, Invalid> {
        if self.value.is_null() { Ok(None) } else { read(&self.object()?).map(Some) }
    }
}

/// An object's fields.
struct Fields<'a> {
    fields: &'a Map<String, Value>,
    place: Place,
}

impl<'a> Fields<'a> {
    fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, Invalid> {
        let number = self.fields.get(name).and_then(Value::as_u64).filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| invalid(self.place, name, &format!("must be a whole number from {min} to {max}")))
    }

    fn text(&self, name: &str, min: usize, max: usize) -> Result<String, Invalid> {
        let text = self.fields.get(name).and_then(Value::as_str).filter(|text| (min..=max).contains(&text.len()));
        let problem = || invalid(self.place, name, &format!("must be a text of {min} to {max} bytes"));
        text.map(str::to_owned).ok_or_else(problem)
    }

    fn bool(&self, name: &str) -> Result<bool, Invalid> {
        let value = self.fields.get(name).and_then(Value::as_bool);
        value.ok_or_else(|| invalid(self.place, name, "must be true or false"))
    }

    fn word<T>(&self, name: &str, from_word: fn(&str) -> Option<T>, allowed: &[&str]) -> Result<T, Invalid> {
        let value = self.fields.get(name).and_then(Value::as_str).and_then(from_word);
        value.ok_or_else(|| invalid(self.place, name, &format!("must be one of {}", allowed.join(", "))))
    }

    /// A list that may be absent.
    fn list<T>(
        &self,
        name: &'static str,
        max: usize,
        read: impl Fn(Item<'a>) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        let items = match self.fields.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= max => items,
            Some(_) => return Err(invalid(self.place, name, &format!("must be a list of at most {max} objects"))),
        };
        items.iter().enumerate().map(|(index, value)| read(Item { value, place: Some((name, index)) })).collect()
    }
}

fn invalid(place: Place, name: &str, problem: &str) -> Invalid {
    let list = place.map(|(list, index)| format!("{list}[{index}]")).unwrap_or_default();
    let dot = if list.is_empty() || name.is_empty() { "" } else { "." };
    Invalid::new(&format!("{list}{dot}{name}"), problem)
}
