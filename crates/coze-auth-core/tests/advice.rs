//! What an error tells a person to do, and a program (protocol §1.1, §4.1, §4.4).

mod common;

use std::time::Duration;

use common::*;
use coze_auth_core::{AccessToken, Error, Retry, whoami};

fn error(status: u16, body: &str) -> Error {
    let token = AccessToken::new("pat_x").expect("a token");
    error_of(whoami(&base(), &token), reply(status, body))
}

/// It looks like a wrong credential (protocol §1.1).
#[test]
fn a_wrong_region_is_named() {
    for body in [
        r#"{"error_code":"invalid_client","error_message":"invalid jwt: kid not been registred"}"#,
        r#"{"code":4100}"#,
        r#"{"code":4101}"#,
        r#"{"code":700012006}"#,
    ] {
        let shown = error(401, body).to_string();
        assert!(shown.contains("region"), "{body}: {shown}");
    }
    let shown = error(400, r#"{"error":"invalid_grant"}"#).to_string();
    assert!(!shown.contains("region"), "{shown}");
}

/// coze-js#212 (protocol §11).
#[test]
fn a_web_app_that_was_used_without_its_secret_is_named() {
    let body =
        r#"{"error_code":"invalid_request","error_message":"invalid request: client_secret"}"#;
    let shown = error(400, body).to_string();
    assert!(
        shown.contains("a web app was used as a PKCE app"),
        "{shown}"
    );
}

/// The table of protocol §4.4.
#[test]
fn every_number_says_whether_to_try_again() {
    let later = Retry::After(Duration::from_secs(1));
    for (codes, expected) in [
        (&[4008, 4009, 4020, 5000][..], later),
        (&[4000, 4013, 4100, 4101, 4200, 700_012_006], Retry::Never),
    ] {
        for code in codes {
            let error = error(400, &format!(r#"{{"code":{code},"msg":"no"}}"#));
            assert_eq!(error.retry(), expected, "{code}");
        }
    }
}
