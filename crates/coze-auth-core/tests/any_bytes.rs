//! No input makes the core panic, and none is taken for what it is not.

mod common;

use common::*;
use coze_auth_core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::config::OAuthConfig;
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::error::ErrorCode;
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{
    AccessToken, ClientSecret, Endpoints, Flow, RefreshToken, Step, TokenGrant, whoami,
};
use proptest::prelude::*;

/// JSON objects with the members that Coze knows and values of any kind.
fn answer() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "access_token",
        "credential",
        "refresh_token",
        "secrets",
        "expires_in",
        "error",
        "error_code",
        "error_message",
        "code",
        "msg",
        "detail",
        "data",
        "device_code",
        "user_code",
        "verification_uri",
        "interval",
        "logid",
        "x",
    ]);
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no NaN", |number| number.is_finite())
            .prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#"{"logid":"l","user_id":"u"}"#.to_owned()),
        Just(r#"{"credential":"c","secrets":[{"key":"k","value":"v"}]}"#.to_owned()),
        Just(r#"{"secrets":[{"key":1},null]}"#.to_owned()),
        Just(r#"[1,{"a":[]}]"#.to_owned()),
        Just("1750003600".to_owned()),
    ];
    prop::collection::vec((name, value), 0..8).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Gives every kind of flow this answer. Each must end, and print without a panic.
fn everywhere(status: u16, body: &[u8]) -> Result<(), TestCaseError> {
    let refresh = answered(
        web().refresh(&RefreshToken::new("r").unwrap()),
        reply(status, body),
    );
    match refresh {
        Ok(grant) => {
            prop_assert!((200..300).contains(&status), "{status} taken for a success");
            grant.access_token.bearer();
            prop_assert!(grant.expires_at.as_secs() >= 1_000_000_000);
        }
        Err(error) => {
            let _ = (
                error.to_string(),
                error.retry(),
                error.log_id().map(str::len),
            );
        }
    }
    let _ = answered(
        whoami(&base(), &AccessToken::new("t").unwrap()),
        reply(status, body),
    )
    .map_err(|e| e.to_string());
    let _ = answered(device().start(), reply(status, body)).map_err(|error| error.to_string());
    let endpoints = WorkloadEndpoints::cn();
    let app = WorkloadApp::new(endpoints, "1", ClientSecret::new("s").unwrap()).unwrap();
    let mut grant = app.grant();
    request_of(&mut grant, at(0));
    grant.receive(Ok(reply(200, r#"{"access_token":"i"}"#)), at(0));
    if let Ok(grant) = answered(grant, reply(status, body)) {
        prop_assert!((200..300).contains(&status), "{status} taken for a success");
        prop_assert!(grant.refresh_token.is_none());
    }
    let token = AccessToken::new("t").unwrap();
    let credential = answered(app.integration(&token, "x").unwrap(), reply(status, body));
    let variables = answered(app.project_env(&token).unwrap(), reply(status, body));
    let _ = (
        credential.map_err(|error| error.to_string()),
        variables.map_err(|error| error.to_string()),
    );
    let mut poll = device().poll(&started(300, Some(5)));
    request_of(&mut poll, at(5));
    poll.receive(Ok(reply(status, body)), at(5));
    prop_assert!(
        !matches!(poll.step(at(5)), Step::Send(_)),
        "polled twice at once"
    );
    Ok(())
}

proptest! {
    #[test]
    fn any_answer(status in 200..600_u16, body in prop::collection::vec(any::<u8>(), 0..200)) {
        everywhere(status, &body)?;
    }

    #[test]
    fn any_answer_that_looks_like_one(status in prop::sample::select(vec![200_u16, 302, 400, 401, 428, 500]), body in answer()) {
        everywhere(status, body.as_bytes())?;
    }

    /// Text comes through as it is, in whichever way JSON writes it.
    #[test]
    fn any_name(name in any::<String>()) {
        let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for written in [serde_json::to_string(&name).unwrap(), format!("\"{escaped}\"")] {
            let body = format!(r#"{{"code":0,"data":{{"user_id":"1","user_name":{written}}}}}"#);
            let user = answered(whoami(&base(), &AccessToken::new("t").unwrap()), reply(200, body));
            let user = user.unwrap();
            prop_assert_eq!(user.user_name.as_raw(), &name);
            let shown = user.user_name.to_string();
            prop_assert!(!shown.contains(|c: char| c.is_control() || "<>&\"'`".contains(c)), "{shown}");
        }
    }

    /// Whatever stands in a message, but for what ends it, the code beside it is read.
    #[test]
    fn any_bytes_in_a_message(bytes in prop::collection::vec(any::<u8>(), 0..50), units in prop::collection::vec(any::<u16>(), 0..8)) {
        let mut message: Vec<u8> = bytes.into_iter().filter(|byte| !b"\"\\".contains(byte)).collect();
        message.extend(units.iter().flat_map(|unit| format!("\\u{unit:04x}").into_bytes()));
        let body = [&b"{\"error_message\":\""[..], &message, b"\",\"error_code\":\"invalid_grant\"}"].concat();
        let error = error_of(web().refresh(&RefreshToken::new("r").unwrap()), reply(400, body));
        prop_assert_eq!(error.code(), Some(&ErrorCode::InvalidGrant));
    }

    /// An answer cut off anywhere is never taken for a grant.
    #[test]
    fn any_cut(at in 0..token_json().len()) {
        let cut = token_json()[..at].to_owned();
        let result = answered(web().refresh(&RefreshToken::new("r").unwrap()), reply(200, cut));
        prop_assert!(result.is_err());
    }

    #[test]
    fn any_callback(text in any::<String>()) {
        if let Ok(callback) = Callback::parse(&text) {
            let (_, pending) = login();
            prop_assert!(web().exchange(pending, &callback).is_err(), "a callback without our state");
        }
    }

    #[test]
    fn any_text_from_people(text in any::<String>()) {
        if let Ok(endpoints) = Endpoints::custom(&text) {
            prop_assert!(!endpoints.api_base().ends_with('/'));
            let mut call = whoami(&endpoints, &AccessToken::new("t").unwrap());
            request_of(&mut call, at(0));
        }
        if let Ok(workspace) = WorkspaceId::new(&*text) {
            request_of(&mut device().start_in(&workspace), at(0));
        }
        if let Ok(redirect) = RedirectUri::new(&*text) {
            prop_assert_eq!(redirect.as_str(), &text);
        }
        if let Ok(token) = AccessToken::new(&*text) {
            token.bearer();
        }
        let _ = (OAuthConfig::from_json(&text), PendingAuthorization::from_secret_json(&text));
        let _ = TokenGrant::from_secret_json(&text);
    }

    #[test]
    fn any_grant_survives_storage(access in "[!-~]{1,40}", refresh in "[ -~]{1,40}") {
        let body = serde_json::json!({ "access_token": access, "refresh_token": refresh, "expires_in": 1_750_003_600 });
        let call = web().refresh(&RefreshToken::new("r").unwrap());
        let grant = answered(call, reply(200, body.to_string())).unwrap();
        let loaded = TokenGrant::from_secret_json(grant.to_secret_json().expose()).unwrap();
        prop_assert_eq!(loaded.access_token.expose(), access);
        let loaded = loaded.refresh_token.unwrap();
        prop_assert_eq!(loaded.expose(), refresh);
    }

    #[test]
    fn any_pem(body in "[A-Za-z0-9+/=\\n\\\\ -]{0,200}", label in "(RSA |EC |)(PRIVATE|PUBLIC) KEY") {
        #[cfg(feature = "rs256-aws-lc")]
        for text in [body.clone(), format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----")] {
            prop_assert!(coze_auth_core::jwt::RsaKey::from_pem(&text).is_err());
        }
        let _ = (body, label);
    }
}
