//! Holds that each answer that a test sees is one of the OpenAPI document: its status, rule, required headers, content
//! type and body.

use std::sync::LazyLock;

use coze_auth_mock::CozeAuthMock;
use http::{Method, Uri};
use serde_json::Value;

use crate::support::{Mock, Reply};

static STANDARD: LazyLock<Value> = LazyLock::new(|| Mock::new().mock.openapi());

/// Panics if `reply` is none that the document of `mock` has for this request.
pub(crate) fn check(mock: &CozeAuthMock, method: &Method, uri: &Uri, reply: &Reply) {
    // Making one takes longer than most tests, and few mocks answer otherwise.
    let found = fits(&STANDARD, method, uri, reply);
    let found = found.or_else(|_| fits(&mock.openapi(), method, uri, reply));
    found.unwrap_or_else(|why| panic!("{why}: {}", reply.text));
}

pub(crate) fn fits(
    document: &Value,
    method: &Method,
    uri: &Uri,
    reply: &Reply,
) -> Result<(), String> {
    let Some((template, methods)) = path_item(document, uri.path()) else {
        return Ok(());
    };
    // A fault or a script may answer anything, and the guard answers for all planes.
    let on_data_plane = reply.headers.contains_key("x-tt-logid");
    let refused = reply.headers.contains_key("x-mock-rule");
    let scripted = on_data_plane && reply.status >= 400 && !refused;
    let by_guard = reply.headers.contains_key("x-mock-guard");
    if scripted || by_guard || reply.headers.contains_key("x-mock-fault") {
        return Ok(());
    }
    let call = format!("{method} {template}: {}", reply.status);
    let Some(operation) = methods.get(method.as_str().to_lowercase()) else {
        // At the root a client's request is one to an unknown path.
        let known = reply.status == 405 || template == "/" && on_data_plane;
        return known
            .then_some(())
            .ok_or_else(|| format!("{call} for another method"));
    };
    let answer = operation["responses"].get(reply.status.to_string());
    let answer = answer.ok_or_else(|| format!("{call} is not documented"))?;
    let answer = resolved(document, answer);
    for (name, header) in answer["headers"].as_object().into_iter().flatten() {
        let required = resolved(document, header)["required"] == true;
        if required && !reply.headers.contains_key(name.as_str()) {
            return Err(format!("{call} has no {name}"));
        }
    }
    // A control tells the rule in its body.
    let rule = match on_data_plane {
        true => reply
            .headers
            .get("x-mock-rule")
            .map(|_| reply.header("x-mock-rule")),
        false => reply.json["rule"].as_str().filter(|_| reply.status >= 400),
    };
    if let Some(rule) = rule {
        let mut named = operation["x-mock-rules"].as_array().into_iter().flatten();
        if !named.any(|named| named == rule) {
            return Err(format!(
                "{call} by {rule}, which x-mock-rules of this path in mock-server/openapi does not name"
            ));
        }
    }
    let kind = reply.header("content-type").split(';').next();
    let Some(kinds) = answer["content"].as_object() else {
        let empty = reply.text.is_empty();
        return empty
            .then_some(())
            .ok_or_else(|| format!("{call} has a body, which is not documented"));
    };
    let media = kind.and_then(|kind| kinds.get(kind));
    let media = media.ok_or_else(|| format!("{call} as {kind:?} is not documented"))?;
    let is_json = kind.is_some_and(|kind| kind.ends_with("json"));
    match media.get("schema") {
        Some(schema) if is_json => crate::schema::fits(document, schema, &reply.json)
            .map_err(|why| format!("{call}, the body: {why}")),
        _ => Ok(()),
    }
}

/// The path of the document that `path` fits, one without parameters first.
fn path_item<'a>(document: &'a Value, path: &str) -> Option<(&'a str, &'a Value)> {
    let in_world = path.strip_prefix("/t/").and_then(|rest| {
        let (name, below) = rest.split_at(rest.find('/')?);
        let named =
            (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        named.then_some(below)
    });
    let path: Vec<_> = in_world.unwrap_or(path).split('/').collect();
    let paths = document["paths"].as_object().expect("paths");
    let fits = |template: &str| {
        let template: Vec<_> = template.split('/').collect();
        let mut both = template.iter().zip(&path);
        template.len() == path.len()
            && both.all(|(own, part)| own == part || own.starts_with('{') && !part.is_empty())
    };
    let mut all: Vec<_> = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .collect();
    all.sort_by_key(|(template, _)| template.matches('{').count());
    let (template, methods) = all.into_iter().next()?;
    Some((template, methods))
}

fn resolved<'a>(document: &'a Value, one: &'a Value) -> &'a Value {
    let pointer = one["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    pointer.map_or(one, |pointer| {
        document.pointer(pointer).expect("what it refers to")
    })
}
