//! Where a token may go: looked at first, before there is one and before anything is sent.

use coze_auth_reqwest::core::{AccessToken, Endpoints};
use coze_auth_reqwest::{Client, Error, TokenSource};
use reqwest::{Method, Request};

use crate::support::{Listener, USER, application, failed, fixed, http_answer, logged_in};

fn get(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

fn silent() -> Listener {
    Listener::saying(http_answer("200 OK", USER))
}

#[tokio::test]
async fn another_origin_gets_nothing_and_no_token_is_renewed_for_it() {
    let (api, other) = (silent(), silent());
    // The token has ended: who asks for one, asks the API.
    let tokens = logged_in(&api.base(), 1_750_000_001).await;
    let userinfo = format!("http://{}@{}/", api.address, other.address);
    for url in [other.base(), userinfo] {
        let sent = tokens.send(&application(), get(&url)).await;
        let repeatable = tokens.send_repeatable(&application(), get(&url)).await;
        let mut request = get(&url);
        let authorized = tokens.authorize(&mut request).await;
        assert!(request.headers().is_empty(), "{url}");
        for error in [failed(sent), failed(repeatable), failed(authorized)] {
            let Error::OtherOrigin { to, api: home } = error else {
                panic!("{error:?}");
            };
            assert_eq!((to, home), (other.base(), api.base()), "{url}");
        }
    }
    assert!(api.requests().is_empty());
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn an_origin_is_scheme_host_and_port_however_they_are_written() {
    let tokens = fixed("https://api.example");
    for url in [
        "https://api.example/v1/things?a=b#c",
        "https://API.Example/",
        "HTTPS://api.example:443/",
        "https://someone@api.example/",
    ] {
        let mut request = get(url);
        tokens.authorize(&mut request).await.unwrap();
        assert_eq!(request.headers().len(), 1, "{url}");
    }
    for (url, to) in [
        ("http://api.example/", "http://api.example"),
        ("http://api.example:443/", "http://api.example:443"),
        ("https://api.example:8443/", "https://api.example:8443"),
        ("https://api.example./", "https://api.example."),
        ("https://www.api.example/", "https://www.api.example"),
        ("https://api.example@evil.example/", "https://evil.example"),
        (
            "https://api.example:443@evil.example/",
            "https://evil.example",
        ),
        (
            "https://evil.example/https://api.example",
            "https://evil.example",
        ),
        ("https://evil.example#@api.example/", "https://evil.example"),
        ("https://evil.example?@api.example/", "https://evil.example"),
        (
            "https://evil.example\\@api.example/",
            "https://evil.example",
        ),
        (
            "https://api.example.evil.example/",
            "https://api.example.evil.example",
        ),
    ] {
        let error = failed(tokens.authorize(&mut get(url)).await);
        let text = error.to_string();
        let Error::OtherOrigin { to: told, .. } = error else {
            panic!("{url}: {error:?}");
        };
        assert_eq!(told, to, "{url}");
        assert!(text.contains("allow that origin by name"), "{text}");
    }
}

#[tokio::test]
async fn an_origin_that_is_allowed_gets_the_token_and_no_other_does() {
    let (gateway, other) = (silent(), silent());
    let api = silent();
    let tokens = fixed(&api.base());
    // Plain http, since it is this machine.
    let tokens = tokens.allow_origin(&gateway.base()).unwrap();
    for server in [&api, &gateway] {
        tokens
            .send(&application(), get(&server.base()))
            .await
            .unwrap();
        let request = &server.requests()[0];
        assert!(request.contains("Bearer SENTINEL-pat"), "{request}");
    }
    let error = failed(tokens.send(&application(), get(&other.base())).await);
    assert!(matches!(error, Error::OtherOrigin { .. }), "{error:?}");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn plain_http_to_another_machine_is_allowed_by_another_name() {
    let tokens = fixed("https://api.example");
    let error = failed(tokens.clone().allow_origin("http://gateway.example"));
    let text = error.to_string();
    assert!(
        text.starts_with("origin: is http, which would send credentials in the clear"),
        "{text}"
    );
    assert!(text.contains("allow_origin_insecure"), "{text}");
    let tokens = tokens.allow_origin_insecure("http://gateway.example");
    let tokens = tokens.unwrap();
    let mut request = get("http://gateway.example/v1/things");
    tokens.authorize(&mut request).await.unwrap();
    assert_eq!(request.headers().len(), 1);
    // That one alone.
    let error = failed(tokens.authorize(&mut get("http://api.example/")).await);
    assert!(matches!(error, Error::OtherOrigin { .. }), "{error:?}");
}

/// An API base that is plain http by name stays its own origin.
#[tokio::test]
async fn the_origin_of_an_insecure_base_is_its_own() {
    let client = Client::new().unwrap();
    let endpoints = Endpoints::custom_insecure("http://api.example").unwrap();
    let tokens = TokenSource::fixed(&client, &endpoints, AccessToken::new("pat").unwrap());
    tokens
        .authorize(&mut get("http://api.example/"))
        .await
        .unwrap();
}
