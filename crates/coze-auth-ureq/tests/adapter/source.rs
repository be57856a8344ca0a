//! Requests of the application, with a token and through its own client: what is sent, and what is sent again.

use std::error::Error as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use coze_auth_ureq::Error;
use coze_auth_ureq::core::Retry;
use coze_auth_ureq::core::http::header::{AUTHORIZATION, HeaderValue};
use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Method, Request};

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

fn request(method: Method, base: &str) -> Request<&'static str> {
    let request = Request::builder().uri(format!("{base}/v1/things?a=b"));
    // With a length, of which ureq would have none for `()`.
    request.method(method).body("").unwrap()
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

#[test]
fn what_may_be_repeated_is_sent_again_with_the_renewed_token() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let server = Listener::scripted([refusal(), granted(), done()]);
        let tokens = logged_in(&server.base(), LATER);
        let request = request(method.clone(), &server.base());
        let answer = tokens.send(&application(), request).unwrap();
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

fn redirect(to: &str) -> String {
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\nconnection");
    http_answer("302 Found", "").replacen("HTTP/1.1 302 Found\r\nconnection", &head, 1)
}

fn same_host() -> Agent {
    let config = Agent::config_builder().proxy(None);
    let config = config.redirect_auth_headers(RedirectAuthHeaders::SameHost);
    config.build().new_agent()
}

/// Within the origin, `SameHost` keeps the token, and what is answered then counts, whatever the method.
#[test]
fn a_redirect_that_keeps_the_token_is_judged() {
    for method in [Method::GET, Method::POST] {
        let server = Listener::scripted([redirect("/v1/there"), refusal(), granted(), done()]);
        let tokens = logged_in(&server.base(), LATER);
        let request = request(method.clone(), &server.base());
        let answer = tokens.send_repeatable(&same_host(), request).unwrap();
        assert_eq!(answer.status(), 200);
        let first = format!("{method} old");
        let again = format!("{method} token");
        assert_eq!(sent(&server), [&*first, "GET old", "POST ", &*again]);
    }
}

/// `SameHost` means the host, not the origin: the token has gone to another port, whatever is answered there.
#[test]
fn a_token_that_went_to_another_port_of_the_host_is_told() {
    for answer in [done(), refusal()] {
        let other = Listener::saying(answer);
        let server = Listener::saying(redirect(&format!("{}/secret", other.base())));
        let tokens = logged_in(&server.base(), LATER);
        let request = request(Method::GET, &server.base());
        let error = failed(tokens.send(&same_host(), request));
        let text = error.to_string();
        let Error::Redirected { to } = error else {
            panic!("{error:?}");
        };
        assert_eq!(to, other.base());
        assert!(text.contains("replace it"), "{text}");
        assert!(!text.contains("/secret"), "{text}");
        assert_eq!(sent(&other), ["GET old"]);
        // It is for a person to say that it is lost.
        assert_eq!(tokens.token().unwrap().expose(), "SENTINEL-old");
    }
}

/// Another port that was allowed by name may have it, and its answer counts.
#[test]
fn a_token_may_follow_to_an_origin_that_is_allowed() {
    let other = Listener::saying(refusal());
    let to = format!("{}/there", other.base());
    let server = Listener::scripted([redirect(&to), granted(), redirect(&to)]);
    let tokens = logged_in(&server.base(), LATER);
    let tokens = tokens.allow_origin(&other.base()).unwrap();
    let request = request(Method::GET, &server.base());
    let answer = tokens.send(&same_host(), request).unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(sent(&server), ["GET old", "POST ", "GET token"]);
    assert_eq!(sent(&other), ["GET old", "GET token"]);
}

/// Out and back to the very URL that was asked for: the answer is one to a request without a token.
#[test]
fn a_redirect_that_leads_back_is_told_from_none() {
    let address = Arc::new(OnceLock::<String>::new());
    let back = address.clone();
    let other = Listener::start(move |stream, _| {
        let back = redirect(back.get().unwrap());
        stream.write_all(back.as_bytes()).unwrap();
    });
    let away = redirect(&other.base());
    // A GET is sent there directly, once, and goes the same way.
    let server = Listener::scripted([away.clone(), refusal(), away, refusal()]);
    let request = request(Method::GET, &server.base());
    address.set(request.uri().to_string()).unwrap();
    let tokens = logged_in(&server.base(), LATER);
    let error = failed(tokens.send(&application(), request));
    let text = error.to_string();
    assert!(text.contains("yours is kept"), "{text}");
    let Error::RefusedElsewhere { to } = error else {
        panic!("{error:?}");
    };
    assert_eq!(to, server.base());
    assert_eq!(sent(&server), ["GET old", "GET ", "GET old", "GET "]);
}

#[test]
fn a_refused_repetition_is_handed_back() {
    let server = Listener::scripted([refusal(), granted(), refusal()]);
    let tokens = logged_in(&server.base(), LATER);
    let request = request(Method::GET, &server.base());
    let answer = tokens.send(&application(), request).unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(sent(&server), ["GET old", "POST ", "GET token"]);
}

#[test]
fn what_may_not_be_repeated_is_handed_back_and_the_next_has_another_token() {
    let server = Listener::scripted([refusal(), granted(), done()]);
    let tokens = logged_in(&server.base(), LATER);
    let post = || request(Method::POST, &server.base());
    let answer = tokens.send(&application(), post()).unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(
        sent(&server),
        ["POST old"],
        "no renewal before it is needed"
    );
    let answer = tokens.send(&application(), post()).unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(sent(&server), ["POST old", "POST ", "POST token"]);
}

#[test]
fn whose_sender_says_so_is_sent_again_whole() {
    let server = Listener::scripted([refusal(), granted(), done()]);
    let tokens = logged_in(&server.base(), LATER);
    let post = request(Method::POST, &server.base()).map(|_| "the same twice");
    let answer = tokens.send_repeatable(&application(), post).unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(sent(&server), ["POST old", "POST ", "POST token"]);
    for number in [0, 2] {
        let request = &server.requests()[number];
        assert!(request.ends_with("\r\n\r\nthe same twice"), "{request}");
    }
}

#[test]
fn a_token_of_the_console_has_no_other() {
    let server = Listener::scripted([refusal()]);
    let request = request(Method::GET, &server.base());
    let answer = fixed(&server.base()).send(&application(), request);
    assert_eq!(answer.unwrap().status(), 401);
    assert_eq!(sent(&server), ["GET pat"]);
}

#[test]
fn the_callers_authorization_is_replaced_and_ours_is_sensitive() {
    let server = Listener::saying(done());
    let tokens = fixed(&server.base());
    let mut get = request(Method::GET, &server.base());
    for value in ["Basic Zm9v", "Bearer another"] {
        let headers = get.headers_mut();
        headers.append(AUTHORIZATION, HeaderValue::from_static(value));
    }
    let mut authorized = get.clone();
    tokens.authorize(&mut authorized).unwrap();
    let values: Vec<_> = authorized.headers().get_all(AUTHORIZATION).iter().collect();
    assert_eq!(values, ["Bearer SENTINEL-pat"]);
    assert!(values[0].is_sensitive());
    assert!(!format!("{authorized:?}").contains(SENTINEL));

    tokens.send(&application(), get).unwrap();
    let request = &server.requests()[0].to_lowercase();
    assert!(request.contains("authorization: bearer sentinel-pat\r\n"));
    assert_eq!(request.matches("authorization").count(), 1, "{request}");
}

#[test]
fn a_renewal_that_fails_is_told_in_place_of_the_refusal() {
    let refused = http_answer("400 Bad Request", r#"{"error_code":"invalid_grant"}"#);
    let server = Listener::scripted([refusal(), refused]);
    let tokens = logged_in(&server.base(), LATER);
    let request = request(Method::GET, &server.base());
    let error = failed(tokens.send(&application(), request));
    assert!(matches!(error, Error::RefreshRefused(_)), "{error:?}");
    assert_eq!(error.log_id(), Some("log-1"));
    assert_eq!(sent(&server), ["GET old", "POST "]);
}

#[test]
fn the_requests_own_error_has_the_clients_as_its_source() {
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let base = format!("http://{}", address.unwrap());
    let url = format!("{base}/v1/things?key={SENTINEL}-key");
    let request = Request::get(url).body(()).unwrap();
    let error = failed(fixed(&base).send(&application(), request));
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the request got no answer: the connection was refused: nothing listens there, or a firewall rejects it; \
         check host and port"
    );
    assert_eq!(error.retry(), Retry::Never, "only its sender can know");
    let source = error.source().unwrap().downcast_ref::<ureq::Error>();
    assert!(matches!(source, Some(ureq::Error::Io(_))));
    let text = in_full(&error);
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains("http://"), "{text}");
}

#[test]
fn an_agent_for_https_alone_does_not_tell_the_url() {
    let server = Listener::saying(done());
    let agent = Agent::config_builder().https_only(true).build().new_agent();
    let url = format!("{}/v1/things?key={SENTINEL}-key", server.base());
    let request = Request::get(url).body(()).unwrap();
    let error = failed(fixed(&server.base()).send(&agent, request));
    let source = error.source().unwrap().downcast_ref::<ureq::Error>();
    assert!(
        matches!(source, Some(ureq::Error::RequireHttpsOnly(_))),
        "{source:?}"
    );
    assert!(server.requests().is_empty());
}
