//! What the observer `trace` writes to a log, at which level, and that no secret is in it. One test: the subscriber is the
//! process's, since a renewal runs on a thread of its own.

#[path = "subjects/clocks.rs"]
#[allow(dead_code)] // the clock of the async adapter
mod clocks;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coze_auth_conformance::SharedClock;
use coze_auth_core::config::Environment;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::{AccessToken, Region, TokenGrant};
use coze_auth_mock::{CozeAuthMock, DeviceAction, Fault, On};
use coze_auth_store::{GrantKey, GrantStore as _, MemoryStore};
use coze_auth_tokens::trace;
use coze_auth_ureq::{Client, TokenSource};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What it says, once this stands in it so often: an event is told after its token is there.
    fn wait_for(&self, text: &str, count: usize) -> String {
        let begun = Instant::now();
        loop {
            let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            if log.matches(text).count() >= count {
                return log;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{text}:\n{log}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_log_tells_all_but_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let filter = Targets::new().with_target("coze_auth_tokens", LevelFilter::TRACE);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();

    let clock = SharedClock::new();
    let mock = CozeAuthMock::builder().seed(1).clock(clock.handle());
    let mock = mock.start_blocking().unwrap();
    let settings = Environment::new(Region::Cn, |name| mock.variable(name));
    let app = settings.device_app().unwrap();
    let client = Client::new().unwrap();
    let client = client.with_time(clocks::BlockingClock(clock.clone()));
    let started = client.run(app.start()).unwrap();
    let approve = DeviceAction::Approve;
    mock.decide_device(&started.user_code, approve).unwrap();
    let grant = client.run(app.poll(&started)).unwrap();

    let store = MemoryStore::new();
    let key = GrantKey::new(&app.clone().into(), "alice").unwrap();
    let tokens = TokenSource::stored(&client, app, "alice", store.clone()).unwrap();
    let tokens = tokens.observe(trace);
    let mut secrets = vec![grant.clone()];
    let mut note = || -> TokenGrant {
        let stored = store.load(&key).unwrap().unwrap();
        secrets.push(stored.clone());
        stored
    };
    tokens.install(grant).unwrap();
    let day = Duration::from_secs(86_400);
    // Done, refused by the API, and done once more.
    clock.advance(day);
    let token = tokens.token().unwrap();
    note();
    log.wait_for("renewal done", 1);
    tokens.invalidate(&token);
    tokens.token().unwrap();
    let stored = note();
    log.wait_for("renewal done", 2);
    // A gateway that repeats what it was sent.
    clock.advance(day);
    let sent = stored.refresh_token.unwrap();
    let body = format!(
        r#"{{"error_code":"invalid_client","error_message":"{} of alice"}}"#,
        sent.expose()
    );
    let fault = Fault::status(401).body(body).header("x-tt-logid", "log-1");
    let fault = mock.fault(On::endpoint("token"), fault);
    tokens.token().unwrap_err();
    log.wait_for("renewal refused", 1);
    fault.remove();
    clock.advance(day);
    let fault = mock.fault(
        On::endpoint("token"),
        Fault::status(503).body(sent.expose().to_owned()),
    );
    tokens.token().unwrap_err();
    log.wait_for("renewal failed", 1);
    fault.remove();
    // Our clock is fast, and then nobody is logged in.
    clock.advance(day);
    clock.set_ahead(Duration::from_secs(3600));
    tokens.token().unwrap();
    note();
    log.wait_for("renewal done", 3);
    tokens.forget().unwrap();
    tokens.token().unwrap_err();
    log.wait_for("renewal needs a login", 1);
    // A key that Coze does not know.
    let (issuer, jwt) = settings
        .jwt_issuer(|path| std::fs::read_to_string(path))
        .unwrap();
    let issuer = issuer.with_key_id("another").unwrap();
    let app = JwtApp::from_issuer(issuer, jwt.rsa_key().unwrap());
    let sessions = TokenSource::jwt(&client, app, JwtGrant::new()).observe(trace);
    sessions.session("bob").unwrap().token().unwrap_err();
    let log = log.wait_for("renewal refused", 2);
    assert!(
        log.contains("grant_type=Assertion subject=\"bob\" renewal="),
        "{log}"
    );

    for line in [
        "DEBUG coze_auth_tokens: renewal begun client_id=",
        "DEBUG coze_auth_tokens: grant stored client_id=",
        "DEBUG coze_auth_tokens: renewal done client_id=",
        " INFO coze_auth_tokens: token refused by the API client_id=",
        " WARN coze_auth_tokens: renewal refused client_id=",
        "ERROR coze_auth_tokens: renewal refused client_id=",
        " WARN coze_auth_tokens: renewal failed client_id=",
        " WARN coze_auth_tokens: clocks are apart client_id=",
        " INFO coze_auth_tokens: renewal needs a login client_id=",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap();
    let begun = line("renewal begun");
    let same = begun.split("subject=").nth(1).unwrap();
    let (subject, number) = same.split_once(' ').unwrap();
    assert_eq!(subject, "\"alice\"");
    assert!(number.starts_with("renewal="), "{begun}");
    assert!(
        line("renewal done").contains(&format!("{number} expires_at=17")),
        "{log}"
    );
    let refused = line("renewal refused");
    assert!(
        refused.contains("code=InvalidClient log_id=\"log-1\" took="),
        "{refused}"
    );
    assert!(refused.contains("next_try=1.0"), "{refused}");
    assert!(line("clocks are apart").ends_with("ahead=3600"), "{log}");
    assert_eq!(secrets.len(), 4);
    assert!(!log.contains(&jwt.expose()[40..80]), "a key in\n{log}");
    for grant in &secrets {
        let token: &AccessToken = &grant.access_token;
        let refresh = grant.refresh_token.as_ref().unwrap();
        for secret in [token.expose(), refresh.expose()] {
            assert!(!log.contains(secret), "{secret} in\n{log}");
        }
    }
    println!("{log}");
}
