//! The example `prometheus`, as Prometheus sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coze_auth_mock::{CozeAuthMock, Fault, On};

#[path = "common/example.rs"]
mod example;

#[test]
fn renewals_are_counted_by_how_they_ended() {
    let mock = CozeAuthMock::builder().start_blocking().unwrap();
    let info = mock.info();
    let apps = info["apps"].as_array().unwrap();
    let app = apps.iter().find(|app| app["kind"] == "jwt").unwrap();
    let member = |name: &str| app[name].as_str().unwrap().to_owned();
    let mut child = Command::new(example::built("prometheus"))
        .env("COZE_API_BASE", mock.base_url())
        .env("COZE_JWT_OAUTH_CLIENT_ID", member("client_id"))
        .env("COZE_JWT_OAUTH_PUBLIC_KEY_ID", member("key_id"))
        .env("COZE_JWT_OAUTH_PRIVATE_KEY", member("private_key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    // This machine's, so past any proxy of the environment.
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .build()
        .new_agent();
    // An end is counted after its token is there.
    let scrape = |until: &str| {
        let begun = Instant::now();
        loop {
            let mut answer = agent.get(&url).call().unwrap();
            let text = answer.body_mut().read_to_string().unwrap();
            if text.contains(until) || begun.elapsed() > Duration::from_secs(30) {
                return text;
            }
        }
    };
    let mut ask = |name: &str| {
        writeln!(input, "{name}").unwrap();
        lines.next().unwrap().unwrap()
    };
    for name in ["alice", "bob", "alice"] {
        assert_eq!(ask(name), format!("{name} has a token"));
    }
    let labels = format!("client_id=\"{}\",grant_type=\"jwt\"", member("client_id"));
    let done = format!("coze_auth_renewals_total{{{labels},result=\"done\"}} 2\n");
    let text = scrape(&done);
    let fault = mock.fault(
        On::endpoint("token"),
        Fault::status(400).body(r#"{"error_code":"invalid_request"}"#),
    );
    assert!(ask("carol").starts_with("carol has none: "));
    fault.remove();
    let refused = format!("coze_auth_renewals_total{{{labels},result=\"refused\"}} 1\n");
    let later = scrape(&refused);
    drop(input);
    assert!(child.wait().unwrap().success());

    for line in [
        "# TYPE coze_auth_renewals_total counter\n",
        &done,
        &format!("coze_auth_renewals_running{{{labels}}} 0\n"),
        &format!("coze_auth_requests_total{{{labels}}} 2\n"),
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    for line in [
        &*done,
        &refused,
        &format!("coze_auth_requests_total{{{labels}}} 3\n"),
        &format!("coze_auth_renewals_running{{{labels}}} 0\n"),
    ] {
        assert!(later.contains(line), "{line}{later}");
    }
    assert!(
        !later.contains("alice"),
        "as many labels as users:\n{later}"
    );
}
