//! The budget, the end at a 429, and what may not be shown.

use coze_auth_conformance::evidence::{QUESTIONS, Reply, Step, budget};
use coze_auth_mock::AppKind::{Device, Jwt, Pkce, Web, Workload};
use coze_auth_mock::{Fault, On, check_record};

use crate::person::Scripted;
use crate::service::{Service, about};

#[test]
fn what_is_sent_is_what_is_counted_and_within_the_budget() {
    let service = Service::new(&[Web, Pkce, Device, Jwt, Workload], |mock| mock).long();
    let mut person = Scripted::new(&service);
    let findings = service.run_with(&mut person);
    let sent = usize::try_from(findings.requests()).expect("a number");
    // The requests that arrived, of which the person's own have no User-Agent.
    assert_eq!(service.reached(), sent);
    assert!(sent > 60, "{sent}");
    assert!(findings.requests() <= budget());
    for (finding, question) in findings.all.iter().zip(QUESTIONS) {
        assert!(finding.requests <= question.budget, "{finding:?}");
        // What the person was told beforehand is not exceeded, and never more than the question's budget.
        let of = person
            .steps
            .iter()
            .filter(|step| step.question.0 == question.number);
        let told: u32 = of.map(|step| step.requests).sum();
        assert!(
            finding.requests <= told && told <= question.budget,
            "question {}: told {told}, sent {}",
            question.number,
            finding.requests
        );
    }
}

#[test]
fn nothing_is_sent_unless_the_person_says_so() {
    let service = Service::new(&[Web, Pkce, Device, Jwt, Workload], |mock| mock).long();
    for reply in [Reply::Skip, Reply::End] {
        let mut person = Scripted::new(&service);
        person.reply = match reply {
            Reply::Skip => |_: &Step| Reply::Skip,
            _ => |_: &Step| Reply::End,
        };
        let findings = service.run_with(&mut person);
        assert_eq!((findings.requests(), service.mock.requests().len()), (0, 0));
        assert_eq!(findings.ended.is_some(), reply == Reply::End);
        let asked = person.steps.len();
        match reply {
            Reply::End => assert_eq!(asked, 1),
            _ => assert!(asked > 15, "{asked}"),
        }
    }
}

/// The run beside a service that answers the third request to this endpoint so.
fn ends_at(fault: Fault) -> (Service, coze_auth_conformance::evidence::Findings) {
    let service = Service::new(&[Web, Device, Jwt], |mock| mock);
    service.fault(On::endpoint("token"), fault.skip(2).times(1));
    let findings = service.run();
    (service, findings)
}

#[test]
fn the_first_429_ends_the_run() {
    let limit = r#"{"code":4020,"msg":"requests per minute exceeded"}"#;
    let words = r#"{"error_code":"access_deny","error_message":"Too many requests"}"#;
    for fault in [
        Fault::status(429),
        Fault::status(200).body(limit),
        Fault::status(403).body(words),
    ] {
        let (service, findings) = ends_at(fault);
        let why = findings.ended.as_deref().expect("it ended");
        assert!(why.contains("429"), "{why}");
        let sent: Vec<_> = service.mock.requests();
        let sent: Vec<_> = sent
            .iter()
            .filter(|entry| entry.headers.contains_key("user-agent"))
            .collect();
        let last = sent.last().expect("a request");
        assert!(last.fault.is_some(), "a request after the limit: {last:?}");
        assert_eq!(
            sent.len(),
            usize::try_from(findings.requests()).expect("a number")
        );
        // What was not asked says so, and what was seen before is told.
        assert!(!about(&findings, 2).seen.is_empty());
        assert_eq!(
            about(&findings, 7).not_asked,
            ["claims of assertions: the run had ended"]
        );
    }
}

#[test]
fn a_429_that_is_the_answer_is_told_before_the_end() {
    let service = Service::new(&[Device], |mock| mock.answer("device.interval", 429, None));
    let findings = service.run();
    assert!(findings.ended.is_some());
    crate::service::means(
        &findings,
        3,
        "a second poll at once is refused with 429 slow_down",
    );
    crate::service::changes(
        &findings,
        3,
        "device.interval: status = 429, error = \"slow_down\"",
    );
}

#[test]
fn what_got_no_answer_is_not_sent_again() {
    for fault in [Fault::reset(), Fault::truncate()] {
        let (service, findings) = ends_at(fault);
        assert!(findings.ended.is_some());
        assert_eq!(
            service.reached(),
            usize::try_from(findings.requests()).expect("a number")
        );
    }
}

#[test]
fn nothing_that_is_somebodys_stands_in_text_json_or_record() {
    let kinds = [Web, Pkce, Device, Jwt, Workload];
    let set = |mock: coze_auth_mock::Builder| {
        mock.toml("[[user]]\nname = \"sentinel-user\"\n[[token]]\nkind = \"pat\"\nvalue = \"pat_sentinel_of_the_console\"\nuser = \"sentinel-user\"")
            .expect("a configuration")
    };
    let mut service = Service::new(&kinds, set).long();
    service.token = Some("pat_sentinel_of_the_console".to_owned());
    let mut found = vec![service.run()];
    // A service that says in its errors what it was sent, and more.
    let echo = r#"{"error_code":"sentinel-secret-of-the-web-app","error_message":"client_secret sentinel-secret-of-the-web-app of sentinel-user 哨兵 哨兵code, app 71717171717171717171717171717171.app.coze","error":"x"}"#;
    service.fault(
        On::grant("authorization_code"),
        Fault::status(400).body(echo).skip(1),
    );
    let echo =
        r#"{"code":4101,"msg":"pat_sentinel_of_the_console of sentinel-user","sentinel-member":1}"#;
    service.fault(On::endpoint("users_me"), Fault::status(403).body(echo));
    found.push(service.run());
    for findings in found {
        let record = findings.record.clone().expect("a record");
        for (name, text) in [
            ("text", findings.text()),
            ("json", findings.json().to_string()),
            ("debug", format!("{findings:?}")),
            ("record", record.clone()),
        ] {
            let leaks = service.mock.leaks_in(&text);
            assert!(leaks.is_empty(), "{name}: {leaks:?}");
            for sentinel in [
                "sentinel",
                "哨兵",
                "7171717171",
                "7373737373",
                "7474747474",
                "200000000002",
                "PRIVATE KEY",
            ] {
                assert!(!text.contains(sentinel), "{name} has {sentinel}");
            }
        }
        let told = check_record(&record).expect("a record").report_text();
        assert!(told.contains("exchanges judged"), "{told}");
    }
}
