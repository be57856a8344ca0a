//! What an application branches on: `kind()`, `needs_login()` and `code()` (protocol §4.1, docs/tokens.md).

mod common;

use std::time::Duration;

use common::*;
use coze_auth_core::authorize::Callback;
use coze_auth_core::error::{CallbackError, Error, ErrorCode, ErrorKind, SigningError};
use coze_auth_core::jwt::{JwtGrant, JwtIssuer};
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{
    AccessToken, ClientSecret, Flow, RefreshToken, Response, TransportFailure, whoami,
};

use ErrorKind::{CodeExpired, Denied, LoginNeeded, Other, Settings, Wait};

type Reply = Result<Response, TransportFailure>;

const SECOND: Duration = Duration::from_secs(1);
/// What a request can send, each in a flow of its own.
const SENT: [&str; 7] = [
    "code",
    "refresh token",
    "device code",
    "assertion",
    "no grant",
    "client credentials",
    "id token",
];

/// How the flow that sends this ends when this comes back.
fn ended(sent: &str, reply: Reply) -> Error {
    fn end<F: Flow>(mut flow: F, reply: Reply) -> Error {
        request_of(&mut flow, at(5));
        flow.receive(reply, at(5));
        let result = result_of(&mut flow, at(5));
        result.err().expect("an error")
    }
    match sent {
        "code" => {
            let (url, pending) = login();
            end(
                web().exchange(pending, &callback(&url, "c1")).unwrap(),
                reply,
            )
        }
        "refresh token" => end(web().refresh(&RefreshToken::new("r0").unwrap()), reply),
        // No other poll fits in, so whatever comes is the end.
        "device code" => end(device().poll(&started(6, Some(5))), reply),
        "assertion" => {
            let issuer = JwtIssuer::new(base(), "app", "kid").unwrap();
            let unsigned = issuer.assertion(&JwtGrant::new(), entropy(), at(5));
            end(unsigned.signed(b"signature", at(0)).unwrap(), reply)
        }
        "client credentials" => end(workload().grant(), reply),
        "id token" => {
            let mut grant = workload().grant();
            request_of(&mut grant, at(0));
            grant.receive(
                Ok(crate::reply(200, r#"{"access_token":"id.to.ken"}"#)),
                at(0),
            );
            end(grant, reply)
        }
        _ => end(whoami(&base(), &AccessToken::new("pat_x").unwrap()), reply),
    }
}

fn workload() -> WorkloadApp {
    let endpoints =
        WorkloadEndpoints::custom("https://api.example/id", "https://api.example/access");
    WorkloadApp::new(
        endpoints.unwrap(),
        "workload-id",
        ClientSecret::new("s").unwrap(),
    )
    .unwrap()
}

fn refused(sent: &str, code: &str) -> Error {
    ended(
        sent,
        Ok(reply(400, format!(r#"{{"error_code":"{code}"}}"#))),
    )
}

#[test]
fn a_refusal_is_of_the_kind_that_what_was_sent_makes_it() {
    // In the order of `SENT`.
    for (code, kinds) in [
        (
            "invalid_grant",
            [
                LoginNeeded,
                LoginNeeded,
                CodeExpired,
                Settings,
                Other,
                Settings,
                Settings,
            ],
        ),
        (
            "access_denied",
            [
                Denied,
                LoginNeeded,
                Denied,
                Settings,
                Other,
                Settings,
                Settings,
            ],
        ),
        (
            "expired_token",
            [
                LoginNeeded,
                LoginNeeded,
                CodeExpired,
                Other,
                Other,
                Other,
                Other,
            ],
        ),
        (
            "invalid_client",
            [
                Settings,
                LoginNeeded,
                Settings,
                Settings,
                Settings,
                Settings,
                Settings,
            ],
        ),
        (
            "access_deny",
            [
                Settings,
                LoginNeeded,
                Settings,
                Settings,
                Settings,
                Settings,
                Settings,
            ],
        ),
        (
            "unsupported_grant_type",
            [
                Settings,
                LoginNeeded,
                Settings,
                Settings,
                Settings,
                Settings,
                Settings,
            ],
        ),
        (
            "invalid_request",
            [
                LoginNeeded,
                LoginNeeded,
                LoginNeeded,
                Settings,
                Settings,
                Settings,
                Settings,
            ],
        ),
        (
            "unheard_of",
            [
                LoginNeeded,
                LoginNeeded,
                LoginNeeded,
                Other,
                Other,
                Other,
                Other,
            ],
        ),
        (
            "4101",
            [
                Settings,
                LoginNeeded,
                Settings,
                Settings,
                Settings,
                Settings,
                Settings,
            ],
        ),
        (
            "4100",
            [
                LoginNeeded,
                LoginNeeded,
                LoginNeeded,
                Other,
                Other,
                Other,
                Other,
            ],
        ),
        ("4009", [Wait(SECOND); 7]),
    ] {
        for (sent, kind) in SENT.into_iter().zip(kinds) {
            let error = refused(sent, code);
            assert_eq!(error.kind(), kind, "{sent}: {error}");
            let logs_in = matches!(kind, Denied | CodeExpired | LoginNeeded);
            assert_eq!(error.needs_login(), logs_in, "{sent}: {error}");
            assert_eq!(error.code().unwrap().to_string(), code);
            assert!(matches!(error, Error::Refused(_)), "{sent}: {error}");
        }
    }
}

/// Who reads "log in again" can ask for it, and nobody logs in to a JWT app or a workload.
#[test]
fn the_words_and_the_kind_agree() {
    for code in [
        "invalid_grant",
        "expired_token",
        "access_denied",
        "invalid_client",
    ] {
        for sent in SENT {
            let error = refused(sent, code);
            let shown = error.to_string();
            if shown.contains("log in") || shown.contains("start again") {
                assert!(error.needs_login(), "{sent}: {shown}");
            }
            let is_nobodys = ["assertion", "client credentials", "id token"].contains(&sent);
            assert!(!(is_nobodys && shown.contains("log in")), "{shown}");
        }
    }
    let shown = refused("assertion", "invalid_grant").to_string();
    for part in ["app id", "key id", "private key", "region", "clock"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = refused("code", "invalid_grant").to_string();
    assert!(
        shown.contains("the code is spent or expired, or was given for another redirect URI, client or code challenge: log in again"),
        "{shown}"
    );
    let shown = refused("refresh token", "invalid_grant").to_string();
    assert!(
        shown.contains("the refresh token is spent or expired: log in again"),
        "{shown}"
    );
    let shown = refused("device code", "expired_token").to_string();
    assert!(shown.contains("show the new user code"), "{shown}");
}

/// The device sample of others tests `Refused` with `AccessDenied`.
#[test]
fn a_denied_device_is_a_refusal_with_its_code() {
    let error = refused("device code", "access_denied");
    assert!(
        matches!(&error, Error::Refused(refused) if *refused.code() == ErrorCode::AccessDenied),
        "{error:?}"
    );
    let late = {
        let mut poll = device().poll(&started(6, Some(5)));
        result_of(&mut poll, at(6)).unwrap_err()
    };
    assert_eq!(late, Error::DeviceExpired { log_id: None });
    assert_eq!((late.kind(), late.code()), (CodeExpired, None));
}

#[test]
fn what_passes_is_waited_for() {
    let later = |seconds: &str| {
        let headers = [("retry-after", seconds)];
        Ok(reply_with(503, &headers, "<html>"))
    };
    for sent in SENT.into_iter().skip(1) {
        for (came, pause) in [
            (Err(TransportFailure::NotSent), SECOND),
            (Err(TransportFailure::NoAnswer), SECOND),
            (Err(TransportFailure::Timeout), SECOND),
            (later("7"), 7 * SECOND),
            (Ok(reply(500, r#"{"error_code":"internal_error"}"#)), SECOND),
            (Ok(reply(429, "")), SECOND),
        ] {
            let error = ended(sent, came);
            assert_eq!(error.kind(), Wait(pause), "{sent}: {error}");
            assert!(!error.needs_login());
        }
    }
}

/// A code that may be spent has had its attempt; one that was not sent, or was refused unread, has not.
#[test]
fn a_code_that_may_be_spent_needs_another_login() {
    for (came, kind) in [
        (Err(TransportFailure::NotSent), Wait(SECOND)),
        (Ok(reply(429, "")), Wait(SECOND)),
        (Err(TransportFailure::NoAnswer), LoginNeeded),
        (Err(TransportFailure::Timeout), LoginNeeded),
        (Ok(reply(503, "")), LoginNeeded),
        (Ok(reply(200, "<html>")), LoginNeeded),
    ] {
        let error = ended("code", came);
        assert_eq!(error.kind(), kind, "{error}");
        let shown = error.to_string();
        let says = shown.contains("the code that was sent may be spent: log in again");
        assert_eq!(says, kind == LoginNeeded, "{shown}");
    }
    let error = ended("refresh token", Ok(reply(200, "<html>")));
    assert_eq!(error.kind(), Wait(SECOND), "{error}");
}

#[test]
fn an_answer_of_something_else_is_of_the_settings() {
    for sent in SENT {
        for answer in [reply(302, ""), reply(404, "<html>"), reply(405, "")] {
            let error = ended(sent, Ok(answer));
            assert_eq!(error.kind(), Settings, "{error}");
            let url = "check the base URL, or that of the endpoint";
            assert!(error.to_string().contains(url), "{error}");
        }
    }
    assert_eq!(ended("assertion", Ok(reply(400, "<html>"))).kind(), Other);
}

/// Not every HTTP client tells it: attohttpc takes the end of the connection for the end of the body.
#[test]
fn an_answer_that_was_cut_off_is_the_networks() {
    let whole = r#"{"error_code":"invalid_grant","error_message":"no"}"#;
    let cut = |status, arrived: &str, promised: usize| {
        let mut answer = reply(status, arrived);
        answer
            .headers_mut()
            .insert("content-length", promised.into());
        ended("refresh token", Ok(answer))
    };
    for (status, arrived) in [
        (200, ""),
        (200, &whole[..9]),
        (400, &whole[..40]),
        (502, "<ht"),
    ] {
        let error = cut(status, arrived, whole.len());
        let failure = TransportFailure::NoAnswer;
        assert!(
            matches!(&error, Error::Transport { failure: found, .. } if *found == failure),
            "{status} {arrived}: {error}"
        );
        assert_eq!(error.kind(), Wait(SECOND));
    }
    // What can be read is whole, whatever the headers say: the client may have unpacked it.
    let unpacked = cut(400, whole, 2 * whole.len());
    assert!(matches!(unpacked, Error::Refused(_)), "{unpacked}");
    // As long as it was promised: then it is the server's.
    let odd = cut(200, "<html>", 6);
    assert!(matches!(odd, Error::Unexpected(_)), "{odd}");
}

#[test]
fn a_callback_has_a_kind() {
    let exchanged = |parameters: &str| {
        let (url, pending) = login();
        let callback = format!("/cb?{parameters}&state={}", query(&url, "state"));
        let callback = Callback::parse(&callback).unwrap();
        Error::from(web().exchange(pending, &callback).expect_err("no code"))
    };
    let denied = exchanged("error=access_denied");
    assert_eq!(
        (denied.kind(), denied.code()),
        (Denied, Some(&ErrorCode::AccessDenied))
    );
    let unable = exchanged("error=temporarily_unavailable");
    assert_eq!(unable.kind(), LoginNeeded);
    assert_eq!(
        unable.code().unwrap().to_string(),
        "temporarily_unavailable"
    );
    let nothing = exchanged("x=y");
    assert_eq!((nothing.kind(), nothing.code()), (LoginNeeded, None));
    for error in [&denied, &unable, &nothing] {
        assert!(error.needs_login(), "{error}");
        assert!(error.to_string().contains("start"), "{error}");
    }
    // Anybody may have sent these: the login goes on.
    for error in [
        CallbackError::StateMismatch,
        CallbackError::OtherApp,
        CallbackError::Repeated("code"),
        CallbackError::BadCode,
    ] {
        let shown = error.to_string();
        assert_eq!(error.kind(), Other, "{shown}");
        assert!(!shown.contains("again"), "{shown}");
    }
}

#[test]
fn the_rest() {
    let config = RefreshToken::new("").unwrap_err();
    assert_eq!(Error::from(config).kind(), Settings);
    assert_eq!(
        Error::from(SigningError::new("the HSM is busy")).kind(),
        Other
    );
    assert_eq!(Error::FlowFinished.kind(), Other);
}
