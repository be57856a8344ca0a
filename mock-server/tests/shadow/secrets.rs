//! Nothing secret is in a log or a report, whatever happens.

use std::collections::BTreeSet;
use std::io;
use std::sync::{LazyLock, Mutex};

use coze_auth_mock::DeviceAction;
use serde_json::json;

use crate::pair::*;
use crate::support::*;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn catch() {
    static CATCHING: LazyLock<()> = LazyLock::new(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(|| Log)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only one");
    });
    LazyLock::force(&CATCHING);
}

/// Looks random, as a secret does.
fn sentinel(kind: &str) -> String {
    format!("{kind}Q7xK2vB9nT4wZ8pL3mR6sD1fG5hJ0cY")
}

#[tokio::test]
async fn nothing_secret_is_in_a_log_or_a_report() {
    catch();
    let mut secrets = Vec::new();
    let secret = |kind: &str, secrets: &mut Vec<String>| {
        secrets.push(sentinel(kind));
        sentinel(kind)
    };
    let pair = Pair::of(
        |upstream| {
            upstream
                .rule("code.single_use", false)
                .rule("jwt.jti", false)
        },
        |shadow| shadow.mock_apps().records(),
    )
    .await;
    // Everything that the upstream issues.
    let keep = |reply: &Reply, secrets: &mut Vec<String>| {
        for name in ["access_token", "refresh_token", "device_code", "user_code"] {
            secrets.extend(reply.json[name].as_str().map(str::to_owned));
        }
    };
    let state = secret("state", &mut secrets);
    let verifier = secret("verifier0123456789012345678901234567890", &mut secrets);
    let code = pair.code(&[("state", &state)]).await;
    let reply = pair.exchange(&code).await;
    keep(&reply, &mut secrets);
    let (access, first) = (reply.member("access_token"), reply.member("refresh_token"));
    keep(&pair.exchange(&code).await, &mut secrets);
    keep(&pair.refresh(&first).await, &mut secrets);
    keep(&pair.refresh(&first).await, &mut secrets);
    pair.me(&access).await;
    secrets.push(code);
    let code = pair.pkce_code(&verifier).await;
    keep(&pair.exchange_pkce(&code, &verifier).await, &mut secrets);
    secrets.push(code);
    let (device_code, user_code) = pair.device().await;
    pair.poll(DEVICE, &device_code).await;
    pair.decide(&user_code, DeviceAction::Approve);
    keep(&pair.poll(DEVICE, &device_code).await, &mut secrets);
    secrets.extend([device_code, user_code]);
    let signed = assertion(pair.clock.unix().as_secs(), |_, claims| {
        claims["jti"] = json!(sentinel("jti"));
    });
    for _ in 0..2 {
        let reply = pair
            .token(Some(&signed), &json!({ "grant_type": JWT_GRANT }))
            .await;
        keep(&reply, &mut secrets);
    }
    secrets.extend([signed, sentinel("jti")]);
    let id_token = pair.id_token().await;
    keep(
        &pair.form(&token_exchange(WORKLOAD, &id_token)).await,
        &mut secrets,
    );
    secrets.push(id_token);
    // What is sent where it does not belong, and what is wrong.
    let wrong = secret("wrong", &mut secrets);
    pair.token(Some(&wrong), &exchange(WEB, &wrong)).await;
    pair.token(None, &refresh(&secret("client", &mut secrets), &wrong))
        .await;
    pair.me(&secret("pat_", &mut secrets)).await;
    pair.form(&credentials(WORKLOAD, &wrong)).await;
    let path = format!("/v1/{0}?token={0}", secret("path", &mut secrets));
    pair.send(get(&path, Some(&access))).await;
    let path = format!(
        "/api/permission/oauth2/account/{}/token",
        secret("account", &mut secrets)
    );
    pair.send(post(
        &path,
        Some(&access),
        &json!({ "grant_type": secret("grant", &mut secrets) }),
    ))
    .await;
    let other = assertion(pair.clock.unix().as_secs(), |_, claims| {
        claims["aud"] = json!(sentinel("aud"))
    });
    assert_eq!(
        pair.token(Some(&other), &json!({ "grant_type": JWT_GRANT }))
            .await
            .status,
        400
    );
    secrets.extend([
        other,
        sentinel("aud"),
        SECRET.to_owned(),
        WORKLOAD_SECRET.to_owned(),
    ]);
    // What the shadow refuses by itself.
    for name in ["host", "origin", "upgrade"] {
        let mut request = post(TOKEN, Some(&wrong), &exchange(WEB, &wrong));
        let value = secret(name, &mut secrets);
        request
            .headers_mut()
            .insert(name, value.parse().expect("a header"));
        pair.send(request).await;
    }
    // An upstream that puts secrets into its codes, and into names of members.
    let named = sentinel("member");
    let coded = format!(
        r#"{{"error_code":"{0}","error":"{0}","{named}":1}}"#,
        sentinel("code")
    );
    let body = format!(
        r#"{{"access_token":"a","expires_in":"{0}","{named}":"{0}"}}"#,
        sentinel("value")
    );
    secrets.extend([named, sentinel("code"), sentinel("value")]);
    let whole = |status: &str, body: &str| -> &'static str {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").leak()
    };
    let upstream =
        Recorder::start(vec![whole("200 OK", &body), whole("400 Bad", &coded), ""]).await;
    let odd = coze_auth_mock::Shadow::builder(&upstream.base)
        .start()
        .await
        .expect("a shadow");
    for _ in 0..2 {
        send(
            odd.base_url(),
            post(TOKEN, Some(&wrong), &refresh("a.app.coze", &wrong)),
        )
        .await;
    }
    send(
        odd.base_url(),
        post(TOKEN, Some(&wrong), &exchange("a.app.coze", &wrong)),
    )
    .await;
    pair.assert_differs(&["code.single_use", "jwt.jti"]);

    // The requests to the upstream are in the mock's log, too, which is in this process.
    let log = String::from_utf8(LOG.lock().expect("the log").clone()).expect("a text");
    let shown = [
        ("log", log),
        ("report", pair.shadow.report().to_string()),
        ("text", pair.shadow.report_text()),
        ("report of the odd one", odd.report().to_string()),
        ("text of the odd one", odd.report_text()),
        ("debug", format!("{:?} {:?}", pair.shadow, odd)),
    ];
    assert!(secrets.len() > 35, "{}", secrets.len());
    // A record has no id, name or address either, and shows the same as the exchanges did.
    let record = || pair.shadow.record().expect("a record").expect("a text");
    let (one, other) = (record(), record());
    let of_people = [
        "alice",
        "Alice",
        "7300000000000000001",
        "ws_team",
        "mock-db-secret",
        "/callback",
    ];
    let ids = [
        WEB,
        PKCE,
        DEVICE,
        JWT,
        WORKLOAD,
        "mock-jwt-key-1",
        "integration-feishu-base",
    ];
    let theirs = of_people
        .into_iter()
        .chain(ids)
        .chain(secrets.iter().map(String::as_str));
    for text in theirs {
        assert!(!one.contains(text), "the record has {text}:\n{one}");
    }
    let checked = coze_auth_mock::check_record(&one).expect("a record");
    let report = checked.report_text();
    assert_eq!(checked.differing(), pair.shadow.differing(), "{report}");
    // Nothing that is somebody's has the same stand-in in both.
    let values = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words
            .filter(|word| word.len() >= 30)
            .map(str::to_owned)
            .collect()
    };
    let (one, other) = (values(&one), values(&other));
    assert!(
        one.len() > 20 && one.is_disjoint(&other),
        "{:?}",
        one.intersection(&other)
    );
    for secret in &secrets {
        for (what, text) in &shown {
            assert!(!text.contains(secret), "{what} has {secret}:\n{text}");
            // Nor the end of it.
            let end = &secret[secret.len() - 12.min(secret.len())..];
            assert!(
                !text.contains(end),
                "{what} has the end of {secret}:\n{text}"
            );
        }
    }
    assert!(
        shown[0].1.contains("the upstream differs"),
        "{}",
        shown[0].1
    );
}
