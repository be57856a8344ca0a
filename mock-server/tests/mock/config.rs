//! What a configuration changes.

use coze_auth_mock::{CozeAuthMock, SAMPLE_CONFIG};
use serde_json::{Value, json};

use crate::config_errors::errors;
use crate::support::*;

fn configured(text: &str) -> Mock {
    Mock::with(|builder| {
        builder
            .toml(text)
            .unwrap_or_else(|errors| panic!("{errors}"))
    })
}

/// The file that `init` writes changes nothing, and what it shows as a comment is right too.
#[test]
fn the_sample_is_the_ready_made_set() {
    let sample = CozeAuthMock::builder()
        .toml(SAMPLE_CONFIG)
        .expect("no mistakes");
    let plain = CozeAuthMock::builder().listen_on("127.0.0.1:9777");
    assert_eq!(sample.summary(), plain.summary());
    let info = |builder: coze_auth_mock::Builder| builder.build().expect("a mock").info();
    assert_eq!(info(sample), info(plain));
    let mut shown = 0;
    let uncommented: Vec<_> = SAMPLE_CONFIG
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if (rest.contains(" = ") || rest.starts_with("[[")) && !rest.starts_with('{') =>
            {
                shown += 1;
                rest
            }
            _ => line,
        })
        .collect();
    assert_eq!(shown, 21);
    if let Err(errors) = CozeAuthMock::builder().toml(&uncommented.join("\n")) {
        panic!("{errors}");
    }
}

/// What the README shows is right but for the key file, which is the reader's.
#[test]
fn the_example_of_the_readme_has_no_mistakes() {
    let readme = include_str!("../../README.md");
    let (_, after) = readme.split_once("```toml\n").expect("an example");
    let (example, _) = after.split_once("```").expect("its end");
    let own = "public_pem_file = \"k1.pub.pem\"";
    assert!(example.contains(own));
    let m = configured(&example.replace(own, "development = true"));
    assert_eq!(m.me("pat_mock_bob").json["data"]["user_name"], "bob");
}

#[test]
fn apps_of_the_file_replace_the_ready_made_ones() {
    let m = configured(
        "[[app]]\nkind = \"web\"\nclient_id = \"app_web\"\nclient_secret = \"sec\"\nredirect_uris = [\"https://my.example/cb\"]\n",
    );
    let url = |id: &str, uri: &str| authorize_url(&[("client_id", id), ("redirect_uri", uri)]);
    let refused = |id: &str, uri: &str| {
        let refused = m.mock.authorize(&url(id, uri), true).err();
        refused.and_then(|refused| refused.explanation.rule)
    };
    assert_eq!(refused(WEB, CALLBACK), Some("client.known"));
    assert_eq!(refused("app_web", CALLBACK), Some("authorize.redirect_uri"));
    let uri = "https://my.example/cb";
    let redirect = m
        .mock
        .authorize(&url("app_web", uri), true)
        .expect("approved");
    let code = query_value(&redirect, "code").expect("a code");
    let mut body = exchange("app_web", &code);
    body["redirect_uri"] = json!(uri);
    assert_eq!(
        m.post(TOKEN, Some(SECRET), &body).rule(),
        Some("client.secret")
    );
    assert_user_tokens(&m.post(TOKEN, Some("sec"), &body));
    assert_eq!(
        m.me("pat_mock_alice").status,
        200,
        "tokens are another sort"
    );
}

#[test]
fn keys_of_the_file_verify_assertions() {
    let pem = include_str!("../../dev-key.pub.pem");
    let app = "[[app]]\nkind = \"jwt\"\nclient_id = \"100000000001\"\n";
    let inline = format!(
        "{app}keys = [{{ kid = \"old\", public_pem = \"\"\"{pem}\"\"\" }}, {{ kid = \"mock-jwt-key-1\", public_pem = \"\"\"{pem}\"\"\" }}]"
    );
    let m = configured(&inline);
    assert_eq!(m.jwt(|_, _| ()).status, 200);
    assert_eq!(m.jwt(|header, _| header["kid"] = json!("old")).status, 200);
    let info = m.mock.info();
    assert_eq!(info["apps"][0]["key_id"], "old");
    assert!(
        info["apps"][0].get("private_key").is_none(),
        "nobody here has it"
    );

    let folder = env!("CARGO_MANIFEST_DIR");
    let file = format!(
        "{app}keys = [{{ kid = \"mock-jwt-key-1\", public_pem_file = \"{folder}/dev-key.pub.pem\" }}]"
    );
    assert_eq!(configured(&file).jwt(|_, _| ()).status, 200);
    let message = errors(&file.replace("dev-key.pub", "none")).to_string();
    assert!(message.contains("/none.pem\": "), "{message}");
    assert!(
        message
            .ends_with("; expected a file in the folder of the configuration, or an absolute path"),
        "{message}"
    );
}

/// The layouts in which people have a key: each can mean one key only.
#[test]
fn a_public_key_may_be_laid_out_in_any_way() {
    let pem = include_str!("../../dev-key.pub.pem");
    let app = "[[app]]\nkind = \"jwt\"\nclient_id = \"100000000001\"\n";
    for (name, pem) in [
        ("one line", pem.trim().replace('\n', " ")),
        ("nothing between", pem.replace('\n', "")),
        ("\\n written out", pem.replace('\n', "\\n")),
        ("\\r\\n written out", pem.replace('\n', "\\r\\n")),
        ("CRLF", pem.replace('\n', "\r\n")),
        ("indented", pem.replace('\n', "\n    ")),
        ("blank lines", pem.replace('\n', "\n\n")),
        ("quotes", format!("\"{pem}\"")),
        ("words around", format!("my key\n{pem}\nof Coze")),
    ] {
        let pem = toml::Value::String(pem);
        let text = format!("{app}keys = [{{ kid = \"mock-jwt-key-1\", public_pem = {pem} }}]");
        assert_eq!(configured(&text).jwt(|_, _| ()).status, 200, "{name}");
    }
}

#[test]
fn an_app_may_have_a_consent_of_its_own() {
    let m = configured(
        "consent = \"approve\"\n[[app]]\nkind = \"web\"\nclient_id = \"asks\"\nclient_secret = \"s\"\nconsent = \"page\"\n[[app]]\nkind = \"pkce\"\nclient_id = \"denies\"\nconsent = \"deny\"\n[[app]]\nkind = \"web\"\nclient_id = \"approves\"\nclient_secret = \"s\"\n",
    );
    for (id, sent_to) in [
        ("asks", "/oauth/consent?"),
        ("denies", "error=access_denied"),
        ("approves", "code=code_mock_"),
    ] {
        let url = authorize_url(&[("client_id", id), ("code_challenge", "abc")]);
        let reply = m.get(target(&url), None);
        let location = reply.header("location");
        assert!(location.contains(sent_to), "{id}: {location}");
    }
    let device = "[[app]]\nkind = \"device\"\nclient_id = \"33333333333333333333333333333333.app.coze\"\nconsent = \"deny\"\n";
    let m = configured(device);
    let (device_code, _) = m.device();
    assert_eq!(m.poll(&device_code).rule(), Some("device.denied"));
}

#[test]
fn tokens_belong_to_the_users_of_the_file() {
    let m = configured(
        "[[user]]\nname = \"bob\"\n[[user]]\nname = \"carol\"\nid = \"42\"\n[[token]]\nkind = \"pat\"\nvalue = \"pat_carol\"\nuser = \"carol\"\n[[token]]\nkind = \"sat\"\nvalue = \"sat_1\"\n",
    );
    let name = |token: &str| m.me(token).json["data"]["user_name"].clone();
    assert_eq!(name("pat_carol"), "carol");
    assert_eq!(m.me("pat_carol").json["data"]["user_id"], "42");
    assert_eq!(name("sat_1"), "bob", "the first one, if none is named");
    assert_eq!(m.me("pat_mock_alice").status, 401);
    let ask = |user: &str| {
        let body = json!({ "url": authorize_url(&[]), "action": "approve", "user": user });
        m.control("/authorize", &body)
    };
    let code = query_value(&ask("carol").member("redirect"), "code").expect("a code");
    let tokens = m.exchange_web(&code);
    assert_eq!(name(&tokens.member("access_token")), "carol");
    let renewed = m.refresh_web(&tokens.member("refresh_token"));
    assert_eq!(
        name(&renewed.member("access_token")),
        "carol",
        "a refresh keeps the user"
    );
    assert_eq!(
        ask("alice").json["error"],
        "unknown user; expected one of bob, carol"
    );
}

#[test]
fn listed_accounts_and_enterprises_are_the_only_ones() {
    let m = configured("accounts = [\"7\"]\n");
    let grant = |path: &str| {
        let bearer = assertion(m.clock.unix().as_secs(), |_, _| ());
        let path = format!("/api/permission/oauth2/{path}/token");
        m.post(&path, Some(&bearer), &json!({ "grant_type": JWT_GRANT }))
    };
    assert_eq!(grant("account/7").status, 200);
    let refused = grant("account/8");
    assert_eq!((refused.status, refused.rule()), (404, Some("path.known")));
    let why = refused.explanation.and_then(|why| why.expected);
    assert_eq!(why.as_deref(), Some("one of the accounts 7"));
    assert_eq!(grant("enterprise_id/any").status, 200, "none are listed");
}

#[test]
fn lifetimes_rules_clock_and_limits_are_those_of_the_file() {
    let m = configured(
        "[ttl]\naccess = \"1m\"\nrefresh = 90\ncode = 10\ndevice = \"2m\"\ndevice_interval = 7\n[rules]\ncode.single_use = \"off\"\n\"authorize.state\" = true\n[answers]\ncode.known = \"401:invalid_client\"\nclient.known = 418\n[limits]\njournal = 5\n",
    );
    let code = m.code(&[]);
    let tokens = m.exchange_web(&code);
    assert_eq!(tokens.json["expires_in"], m.clock.unix().as_secs() + 60);
    assert_eq!(m.exchange_web(&code).status, 200, "the rule is off");
    let stateless = m.mock.authorize(&authorize_url(&[("state", "")]), true);
    assert_eq!(
        stateless.err().and_then(|no| no.explanation.rule),
        Some("authorize.state")
    );
    let unknown = m.exchange_web("code_none");
    assert_eq!(
        (unknown.status, &unknown.json["error_code"]),
        (401, &json!("invalid_client"))
    );
    assert_eq!(m.post(TOKEN, None, &exchange("nobody", "c")).status, 418);
    let device = m
        .post(DEVICE_CODE, None, &json!({ "client_id": DEVICE }))
        .json;
    assert_eq!(
        (&device["expires_in"], &device["interval"]),
        (&json!(120), &json!(7))
    );
    let late = m.code(&[]);
    m.pass(10);
    assert_eq!(m.exchange_web(&late).rule(), Some("code.expiry"));
    m.pass(80);
    assert_eq!(
        m.refresh_web(&tokens.member("refresh_token")).rule(),
        Some("refresh.expiry")
    );
    assert_eq!(m.mock.requests().len(), 5, "the journal's limit");

    let frozen = "[clock]\nmode = \"frozen\"\nstart = 2026-01-01T00:00:00Z\n";
    for text in [
        frozen.to_owned(),
        frozen.replace("2026-01-01T00:00:00Z", "\"2026-01-01T00:00:00Z\""),
    ] {
        let mock = CozeAuthMock::builder().toml(&text).expect("no mistakes");
        let world = mock.build().expect("a mock").world("w").expect("a name");
        assert_eq!(world.clock().unix_ms(), 1_767_225_600_000, "in every world");
        assert!(world.clock().is_frozen());
    }
}

/// `serve --watch` in small.
#[test]
fn a_reload_keeps_what_was_issued() {
    let m = Mock::new();
    let (access, refresh) = m.web_tokens();
    let world = m.mock.world("w").expect("a name");
    let builder = CozeAuthMock::builder()
        .toml("[[app]]\nkind = \"device\"\nclient_id = \"d\"\n[ttl]\naccess = 1\n")
        .expect("no mistakes");
    m.mock.reload(builder).expect("settings that can be");
    assert_eq!(m.me(&access).status, 200);
    assert_eq!(
        m.refresh_web(&refresh).rule(),
        Some("client.known"),
        "the app is gone"
    );
    let apps = |info: Value| info["apps"].as_array().map(Vec::len);
    assert_eq!(apps(m.mock.info()), Some(1));
    assert_eq!(apps(world.info()), Some(1));
    let off = m.control("/apps/d", &json!({ "enabled": false }));
    assert_eq!(off.status, 200);
    let bad = CozeAuthMock::builder().rule("none", false);
    assert!(m.mock.reload(bad).is_err());
    assert_eq!(apps(m.mock.info()), Some(1), "nothing has changed");
    let ready_made = CozeAuthMock::builder();
    m.mock.reload(ready_made).expect("settings that can be");
    assert_user_tokens(&m.refresh_web(&refresh));
    m.mock.reset();
    assert_eq!(
        apps(m.mock.info()),
        Some(5),
        "a reset goes back to the settings, not to the start"
    );
    assert_eq!(m.me(&access).status, 401);
}
