//! Authorize URLs, and which callback completes which login (protocol §2.2, §4.5).

mod common;

use common::*;
use coze_auth_core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::error::{CallbackError, ErrorCode, Problem};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::secret::CodeVerifier;
use coze_auth_core::{Endpoints, Entropy, Error};
use proptest::prelude::*;

#[test]
fn the_url_of_a_web_login() {
    let (url, _) = login();
    let state = query(&url, "state");
    assert_eq!(
        url.as_str(),
        format!(
            "https://www.example:8080/api/permission/oauth2/authorize?response_type=code&client_id=web-id\
             &redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fa%3D1%26b%3D2&state={state}"
        )
    );
    assert_eq!(state.len(), 43);
    assert_eq!(
        url.to_string(),
        url.as_str(),
        "what a person is told to open"
    );
    // It is for one person, so a log has it without its state.
    assert_eq!(
        format!("{url:?}"),
        "AuthorizeUrl(https://www.example:8080/api/permission/oauth2/authorize?…)"
    );
}

#[test]
fn the_url_of_a_workspace_login() {
    let workspace = WorkspaceId::new("ws_a").unwrap();
    let start = "https://www.example:8080/api/permission/oauth2/workspace_id/ws_a/authorize?";
    let (web_url, _) = web()
        .authorize_in(&workspace, &redirect(), entropy())
        .unwrap();
    let (pkce_url, _) = pkce()
        .authorize_in(&workspace, &redirect(), entropy())
        .unwrap();
    assert!(web_url.as_str().starts_with(start), "{web_url}");
    assert!(pkce_url.as_str().starts_with(start), "{pkce_url}");
}

#[test]
fn pkce_challenges_with_s256_unless_told_otherwise() {
    let verifier = |pending: &PendingAuthorization| {
        let saved = pending.to_secret_json();
        let text = saved
            .expose()
            .split(r#""code_verifier":""#)
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        CodeVerifier::new(text).unwrap()
    };
    let (url, pending) = pkce().authorize(&redirect(), entropy()).unwrap();
    assert_eq!(
        query(&url, "code_challenge"),
        verifier(&pending).s256_challenge()
    );
    assert_eq!(query(&url, "code_challenge_method"), "S256");

    let (url, pending) = pkce()
        .with_plain_challenge()
        .authorize(&redirect(), entropy())
        .unwrap();
    assert_eq!(query(&url, "code_challenge"), verifier(&pending).expose());
    assert_eq!(query(&url, "code_challenge_method"), "plain");
}

#[test]
fn other_entropy_gives_another_state_and_verifier() {
    let pair = |seed| {
        let (_, pending) = pkce()
            .authorize(&redirect(), Entropy::from_bytes([seed; 32]))
            .unwrap();
        pending.to_secret_json().expose().to_owned()
    };
    assert_ne!(pair(1), pair(2));
    assert_eq!(pair(1), pair(1));
    let saved = pair(1);
    let parts: Vec<&str> = saved.split('"').filter(|part| part.len() == 43).collect();
    assert_eq!(parts.len(), 2);
    assert_ne!(
        parts[0], parts[1],
        "state, which is public, must not be the verifier"
    );
}

#[test]
fn a_stray_callback_does_not_burn_the_login() {
    let (url, pending) = login();
    let state = query(&url, "state");
    let strays = [
        "code=evil".to_owned(),
        "code=evil&state=".to_owned(),
        "code=evil&state=other".to_owned(),
        format!("code=evil&state={state}x"),
        format!("code=evil&state={}", &state[1..]),
        format!("code=evil&state={}", &state[..42]),
        format!("code=evil&state={}", &state[..1]),
        "error=access_denied&state=other".to_owned(),
        "error=access_denied".to_owned(),
        String::new(),
    ];
    let mut pending = Some(pending);
    for stray in strays {
        let callback = Callback::parse(&stray).unwrap();
        let rejected = web()
            .exchange(pending.take().unwrap(), &callback)
            .expect_err("not ours");
        assert_eq!(rejected.error, CallbackError::StateMismatch, "for {stray}");
        let text = rejected.to_string();
        assert!(text.contains("has no state, or not the one"), "{text}");
        pending = rejected.pending.map(|pending| *pending);
        assert!(pending.is_some(), "the login is lost to {stray}");
    }
    let _ = web()
        .exchange(pending.unwrap(), &callback(&url, "code_1"))
        .expect("still good");
}

/// A login belongs to the app and the base that started it.
#[test]
fn a_login_of_another_app_is_not_exchanged() {
    let (url, pending) = login();
    let callback = callback(&url, "code_1");
    let elsewhere = Endpoints::custom("https://api.other.example").unwrap();
    let secret = || coze_auth_core::ClientSecret::new("s").unwrap();
    let other_id = coze_auth_core::web::WebApp::new(base(), "other-id", secret()).unwrap();
    let other_base = coze_auth_core::web::WebApp::new(elsewhere, "web-id", secret()).unwrap();
    for rejected in [
        other_id
            .exchange(pending.clone(), &callback)
            .expect_err("another client id"),
        other_base
            .exchange(pending.clone(), &callback)
            .expect_err("another base"),
        pkce()
            .exchange(pending.clone(), &callback)
            .expect_err("another kind of app"),
    ] {
        assert_eq!(rejected.error, CallbackError::OtherApp);
        assert!(
            rejected.pending.is_some(),
            "it is still good for its own app"
        );
    }
    assert!(
        callback
            .state()
            .is_some_and(|state| pending.state().matches(state.expose())),
        "to find it by"
    );
    let _ = web().exchange(pending, &callback).expect("its own app");
}

/// What stands beside a refusal may be quoted in it. What is short may be any word.
#[test]
fn a_refusal_does_not_repeat_what_came_with_it() {
    for (code, told) in [
        ("p".repeat(16), "p".repeat(16)),
        ("q".repeat(17), "***".to_owned()),
    ] {
        let (url, pending) = login();
        let state = query(&url, "state");
        let text = format!(
            "/cb?error=access_denied&error_description=of+{code}&code={code}&state={state}"
        );
        let rejected = web()
            .exchange(pending, &Callback::parse(&text).unwrap())
            .expect_err("refused");
        let CallbackError::Refused { description, .. } = rejected.error else {
            panic!("{text}");
        };
        assert_eq!(description, format!("of {told}"));
    }
}

#[test]
fn a_refusal_ends_the_login() {
    let (url, pending) = login();
    let state = query(&url, "state");
    let text = format!("/cb?error=access_denied&error_description=no%0Athanks&state={state}");
    let rejected = web()
        .exchange(pending, &Callback::parse(&text).unwrap())
        .expect_err("refused");
    let description = "no\\u{a}thanks".to_owned();
    assert_eq!(
        rejected.error,
        CallbackError::Refused {
            code: ErrorCode::AccessDenied,
            description
        }
    );
    assert!(rejected.pending.is_none());
    // What `unwrap` and `main` print.
    assert_eq!(format!("{rejected:?}"), rejected.to_string());
    assert_eq!(
        Error::from(rejected).to_string(),
        "the authorization was refused: access_denied: no\\u{a}thanks; the person said no: start again only if they \
         wish to"
    );
}

/// A server may quote what stands beside its words.
#[test]
fn words_of_a_refusal_show_neither_state_nor_code() {
    let (url, pending) = login();
    let state = query(&url, "state");
    let code = "a-code-of-more-than-a-few-words";
    let text = format!(
        "/cb?error=no-{code}&error_description={state}+for+{code}&code={code}&state={state}"
    );
    let rejected = web().exchange(pending, &Callback::parse(&text).unwrap());
    let said = format!("{0} {0:?}", rejected.expect_err("refused"));
    assert!(said.contains("*** for ***"), "{said}");
    assert!(!said.contains(&*state) && !said.contains(code), "{said}");
}

/// A request line has three words, and so may a callback that somebody has copied out of a browser that shows spaces.
#[test]
fn words_of_a_refusal_are_not_a_request_line() {
    let text = "/cb?error=access_denied&error_description=I say no&state=s";
    let callback = Callback::parse(text).unwrap();
    assert_eq!(callback.state().map(|state| state.expose()), Some("s"));
    let rejected = web().exchange(login().1, &callback).unwrap_err();
    assert_eq!(rejected.error, CallbackError::StateMismatch);
}

#[test]
fn a_callback_with_neither_code_nor_error() {
    let (url, pending) = login();
    let text = format!("?state={}", query(&url, "state"));
    let rejected = web()
        .exchange(pending, &Callback::parse(&text).unwrap())
        .expect_err("no code");
    assert_eq!(rejected.error, CallbackError::NoCode);
}

#[test]
fn callbacks_that_no_server_sends() {
    for (text, error) in [
        ("code=a&code=b&state=s", CallbackError::Repeated("code")),
        ("code=a&state=s&state=t", CallbackError::Repeated("state")),
        ("error=a&error=b", CallbackError::Repeated("error")),
        ("code=a%0Ab&state=s", CallbackError::BadCode),
    ] {
        assert_eq!(
            Callback::parse(text).expect_err("malformed"),
            error,
            "for {text}"
        );
    }
}

/// The code and the redirect URI that an exchange sends.
type Exchanged = Result<(String, String), String>;

/// What the exchange would send for this callback.
fn exchanged(pending: PendingAuthorization, callback: &str) -> Exchanged {
    let callback = Callback::parse(callback).map_err(|error| error.to_string())?;
    let mut call = web()
        .exchange(pending, &callback)
        .map_err(|rejected| rejected.to_string())?;
    let body = shape(&request_of(&mut call, at(0))).1;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Ok((text("code"), text("redirect_uri")))
}

/// RFC 6749 §3.1: a parameter without a value is as if it were not there.
#[test]
fn empty_parameters_count_as_absent() {
    let (url, pending) = login();
    let state = query(&url, "state");
    for query in [
        format!("code=c&error=&state={state}"),
        format!("error=&code=c&error_description=&state={state}"),
        format!("error&code=c&state={state}"),
        format!("error=%20&code=c&state={state}"),
        format!("error=+%0A&code=%20&code=c&state={state}"),
        format!("error=&error=&code=&code=c&state=&state={state}"),
        format!("code=c&error_description=&error_description=x&state={state}"),
    ] {
        let came = exchanged(pending.clone(), &query);
        assert_eq!(
            came.map(|(code, _)| code),
            Ok("c".to_owned()),
            "for {query}"
        );
    }
    let outcome = |query: &str| {
        let callback = Callback::parse(query).unwrap();
        web().exchange(pending.clone(), &callback).expect_err(query)
    };
    let none = outcome(&format!("code=&error=&state={state}"));
    assert_eq!(none.error, CallbackError::NoCode);
    assert!(none.pending.is_none());
    let stray = outcome("code=c&state=");
    assert_eq!(stray.error, CallbackError::StateMismatch);
    assert!(stray.pending.is_some(), "the login is still good");
    let refused = outcome(&format!(
        "code=&error=access_denied&error_description=&state={state}"
    ));
    assert_eq!(
        refused.error,
        CallbackError::Refused {
            code: ErrorCode::AccessDenied,
            description: String::new()
        }
    );
}

/// The named ones; `whatever_a_redirect_uri_is_its_callback_is_read` has the rest.
#[test]
fn callbacks_of_redirect_uris_that_look_like_something_else() {
    for uri in [
        "https://app.example/tenant=5/cb",
        "https://app.example/a&b/cb",
        "https://app.example/cb?next=/a?b=c",
        "https://app.example/cb?x?y=z&&=",
        "https://app.example/cb?/x=1",
        "https://app.example?",
        "https://app.example/cb?nocode=1&my_state=2&errors=3",
        "https://app.example/cb?code=",
        "https://app.example/#/cb",
        "https://app.example/?a=1#/cb?b=2",
        "https://app.example/cb#top",
        "http://[::1]:80/cb",
    ] {
        let redirect = RedirectUri::new(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
        for (form, came) in forms_of_a_callback(&redirect) {
            assert_eq!(
                came,
                Ok(("code_1".to_owned(), uri.to_owned())),
                "{uri}: {form}"
            );
        }
    }
}

/// A callback of this redirect URI in all forms, and what the exchange makes of each.
fn forms_of_a_callback(redirect: &RedirectUri) -> Vec<(String, Exchanged)> {
    let (page, pending) = web().authorize(redirect, entropy()).unwrap();
    let state = query(&page, "state");
    // As a server does it that knows what a URL is.
    let mut url = url::Url::parse(redirect.as_str()).unwrap();
    url.query_pairs_mut()
        .append_pair("code", "code_1")
        .append_pair("state", &state);
    let whole = url.as_str().to_owned();
    let asked = url.query().unwrap().to_owned();
    let path = format!("{}?{asked}", url.path());
    // And as one does it that only knows text.
    let sign = if redirect.as_str().contains('?') {
        '&'
    } else {
        '?'
    };
    let plain = format!("{}{sign}code=code_1&state={state}", redirect.as_str());
    let without_scheme = plain.split_once("//").unwrap().1.to_owned();
    let line = format!("GET {path} HTTP/1.1");
    let forms = [
        format!("{line}\r\nHost: app.example\r\nCookie: code=evil\r\n\r\n"),
        format!(" {whole}\n"),
        format!("?{asked}"),
        whole,
        plain,
        without_scheme,
        path,
        line,
        asked,
    ];
    forms
        .into_iter()
        .map(|form| {
            let came = exchanged(pending.clone(), &form);
            (form, came)
        })
        .collect()
}

/// A piece of a path, a query or a fragment, with everything in it that tells the parts of a URL apart.
fn piece() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("="),
        Just("&"),
        Just("?"),
        Just("/"),
        Just(":"),
        Just("//"),
        Just(";"),
        Just("+"),
        Just("%3F"),
        Just("%26"),
        Just("a"),
        Just("tenant"),
        Just("扣子"),
        Just("http://x"),
        Just("code"),
        Just("state"),
        Just("error"),
        Just("code=x"),
        Just("error_description="),
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    /// Whatever `RedirectUri::new` takes, `Callback::parse` reads, in each form.
    #[test]
    fn whatever_a_redirect_uri_is_its_callback_is_read(
        path in piece(),
        own in proptest::option::of(piece()),
        fragment in proptest::option::weighted(0.2, piece()),
    ) {
        let mut uri = format!("https://app.example/{path}");
        if let Some(own) = &own {
            uri += &format!("?{own}");
        }
        if let Some(fragment) = &fragment {
            uri += &format!("#{fragment}");
        }
        match RedirectUri::new(&*uri) {
            Ok(redirect) => for (form, came) in forms_of_a_callback(&redirect) {
                prop_assert_eq!(came, Ok(("code_1".to_owned(), uri.clone())), "{}: {}", uri, form);
            },
            // Only a URI that has a callback's parameter is refused.
            Err(error) => {
                prop_assert!(matches!(error.problem(), Problem::UrlPart(_)), "{}: {}", uri, error);
                let named = |name: &str| uri.matches(name).count() > 0;
                prop_assert!(named("code") || named("state") || named("error") || fragment.is_some(), "{}", uri);
            }
        }
    }
}

#[test]
fn a_redirect_uri_with_a_parameter_of_a_callback_is_refused_by_name() {
    for uri in [
        "https://app.example/cb?code=1",
        "https://app.example/cb?a=1&state=x",
        "https://app.example/cb?error=x&a=1",
        "https://app.example/cb?error_description=x",
        "https://app.example/cb?c%6fde=1",
        "https://app.example/#/cb?code=1",
    ] {
        let error = RedirectUri::new(uri).expect_err(uri);
        assert_eq!(
            error.to_string(),
            "redirect URI: has a parameter of a callback (code, state, error or error_description), \
             which does not belong there",
            "for {uri}"
        );
    }
}

/// RFC 8252 §7.3: the browser asks the address, port and path of the redirect URI, so the program has to listen there.
#[test]
fn a_program_on_this_machine_listens_where_its_redirect_uri_says() {
    let (four, six) = ("127.0.0.1", "::1");
    for (uri, hosts, port, path) in [
        ("http://127.0.0.1:8414/cb", vec![four], 8414, "/cb"),
        ("http://127.0.0.2/cb?a=1", vec!["127.0.0.2"], 80, "/cb"),
        ("http://[::1]:8414", vec![six], 8414, "/"),
        ("http://localhost:8414/a/b", vec![four, six], 8414, "/a/b"),
    ] {
        let place = RedirectUri::new(uri).unwrap().loopback().expect(uri);
        let heard: Vec<_> = place.hosts.iter().map(ToString::to_string).collect();
        assert_eq!(
            (heard, place.port, &*place.path),
            (
                hosts.iter().map(|host| (*host).to_owned()).collect(),
                port,
                path
            )
        );
    }
    for (uri, why) in [
        (
            "http://app.example:8414/cb",
            "is not 127.0.0.1, [::1] or localhost",
        ),
        (
            "http://192.168.0.1/cb",
            "is not 127.0.0.1, [::1] or localhost",
        ),
        (
            "https://app.example/cb",
            "is not 127.0.0.1, [::1] or localhost",
        ),
        ("https://127.0.0.1:8414/cb", "is https"),
        ("http://127.0.0.1:8414/cb#part", "has a #"),
    ] {
        let error = RedirectUri::new(uri).unwrap().loopback().expect_err(uri);
        assert!(error.to_string().contains(why), "{uri}: {error}");
    }
}

#[test]
fn another_port_changes_nothing_else_of_a_redirect_uri() {
    for (uri, moved) in [
        (
            "http://127.0.0.1:8414/cb?a=1",
            "http://127.0.0.1:9999/cb?a=1",
        ),
        ("http://localhost/cb", "http://localhost:9999/cb"),
        ("http://[::1]:1/", "http://[::1]:9999/"),
    ] {
        let redirect = RedirectUri::new(uri).unwrap();
        assert_eq!(redirect.with_port(9999).unwrap().as_str(), moved);
        assert_eq!(redirect.as_str(), uri, "it is another value");
    }
}

#[test]
fn a_callback_may_come_as_url_path_or_query() {
    let (url, pending) = login();
    let query = format!("code=code_1&state={}", query(&url, "state"));
    let whole = [
        format!("http://localhost:8080/cb?{query}#fragment"),
        // A fragment is the page's own, unless the query has nothing.
        format!("/cb?{query}#code=evil&state=other"),
        format!("/cb?{query}"),
        format!("?{query}"),
        format!("{query}&next=/a?b=c"),
        query,
    ];
    for text in whole {
        let callback = Callback::parse(&text).unwrap();
        let mut call = web()
            .exchange(pending.clone(), &callback)
            .expect("the right state");
        assert!(
            shape(&request_of(&mut call, at(0)))
                .1
                .contains(r#""code":"code_1""#),
            "for {text}"
        );
    }
}

#[test]
fn a_pending_authorization_survives_storage() {
    let redirect = RedirectUri::new("http://localhost:8080/扣子?a=\"b\"").unwrap();
    let (url, pending) = pkce().authorize(&redirect, entropy()).unwrap();
    let saved = pending.to_secret_json();
    let loaded = PendingAuthorization::from_secret_json(saved.expose()).unwrap();
    assert_eq!(loaded.to_secret_json().expose(), saved.expose());
    let _ = pkce()
        .exchange(loaded, &callback(&url, "code_1"))
        .expect("the same login");
    assert_eq!(
        PendingAuthorization::from_secret_json("{")
            .unwrap_err()
            .problem(),
        &Problem::NotJson
    );
}

/// State, verifier, redirect URI, client id and API base: nothing of it may come from elsewhere.
#[test]
fn a_damaged_pending_authorization_is_no_login() {
    let (_, pending) = pkce().authorize(&redirect(), entropy()).unwrap();
    let saved = pending.to_secret_json().expose().to_owned();
    let whole: serde_json::Value = serde_json::from_str(&saved).unwrap();
    let members = [
        "state",
        "code_verifier",
        "redirect_uri",
        "client_id",
        "api_base",
    ];
    let names: Vec<_> = whole.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), members.len(), "{names:?}");
    let fails = |json: &str| {
        let error = PendingAuthorization::from_secret_json(json).expect_err(json);
        (error.what().to_owned(), error.problem().clone())
    };
    for end in 0..saved.len() {
        let cut = ("saved authorization".to_owned(), Problem::NotJson);
        assert_eq!(fails(&saved[..end]), cut, "cut at {end}");
    }
    for name in members {
        for (value, is_fine) in [(None, name == "code_verifier"), (Some(7.into()), false)] {
            let mut damaged = whole.clone();
            let object = damaged.as_object_mut().unwrap();
            match value {
                Some(value) => object.insert(name.to_owned(), value),
                None => object.remove(name),
            };
            let json = damaged.to_string();
            match is_fine {
                true => drop(PendingAuthorization::from_secret_json(&json).expect("a web app's")),
                false => assert_eq!(fails(&json).1, Problem::NotJson, "{name}"),
            }
        }
    }
    for (name, value, what) in [
        ("state", "", "state"),
        ("code_verifier", "short", "code verifier"),
        ("redirect_uri", "/callback", "redirect URI"),
    ] {
        let mut damaged = whole.clone();
        damaged[name] = value.into();
        assert_eq!(fails(&damaged.to_string()).0, what);
    }
}

/// Whoever keeps the attempts of several apps in one store may read another's.
#[test]
fn a_saved_login_of_another_app_is_not_exchanged() {
    let (url, pending) = login();
    let saved = pending.to_secret_json();
    let read = || PendingAuthorization::from_secret_json(saved.expose()).unwrap();
    let callback = callback(&url, "code_1");
    let other = PkceApp::new(base(), "other-id").unwrap();
    let elsewhere = Endpoints::custom("https://api.other.example").unwrap();
    let secret = coze_auth_core::ClientSecret::new("web-secret").unwrap();
    let other_base = coze_auth_core::web::WebApp::new(elsewhere, "web-id", secret).unwrap();
    for rejected in [
        other.exchange(read(), &callback).unwrap_err(),
        other_base.exchange(read(), &callback).unwrap_err(),
    ] {
        assert_eq!(rejected.error, CallbackError::OtherApp);
        let kept = rejected.pending.expect("its own app can take it");
        assert_eq!(kept.to_secret_json().expose(), saved.expose());
    }
    let _ = web().exchange(read(), &callback).expect("its own app");
}

#[test]
fn an_authorize_url_needs_a_www_base() {
    let endpoints = Endpoints::custom("https://coze.internal").unwrap();
    let app = PkceApp::new(endpoints.clone(), "id").unwrap();
    let error = app.authorize(&redirect(), entropy()).unwrap_err();
    assert_eq!(
        (error.what(), error.problem()),
        ("www base", &Problem::NoWww)
    );
    let app = PkceApp::new(endpoints.with_www("https://login.internal/").unwrap(), "id").unwrap();
    let (url, _) = app.authorize(&redirect(), entropy()).unwrap();
    assert!(
        url.as_str()
            .starts_with("https://login.internal/api/permission/"),
        "{url}"
    );
}

#[test]
fn redirect_uris_that_coze_cannot_register() {
    for uri in [
        "",
        "app.example/cb",
        "/cb",
        "myapp://cb",
        "javascript:alert(1)",
        "https://a b/",
        "https://a/\n",
    ] {
        assert!(RedirectUri::new(uri).is_err(), "{uri:?} must be refused");
    }
    for (uri, problem) in [
        ("app.example/cb", Problem::NoScheme),
        (
            "https://<your-domain>/cb",
            Problem::Looks("is a placeholder; put the value of Coze's console in its place"),
        ),
        (
            "https://app.example/{tenant}/cb",
            Problem::Looks("is a placeholder; put the value of Coze's console in its place"),
        ),
        (
            "https://app.example/c b",
            Problem::Character {
                at: 21,
                is: "a space",
            },
        ),
        (
            "https://app.example/cb\u{200b}",
            Problem::Character {
                at: 22,
                is: "an invisible character",
            },
        ),
        (
            "https://app\u{3002}example/cb",
            Problem::Host("is read as another one; write it as it is read"),
        ),
        (
            "https://\u{ff41}pp.example/cb",
            Problem::Host("is read as another one; write it as it is read"),
        ),
        (
            "https://%61pp.example/cb",
            Problem::Host("is read as another one; write it as it is read"),
        ),
        (
            r"https://app.example\cb",
            Problem::Looks(
                "has a backslash, which a browser reads as / and others do not; write / or %5C",
            ),
        ),
        (
            r"http://127.0.0.1:8414/cb?next=a\b",
            Problem::Looks(
                "has a backslash, which a browser reads as / and others do not; write / or %5C",
            ),
        ),
        (
            r"http://localhost\@evil.example/",
            Problem::Looks(
                "has a backslash, which a browser reads as / and others do not; write / or %5C",
            ),
        ),
    ] {
        assert_eq!(
            RedirectUri::new(uri).expect_err(uri).problem(),
            &problem,
            "for {uri}"
        );
    }
    for uri in [
        "https://\u{6263}\u{5b50}.cn/cb",
        "https://xn--fsq.cn/",
        "HTTPS://App.Example/",
        "http://[0:0::1]/",
    ] {
        RedirectUri::new(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
    }
}
