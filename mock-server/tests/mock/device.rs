//! The device flow (protocol §3.2, §7).

use coze_auth_mock::Consent;
use serde_json::json;

use crate::support::*;

#[test]
fn a_device_waits_is_approved_and_gets_tokens_once() {
    let m = Mock::new();
    let workspace = "/api/permission/oauth2/workspace_id/ws1/device/code";
    for path in [DEVICE_CODE, workspace] {
        let started = m.post(path, None, &json!({ "client_id": DEVICE }));
        assert_eq!(started.status, 200);
        assert_eq!(started.json["expires_in"], 300, "a duration");
        assert_eq!(started.json["interval"], 5);
        let uri = "http://127.0.0.1:9777/oauth/device-activation";
        assert_eq!(started.json["verification_uri"], uri);
        let (device_code, user_code) = (started.member("device_code"), started.member("user_code"));
        let shape: Vec<_> = user_code.split('-').map(str::len).collect();
        assert_eq!(shape, [3, 3, 3], "{user_code}");

        let pending = m.poll(&device_code);
        assert_eq!(pending.status, 428);
        assert_eq!(pending.member("error_code"), "authorization_pending");
        assert_eq!(pending.member("error"), "authorization_pending");
        assert_eq!(m.decide(&user_code, "approve").status, 200);
        assert_user_tokens(&m.poll(&device_code));
        assert_eq!(m.poll(&device_code).rule(), Some("device.single_use"));
        assert_eq!(m.decide(&user_code, "deny").status, 409);
    }
}

#[test]
fn polls_keep_the_interval_with_a_quarter_second_of_tolerance() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    let poll_after = |ms| {
        m.clock.advance(std::time::Duration::from_millis(ms));
        m.poll(&device_code).rule()
    };
    assert_eq!(
        poll_after(0),
        Some("device.pending"),
        "never the first poll"
    );
    assert_eq!(poll_after(4749), Some("device.interval"));
    assert_eq!(poll_after(4750), Some("device.pending"));
    assert_eq!(poll_after(5000), Some("device.pending"));
    assert_eq!(poll_after(0), Some("device.interval"));
    m.decide(&user_code, "approve");
    assert_eq!(poll_after(0), None, "who is approved gets the tokens");
}

#[test]
fn a_device_can_be_expired_by_hand_and_by_time() {
    let m = Mock::new();
    let (device_code, user_code) = m.device();
    m.decide(&user_code, "expire");
    let reply = m.poll(&device_code);
    assert_eq!(
        (reply.status, reply.member("error_code")),
        (400, "expired_token".to_owned())
    );
    assert_eq!(m.decide(&user_code, "approve").status, 409);

    let (device_code, user_code) = m.device();
    m.pass(299);
    assert_eq!(m.poll(&device_code).rule(), Some("device.pending"));
    m.pass(1);
    assert_eq!(m.poll(&device_code).rule(), Some("device.expired"));
    assert_eq!(m.decide(&user_code, "approve").status, 409);
}

#[test]
fn a_device_token_refreshes_without_a_secret() {
    let m = Mock::with(|builder| builder.consent(coze_auth_mock::Consent::Approve));
    let (device_code, _) = m.device();
    let first = m.poll(&device_code);
    assert_user_tokens(&first);
    let second = m.post(
        TOKEN,
        None,
        &refresh(DEVICE, &first.member("refresh_token")),
    );
    assert_user_tokens(&second);
}

/// The ready-made apps have one device app, so there are two of a configuration here.
#[test]
fn a_device_code_belongs_to_its_app() {
    let apps = format!(
        "[[app]]\nkind = \"device\"\nclient_id = \"{DEVICE}\"\n[[app]]\nkind = \"device\"\nclient_id = \"another\"\n"
    );
    for on in [true, false] {
        let m = Mock::with(|builder| {
            let builder = builder.toml(&apps).expect("no mistakes");
            builder.rule("device.client", on).consent(Consent::Approve)
        });
        let started = m.post(DEVICE_CODE, None, &json!({ "client_id": "another" }));
        let polled = m.poll(&started.member("device_code"));
        match on {
            true => {
                assert_eq!(polled.rule(), Some("device.client"));
                assert_eq!(polled.member("error_code"), "invalid_grant");
            }
            false => {
                let newest = m.mock.requests().pop().expect("an entry");
                assert_eq!(newest.outcome.relaxed, ["device.client"]);
            }
        }
    }
}
