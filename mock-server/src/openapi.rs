//! The OpenAPI document of both planes. The files in `openapi/` have the paths and shapes; values of the program's tables
//! are inserted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::intercept::fault_kind::KINDS;
use crate::intercept::member::MemberChange;
use crate::limits::{self, MAX_JWT_TOKEN_S};
use crate::protocol::endpoint::{ENDPOINTS, Endpoint};
use crate::protocol::grant::{self, GRANTS, WORKLOAD_GRANTS};
use crate::protocol::rules::{Evidence, Rule, RuleSet};
use crate::web::routes::{CONTROL_AT, WORLDS_AT};
use crate::world::World;

#[cfg(test)]
mod tests;

const DOCUMENT: &str = include_str!("../openapi/document.json");

const DATA_PLANE: &str = include_str!("../openapi/data_plane.json");

const CONTROL: &str = include_str!("../openapi/control.json");

const SCHEMAS: &str = include_str!("../openapi/schemas.json");

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("openapi/ is part of this program and tested")
}

/// Returns a member, and inserts it if it is absent.
fn at<'a>(of: &'a mut Value, name: &str, otherwise: Value) -> &'a mut Value {
    let members = of.as_object_mut().expect("an object, as a test holds");
    members.entry(name).or_insert(otherwise)
}

/// Returns true if the path is about worlds, so that it does not exist below a world.
fn is_of_worlds(path: &str) -> bool {
    path.starts_with(WORLDS_AT)
}

fn operations(paths: &mut Value) -> impl Iterator<Item = (&str, &mut Value)> {
    let paths = paths.as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object_mut().into_iter().flatten();
        methods.map(|(_, operation)| (path.as_str(), operation))
    })
}

/// Method and path below `/_mock/v1` of each control.
pub(crate) fn controls() -> Vec<String> {
    let mut all = Vec::new();
    for (path, methods) in read(CONTROL).as_object().into_iter().flatten() {
        let path = path.strip_prefix(CONTROL_AT).unwrap_or(path);
        for method in methods.as_object().into_iter().flatten() {
            all.push(format!("{} {path}", method.0.to_uppercase()));
        }
    }
    all
}

/// The document of a world. `base_url` is its URL, as the client sees it.
pub(crate) fn document(world: &World, base_url: &str) -> Value {
    let mut document = read(DOCUMENT);
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["servers"] = json!([{ "url": base_url }]);
    let timeout = &mut document["components"]["parameters"]["TimeoutMs"]["schema"];
    timeout["default"] = json!(limits::DEFAULT_WAIT_MS);
    timeout["maximum"] = json!(limits::MAX_WAIT_MS);
    document["components"]["parameters"]["GateName"]["schema"]["maxLength"] =
        json!(limits::MAX_GATE_NAME);
    document["components"]["schemas"] = schemas();

    let first = world.mount.is_empty();
    let has_token = world.addressing.admin_token.is_some();
    let mut paths = read(DATA_PLANE);
    if let (Some(paths), Value::Object(control)) = (paths.as_object_mut(), read(CONTROL)) {
        let here = control
            .into_iter()
            .filter(|(path, _)| first || !is_of_worlds(path));
        paths.extend(here);
    }
    let state = world.state();
    for (path, operation) in operations(&mut paths) {
        let control = path.starts_with(CONTROL_AT);
        refusals(
            operation,
            path,
            &state.settings.rules,
            &document["components"],
        );
        if !is_of_worlds(path) {
            let full = json!({ "$ref": "#/components/responses/NoRoom" });
            add(
                &mut operation["responses"],
                "503",
                full,
                &document["components"],
            );
        }
        if control {
            let names_world = first && !is_of_worlds(path);
            guard(operation, has_token, names_world, &document["components"]);
        }
    }
    document["paths"] = paths;
    document
}

/// Adds what applies to every control: credential, world, and maximum size of the body.
fn guard(operation: &mut Value, has_token: bool, names_world: bool, components: &Value) {
    let mut answers = vec![("403", "FromElsewhere")];
    if operation.get("security").is_none() {
        operation["security"] = match has_token {
            true => json!([{ "adminToken": [] }]),
            false => json!([{ "adminToken": [] }, {}]),
        };
        answers.push(("401", "NoToken"));
    }
    if operation.get("requestBody").is_some() {
        answers.push(("413", "TooLong"));
    }
    if operation.get("parameters").is_some() || names_world {
        answers.push(("400", "Wrong"));
    }
    for (status, name) in answers {
        let answer = json!({ "$ref": format!("#/components/responses/{name}") });
        add(&mut operation["responses"], status, answer, components);
    }
    if names_world {
        let parameters = at(operation, "parameters", json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(json!({ "$ref": "#/components/parameters/World" }));
        }
    }
}

/// Adds the answers of the rules that `x-mock-rules` names. A name is an id or, with a dot at the end, the start of ids.
fn refusals(operation: &mut Value, path: &str, rules: &RuleSet, components: &Value) {
    let control = path.starts_with(CONTROL_AT);
    let of_workload = matches!(Endpoint::of(path), Endpoint::WorkloadToken { .. });
    let Some(named) = operation.get("x-mock-rules").and_then(Value::as_array) else {
        return;
    };
    let named: Vec<_> = named.iter().filter_map(Value::as_str).collect();
    let is_named = |rule: &Rule| {
        let mut named = named.iter();
        named.any(|name| rule.id() == *name || name.ends_with('.') && rule.id().starts_with(*name))
    };
    let all: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| is_named(rule))
        .copied()
        .collect();
    operation["x-mock-rules"] = all.iter().map(|rule| json!(rule.id())).collect();

    let mut by_status: BTreeMap<u16, Vec<(Rule, &str)>> = BTreeMap::new();
    for rule in all {
        let (status, error) = rules.answer(rule);
        by_status.entry(status).or_default().push((rule, error));
    }
    let page = !control && operation["responses"].get("302").is_some();
    for (status, refused) in by_status {
        let texts: Vec<_> = refused
            .iter()
            .map(|(rule, error)| format!("* `{error}`, `{}`: {}", rule.id(), rule.text().text))
            .collect();
        let mut schemas: Vec<_> = refused
            .iter()
            .map(|(_, error)| match error.parse::<u64>() {
                _ if control => "Refused",
                Ok(_) => "ResourceError",
                Err(_) if of_workload => "WorkloadError",
                Err(_) => "OAuthError",
            })
            .collect();
        schemas.sort_unstable();
        schemas.dedup();
        let (kind, schema) = match page {
            true => ("text/html", json!({ "type": "string" })),
            false => match schemas[..] {
                [one] => ("application/json", reference(one)),
                _ => {
                    let all: Vec<_> = schemas.into_iter().map(reference).collect();
                    ("application/json", json!({ "anyOf": all }))
                }
            },
        };
        let mut answer = json!({
            "description": texts.join("\n"),
            "content": { kind: { "schema": schema } },
        });
        if !control {
            answer["headers"] = json!({
                "X-Tt-Logid": { "$ref": "#/components/headers/Logid" },
                "X-Mock-Rule": { "$ref": "#/components/headers/Rule" },
            });
        }
        let status = status.to_string();
        add(&mut operation["responses"], &status, answer, components);
    }
}

/// Adds an answer. A status may have several.
fn add(responses: &mut Value, status: &str, mut answer: Value, components: &Value) {
    if let Some(known) = responses.get(status).filter(|known| **known != answer) {
        answer = either(resolved(known, components), resolved(&answer, components));
    }
    responses[status] = answer;
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn resolved<'a>(response: &'a Value, components: &'a Value) -> &'a Value {
    let name = response["$ref"].as_str();
    let name = name.and_then(|name| name.strip_prefix("#/components/responses/"));
    name.map_or(response, |name| &components["responses"][name])
}

fn either(one: &Value, other: &Value) -> Value {
    let texts = [one, other].map(|answer| answer["description"].as_str().unwrap_or_default());
    let mut content = one["content"].clone();
    for (kind, media) in other["content"].as_object().into_iter().flatten() {
        let there = at(&mut content, kind, media.clone());
        if there != media {
            there["schema"] = json!({ "anyOf": [there["schema"], media["schema"]] });
        }
    }
    // Headers of only one of the answers cannot be required.
    json!({ "description": texts.join("\n"), "content": content })
}

fn schemas() -> Value {
    let mut schemas = read(SCHEMAS);
    let rules = Rule::ALL.iter().map(|rule| rule.id());
    for (name, all) in [
        ("Endpoint", ENDPOINTS.to_vec()),
        ("Grant", grant::names()),
        ("Rule", rules.collect()),
        ("Evidence", Evidence::ALL.map(Evidence::name).to_vec()),
        ("FaultKind", KINDS.map(|kind| kind.name).to_vec()),
    ] {
        schemas[name]["enum"] = json!(all);
    }
    for (request, grants) in [
        ("TokenRequest", &GRANTS[..]),
        ("WorkloadTokenRequest", &WORKLOAD_GRANTS),
    ] {
        let mut all = Vec::new();
        for (grant_type, name) in grants {
            let name = format!("{request}.{name}");
            schemas[&name]["properties"]["grant_type"] = json!({ "const": grant_type });
            all.push(reference(&name));
        }
        schemas[request]["oneOf"] = all.into();
    }
    schemas["TokenRequest.jwt_bearer"]["properties"]["duration_seconds"]["maximum"] =
        json!(MAX_JWT_TOKEN_S);
    schemas["WorldName"]["maxLength"] = json!(crate::limits::MAX_WORLD_NAME);
    let api = &mut schemas["ApiCall"]["properties"];
    api["events"]["maxItems"] = json!(limits::MAX_API_EVENTS);
    api["pause_ms"]["maximum"] = json!(u64::try_from(limits::MAX_FAULT_TIME.as_millis()).ok());
    schemas["Script"]["properties"]["then"]["maxItems"] = json!(limits::MAX_SCRIPT_STEPS);

    let calls = schemas["RequestFilter"]["properties"].clone();
    extend(&mut schemas["ExpectCount"]["properties"], &calls);
    extend(
        &mut schemas["ExpectGaps"]["properties"]["gaps_ms"]["properties"],
        &calls,
    );
    kinds_of_fault(&mut schemas);
    schemas
}

fn extend(properties: &mut Value, more: &Value) {
    if let (Some(properties), Some(more)) = (properties.as_object_mut(), more.as_object()) {
        properties.extend(more.clone());
    }
}

/// Adds a schema for each kind of fault, with the members that it takes.
fn kinds_of_fault(schemas: &mut Value) {
    let mut members = schemas["FaultMembers"]["properties"].take();
    members["ms"]["maximum"] = json!(u64::try_from(limits::MAX_FAULT_TIME.as_millis()).ok());
    members["body"]["maxLength"] = json!(limits::MAX_FAULT_BODY);
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.remove("FaultMembers");
    }
    let kinds = KINDS.iter().map(|kind| {
        let mut required = vec!["kind"];
        let mut properties = Map::new();
        properties.insert("kind".to_owned(), json!({ "const": kind.name }));
        for name in kind.takes {
            properties.insert((*name).to_owned(), members[name].clone());
        }
        if kind.name == "redirect" {
            required.push("location");
            let status = json!({ "type": ["integer", "null"], "minimum": 300, "maximum": 399 });
            properties.insert("status".to_owned(), status);
        }
        if kind.name == "member" {
            required.push("member");
            properties["to"]["enum"] = json!(MemberChange::NAMES);
            return json!({
                "type": "object",
                "required": required,
                "oneOf": [{ "required": ["to"] }, { "required": ["value"] }],
                "additionalProperties": false,
                "properties": properties,
            });
        }
        json!({
            "type": "object",
            "required": required,
            "additionalProperties": false,
            "properties": properties,
        })
    });
    schemas["Fault"]["oneOf"] = kinds.collect();
}
