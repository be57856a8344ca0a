//! Bases, and what follows from them (protocol §1).

mod common;

use common::*;
use coze_auth_core::endpoint::{
    AccountId, EnterpriseId, WorkspaceId, is_loopback_uri, origin, token_origin,
};
use coze_auth_core::error::Problem;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Endpoints, Region};

/// The www base that an authorize URL shows.
fn www(endpoints: &Endpoints) -> Option<String> {
    let app = PkceApp::new(endpoints.clone(), "id").unwrap();
    let (url, _) = app.authorize(&redirect(), entropy()).ok()?;
    Some(url.as_str().split("/api/permission").next()?.to_owned())
}

#[test]
fn the_www_host_follows_from_the_first_label_only() {
    for (api, expected) in [
        ("https://api.coze.cn", Some("https://www.coze.cn")),
        ("https://api.coze.com/", Some("https://www.coze.com")),
        ("https://api.corp:8443", Some("https://www.corp:8443")),
        ("https://api.api.corp", Some("https://www.api.corp")),
        ("https://my-api.corp", None),
        ("https://api-x.corp", None),
        ("https://gateway.corp", None),
        ("http://127.0.0.1:9777", Some("http://127.0.0.1:9777")),
        (
            "http://localhost:9777/t/a/",
            Some("http://localhost:9777/t/a"),
        ),
        ("http://[::1]:9777", Some("http://[::1]:9777")),
    ] {
        assert_eq!(
            www(&Endpoints::custom(api).unwrap()).as_deref(),
            expected,
            "for {api}"
        );
    }
    assert_eq!(
        www(&Region::Cn.into()).as_deref(),
        Some("https://www.coze.cn")
    );
    assert_eq!(
        www(&Region::Com.into()).as_deref(),
        Some("https://www.coze.com")
    );
}

#[test]
fn the_audience_is_the_host_and_its_port() {
    for (api, expected) in [
        ("https://api.coze.cn", "api.coze.cn"),
        ("https://API.Coze.CN:443/", "api.coze.cn"),
        ("https://api.corp:8443", "api.corp:8443"),
        ("http://127.0.0.1:9777/t/a", "127.0.0.1:9777"),
        ("http://[::1]:9777", "[::1]:9777"),
    ] {
        assert_eq!(
            Endpoints::custom(api).unwrap().api_host(),
            expected,
            "for {api}"
        );
    }
}

#[test]
fn bases_that_cannot_work() {
    for (api, problem) in [
        ("", Problem::Empty),
        ("  ", Problem::Empty),
        ("api.coze.cn", Problem::NotAUrl),
        ("ftp://api.coze.cn", Problem::NotAUrl),
        ("file:///etc", Problem::NotAUrl),
        ("https://", Problem::NotAUrl),
        (
            &format!("https://api.coze.cn/{}", "x".repeat(2048)),
            Problem::TooLong(2048),
        ),
        ("https:api.coze.cn", Problem::NotAUrl),
        ("https://api.co\tze.cn", Problem::NotAUrl),
        ("https:\\\\api.coze.cn", Problem::NotAUrl),
        (
            "https://me:secret@api.coze.cn",
            Problem::UrlPart("user name or password"),
        ),
        ("https://api.coze.cn?x=1", Problem::UrlPart("query")),
        ("https://api.coze.cn#x", Problem::UrlPart("fragment")),
        ("http://api.coze.cn", Problem::Insecure),
        ("http://localhost.evil", Problem::Insecure),
        ("http://127.0.0.1.evil", Problem::Insecure),
        ("http://0.0.0.0:80", Problem::Insecure),
    ] {
        let error = Endpoints::custom(api).expect_err(api);
        assert_eq!(error.problem(), &problem, "for {api}");
        assert!(
            !error.to_string().contains("secret"),
            "an error must not repeat the value: {error}"
        );
    }
    Endpoints::custom_insecure("http://gateway.corp").expect("named as an exception");
    let mixed = Endpoints::custom("https://api.coze.cn")
        .unwrap()
        .with_www("http://www.coze.cn");
    assert_eq!(mixed.unwrap_err().problem(), &Problem::Insecure);
}

#[test]
fn origins_that_tokens_may_go_to() {
    for (text, expected) in [
        ("https://gateway.example", "https://gateway.example"),
        (" https://gateway.example/ ", "https://gateway.example"),
        ("HTTPS://GateWay.Example:443", "https://gateway.example"),
        (
            "https://gateway.example:8443",
            "https://gateway.example:8443",
        ),
        // Another name, and another origin (RFC 6454 §5).
        ("https://gateway.example.", "https://gateway.example."),
        ("https://例え.example", "https://xn--r8jz45g.example"),
        ("https://10.1.2.3", "https://10.1.2.3"),
        ("http://127.8.8.8:1", "http://127.8.8.8:1"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://LOCALHOST", "http://localhost"),
        ("wss://ws.coze.cn", "wss://ws.coze.cn"),
        ("WSS://ws.coze.cn:443/", "wss://ws.coze.cn"),
        ("ws://127.0.0.1:1", "ws://127.0.0.1:1"),
    ] {
        assert_eq!(token_origin(text, false).as_deref(), Ok(expected));
        assert_eq!(token_origin(text, true).as_deref(), Ok(expected));
        assert_eq!(origin(expected).as_deref(), Some(expected));
    }
    for (text, problem) in [
        ("", Problem::Empty),
        ("gateway.example", Problem::NotAUrl),
        ("//gateway.example", Problem::NotAUrl),
        ("https:gateway.example", Problem::NotAUrl),
        ("https:\\\\gateway.example", Problem::NotAUrl),
        ("https://", Problem::NotAUrl),
        ("null", Problem::NotAUrl),
        ("foo://x", Problem::NotAUrl),
        ("file:///", Problem::NotAUrl),
        ("data:,x", Problem::NotAUrl),
        ("ftp://gateway.example", Problem::NotAUrl),
        ("wsx://gateway.example", Problem::NotAUrl),
        ("ws", Problem::NotAUrl),
        ("扣子", Problem::NotAUrl),
        ("wss://ws.coze.cn/v1", Problem::UrlPart("path")),
        ("https://gate\tway.example", Problem::Character { at: 12 }),
        (
            "https://gate\u{200b}way.example",
            Problem::Character { at: 12 },
        ),
        ("*", Problem::Character { at: 0 }),
        ("https://*.example", Problem::Character { at: 8 }),
        (
            "https://me:secret@gateway.example",
            Problem::UrlPart("user name or password"),
        ),
        (
            "https://api.coze.cn@gateway.example",
            Problem::UrlPart("user name or password"),
        ),
        ("https://gateway.example/v1", Problem::UrlPart("path")),
        ("https://gateway.example//v1", Problem::UrlPart("path")),
        ("https://gateway.example?x=1", Problem::UrlPart("query")),
        ("https://gateway.example#x", Problem::UrlPart("fragment")),
    ] {
        for insecure in [false, true] {
            let error = token_origin(text, insecure).expect_err(text);
            assert_eq!(error.problem(), &problem, "for {text}");
            assert_eq!(error.what(), "origin");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
    for text in [
        "http://gateway.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://localhost.",
        "ws://ws.coze.cn",
    ] {
        let error = token_origin(text, false).expect_err(text);
        assert_eq!(error.problem(), &Problem::Insecure, "for {text}");
        assert_eq!(token_origin(text, true).as_deref(), Ok(text));
    }
}

/// Written out, each of these is `null`, and one would let tokens go to all the others.
#[test]
fn what_has_no_origin_of_its_own() {
    for url in ["foo://x", "file:///", "data:,x", "null", "x", ""] {
        assert_eq!(origin(url), None, "{url}");
    }
}

#[test]
fn ids_that_would_be_another_path() {
    for id in [
        "", ".", "..", "a/b", "a%2fb", "a?b", "a#b", "a b", "扣子", "a\n",
    ] {
        assert!(WorkspaceId::new("x".repeat(257)).is_err());
        assert!(
            WorkspaceId::new(id).is_err()
                && AccountId::new(id).is_err()
                && EnterpriseId::new(id).is_err(),
            "{id:?}"
        );
    }
    assert_eq!(
        EnterpriseId::new("volcano_2101").unwrap().as_str(),
        "volcano_2101"
    );
}

#[test]
fn what_stays_on_this_machine() {
    for (uri, expected) in [
        ("http://127.0.0.1:9777/x", true),
        ("http://127.8.8.8/x", true),
        ("http://localhost/x", true),
        ("http://LOCALHOST/x", true),
        ("http://[::1]:1/x", true),
        ("http://0.0.0.0/x", false),
        ("http://localhost.evil/x", false),
        ("https://api.coze.cn/x", false),
    ] {
        assert_eq!(
            is_loopback_uri(&uri.parse().unwrap()),
            expected,
            "for {uri}"
        );
    }
}
