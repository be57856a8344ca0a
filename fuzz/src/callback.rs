//! What a browser brings to a redirect URI, and the URI itself: the redirect URI, a line `%%`, the request. `{state}` in it is the state of
//! the login.
//!
//! Only the login's own state exchanges; all ways to hand a callback over are one; no error shows a code or a state; a login that another
//! one's callback met goes on.

use coze_auth_core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::error::CallbackError;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Endpoints, Entropy, Flow as _, Step};
use serde_json::Value;
use url::form_urlencoded;

use crate::support::{SENTINEL, is_plain, keeps, now, parts, shown};

fn app() -> PkceApp {
    let endpoints = Endpoints::custom("https://api.example").expect("a base");
    PkceApp::new(endpoints, "pkce-id").expect("an app")
}

/// The values of a parameter, by a second reader of forms.
fn values(query: &str, name: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, value)| key == name && !value.trim().is_empty())
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn redirect_uri(text: &str) -> Option<RedirectUri> {
    let redirect = match RedirectUri::new(text) {
        Ok(redirect) => redirect,
        Err(error) => {
            keeps("an error", &shown(&error), &[SENTINEL]);
            is_plain("an error", &error.to_string());
            return None;
        }
    };
    assert_eq!(redirect.as_str(), text, "Coze compares the text");
    let url = url::Url::parse(text).expect("a URL");
    assert!(matches!(url.scheme(), "http" | "https"));
    if let Ok(place) = redirect.loopback() {
        assert!(place.hosts.iter().all(std::net::IpAddr::is_loopback));
        assert!(place.path.starts_with('/'));
        let moved = redirect.with_port(8_414).expect("another port");
        let moved = moved.loopback().expect("as before");
        assert_eq!((moved.port, &moved.path), (8_414, &place.path));
    }
    Some(redirect)
}

/// One redirect URI and one callback.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parts = parts(text.as_bytes());
    let part = |at: usize| {
        parts
            .get(at)
            .and_then(|part| std::str::from_utf8(part).ok())
    };
    let given = part(0).unwrap_or_default();
    let usual = "https://app.example/cb?a=1";
    let redirect = redirect_uri(given).or_else(|| RedirectUri::new(usual).ok());
    let redirect = redirect.expect("the usual one");
    let login = || {
        app()
            .authorize(&redirect, Entropy::from_bytes([7; 32]))
            .expect("a www base")
    };
    let (url, pending) = login();
    let state = pending.state().expose().to_owned();
    keeps("Debug", &format!("{url:?} {pending:?}"), &[&state]);
    let asked = values(
        url.as_str().split_once('?').expect("a query").1,
        "redirect_uri",
    );
    assert_eq!(
        asked,
        [redirect.as_str()],
        "Coze is told it once, and to the letter"
    );
    // What waits in a session is the same login afterwards.
    let saved = pending.to_secret_json();
    let again = PendingAuthorization::from_secret_json(saved.expose()).expect("as it was saved");
    assert_eq!(again.to_secret_json().expose(), saved.expose());
    // The redirect URI itself comes back with a code and this state.
    let own = match redirect.as_str().split_once('#') {
        Some((before, fragment)) => format!("{}#{fragment}", with_code(before, &state)),
        None => with_code(redirect.as_str(), &state),
    };
    let own = Callback::parse(&own).expect("its own callback");
    assert!(
        app().exchange(login().1, &own).is_ok(),
        "{redirect:?} never completes"
    );

    let request = part(1).unwrap_or_default().replace("{state}", &state);
    let callback = match Callback::parse(&request) {
        Ok(callback) => callback,
        Err(error) => {
            keeps("an error", &shown(&error), &[SENTINEL, &state]);
            is_plain("an error", &error.to_string());
            return;
        }
    };
    keeps("Debug", &format!("{callback:?}"), &hidden(&request, &state));
    match app().exchange(pending, &callback) {
        Ok(mut call) => {
            assert!(
                request.contains(&state) || has_encoded(&request, &state),
                "{request:?}"
            );
            let Step::Send(sent) = call.step(now()) else {
                panic!("an exchange is one request")
            };
            let body: Value = serde_json::from_slice(sent.body().as_bytes()).expect("JSON");
            let code = body["code"].as_str().expect("a code");
            assert_eq!(body["redirect_uri"], redirect.as_str());
            // Where the query alone was handed in, a second reader of forms finds the same code.
            if !request.contains(['/', '?', '#', ' ', '\n', '\r']) {
                assert_eq!(values(&request, "code"), [code]);
            }
            every_way(&request, code);
        }
        Err(rejected) => {
            let text = shown(&rejected);
            keeps("a rejection", &text, &hidden(&request, &state));
            is_plain("a rejection", &text);
            let is_stray = matches!(
                rejected.error,
                CallbackError::StateMismatch | CallbackError::OtherApp
            );
            assert_eq!(rejected.pending.is_some(), is_stray, "{}", rejected.error);
        }
    }
}

fn with_code(text: &str, state: &str) -> String {
    let sign = if text.contains('?') { '&' } else { '?' };
    format!("{text}{sign}code=a-code&state={state}")
}

/// The secrets of a request that are not in the words for a person, which may be anything.
fn hidden<'a>(request: &str, state: &'a str) -> Vec<&'a str> {
    let words = request.find("error").map_or("", |at| &request[at..]);
    let all = [SENTINEL, state].into_iter();
    all.filter(|secret| !words.contains(secret)).collect()
}

fn has_encoded(request: &str, state: &str) -> bool {
    let parts = request.split(['?', '#', ' ', '\n', '&', '\r', '\t']);
    let mut values = parts.flat_map(|part| values(part, "state"));
    values.any(|value| value == state)
}

/// A query is the same callback as a path, as a URL and as a request line.
fn every_way(query: &str, code: &str) {
    if query.contains(['/', '?', '#', ' ', '\n', '\r', '\t']) || query.trim() != query {
        return;
    }
    for text in [
        format!("/cb?{query}"),
        format!("https://app.example/cb?{query}"),
        format!("GET /cb?{query} HTTP/1.1"),
        format!("GET /cb?{query} HTTP/1.1\r\nHost: app.example\r\n\r\n"),
    ] {
        let callback = Callback::parse(&text).expect("the same callback");
        let (_, pending) = {
            let redirect = RedirectUri::new("https://app.example/cb").expect("a URL");
            app()
                .authorize(&redirect, Entropy::from_bytes([7; 32]))
                .expect("a www base")
        };
        let mut call = app()
            .exchange(pending, &callback)
            .expect("the same callback");
        let Step::Send(sent) = call.step(now()) else {
            panic!("an exchange is one request")
        };
        let body: Value = serde_json::from_slice(sent.body().as_bytes()).expect("JSON");
        assert_eq!(body["code"], code, "{text}");
    }
}
