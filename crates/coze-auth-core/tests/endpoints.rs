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
fn the_authorize_page_is_that_of_every_login() {
    let workspace = WorkspaceId::new("ws_a").unwrap();
    let endpoints = Endpoints::custom("http://localhost:9777/t/a/").unwrap();
    let page = |workspace| endpoints.authorize_page(workspace).unwrap();
    let base = "http://localhost:9777/t/a/api/permission/oauth2";
    assert_eq!(page(None), format!("{base}/authorize"));
    assert_eq!(
        page(Some(&workspace)),
        format!("{base}/workspace_id/ws_a/authorize")
    );
    let app = PkceApp::new(endpoints.clone(), "id").unwrap();
    let (url, _) = app.authorize(&redirect(), entropy()).unwrap();
    assert_eq!(url.as_str().split('?').next(), Some(&*page(None)));
    let unknown = Endpoints::custom("https://gateway.corp").unwrap();
    let error = unknown.authorize_page(None).unwrap_err();
    assert_eq!(*error.problem(), Problem::NoWww);
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

/// The one origin that tokens are for: without the base's path, and without a port that the scheme implies.
#[test]
fn the_origin_of_a_base() {
    for (api, expected) in [
        ("https://api.coze.cn", "https://api.coze.cn"),
        ("https://API.Coze.CN:443/", "https://api.coze.cn"),
        ("https://api.corp:8443/coze", "https://api.corp:8443"),
        ("http://127.0.0.1:9777/t/a", "http://127.0.0.1:9777"),
    ] {
        let endpoints = Endpoints::custom(api).unwrap();
        assert_eq!(endpoints.api_origin(), expected, "for {api}");
        assert_eq!(origin(api).as_deref(), Some(expected), "for {api}");
    }
}

#[test]
fn a_log_shows_both_bases() {
    let endpoints = Endpoints::custom("https://gateway.corp/coze/").unwrap();
    assert_eq!(
        format!("{endpoints:?}"),
        r#"Endpoints { api: "https://gateway.corp/coze", www: None }"#
    );
    let with_pages = endpoints.with_www("https://login.corp/").unwrap();
    let shown = format!("{with_pages:?}");
    assert!(
        shown.contains(r#"www: Some("https://login.corp")"#),
        "{shown}"
    );
}

/// As long as it may be, and a byte longer.
#[test]
fn a_base_and_an_id_have_a_longest() {
    let base = |length: usize| {
        let start = "https://gateway.corp/";
        Endpoints::custom(&format!("{start}{}", "x".repeat(length - start.len())))
    };
    base(2048).expect("it fits");
    assert_eq!(*base(2049).unwrap_err().problem(), Problem::TooLong(2048));
    let id = |length| WorkspaceId::new("x".repeat(length));
    id(256).expect("it fits");
    assert_eq!(*id(257).unwrap_err().problem(), Problem::TooLong(256));
}

#[test]
fn bases_that_cannot_work() {
    for (api, problem) in [
        ("", Problem::Empty),
        ("  ", Problem::Empty),
        ("api.coze.cn", Problem::NoScheme),
        ("api.coze.cn:443/x", Problem::NoScheme),
        ("localhost:9777", Problem::NoScheme),
        ("coze", Problem::NotAUrl),
        ("ftp://api.coze.cn", Problem::NotAUrl),
        ("file:///etc", Problem::NotAUrl),
        ("https://", Problem::NotAUrl),
        ("https://https://api.coze.cn", Problem::NotAUrl),
        ("https://http//api.coze.cn", Problem::NotAUrl),
        (
            &format!("https://api.coze.cn/{}", "x".repeat(2048)),
            Problem::TooLong(2048),
        ),
        ("https:api.coze.cn", Problem::NotAUrl),
        (
            "https://api.co\tze.cn",
            Problem::Character {
                at: 14,
                is: "a tab",
            },
        ),
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
        ("gateway.example", Problem::NoScheme),
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
        (
            "https://gate\tway.example",
            Problem::Character {
                at: 12,
                is: "a tab",
            },
        ),
        (
            "https://gate\u{200b}way.example",
            Problem::Character {
                at: 12,
                is: "an invisible character",
            },
        ),
        ("*", Problem::Character { at: 0, is: "a *" }),
        ("https://*.example", Problem::Character { at: 8, is: "a *" }),
        (
            "https://me:secret@gateway.example",
            Problem::UrlPart("user name or password"),
        ),
        (
            "https://api.coze.cn@gateway.example",
            Problem::UrlPart("user name or password"),
        ),
        ("https://gateway.example/v1", Problem::UrlPart("path")),
        ("https://api.coze.cn/v1/chat", Problem::UrlPart("path")),
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

/// What is not Coze's API base, or not alone, or another host than it seems: all of them were taken, and Coze's
/// answers to them mislead.
#[test]
fn bases_that_mislead_are_refused_by_name() {
    let host = |text: &str| format!("has a host that {text}");
    let site = |region: &str| {
        host(&format!(
            "is Coze's website and not its API, which is https://api.coze.{region}"
        ))
    };
    let path = "has a path which Coze's base does not have: paths are added to it; leave out what stands behind the host";
    let of_api = "has a path of Coze's API in it, which is added to the base; leave it out";
    let dot = host("ends in a full stop, and so is another name to Coze; leave it out");
    let other = host("is read as another one; write it as it is read");
    let no_name = host("cannot be a name: it has a character that no name has, or an empty part");
    let not_ascii =
        host("is not written in ASCII; an international name is written with xn-- here");
    let character = |is: &str, at: usize| {
        format!("has {is} at byte {at}, which it cannot have (copied along?)")
    };
    for (base, why) in [
        ("https://www.coze.cn", site("cn")),
        ("https://coze.cn", site("cn")),
        ("https://WWW.Coze.CN/", site("cn")),
        ("http://www.coze.cn", site("cn")),
        ("https://www.coze.com:443", site("com")),
        ("https://coze.com/open/oauth/apps", site("com")),
        ("https://api.coze.cn/v1", path.to_owned()),
        ("https://api.coze.cn/open_api/v2", path.to_owned()),
        (
            "https://api.coze.cn/api/permission/oauth2/token",
            path.to_owned(),
        ),
        ("https://api.coze.com/v3/chat/", path.to_owned()),
        ("https://api.coze.com//v3", path.to_owned()),
        ("https://api.coze.com/anything", path.to_owned()),
        (
            "https://gateway.corp/api/permission/oauth2/token",
            of_api.to_owned(),
        ),
        (
            "https://gateway.corp/coze/api/permission",
            of_api.to_owned(),
        ),
        ("https://gateway.corp/open_api/v2", of_api.to_owned()),
        ("https://gateway.corp/coze/open_api", of_api.to_owned()),
        ("https://gateway.corp/v3/chat", of_api.to_owned()),
        ("http://127.0.0.1:9777/t/a/v1/users/me", of_api.to_owned()),
        ("https://api.coze.cn.", dot.clone()),
        ("https://www.coze.com.", dot.clone()),
        ("https://0x7f.1", other.clone()),
        ("http://2130706433", other.clone()),
        ("https://api.coze.cn,https://api.coze.com", no_name.clone()),
        ("https://api..coze.cn", no_name.clone()),
        ("https://api.coze.cn;x", no_name.clone()),
        ("https://api%2ecoze.cn", other.clone()),
        ("https://%61pi.coze.cn", other.clone()),
        (
            "https://api\u{3002}coze\u{3002}cn",
            character("a full-width character", 11),
        ),
        (
            "https://api\u{ff0e}coze.cn",
            character("a full-width character", 11),
        ),
        (
            "https://\u{ff41}\u{ff50}\u{ff49}.coze.cn",
            character("a full-width character", 8),
        ),
        ("https://\u{430}pi.coze.cn", not_ascii.clone()),
        ("https://\u{24d0}pi.coze.cn", not_ascii.clone()),
        ("https://\u{6263}\u{5b50}.cn", not_ascii.clone()),
        (
            "https://api.coze.cn\u{200b}",
            character("an invisible character", 19),
        ),
        (
            "  https://api.co\u{ad}ze.cn",
            character("an invisible character", 16),
        ),
        (
            "\u{feff}https://api.coze.cn",
            character("an invisible character", 0),
        ),
        ("https://api.coze.cn /v1", character("a space", 19)),
        (
            "https://gateway.corp/a\u{2060}b",
            character("an invisible character", 22),
        ),
    ] {
        for (name, error) in [
            ("API base", Endpoints::custom(base).expect_err(base)),
            (
                "API base",
                Endpoints::custom_insecure(base).expect_err(base),
            ),
        ] {
            assert_eq!(error.to_string(), format!("{name}: {why}"), "for {base:?}");
        }
    }
    for base in [
        "https://api.coze.cn/",
        "https://api.coze.cn//",
        "https://api-va.coze.com",
        "https://gateway.coze.cn/x",
        "https://api.coze.cn.corp.example/x",
        "https://gateway.corp/v1",
        "https://gateway.corp/coze/chat",
        "https://gateway.corp.",
        "https://xn--fsq.cn",
        "http://[0:0:0:0:0:0:0:1]:9777",
        "http://127.0.0.1:9777/t/v1",
        "https://gw.corp/\u{6263}\u{5b50}",
    ] {
        Endpoints::custom(base).unwrap_or_else(|error| panic!("{base}: {error}"));
    }
    for (endpoints, region) in [(Endpoints::cn(), "cn"), (Endpoints::com(), "com")] {
        let api = endpoints.with_www(&format!("https://api.coze.{region}"));
        assert_eq!(
            api.unwrap_err().to_string(),
            format!(
                "www base: has a host that is Coze's API, where no page is; people log in at https://www.coze.{region}"
            )
        );
    }
    let page = Endpoints::cn()
        .with_www("https://www.coze.cn/open")
        .unwrap_err();
    assert_eq!(page.to_string(), format!("www base: {path}"));
    Endpoints::cn().with_www("https://www.coze.cn/").unwrap();
}
