//! Expectations about the journal, in JSON.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::reply::{Handled, Json, Problem, parse};
use crate::journal::filter::RequestFilter;
use crate::journal::verify::{self, Expect};
use crate::web::in_world::InWorld;

const SHAPE: &str = r#"{"expect":[{"endpoint":"token","grant":…?,"client_id":…?,"path":…?,"status":…?,"error":…?,"rule":…?,"count":{"eq":1}|{"at_least":1}|{"at_most":2}},{"order":["device_code","token"]},{"gaps_ms":{"endpoint":"token","min":5000}}]}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    expect: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    eq: Option<usize>,
    at_least: Option<usize>,
    at_most: Option<usize>,
}

pub(super) async fn verify(InWorld(world): InWorld, body: Bytes) -> Handled {
    let request: Verify = parse(&body, SHAPE)?;
    // An empty list is a mistake of the caller: it would always be met.
    if request.expect.is_empty() {
        return Err(wrong());
    }
    let expected: Result<Vec<_>, _> = request.expect.into_iter().map(expectation).collect();
    let failures = verify::verify(&world.state().journal, &expected?);
    Ok(Json(
        json!({ "ok": failures.is_empty(), "failures": failures }),
    ))
}

fn wrong() -> Problem {
    Problem::bad(format!("expected {SHAPE}"))
}

fn expectation(mut members: Map<String, Value>) -> Result<Expect, Problem> {
    if let Some(order) = members.remove("order") {
        let Value::Array(items) = order else {
            return Err(wrong());
        };
        if !members.is_empty() || items.is_empty() {
            return Err(wrong());
        }
        let all: Result<Vec<_>, _> = items.into_iter().map(named).collect();
        return Ok(Expect::order(all?));
    }
    if let Some(gaps) = members.remove("gaps_ms") {
        let Value::Object(mut gaps) = gaps else {
            return Err(wrong());
        };
        let min = gaps.remove("min").as_ref().and_then(Value::as_u64);
        let min = min.filter(|_| members.is_empty()).ok_or_else(wrong)?;
        return Ok(Expect::gaps(Duration::from_millis(min), filter(gaps)?));
    }
    let (least, most) = match members.remove("count") {
        None => (1, usize::MAX),
        Some(count) => {
            let count: Count = serde_json::from_value(count).map_err(|_| wrong())?;
            match (count.eq, count.at_least, count.at_most) {
                (Some(n), None, None) => (n, n),
                (None, Some(least), most) => (least, most.unwrap_or(usize::MAX)),
                (None, None, Some(most)) => (0, most),
                _ => return Err(wrong()),
            }
        }
    };
    if members.is_empty() {
        return Err(wrong());
    }
    Ok(Expect::between(least, most, filter(members)?))
}

/// A filter from the name of an endpoint, or from an object.
fn named(item: Value) -> Result<RequestFilter, Problem> {
    match item {
        Value::String(endpoint) => {
            let mut filter = RequestFilter::any();
            filter.set("endpoint", &endpoint).map_err(Problem::bad)?;
            Ok(filter)
        }
        Value::Object(members) => filter(members),
        _ => Err(wrong()),
    }
}

fn filter(members: Map<String, Value>) -> Result<RequestFilter, Problem> {
    let mut filter = RequestFilter::any();
    for (name, value) in members {
        let value = match value {
            Value::String(text) if name != "status" => text,
            Value::Number(number) if name == "status" => number.to_string(),
            _ => return Err(wrong()),
        };
        if !filter.set(&name, &value).map_err(Problem::bad)? {
            return Err(wrong());
        }
    }
    Ok(filter)
}
