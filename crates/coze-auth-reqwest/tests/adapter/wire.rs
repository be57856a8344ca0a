//! Whole answers, and what goes over the wire.

use std::io::Write as _;

use coze_auth_reqwest::core::error::{ErrorCode, Oddity};
use coze_auth_reqwest::core::{Error as CoreError, Retry, TransportFailure};
use coze_auth_reqwest::{Client, Error};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::redirect::Policy;
use wiremock::ResponseTemplate;

use crate::support::{TOKEN, USER, answering, device_app, exchange, failed, json, me, transport};

#[tokio::test]
async fn a_grant_comes_through() {
    let server = answering(json(200, TOKEN)).await;
    let client = Client::new().unwrap();
    let grant = client.run(exchange(&server.uri())).await.unwrap();
    assert_eq!(grant.access_token.expose(), "SENTINEL-token");
    assert_eq!(grant.expires_at.as_secs(), 1_900_000_000);
}

#[tokio::test]
async fn a_compressed_answer_costs_no_login() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(TOKEN.as_bytes()).unwrap();
    let answer = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_raw(packed.finish().unwrap(), "application/json");
    let server = answering(answer).await;
    let client = Client::new().unwrap();
    let grant = client.run(exchange(&server.uri())).await.unwrap();
    assert_eq!(grant.access_token.expose(), "SENTINEL-token");
}

#[tokio::test]
async fn a_coding_that_cannot_be_read_is_named() {
    let answer = ResponseTemplate::new(200)
        .insert_header("content-encoding", "br")
        .set_body_raw(b"\x0b\x02\x80abc\x03".as_slice(), "application/json");
    let server = answering(answer).await;
    let error = failed(Client::new().unwrap().run(exchange(&server.uri())).await);
    assert_eq!(oddity(&error), Oddity::Coding);
    assert!(error.to_string().contains("the coding br,"), "{error}");
}

#[tokio::test]
async fn headers_and_body_are_the_cores_own() {
    let server = answering(json(200, TOKEN)).await;
    let client = Client::new().unwrap();
    client.run(exchange(&server.uri())).await.unwrap();
    let requests = server.received_requests().await.unwrap();
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

#[tokio::test]
async fn a_public_client_sends_no_authorization() {
    let server = answering(json(400, r#"{"error_code":"invalid_client"}"#)).await;
    let client = Client::new().unwrap();
    failed(client.run(device_app(&server.uri()).start()).await);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_request_without_a_body_has_no_length() {
    let server = answering(json(200, USER)).await;
    let user = Client::new().unwrap().run(me(&server.uri())).await.unwrap();
    assert_eq!(user.user_id, "7300");
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].method.as_str(), "GET");
    assert_eq!(requests[0].headers["authorization"], "Bearer SENTINEL-pat");
    for name in ["content-length", "content-type", "transfer-encoding"] {
        assert!(!requests[0].headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn refusals_reach_the_core_under_any_status() {
    let body = r#"{"error_code":"invalid_grant","error_message":"used up"}"#;
    for status in [200, 400, 401, 403, 404, 500, 503] {
        let server = answering(json(status, body).insert_header("x-tt-logid", "log-1")).await;
        let client = Client::new().unwrap();
        let error = failed(client.run(exchange(&server.uri())).await);
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

#[tokio::test]
async fn redirects_are_not_followed() {
    // The builder is told to stop at the second redirect; none must be taken.
    let follows = || reqwest::Client::builder().redirect(Policy::limited(1));
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = answering(json(200, TOKEN)).await;
        let answer = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        for client in [Client::new(), Client::with_builder(follows)] {
            let server = answering(answer.clone()).await;
            let error = failed(client.unwrap().run(exchange(&server.uri())).await);
            assert_eq!(oddity(&error), Oddity::Redirect, "{status}");
            assert_eq!(server.received_requests().await.unwrap().len(), 1);
        }
        assert!(elsewhere.received_requests().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_redirect_that_a_finished_client_followed_is_named() {
    let elsewhere = answering(json(200, TOKEN)).await;
    let to = format!("{}/login?next=SENTINEL", elsewhere.uri());
    let server = answering(ResponseTemplate::new(302).insert_header("location", to)).await;
    let client = Client::with_client(reqwest::Client::builder().no_proxy().build_here());
    let error = failed(client.run(exchange(&server.uri())).await);
    let Error::Redirected { to } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*to, elsewhere.uri());
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn a_finished_client_that_gave_up_following_is_named_too() {
    let server = wiremock::MockServer::start().await;
    // To itself, so that no URL tells.
    let round = ResponseTemplate::new(307);
    let round = round.insert_header("location", "/api/permission/oauth2/token");
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(round)
        .mount(&server)
        .await;
    let client = Client::with_client(reqwest::Client::builder().no_proxy().build_here());
    let error = failed(client.run(exchange(&server.uri())).await);
    assert!(matches!(error, Error::Redirected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_finished_client_that_was_led_to_a_closed_door_may_have_sent() {
    // Bound and let go: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let server = answering(ResponseTemplate::new(307).insert_header("location", to)).await;
    let client = Client::with_client(reqwest::Client::builder().no_proxy().build_here());
    let error = failed(client.run(exchange(&server.uri())).await);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    assert!(matches!(error.retry(), Retry::MaybeSpent(_)), "{error:?}");
    let (failure, text) = transport(Err::<(), _>(error));
    assert_eq!(failure, TransportFailure::NoAnswer);
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_finished_client_that_was_led_where_no_http_is_is_named() {
    let answer = ResponseTemplate::new(307);
    let server = answering(answer.insert_header("location", "ftp://coze.invalid/SENTINEL")).await;
    let client = Client::with_client(reqwest::Client::builder().no_proxy().build_here());
    let error = failed(client.run(exchange(&server.uri())).await);
    let Error::Redirected { to } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(to, "ftp://coze.invalid");
}

#[tokio::test]
async fn what_reqwest_refuses_to_send_was_not_sent() {
    let client = Client::with_builder(|| reqwest::Client::builder().https_only(true)).unwrap();
    let server = answering(json(200, TOKEN)).await;
    let (failure, text) = transport(client.run(exchange(&server.uri())).await);
    assert_eq!(failure, TransportFailure::NotSent);
    assert!(text.contains("builder error"), "{text}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_finished_client_that_does_not_follow_is_fine() {
    let server = answering(json(200, TOKEN)).await;
    let builder = reqwest::Client::builder().redirect(Policy::none());
    let client = Client::with_client(builder.no_proxy().build_here());
    client.run(exchange(&server.uri())).await.unwrap();
}

#[tokio::test]
async fn a_long_answer_is_cut_off_and_named() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let server = answering(json(200, &long)).await;
    let error = failed(Client::new().unwrap().run(exchange(&server.uri())).await);
    assert_eq!(oddity(&error), Oddity::TooLong);
    let text = error.to_string();
    assert!(text.contains("1048576 bytes"), "{text}");
}

/// A finished client that needs no CA certificates: the machine may have none.
trait BuildHere {
    fn build_here(self) -> reqwest::Client;
}

impl BuildHere for reqwest::ClientBuilder {
    fn build_here(self) -> reqwest::Client {
        self.tls_certs_only([]).build().unwrap()
    }
}
