//! Answers that have another reason than what the question changed: none of them may become a change.

use std::time::Duration;

use coze_auth_conformance::evidence::Findings;
use coze_auth_mock::AppKind::{self, Device, Jwt, Web, Workload};
use coze_auth_mock::{Fault, On};
use serde_json::{Value, json};

use crate::person::{Decision, Scripted};
use crate::service::{Service, about, changes, keeps};

/// None of these questions may ask for a change, and each has to say this reason.
#[track_caller]
fn no_change(findings: &Findings, numbers: &[u8], why: &str) {
    for number in numbers {
        let found = about(findings, *number);
        assert!(found.changes.is_empty(), "{found:#?}");
    }
    says(findings, numbers, why);
}

/// Each of these questions has to say this reason.
#[track_caller]
fn says(findings: &Findings, numbers: &[u8], why: &str) {
    for number in numbers {
        let found = about(findings, *number);
        assert!(
            found.not_asked.iter().any(|line| line.contains(why)),
            "question {number} does not say {why:?}: {found:#?}"
        );
    }
}

/// A run whose files differ from the apps in one member.
fn with_member(kinds: &[AppKind], name: &str, value: &Value) -> Findings {
    let service = Service::new(kinds, |mock| mock).long();
    let settings = service.settings();
    for file in &settings.apps {
        let text = std::fs::read_to_string(file).expect("a file");
        let mut members: Value = serde_json::from_str(&text).expect("JSON");
        if members.get(name).is_some() {
            members[name] = value.clone();
        }
        std::fs::write(file, members.to_string()).expect("written");
    }
    let mut person = Scripted::new(&service);
    coze_auth_conformance::evidence::run(settings, &mut person).expect("a run")
}

#[test]
fn a_wrong_secret_changes_nothing() {
    let findings = with_member(
        &[Web],
        "client_secret",
        &json!("not-the-secret-of-this-app"),
    );
    no_change(&findings, &[2], "is not deactivated");
    no_change(&findings, &[1, 6, 9, 11], "is not deactivated");
}

#[test]
fn a_wrong_key_id_changes_nothing() {
    let findings = with_member(&[Jwt], "public_key_id", &json!("not-the-key-of-this-app"));
    no_change(&findings, &[6, 7, 9, 10, 11], "is not deactivated");
}

#[test]
fn an_app_of_another_kind_than_its_file_says_changes_nothing() {
    // The device app's file has the id of the PKCE app.
    let id = json!("72727272727272727272727272727272.app.coze");
    let findings = with_member(&[Device], "client_id", &id);
    no_change(&findings, &[3, 4, 13], "see that it is a device app");
    no_change(&findings, &[6, 9], "is not deactivated");
}

#[test]
fn a_deactivated_app_changes_nothing() {
    let service = Service::new(&[Device, Jwt], |mock| mock);
    for kind in [Device, Jwt] {
        let app = service.mock.app(kind).expect("an app");
        let path = format!("/apps/{}", app.client_id());
        Service::control(&service.mock, &path, json!({ "enabled": false }));
    }
    let findings = service.run();
    no_change(&findings, &[3, 4, 6, 7, 9, 10, 11, 13], "deactivated");
}

#[test]
fn the_page_of_a_gateway_and_a_failure_change_nothing() {
    for (status, why) in [
        (502, "a gateway before it"),
        (403, "see that nothing stands between"),
        (200, "see that nothing stands between"),
    ] {
        let service = Service::new(&[Web, Jwt, Workload], |mock| mock);
        let mut person = Scripted::new(&service);
        let page = "<html><body>gateway</body></html>";
        // The right requests of questions 2, 7 and 15 come first, and are answered rightly.
        for (on, first) in [
            (On::grant("authorization_code"), 2),
            (On::grant("jwt_bearer"), 1),
            (On::grant("token_exchange"), 1),
        ] {
            service.fault(on, Fault::status(status).body(page).skip(first));
        }
        let findings = service.run_with(&mut person);
        no_change(&findings, &[7, 10], why);
        says(&findings, &[2, 7, 17], why);
        for rule in ["code.", "jwt.", "workload.subject", "protocol"] {
            for number in [2, 7, 10, 17, 18] {
                keeps(&findings, number, rule);
            }
        }
    }
}

#[test]
fn a_clock_that_is_wrong_changes_nothing() {
    for minutes in [4, 60] {
        let service = Service::new(&[Web, Jwt], |mock| mock);
        service.clock.set_ahead(Duration::from_secs(minutes * 60));
        let findings = service.run();
        says(&findings, &[7], "s off the service's");
        keeps(&findings, 7, "jwt.exp");
        keeps(&findings, 13, "[ttl]");
    }
}

#[test]
fn what_nobody_has_decided_changes_nothing() {
    let service = Service::new(&[Device], |mock| mock);
    let mut person = Scripted::new(&service);
    person.decision = Decision::Never;
    let findings = service.run_with(&mut person);
    no_change(&findings, &[3], "nobody has refused the device yet");
    no_change(&findings, &[13], "nobody has approved the device yet");
    // Who is asked once more and decides then has lost nothing.
    let service = Service::new(&[Device], |mock| mock.answer("device.denied", 401, None));
    let mut person = Scripted::new(&service);
    person.decision = Decision::Late;
    let findings = service.run_with(&mut person);
    changes(&findings, 3, "device.denied: status = 401");
    assert!(findings.requests() <= 50, "{findings:?}");
}

#[test]
fn a_decision_the_other_way_round_changes_nothing() {
    let service = Service::new(&[Device], |mock| mock);
    let mut person = Scripted::new(&service);
    person.decision = Decision::Otherwise;
    let findings = service.run_with(&mut person);
    no_change(&findings, &[3], "the device was approved");
    no_change(&findings, &[13], "the device was refused");
}
