//! Whole answers, and what goes over the wire.

use std::io::Write as _;

use coze_auth_ureq::core::Error as CoreError;
use coze_auth_ureq::core::error::{ErrorCode, Oddity};
use coze_auth_ureq::{Client, Error};
use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::Agent;
use wiremock::ResponseTemplate;

use crate::support::{TOKEN, USER, answering, device_app, exchange, failed, json, me, requests};

#[test]
fn a_grant_comes_through() {
    let server = answering(json(200, TOKEN));
    let client = Client::new().unwrap();
    let grant = client.run(exchange(&server.uri())).unwrap();
    assert_eq!(grant.access_token.expose(), "SENTINEL-token");
    assert_eq!(grant.expires_at.as_secs(), 1_900_000_000);
}

#[test]
fn a_compressed_answer_costs_no_login() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(TOKEN.as_bytes()).unwrap();
    let answer = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_raw(packed.finish().unwrap(), "application/json");
    let server = answering(answer);
    let client = Client::new().unwrap();
    let grant = client.run(exchange(&server.uri())).unwrap();
    assert_eq!(grant.access_token.expose(), "SENTINEL-token");
}

#[test]
fn a_coding_that_cannot_be_read_is_named() {
    let answer = ResponseTemplate::new(200)
        .insert_header("content-encoding", "br")
        .set_body_raw(b"\x0b\x02\x80abc\x03".as_slice(), "application/json");
    let server = answering(answer);
    let error = failed(Client::new().unwrap().run(exchange(&server.uri())));
    assert_eq!(oddity(&error), Oddity::Coding);
    assert!(error.to_string().contains("the coding br,"), "{error}");
}

#[test]
fn headers_and_body_are_the_cores_own() {
    let server = answering(json(200, TOKEN));
    let client = Client::new().unwrap();
    client.run(exchange(&server.uri())).unwrap();
    let requests = requests(&server);
    let [request] = &requests[..] else {
        panic!("{requests:?}");
    };
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    headers.sort_unstable();
    let length = request.body.len().to_string();
    let host = server.address().to_string();
    assert_eq!(
        headers,
        [
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            ("authorization", "Bearer SENTINEL-secret"),
            ("content-length", &length),
            ("content-type", "application/json"),
            ("host", &host),
            (
                "user-agent",
                concat!("coze-auth/", env!("CARGO_PKG_VERSION"))
            ),
        ]
    );
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.url.path(), "/api/permission/oauth2/token");
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["code"], "SENTINEL-code");
}

#[test]
fn a_public_client_sends_no_authorization() {
    let server = answering(json(400, r#"{"error_code":"invalid_client"}"#));
    let client = Client::new().unwrap();
    failed(client.run(device_app(&server.uri()).start()));
    let requests = requests(&server);
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].headers.contains_key("authorization"));
}

#[test]
fn a_request_without_a_body_has_no_length() {
    let server = answering(json(200, USER));
    let user = Client::new().unwrap().run(me(&server.uri())).unwrap();
    assert_eq!(user.user_id, "7300");
    let requests = requests(&server);
    assert_eq!(requests[0].method.as_str(), "GET");
    assert_eq!(requests[0].headers["authorization"], "Bearer SENTINEL-pat");
    for name in ["content-length", "content-type", "transfer-encoding"] {
        assert!(!requests[0].headers.contains_key(name), "{name}");
    }
}

#[test]
fn refusals_reach_the_core_under_any_status() {
    let body = r#"{"error_code":"invalid_grant","error_message":"used up"}"#;
    for status in [200, 400, 401, 403, 404, 500, 503] {
        let server = answering(json(status, body).insert_header("x-tt-logid", "log-1"));
        let client = Client::new().unwrap();
        let error = failed(client.run(exchange(&server.uri())));
        assert_eq!(error.log_id(), Some("log-1"), "{status}");
        let Error::Core {
            error: CoreError::Refused(refused),
            cause: None,
        } = error
        else {
            panic!("{status}: {error:?}");
        };
        assert_eq!(refused.code(), &ErrorCode::InvalidGrant);
        assert_eq!((refused.message(), refused.status()), ("used up", status));
    }
}

/// The oddity of an answer that cannot be read.
fn oddity(error: &Error) -> Oddity {
    match error {
        Error::Core {
            error: CoreError::Unexpected(unexpected),
            ..
        } => unexpected.oddity(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = answering(json(200, TOKEN));
    for status in [301, 302, 303, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        // An agent by default follows ten redirects.
        let given = Client::with_agent(Agent::new_with_defaults());
        for client in [Client::new().unwrap(), given] {
            let server = answering(answer.clone());
            let error = failed(client.run(exchange(&server.uri())));
            assert_eq!(oddity(&error), Oddity::Redirect, "{status}");
            assert_eq!(requests(&server).len(), 1);
        }
    }
    assert!(requests(&elsewhere).is_empty());
}

#[test]
fn an_agent_that_errs_by_status_does_not_here() {
    // By default an agent gives an error for 4xx and 5xx, and the body is lost.
    let body = r#"{"error_code":"invalid_grant"}"#;
    let server = answering(json(400, body).insert_header("x-tt-logid", "log-1"));
    let client = Client::with_agent(Agent::new_with_defaults());
    let error = failed(client.run(exchange(&server.uri())));
    assert_eq!(error.log_id(), Some("log-1"), "{error:?}");
}

#[test]
fn a_long_answer_is_cut_off_and_named() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let server = answering(json(200, &long));
    let error = failed(Client::new().unwrap().run(exchange(&server.uri())));
    assert_eq!(oddity(&error), Oddity::TooLong);
    let text = error.to_string();
    assert!(text.contains("1048576 bytes"), "{text}");
}
