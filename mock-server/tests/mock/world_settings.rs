//! Worlds with settings of their own.

use coze_auth_mock::CozeAuthMock;
use serde_json::json;

use crate::support::*;

fn clients(m: &Mock, name: &str) -> Vec<String> {
    let info = m.mock.world(name).expect("a name").info();
    let apps = info["apps"].as_array().expect("apps").iter();
    apps.map(|app| app["client_id"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn a_world_may_have_a_configuration() {
    let m = Mock::new();
    let config = "[ttl]\naccess = 60\n[[app]]\nkind = \"device\"\nclient_id = \"d\"\n";
    let made = m.control("/worlds", &json!({ "name": "w", "config": config }));
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(clients(&m, "w"), ["d"]);
    assert_eq!(clients(&m, "other").len(), 5, "the mock's own");
    assert_eq!(m.mock.info()["apps"].as_array().map(Vec::len), Some(5));
    // What it does not say is the mock's, the clock too.
    let clock = m.mock.world("w").expect("a name").clock();
    assert_eq!(clock.unix(), m.mock.clock().unix());

    // It does not follow the mock's; one without a configuration does.
    m.control("/worlds", &json!({ "name": "seeded", "seed": 1 }));
    let web = "[[app]]\nkind = \"device\"\nclient_id = \"e\"\n";
    let builder = CozeAuthMock::builder().toml(web).expect("no mistakes");
    m.mock.reload(builder).expect("settings that can be");
    assert_eq!(clients(&m, "w"), ["d"]);
    assert_eq!(clients(&m, "seeded"), ["e"]);
}

#[test]
fn seed_and_clock_of_the_request_come_before_its_configuration() {
    let m = Mock::new();
    let config = "seed = 1\n[clock]\nmode = \"frozen\"\nstart = \"2026-01-01T00:00:00Z\"\n";
    let device = |name: &str, body: serde_json::Value| {
        let mut body = body;
        body["name"] = name.into();
        let made = m.control("/worlds", &body);
        assert_eq!(made.status, 200, "{}", made.text);
        let path = format!("/t/{name}{DEVICE_CODE}");
        let device = m.post(&path, None, &json!({ "client_id": DEVICE }));
        (device.member("device_code"), made.json["now_ms"].clone())
    };
    let seed_1 = device("a", json!({ "config": config }));
    assert_eq!(seed_1.1, 1_767_225_600_000_u64);
    let other = json!({ "config": config, "seed": 2, "clock": "2027-01-01T00:00:00Z" });
    let seed_2 = device("b", other);
    assert_ne!(seed_1.0, seed_2.0);
    assert_eq!(seed_2.1, 1_798_761_600_000_u64);
    assert_eq!(seed_2.0, device("c", json!({ "seed": 2 })).0);
}

#[test]
fn a_configuration_over_the_network_has_no_files_and_no_addresses() {
    let m = Mock::new();
    let config = r#"
listen = "127.0.0.1:1"
public_url = "http://mock:1"
[[app]]
kind = "jwt"
client_id = "1"
keys = [{ kid = "k", public_pem_file = "/etc/hostname" }]
"#;
    let made = m.control("/worlds", &json!({ "name": "w", "config": config }));
    assert_eq!(made.status, 400, "{}", made.text);
    let message = made.member("error");
    let message: Vec<_> = message.lines().collect();
    assert_eq!(message.len(), 3, "{message:?}");
    assert_eq!(
        message[0],
        "line 2, column 10: listen is a setting of the whole mock, not of a world; remove this line"
    );
    assert!(
        message[1].contains("public_url is a setting of the whole mock"),
        "{}",
        message[1]
    );
    assert!(
        message[2].contains("a configuration of a world cannot name files"),
        "{}",
        message[2]
    );
    let worlds = m.get("/_mock/v1/worlds", None).json;
    assert_eq!(worlds["worlds"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_test_makes_a_world_with_a_builder() {
    let m = Mock::new();
    let brief = || {
        CozeAuthMock::builder()
            .toml("[ttl]\naccess = 20")
            .expect("no mistakes")
    };
    let of = |name, builder| {
        let world = m.mock.make_world(name, builder).expect("a name");
        let code = m.post(
            &format!("/t/{name}{DEVICE_CODE}"),
            None,
            &json!({ "client_id": DEVICE }),
        );
        assert_eq!(world.requests().len(), 1);
        code.member("device_code")
    };
    let named = of("brief", brief());
    assert_eq!(
        named,
        of("brief", brief()),
        "made of the mock's seed and the name"
    );
    assert_ne!(named, of("other", brief()));
    assert_eq!(of("x", brief().seed(5)), of("y", brief().seed(5)));
    let error = m.mock.make_world("a b", brief()).expect_err("no name");
    assert!(error.to_string().contains("1 to 64 letters"), "{error}");
}

const BROKEN: &str = r#"
[[fault]]
on = { endpoint = "users_me" }
times = 1
fault = { kind = "status", status = 503, header = { retry-after = "3" } }

[[fault]]
on = { endpoint = "token", grant = "jwt_bearer" }
fault = { kind = "empty_200" }
"#;

#[test]
fn every_world_begins_with_the_faults_of_the_configuration() {
    let broken = CozeAuthMock::builder().toml(BROKEN).expect("no mistakes");
    let message = broken.summary();
    assert!(
        message.contains("\nFault status on endpoint users_me\nFault empty_200 on endpoint token, grant jwt_bearer\n"),
        "{message}"
    );
    let m = Mock::with(|builder| builder.toml(BROKEN).expect("no mistakes"));
    let me = |path: &str| m.get(&format!("{path}/v1/users/me"), Some("pat_mock_alice"));
    for path in ["", "/t/w"] {
        let first = me(path);
        assert_eq!(first.status, 503);
        assert_eq!(first.header("retry-after"), "3");
        assert_eq!(me(path).status, 200, "once");
    }
    assert_eq!(m.jwt(|_, _| {}).text, "");
    m.mock.reset();
    assert_eq!(me("").status, 503, "as at the first moment");

    // A reload brings its own in place of these, and leaves a test's alone.
    let _of_test = m.mock.fault(
        coze_auth_mock::On::endpoint("unknown"),
        coze_auth_mock::Fault::status(599),
    );
    let second = "[[fault]]\non = { endpoint = \"users_me\" }\nfault = { kind = \"status\" }\n";
    let builder = CozeAuthMock::builder().toml(second).expect("no mistakes");
    m.mock.reload(builder).expect("settings that can be");
    assert_eq!(me("").status, 502);
    assert_eq!(me("/t/w").status, 502);
    assert!(!m.jwt(|_, _| {}).text.is_empty());
    assert_eq!(m.get("/nowhere", None).status, 599);
}
