//! What is seen of requests on which a fault or a script acted.

use std::time::Duration;

use coze_auth_mock::{At, Expect, Fault, On, RequestFilter, ScriptEnd, ScriptStep};

use crate::gates::{self, Client};
use crate::support::*;

const LONG: Duration = Duration::from_secs(30);

fn refreshed() -> On {
    On::grant("refresh_token")
}

fn requests_total(m: &Mock) -> Vec<String> {
    let text = m.get("/_mock/v1/metrics", None).text;
    let lines = text.lines();
    let lines = lines.filter_map(|line| line.strip_prefix("coze_auth_mock_requests_total"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_request_counts_once_with_the_status_that_was_sent() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let before = requests_total(&m).len();
    let sample = |status, fault| {
        format!(
            r#"{{endpoint="token",grant="refresh_token",status="{status}",rule="",fault="{fault}"}} 1"#
        )
    };
    let gateway = m.mock.fault(refreshed(), Fault::status(502).times(1));
    assert_eq!(m.refresh_web(&token).status, 502);
    drop(gateway);
    let lost = Fault::status(599).at(At::Answer).times(1);
    let lost = m.mock.fault(refreshed(), lost);
    assert_eq!(m.refresh_web(&token).status, 599);
    drop(lost);
    let all = requests_total(&m);
    assert!(all.contains(&sample(502, "status")), "{all:?}");
    assert!(all.contains(&sample(599, "status")), "{all:?}");
    assert_eq!(all.len(), before + 2, "{all:?}");
}

#[test]
fn a_request_that_waits_counts_when_it_is_answered() {
    let m = Mock::new();
    let (_, token) = m.web_tokens();
    let before = requests_total(&m);
    let hold = m.mock.fault(refreshed(), Fault::hold().at(At::Request));
    let mut client = Client::held(&m, gates::refresh_web(&token));
    let taken = m.mock.take_request_blocking(refreshed(), LONG);
    let taken = taken.expect("it is seen while it waits");
    assert_eq!((taken.outcome.status, taken.fault), (0, Some("hold")));
    assert_eq!(requests_total(&m), before);
    drop(hold);
    let answer = client.answer(&m).expect("it goes on");
    assert_eq!(answer.status, 200);
    assert_eq!(requests_total(&m).len(), before.len() + 1);
    let again = m.mock.take_request_blocking(refreshed(), Duration::ZERO);
    assert!(again.is_none(), "it was taken while it waited");
}

#[test]
fn a_leak_is_one_whether_a_rule_or_a_fault_answers() {
    let m = Mock::new();
    let (access, token) = m.web_tokens();
    let spilled = |fault: Option<Fault>| {
        let before = m.mock.leaks().len();
        let _fault = fault.map(|fault| m.mock.fault(On::token(), fault));
        let mut body = refresh(WEB, &token);
        body["scope"] = access.clone().into();
        m.post(TOKEN, Some(SECRET), &body);
        let leaks = m.mock.leaks().split_off(before);
        let of_entry = m.mock.requests().pop().expect("an entry").leaks;
        assert_eq!(leaks, of_entry);
        let found = leaks.iter().map(|leak| (leak.kind, leak.place));
        found.collect::<Vec<_>>()
    };
    let one = [("access_token", "body")];
    assert_eq!(spilled(Some(Fault::status(502))), one);
    let brief = Fault::delay(Duration::from_millis(1)).at(At::Request);
    assert_eq!(spilled(Some(brief)), one, "and not twice");
    let _script = m.mock.script(
        On::token(),
        [ScriptStep::error("invalid_grant")],
        ScriptEnd::Pass,
    );
    assert_eq!(spilled(None), one, "a script's answer");
    assert_eq!(spilled(None), one, "the rules' answer");
}

#[test]
fn calls_are_told_by_their_fault() {
    let m = Mock::new();
    let _once = m
        .mock
        .fault(On::endpoint("users_me"), Fault::empty_200().times(1));
    m.me("pat_mock_alice");
    m.me("pat_mock_alice");
    let spoiled = || RequestFilter::any().fault("empty_200");
    assert_eq!(spoiled().to_string(), "fault empty_200");
    m.mock
        .verify(&[Expect::exactly(1, spoiled())])
        .expect("one of two");
    let seqs = m.get("/_mock/v1/requests?fault=empty_200", None).json;
    assert_eq!(seqs["requests"].as_array().map(Vec::len), Some(1));
    assert_eq!(seqs["requests"][0]["seq"], 1);
    let unknown = m.get("/_mock/v1/requests?fault=earthquake", None);
    assert_eq!(unknown.status, 400);
    assert!(
        unknown.text.contains("fault is one of status, delay"),
        "{}",
        unknown.text
    );
}

#[test]
fn a_token_of_the_configuration_is_not_a_magic_value() {
    let config = "[[token]]\nkind = \"pat\"\nvalue = \"pat_mock_expired\"";
    let m = Mock::with(|builder| builder.toml(config).expect("a configuration"));
    assert_eq!(m.me("pat_mock_expired").status, 200);
    assert_eq!(m.me("pat_mock_revoked").status, 401);
}
