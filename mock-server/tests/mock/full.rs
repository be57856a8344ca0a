//! A mock that has as many worlds, and as much in them, as it may have.

use http::Request;
use serde_json::json;

use crate::support::*;

/// A test that runs keeps its world, whoever else names worlds; and who finds no room is told so.
#[test]
fn no_world_in_use_is_evicted_and_one_too_many_is_refused() {
    let m = Mock::new();
    let me = |name: &str| m.get(&format!("/t/{name}/v1/users/me"), Some("pat_mock_alice"));
    // A login that is half done.
    let device = json!({ "client_id": DEVICE });
    let started = m.post(&format!("/t/running{DEVICE_CODE}"), None, &device);
    assert_eq!(me("running").status, 200);
    for number in 0..1_100 {
        assert_eq!(me(&format!("e{number}")).status, 200);
    }
    let poll = json!({
        "grant_type": DEVICE_GRANT,
        "client_id": DEVICE,
        "device_code": started.member("device_code"),
    });
    let polled = m.post(&format!("/t/running{TOKEN}"), None, &poll);
    assert_eq!(polled.member("error"), "authorization_pending");
    // They come a second time, until nobody has room.
    for number in 0..999 {
        me(&format!("again{number}"));
        assert_eq!(me(&format!("again{number}")).status, 200);
    }
    for reply in [
        me("late"),
        m.get("/_mock/v1/info?world=late", None),
        m.control("/worlds", &json!({ "name": "late" })),
    ] {
        assert_eq!(reply.status, 503);
        let why = reply.member("error");
        assert!(why.contains("all are in use"), "{why}");
    }
    assert!(
        m.mock
            .world("late")
            .is_err_and(|error| error.to_string().contains("all are in use"))
    );
    assert_eq!(me("again7").status, 200);
    let remove = Request::delete("/_mock/v1/worlds/again7").body(bytes::Bytes::new());
    assert_eq!(m.send(remove.expect("a request")).status, 200);
    assert_eq!(me("late").status, 200);
}
