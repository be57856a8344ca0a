//! Requests of the application, with a token and through its own client: what is sent, and what is sent again.

use std::error::Error as _;
use std::net::TcpListener;

use coze_auth_reqwest::core::Retry;
use coze_auth_reqwest::core::http::header::{AUTHORIZATION, HeaderValue};
use coze_auth_reqwest::{Error, TokenSource};
use reqwest::redirect::Policy;
use reqwest::{Body, Method, Request};

use crate::support::{
    LATER, Listener, SENTINEL, TOKEN, application, failed, fixed, http_answer, in_full, logged_in,
    typed_answer,
};

const JSON: &str = "application/json";

fn refusal() -> String {
    typed_answer("401 Unauthorized", JSON, r#"{"code":4100,"msg":"invalid"}"#)
}

fn granted() -> String {
    typed_answer("200 OK", JSON, TOKEN)
}

fn done() -> String {
    typed_answer("200 OK", JSON, r#"{"code":0}"#)
}

fn request(method: Method, base: &str) -> Request {
    Request::new(method, format!("{base}/v1/things?a=b").parse().unwrap())
}

/// Of each request: its first word, and the last of its bearer.
fn sent(server: &Listener) -> Vec<String> {
    let requests = server.requests();
    let line = |request: &String| {
        let method = request.split(' ').next().unwrap();
        let bearer = request.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let bearer = name.eq_ignore_ascii_case("authorization");
            bearer.then(|| value.replace("Bearer SENTINEL-", ""))
        });
        format!("{method} {}", bearer.unwrap_or_default())
    };
    requests.iter().map(line).collect()
}

#[tokio::test]
async fn what_may_be_repeated_is_sent_again_with_the_renewed_token() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let server = Listener::scripted([refusal(), granted(), done()]);
        let tokens = logged_in(&server.base(), LATER).await;
        let request = request(method.clone(), &server.base());
        let answer = tokens.send(&application(), request).await.unwrap();
        assert_eq!(answer.status(), 200);
        // The token endpoint wants no token of a device app.
        let expected = [
            format!("{method} old"),
            "POST ".to_owned(),
            format!("{method} token"),
        ];
        assert_eq!(sent(&server), expected);
        let renewal = &server.requests()[1];
        assert!(renewal.contains("SENTINEL-used"), "{renewal}");
    }
}

/// The policy of the documentation of `send`.
#[tokio::test]
async fn a_client_that_stays_within_the_origin_sends_no_token_astray() {
    let other = Listener::saying(done());
    let head = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}/x\r\nconnection",
        other.base()
    );
    let away = http_answer("302 Found", "").replacen("HTTP/1.1 302 Found\r\nconnection", &head, 1);
    let within = away.replacen(&other.base(), "", 1);
    let server = Listener::scripted([within, away]);
    let policy = Policy::custom(|attempt| match attempt.previous().first() {
        Some(first) if first.origin() != attempt.url().origin() => attempt.stop(),
        _ => Policy::default().redirect(attempt),
    });
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let http = http.redirect(policy).build().unwrap();
    let tokens = fixed(&server.base());
    let request = request(Method::GET, &server.base());
    let answer = tokens.send(&http, request).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(sent(&server), ["GET pat", "GET pat"]);
    assert!(other.requests().is_empty());
}

/// reqwest tells where an answer came from without the fragment: that is no redirect.
#[tokio::test]
async fn a_url_with_a_fragment_is_where_it_was_sent() {
    let server = Listener::scripted([refusal(), granted(), done()]);
    let tokens = logged_in(&server.base(), LATER).await;
    let url = format!("{}/v1/things?a=b#c", server.base());
    let request = Request::new(Method::POST, url.parse().unwrap());
    let answer = tokens.send_repeatable(&application(), request).await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(sent(&server), ["POST old", "POST ", "POST token"]);
}

#[tokio::test]
async fn a_refused_repetition_is_handed_back() {
    let server = Listener::scripted([refusal(), granted(), refusal()]);
    let tokens = logged_in(&server.base(), LATER).await;
    let request = request(Method::GET, &server.base());
    let answer = tokens.send(&application(), request).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(sent(&server), ["GET old", "POST ", "GET token"]);
}

#[tokio::test]
async fn what_may_not_be_repeated_is_handed_back_and_the_next_has_another_token() {
    let server = Listener::scripted([refusal(), granted(), done()]);
    let tokens = logged_in(&server.base(), LATER).await;
    let post = || request(Method::POST, &server.base());
    let answer = tokens.send(&application(), post()).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(
        sent(&server),
        ["POST old"],
        "no renewal before it is needed"
    );
    let answer = tokens.send(&application(), post()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(sent(&server), ["POST old", "POST ", "POST token"]);
}

#[tokio::test]
async fn whose_sender_says_so_is_sent_again_whole() {
    let server = Listener::scripted([refusal(), granted(), done()]);
    let tokens = logged_in(&server.base(), LATER).await;
    let mut post = request(Method::POST, &server.base());
    *post.body_mut() = Some(Body::from("the same twice"));
    let answer = tokens.send_repeatable(&application(), post).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(sent(&server), ["POST old", "POST ", "POST token"]);
    for number in [0, 2] {
        let request = &server.requests()[number];
        assert!(request.ends_with("\r\n\r\nthe same twice"), "{request}");
    }
}

#[tokio::test]
async fn a_body_that_streams_is_sent_once() {
    let server = Listener::scripted([refusal(), granted(), done()]);
    let tokens = logged_in(&server.base(), LATER).await;
    let mut put = request(Method::PUT, &server.base());
    *put.body_mut() = Some(Body::wrap(Body::from("gone when sent")));
    assert!(put.try_clone().is_none(), "it streams");
    let answer = tokens.send_repeatable(&application(), put).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(sent(&server), ["PUT old"]);
    // The token is not handed out again.
    let token = tokens.token().await.unwrap();
    assert_eq!(token.expose(), "SENTINEL-token");
}

#[tokio::test]
async fn a_token_of_the_console_has_no_other() {
    let server = Listener::scripted([refusal()]);
    let request = request(Method::GET, &server.base());
    let answer = fixed(&server.base()).send(&application(), request).await;
    assert_eq!(answer.unwrap().status(), 401);
    assert_eq!(sent(&server), ["GET pat"]);
}

#[tokio::test]
async fn the_callers_authorization_is_replaced_and_ours_is_sensitive() {
    let server = Listener::saying(done());
    let tokens = fixed(&server.base());
    let mut get = request(Method::GET, &server.base());
    for value in ["Basic Zm9v", "Bearer another"] {
        let headers = get.headers_mut();
        headers.append(AUTHORIZATION, HeaderValue::from_static(value));
    }
    let mut authorized = get.try_clone().unwrap();
    tokens.authorize(&mut authorized).await.unwrap();
    let values: Vec<_> = authorized.headers().get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, ["Bearer SENTINEL-pat"]);
    assert!(values[0].is_sensitive());
    assert!(!format!("{authorized:?}").contains(SENTINEL));

    tokens.send(&application(), get).await.unwrap();
    let request = &server.requests()[0].to_lowercase();
    assert!(request.contains("authorization: bearer sentinel-pat\r\n"));
    assert_eq!(request.matches("authorization").count(), 1, "{request}");
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_in_place_of_the_refusal() {
    let refused = http_answer("400 Bad Request", r#"{"error_code":"invalid_grant"}"#);
    let server = Listener::scripted([refusal(), refused]);
    let tokens = logged_in(&server.base(), LATER).await;
    let request = request(Method::GET, &server.base());
    let error = failed(tokens.send(&application(), request).await);
    assert!(matches!(error, Error::RefreshRefused(_)), "{error:?}");
    assert_eq!(error.log_id(), Some("log-1"));
    assert_eq!(sent(&server), ["GET old", "POST "]);
}

#[tokio::test]
async fn the_requests_own_error_has_the_clients_as_its_source() {
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let base = format!("http://{}", address.unwrap());
    let url = format!("{base}/v1/things?key={SENTINEL}-key").parse();
    let request = Request::new(Method::GET, url.unwrap());
    let error = failed(fixed(&base).send(&application(), request).await);
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the request got no answer: the connection was refused: nothing listens there, or a firewall rejects it; \
         check host and port"
    );
    assert_eq!(error.retry(), Retry::Never, "only its sender can know");
    let source = error.source().unwrap().downcast_ref::<reqwest::Error>();
    assert!(source.unwrap().is_connect());
    let text = in_full(&error);
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains("http://"), "{text}");
}

/// Compiles only if a request can be sent from any task.
#[test]
fn sending_is_send() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let send = |tokens: &TokenSource, http: &reqwest::Client, request| {
        drop(is_send(tokens.send(http, request)));
    };
    let tokens = fixed("http://127.0.0.1:1");
    send(
        &tokens,
        &application(),
        request(Method::GET, "http://127.0.0.1:1"),
    );
}
