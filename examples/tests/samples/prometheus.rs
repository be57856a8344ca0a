//! `prometheus`, as Prometheus sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use coze_auth_mock::{CozeAuthMock, Fault, On};

use crate::support::sample_of;

#[test]
fn renewals_are_counted_by_how_they_ended() {
    let mock = CozeAuthMock::builder().start_blocking().unwrap();
    let variables = [
        "COZE_JWT_OAUTH_CLIENT_ID",
        "COZE_JWT_OAUTH_PUBLIC_KEY_ID",
        "COZE_JWT_OAUTH_PRIVATE_KEY",
    ];
    let mut child = sample_of(&mock, "prometheus", &variables)
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
    let labels = "client_id=\"100000000001\",grant_type=\"jwt\"";
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
