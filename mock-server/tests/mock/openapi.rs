//! The OpenAPI document, and that it is true.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::support::*;

const DOCUMENT: &str = "/_mock/v1/openapi.json";

/// A path of the document with something in it for each parameter; who would wait does not.
fn filled(template: &str) -> String {
    let path = template
        .replace("{user_code}", "AAA-AAA-AAA")
        .replace("{fingerprint}", "0123456789abcdef")
        .replace("{client_id}/keys", &format!("{JWT}/keys"))
        .replace("{client_id}", WEB);
    let path = path.replace(['{', '}'], "");
    match &*path {
        "/_mock/v1/requests/next" => path + "?timeout_ms=0",
        "/_mock/v1/events" => path + "?limit=0",
        _ => path,
    }
}

/// What is documented is there, and no other method of its path.
#[test]
fn each_path_has_its_methods_and_no_others() {
    let m = Mock::new();
    let document = m.get(DOCUMENT, None).json;
    let paths = document["paths"].as_object().expect("paths");
    let mut tried = 0;
    for (template, operations) in paths {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let there = operations.get(method.as_str().to_lowercase()).is_some();
            if template == "/" && !there {
                // A client's request to an unknown path.
                continue;
            }
            let request = Request::builder().method(&method).uri(filled(template));
            let reply = m.send(request.body(Bytes::new()).expect("a request"));
            assert_eq!(reply.status != 405, there, "{method} {template}");
            assert_ne!(
                reply.json["error"], "unknown control",
                "{method} {template}"
            );
            assert_eq!(
                there,
                reply.header("allow").is_empty(),
                "{method} {template}"
            );
            tried += usize::from(there);
        }
    }
    assert_eq!(tried, 71);
}

/// As the caller sees it, so that a tool calls the same world.
#[test]
fn its_server_is_the_address_that_was_asked() {
    let m = Mock::new();
    let server = |target: &str| {
        let request = Request::get(target).header("Host", "127.0.0.1:9777");
        m.send(request.body(Bytes::new()).expect("a request")).json["servers"][0]["url"].clone()
    };
    assert_eq!(server(DOCUMENT), "http://127.0.0.1:9777");
    assert_eq!(
        server(&format!("/t/w{DOCUMENT}")),
        "http://127.0.0.1:9777/t/w"
    );
    assert_eq!(
        server(&format!("{DOCUMENT}?world=w")),
        "http://127.0.0.1:9777/t/w"
    );
    let of_library = m.mock.openapi();
    assert_eq!(of_library["servers"][0]["url"], m.mock.base_url());
    assert_eq!(of_library["paths"], m.get(DOCUMENT, None).json["paths"]);
}

/// Every example of a body is taken: it may name what a fresh mock does not have, and is otherwise as it has to be.
#[test]
fn the_examples_work() {
    let document = Mock::new().get(DOCUMENT, None).json;
    let mut tried = 0;
    for (template, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            for example in examples(operation) {
                let m = Mock::new();
                let path = filled(template);
                if template.ends_with("/release") {
                    let gate = json!({ "on": { "endpoint": "token" }, "at": "answer" });
                    assert_eq!(
                        m.post(path.trim_end_matches("/release"), None, &gate)
                            .status,
                        200
                    );
                }
                let mut request = post(&path, None, &example);
                *request.method_mut() = method.to_uppercase().parse().expect("a method");
                let reply = m.send(request);
                let expected: &[u16] = match &**template {
                    "/api/permission/oauth2/token" => &[400, 401, 428],
                    path if path.ends_with("/token") => &[401],
                    // Without a token.
                    "/api/v1/secret/integration" => &[401],
                    "/_mock/v1/device/{user_code}" => &[404],
                    // In memory there is no port.
                    "/_mock/v1/port" => &[501],
                    _ => &[200],
                };
                assert!(
                    expected.contains(&reply.status),
                    "{method} {template}: {}",
                    reply.text
                );
                let form = [
                    "body.json",
                    "param.required",
                    "grant.supported",
                    "client.known",
                ];
                assert!(
                    !reply.rule().is_some_and(|rule| form.contains(&rule)),
                    "{template}: {}",
                    reply.text
                );
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 35);
}

fn examples(operation: &Value) -> Vec<Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let many = content["examples"].as_object().into_iter().flatten();
    let many = many.map(|(_, example)| example["value"].clone());
    content
        .get("example")
        .cloned()
        .into_iter()
        .chain(many)
        .collect()
}

/// What the framework refuses by itself is told as everything else is.
#[test]
fn what_cannot_be_read_is_told_in_json() {
    let m = Mock::new();
    let long = Bytes::from(vec![b' '; 2 * 1024 * 1024 + 1]);
    for path in ["/_mock/v1/leaks", "/_mock/v1/worlds"] {
        let reply = m.send(Request::post(path).body(long.clone()).expect("a request"));
        assert_eq!(reply.status, 413);
        assert_eq!(
            reply.json["error"],
            "the body has more than 2097152 bytes; send a smaller one"
        );
    }
    for path in ["/_mock/v1/explain/%FF", "/_mock/v1/tokens/%FF/lineage"] {
        let reply = m.get(path, None);
        assert_eq!(reply.status, 400);
        assert!(reply.member("error").contains("UTF-8"), "{}", reply.text);
    }
}

/// It could never be met, and was a slip.
#[test]
fn no_answer_has_the_status_600() {
    let m = Mock::new();
    assert_eq!(m.get("/_mock/v1/requests?status=599", None).status, 200);
    let reply = m.get("/_mock/v1/requests?status=600", None);
    assert_eq!(
        (reply.status, reply.member("error")),
        (400, "status is 0, for none, to 599".to_owned())
    );
    let expect = json!({ "expect": [{ "status": 600, "count": { "eq": 0 } }] });
    assert_eq!(m.control("/verify", &expect).status, 400);
}

/// By what holds that every other test sees what is documented.
#[test]
fn an_answer_that_is_not_documented_is_seen() {
    let m = Mock::new();
    let uri = "/v1/users/me".parse().expect("a path");
    let (refused, fine) = (m.me("none"), m.me("pat_mock_alice"));
    let seen = |reply: &Reply, place: &str, value: Value| {
        let mut document = m.mock.openapi();
        let place = document.pointer_mut(place).expect("a place");
        *place = value;
        crate::documented::fits(&document, &Method::GET, &uri, reply)
    };
    let operation = "/paths/~1v1~1users~1me/get";
    let responses = &format!("{operation}/responses");
    let rules = &format!("{operation}/x-mock-rules");
    let user = "/components/schemas/UserMe";
    let data = json!({ "properties": { "data": { "required": ["age"] } } });
    for (reply, place, value, why) in [
        (&refused, responses, json!({}), "401 is not documented"),
        (
            &refused,
            responses,
            json!({ "401": { "headers": { "X-More": { "required": true } } } }),
            "401 has no X-More",
        ),
        (
            &refused,
            responses,
            json!({ "401": { "content": { "text/html": {} } } }),
            "401 as Some(\"application/json\") is not documented",
        ),
        (
            &refused,
            responses,
            json!({ "401": {} }),
            "401 has a body, which is not documented",
        ),
        (
            &refused,
            rules,
            json!(["token.expiry"]),
            "401 by token.known, which x-mock-rules of this path in mock-server/openapi does not name",
        ),
        (
            &fine,
            &user.to_owned(),
            data,
            "200, the body: /data/age is missing",
        ),
    ] {
        let seen = seen(reply, place, value);
        assert_eq!(seen, Err(format!("GET /v1/users/me: {why}")));
    }
}

#[test]
fn a_body_that_does_not_fit_its_schema_is_told_with_the_place() {
    let document = json!({ "of": { "type": "integer", "minimum": 1, "maximum": 2 } });
    let object = |more: Value| json!({ "type": "object", "properties": { "n": { "$ref": "#/of" } }, "additionalProperties": more });
    let names = json!({ "propertyNames": { "enum": ["n"] } });
    let texts = json!({ "items": { "minLength": 1, "maxLength": 2, "pattern": "^[a-z]*$" }, "minItems": 1 });
    let either = [json!({ "type": ["string", "null"] }), json!({ "const": 1 })];
    for (schema, value, why) in [
        (object(json!(false)), json!({ "n": 1 }), Ok(())),
        (
            object(json!(false)),
            json!([]),
            Err(" is not as type \"object\" asks"),
        ),
        (
            object(json!(false)),
            json!({ "n": "1" }),
            Err("/n is not as type \"integer\" asks"),
        ),
        (
            object(json!(false)),
            json!({ "n": 0 }),
            Err("/n is not as minimum 1 asks"),
        ),
        (
            object(json!(false)),
            json!({ "n": 3 }),
            Err("/n is not as maximum 2 asks"),
        ),
        (
            object(json!(false)),
            json!({ "m": 1 }),
            Err("/m is not documented"),
        ),
        (object(json!(true)), json!({ "m": 1 }), Ok(())),
        (
            object(json!({ "type": "string" })),
            json!({ "m": 1 }),
            Err("/m is not as type \"string\" asks"),
        ),
        (
            names,
            json!({ "m": 1 }),
            Err(" is not as enum [\"n\"] asks"),
        ),
        (texts.clone(), json!(["a", "bc"]), Ok(())),
        (texts.clone(), json!([]), Err(" is not as minItems 1 asks")),
        (
            texts.clone(),
            json!(["a", ""]),
            Err("/1 is not as minLength 1 asks"),
        ),
        (
            texts.clone(),
            json!(["abc"]),
            Err("/0 is not as maxLength 2 asks"),
        ),
        (
            texts,
            json!(["A"]),
            Err("/0 is not as pattern \"^[a-z]*$\" asks"),
        ),
        (json!({ "anyOf": either }), json!(1), Ok(())),
        (
            json!({ "allOf": either }),
            json!(1),
            Err(" is not as type [\"string\",\"null\"] asks"),
        ),
        (
            json!({ "anyOf": either[..1] }),
            json!(1),
            Err(" is not as anyOf [{\"type\":[\"string\",\"null\"]}] asks"),
        ),
        (
            json!({ "oneOf": [true, {}] }),
            json!(1),
            Err(" is not as oneOf [true,{}] asks"),
        ),
        (
            json!({ "multipleOf": 2 }),
            json!(4),
            Err(": the tests' schema.rs does not know the keyword multipleOf"),
        ),
    ] {
        let fits = crate::schema::fits(&document, &schema, &value);
        assert_eq!(fits, why.map_err(str::to_owned), "{schema} {value}");
    }
}
