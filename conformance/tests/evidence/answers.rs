//! Each thing that a mock can be configured to do, both ways: the run has to tell what the mock was configured to do, and of a mock with
//! its defaults that it is as it is.

use coze_auth_conformance::evidence::{Findings, Reply, Step};
use coze_auth_mock::AppKind::{self, Device, Jwt, Pkce, Web, Workload};
use coze_auth_mock::{Builder, Fault, MemberChange, On};

use crate::person::Scripted;
use crate::service::{Service, about, changes, keeps, means};

fn of(kinds: &[AppKind], set: impl FnOnce(Builder) -> Builder) -> Findings {
    Service::new(kinds, set).run()
}

fn long(kinds: &[AppKind], set: impl FnOnce(Builder) -> Builder) -> Findings {
    Service::new(kinds, set).long().run()
}

fn as_is(mock: Builder) -> Builder {
    mock
}

fn ttl(line: &str) -> impl FnOnce(Builder) -> Builder {
    let text = format!("[ttl]\n{line}");
    move |mock| mock.toml(&text).expect("a configuration")
}

fn off(rules: &'static [&'static str]) -> impl FnOnce(Builder) -> Builder {
    |mock| rules.iter().fold(mock, |mock, rule| mock.rule(rule, false))
}

type Answered = (&'static str, u16, Option<&'static str>);

fn answers(all: &'static [Answered]) -> impl FnOnce(Builder) -> Builder {
    |mock| {
        let all = all.iter();
        all.fold(mock, |mock, (rule, status, code)| {
            mock.answer(rule, *status, *code)
        })
    }
}

#[test]
fn every_question_is_answered_or_named() {
    let kinds = [Web, Pkce, Device, Jwt, Workload];
    let findings = long(&kinds, as_is);
    println!("{}", findings.text());
    assert_eq!(findings.ended, None);
    let mut unanswered = Vec::new();
    for finding in &findings.all {
        if finding.means.is_empty() {
            assert!(!finding.not_asked.is_empty(), "{finding:?}");
            unanswered.push(finding.number);
        }
        // Where the mock is as it is, nothing but its evidence changes.
        for change in &finding.changes {
            assert!(
                change.ends_with("evidence = \"report\" (status and code are right)"),
                "{finding:?}"
            );
        }
    }
    assert_eq!(unanswered, [14, 22]);
}

#[test]
fn what_needs_another_app_is_named() {
    let findings = of(&[], as_is);
    // Made-up tokens need no app.
    assert_eq!(findings.requests(), 1 + 3);
    for (number, why) in [
        (1, "the life of a code: needs a web or a PKCE app"),
        (3, "statuses of polls: needs a device app"),
        (7, "claims of assertions: needs a JWT app"),
        (
            9,
            "unknown grants and apps of another kind: needs a web or a PKCE or a device or a JWT app",
        ),
        (
            15,
            "needs the variables COZE_WORKLOAD_… of a project on the coding platform",
        ),
    ] {
        let found = about(&findings, number);
        assert_eq!(found.not_asked.first().map(String::as_str), Some(why));
        assert!(found.means.is_empty() && found.seen.is_empty(), "{found:?}");
    }
}

#[test]
fn question_1_tells_the_life_of_a_code() {
    for (life, told, change) in [
        (
            "code = 30",
            "a code lives longer than 0 and at most 1 minutes",
            Some("[ttl] code: more than 0 and at most 60"),
        ),
        (
            "code = 300",
            "a code lives longer than 1 and at most 5 minutes",
            None,
        ),
        (
            "code = 420",
            "a code lives longer than 5 and at most 10 minutes",
            Some("[ttl] code: more than 300 and at most 600"),
        ),
        (
            "code = \"29m\"",
            "a code lives longer than 10 and at most 30 minutes",
            Some("[ttl] code: more than 600 and at most 1800"),
        ),
        (
            "code = \"2h\"",
            "a code lives longer than 30 minutes",
            Some("[ttl] code: more than 1800"),
        ),
    ] {
        let findings = long(&[Pkce], ttl(life));
        means(&findings, 1, told);
        match change {
            Some(change) => changes(&findings, 1, change),
            None => keeps(&findings, 1, "[ttl]"),
        }
    }
    let findings = long(
        &[Web],
        answers(&[("code.expiry", 401, Some("invalid_client"))]),
    );
    changes(
        &findings,
        1,
        "code.expiry: status = 401, error = \"invalid_client\"",
    );
    let findings = of(&[Web], as_is);
    let why = "the life of a code: needs half an hour, and is asked with --long alone";
    assert_eq!(about(&findings, 1).not_asked, [why]);
    assert_eq!(about(&findings, 1).requests, 0);
}

#[test]
fn question_2_tells_what_spends_a_code_and_a_refresh_token() {
    let findings = of(&[Web, Pkce], as_is);
    for told in [
        "a code of another app is refused with 400 invalid_grant",
        "an exchange with a wrong client secret is refused with 401 invalid_client",
        "a refused exchange does not spend the code",
        "a code that is spent is refused with 400 invalid_grant",
        "a code that nobody has issued is refused with 400 invalid_grant",
        "a refresh token of another app is refused with 400 invalid_grant",
        "a refresh token that is spent, within seconds is refused with 400 invalid_grant",
        "a spent refresh token has no time of grace",
        "a refresh with a spent token does not end the grant",
        "a refresh token that nobody has issued is refused with 400 invalid_grant",
    ] {
        means(&findings, 2, told);
    }
    let rules = &[
        "code.single_use",
        "refresh.rotate",
        "code.client",
        "refresh.client",
    ];
    let findings = of(&[Web, Pkce], off(rules));
    for (rule, told) in [
        ("code.single_use", "a code that is spent is accepted"),
        (
            "refresh.rotate",
            "a refresh token that is spent, within seconds is accepted",
        ),
        (
            "refresh.rotate",
            "a spent refresh token has a time of grace, or no end",
        ),
        ("code.client", "a code of another app is accepted"),
        (
            "refresh.client",
            "a refresh token of another app is accepted",
        ),
    ] {
        means(&findings, 2, told);
        changes(&findings, 2, &format!("{rule}: default = false"));
    }
    let findings = of(&[Web], off(&["client.secret"]));
    means(
        &findings,
        2,
        "an exchange with a wrong client secret is accepted",
    );
    let findings = of(&[Pkce], off(&["pkce.verifier"]));
    means(
        &findings,
        2,
        "an exchange with a wrong code_verifier is accepted",
    );
    let all: &[Answered] = &[
        ("code.single_use", 400, Some("invalid_request")),
        ("code.known", 404, Some("4200")),
        ("refresh.rotate", 401, Some("invalid_client")),
        ("refresh.known", 403, None),
        ("pkce.verifier", 401, None),
    ];
    let findings = of(&[Pkce], answers(all));
    for change in [
        "code.single_use: status = 400, error = \"invalid_request\"",
        "code.known: status = 404, error = \"4200\"",
        "refresh.rotate: status = 401, error = \"invalid_client\"",
        "refresh.known: status = 403, error = \"invalid_grant\"",
        "pkce.verifier: status = 401, error = \"invalid_grant\"",
    ] {
        changes(&findings, 2, change);
    }
    // A service on which a refused exchange spends the code: the right one after it gets what a spent code gets.
    let service = Service::new(&[Web], as_is);
    let spent = r#"{"error_code":"invalid_grant","error_message":"invalid grant: code","error":"invalid_grant"}"#;
    let fault = Fault::status(400).body(spent).skip(1).times(1);
    service.fault(On::grant("authorization_code"), fault);
    let findings = service.run();
    means(&findings, 2, "a refused exchange spends the code");
    changes(&findings, 2, "code.single_use: text");
    // A service on which a spent refresh token ends the grant.
    let service = Service::new(&[Web], as_is);
    let fault = Fault::status(400).body(spent).skip(2).times(1);
    service.fault(On::grant("refresh_token"), fault);
    let findings = service.run();
    means(&findings, 2, "a refresh with a spent token ends the grant");
}

#[test]
fn question_3_tells_the_statuses_of_polls() {
    let findings = of(&[Device], as_is);
    for told in [
        "the first poll, at once is refused with 428 authorization_pending",
        "a second poll at once is refused with 400 slow_down",
        "a device code that was refused is refused with 400 access_denied",
        "a device code that has expired is refused with 400 expired_token",
    ] {
        means(&findings, 3, told);
    }
    assert!(about(&findings, 3).changes.is_empty());
    let all: &[Answered] = &[
        ("device.pending", 400, None),
        ("device.interval", 403, None),
        ("device.denied", 401, None),
        ("device.expired", 410, Some("invalid_grant")),
    ];
    let findings = of(&[Device], answers(all));
    for change in [
        "device.pending: status = 400, error = \"authorization_pending\"",
        "device.interval: status = 403, error = \"slow_down\"",
        "device.denied: status = 401, error = \"access_denied\"",
        "device.expired: status = 410, error = \"invalid_grant\"",
    ] {
        changes(&findings, 3, change);
    }
    let findings = of(&[Device], off(&["device.interval", "device.expired"]));
    means(&findings, 3, "a second poll at once is not too fast");
    changes(&findings, 3, "device.interval: default = false");
    // It may live longer than it says.
    keeps(&findings, 3, "device.expired");
}

#[test]
fn question_4_tells_the_least_pause() {
    let findings = of(&[Device], as_is);
    means(
        &findings,
        4,
        "of an interval of 5 s, a pause of 5 s is long enough and one of 4.5 s too fast",
    );
    means(
        &findings,
        4,
        "slow_down does not lengthen the server's interval",
    );
    assert!(about(&findings, 4).changes.is_empty());
    let findings = of(&[Device], ttl("device_interval = 8"));
    means(
        &findings,
        4,
        "of an interval of 8 s, a pause of 8 s is long enough and one of 7.2 s too fast",
    );
    let findings = of(&[Device], ttl("device_interval = 1"));
    means(
        &findings,
        4,
        "of an interval of 1 s, a pause of 0.9 s is long enough and one of 0.6 s too fast",
    );
    let findings = of(&[Device], off(&["device.interval"]));
    means(
        &findings,
        4,
        "of an interval of 5 s, no pause down to 1 s is too fast",
    );
    changes(&findings, 4, "device.interval: default = false");
    // A service that lengthens its interval: the poll after the slow_down is too fast as well.
    let service = Service::new(&[Device], as_is);
    let slow = r#"{"error_code":"slow_down","error_message":"slow down","error":"slow_down"}"#;
    let polls_before = 1 + 4 + 3;
    let fault = Fault::status(400).body(slow).skip(polls_before).times(1);
    service.fault(On::grant("device_code"), fault);
    let findings = service.run();
    means(
        &findings,
        4,
        "slow_down lengthens the server's interval, by at most five seconds each",
    );
}

#[test]
fn question_5_tells_what_comes_back() {
    let findings = of(&[Pkce], as_is);
    means(
        &findings,
        5,
        "a refusal comes back as a redirect with an error, as the mock has it",
    );
    let told = findings.text();
    assert!(
        told.contains("parameters: error, error_description, state"),
        "{told}"
    );
    // A page that leads nowhere.
    let service = Service::new(&[Pkce], as_is);
    let mut person = Scripted::new(&service);
    person.is_led_back = false;
    let findings = service.run_with(&mut person);
    means(
        &findings,
        5,
        "a refusal redirects nowhere, as far as was seen",
    );
    changes(&findings, 5, "protocol §4.5");
}

#[test]
fn question_6_tells_forms_and_long_bodies() {
    for kind in [Web, Pkce, Device, Jwt] {
        let findings = of(&[kind], as_is);
        means(
            &findings,
            6,
            "a token request as a form is refused with 400 invalid_request",
        );
        means(
            &findings,
            6,
            "a body of 70,000 bytes is refused with 413 invalid_request",
        );
        let all: &[Answered] = &[("body.json", 415, None), ("body.limit", 400, Some("4000"))];
        let findings = of(&[kind], answers(all));
        changes(
            &findings,
            6,
            "body.json: status = 415, error = \"invalid_request\"",
        );
        changes(&findings, 6, "body.limit: status = 400, error = \"4000\"");
    }
    // A service that reads both.
    let service = Service::new(&[Jwt], as_is);
    let good = r#"{"access_token":"czs_of_a_form","expires_in":1750000900,"token_type":"Bearer"}"#;
    service.fault(On::endpoint("token"), Fault::status(200).body(good));
    let mut person = Scripted::new(&service);
    person.reply = |step: &Step| match step.question.0 {
        6 => Reply::Yes,
        _ => Reply::Skip,
    };
    let findings = service.run_with(&mut person);
    means(&findings, 6, "a token request as a form is accepted");
    means(&findings, 6, "a body of 70,000 bytes is read");
    changes(&findings, 6, "body.json: remove the rule");
    changes(&findings, 6, "body.limit: remove the rule");
}

#[test]
fn question_7_tells_which_claims_are_looked_at() {
    let findings = of(&[Jwt], as_is);
    for told in [
        "the same assertion again is refused with 401 invalid_client",
        "exp may lie ten years ahead: no limit was met",
        "iat may lie a minute ahead",
        "skew of 30 s is not allowed for",
        "an assertion that expired an hour ago is refused with 401 invalid_client",
        "exp before iat is refused with 401 invalid_client",
        "aud without the port of the base is accepted, too",
        "aud of another host is refused with 401 invalid_client",
        "another signature is refused with 401 invalid_client",
    ] {
        means(&findings, 7, told);
    }
    for message in ["jti", "exp", "aud", "signature"] {
        let told = format!("401 invalid_client \"invalid jwt: {message}\"");
        assert!(findings.text().contains(&told), "{told}");
    }
    let rules = &[
        "jwt.jti",
        "jwt.exp",
        "jwt.exp_after_iat",
        "jwt.aud",
        "jwt.signature",
    ];
    let findings = of(&[Jwt], off(rules));
    for (rule, told) in [
        ("jwt.jti", "the same assertion again is accepted"),
        ("jwt.exp", "an assertion that expired 30 s ago is accepted"),
        ("jwt.exp", "skew is allowed for, of at least 30 s"),
        (
            "jwt.exp",
            "an assertion that expired an hour ago is accepted",
        ),
        ("jwt.exp_after_iat", "exp before iat is accepted"),
        ("jwt.aud", "aud of another host is accepted"),
        ("jwt.signature", "another signature is accepted"),
    ] {
        means(&findings, 7, told);
        changes(&findings, 7, &format!("{rule}: default = false"));
    }
    let all: &[Answered] = &[
        ("jwt.jti", 400, Some("invalid_request")),
        ("jwt.aud", 403, Some("access_deny")),
        ("jwt.signature", 400, None),
    ];
    let findings = of(&[Jwt], answers(all));
    changes(
        &findings,
        7,
        "jwt.jti: status = 400, error = \"invalid_request\"",
    );
    changes(
        &findings,
        7,
        "jwt.aud: status = 403, error = \"access_deny\"",
    );
    changes(
        &findings,
        7,
        "jwt.signature: status = 400, error = \"invalid_client\"",
    );
    // A service with a longest life, and one that refuses the app altogether.
    let refused = r#"{"error_code":"invalid_client","error_message":"invalid jwt: exp","error":"invalid_client"}"#;
    for (times, told) in [
        (1, "the longest exp lies between a day and ten years"),
        (2, "the longest exp is less than a day"),
    ] {
        let service = Service::new(&[Jwt], as_is);
        let fault = Fault::status(401).body(refused).skip(2).times(times);
        service.fault(On::grant("jwt_bearer"), fault);
        means(&service.run(), 7, told);
    }
    let service = Service::new(&[Jwt], as_is);
    let fault = Fault::status(401).body(refused).times(1);
    service.fault(On::grant("jwt_bearer"), fault);
    let findings = service.run();
    assert_eq!(about(&findings, 7).requests, 1);
    assert!(about(&findings, 7).means.is_empty());
}

#[test]
fn questions_8_and_12_tell_which_tokens_open_which_routes() {
    let findings = of(&[Web, Jwt], as_is);
    means(
        &findings,
        8,
        "a made-up token at /v1/users/me is refused with 401 4100",
    );
    means(&findings, 8, "a token of the JWT grant is accepted");
    means(&findings, 8, "a token of a login is accepted");
    means(&findings, 12, "a made-up token at /v3/chat gets 401 4100");
    let findings = of(
        &[Web, Jwt],
        answers(&[("token.known", 403, Some("700012006"))]),
    );
    means(
        &findings,
        8,
        "a made-up token at /v1/users/me is refused with 403 700012006",
    );
    changes(
        &findings,
        8,
        "token.known: status = 403, error = \"700012006\"",
    );
    means(
        &findings,
        12,
        "a made-up token at /v1/workspaces gets 403 700012006",
    );
    let forbidden = |set: fn(Builder) -> Builder| {
        let mut service = Service::new(&[Jwt], set);
        service.token = Some("pat_mock_forbidden".to_owned());
        service.run()
    };
    let findings = forbidden(as_is);
    means(&findings, 8, "COZE_API_TOKEN gets 403 4101");
    means(
        &findings,
        12,
        "COZE_API_TOKEN at /v1/workspaces gets 403 4101",
    );
    keeps(&findings, 12, "token.permission");
    let findings = forbidden(|mock| mock.answer("token.permission", 200, None));
    means(
        &findings,
        12,
        "COZE_API_TOKEN at /v1/workspaces gets 200 4101",
    );
    changes(
        &findings,
        12,
        "token.permission: status = 200, error = \"4101\"",
    );
    // A service that takes none of the JWT grant's tokens at this route.
    for (code, follows) in [("4102", true), ("4101", false)] {
        let service = Service::new(&[Web, Jwt], as_is);
        let refused = format!(r#"{{"code":{code},"msg":"authentication is invalid"}}"#);
        let fault = Fault::status(403).body(refused).skip(1).times(1);
        service.fault(On::endpoint("users_me"), fault);
        let findings = service.run();
        let told = format!("a token of the JWT grant gets 403 {code}");
        means(&findings, 8, &told);
        // A permission may be missing.
        match follows {
            true => changes(&findings, 8, "protocol §10"),
            false => keeps(&findings, 8, "protocol §10"),
        }
    }
}

#[test]
fn question_9_tells_the_statuses_of_apps_and_grants() {
    for kind in [Web, Pkce, Device, Jwt] {
        let findings = long(&[kind], as_is);
        means(
            &findings,
            9,
            "an unknown grant type is refused with 400 unsupported_grant_type",
        );
        means(
            &findings,
            9,
            "an app of another kind is refused with 403 access_deny",
        );
        means(
            &findings,
            9,
            "a deactivated app is refused with 403 access_deny",
        );
        assert!(about(&findings, 9).changes.is_empty());
        let all: &[Answered] = &[
            ("grant.supported", 422, Some("invalid_request")),
            ("client.kind", 400, None),
            ("client.enabled", 400, Some("invalid_client")),
        ];
        let findings = long(&[kind], answers(all));
        changes(
            &findings,
            9,
            "grant.supported: status = 422, error = \"invalid_request\"",
        );
        changes(
            &findings,
            9,
            "client.kind: status = 400, error = \"access_deny\"",
        );
        changes(
            &findings,
            9,
            "client.enabled: status = 400, error = \"invalid_client\"",
        );
    }
    let findings = of(&[Web], as_is);
    let not_asked = &about(&findings, 9).not_asked;
    assert!(
        not_asked.contains(&"a deactivated app: is asked with --long alone".to_owned()),
        "{not_asked:?}"
    );
}

#[test]
fn question_10_tells_whether_a_scope_is_refused() {
    means(
        &of(&[Jwt], as_is),
        10,
        "a scope is not refused for this app (whether it is heeded was not asked)",
    );
    let service = Service::new(&[Jwt], as_is);
    let refused = r#"{"error_code":"access_deny","error_message":"connector app should bind connector id","error":"access_deny"}"#;
    // Question 7 comes first, and shows that the app works.
    let fault = Fault::status(403).body(refused).skip(10);
    service.fault(On::grant("jwt_bearer"), fault);
    let mut person = Scripted::new(&service);
    person.reply = |step: &Step| match step.question.0 {
        7 | 10 => Reply::Yes,
        _ => Reply::Skip,
    };
    let findings = service.run_with(&mut person);
    means(&findings, 10, "a scope is refused for this app");
    changes(&findings, 10, "protocol §6");
    let told = findings.text();
    assert!(
        told.contains("403 access_deny \"connector app should bind connector id\""),
        "{told}"
    );
    let not_asked = &about(&findings, 6).not_asked;
    assert_eq!(
        *not_asked,
        ["forms and long bodies: left out by who was asked"]
    );
}

#[test]
fn question_11_tells_what_is_odd_and_taken() {
    for kind in [Web, Pkce, Device, Jwt] {
        let findings = of(&[kind], as_is);
        means(
            &findings,
            11,
            "a repeated member is refused with 400 invalid_request",
        );
        let findings = of(&[kind], answers(&[("param.once", 422, Some("4000"))]));
        changes(&findings, 11, "param.once: status = 422, error = \"4000\"");
    }
    let findings = of(&[Web], as_is);
    means(
        &findings,
        11,
        "a repeated parameter of an authorize request is refused with a page and 400",
    );
    means(
        &findings,
        11,
        "a redirect URI with a fragment is refused with a page and 400",
    );
    means(
        &findings,
        11,
        "a PKCE challenge of a web app is not refused at once",
    );
    let all: &[Answered] = &[
        ("authorize.redirect_uri_form", 403, None),
        ("param.once", 401, None),
    ];
    let findings = of(&[Web], answers(all));
    changes(
        &findings,
        11,
        "authorize.redirect_uri_form: status = 403 at the authorize page",
    );
    changes(
        &findings,
        11,
        "param.once: status = 401 at the authorize page",
    );
    // A service that takes all of it: each authorize request is answered as the right one.
    let service = Service::new(&[Web], as_is);
    service.fault(
        On::endpoint("authorize"),
        Fault::redirect(302, "https://www.coze.cn/sign"),
    );
    let findings = service.run();
    // The page behind the redirect may refuse it all the same.
    keeps(&findings, 11, "authorize.redirect_uri_form");
    keeps(&findings, 11, "param.once: remove");
}

#[test]
fn question_13_tells_what_token_answers_have() {
    let findings = of(&[Device, Jwt], as_is);
    assert!(about(&findings, 13).changes.is_empty());
    let told = findings.text();
    assert!(
        told.contains("of the device flow: always with token_type Bearer, with a refresh token, an access token for 900 s"),
        "{told}"
    );
    assert!(
        told.contains("of the jwt flow: always with token_type Bearer, without a refresh token"),
        "{told}"
    );
    let findings = of(&[Device], ttl("access = 60"));
    changes(
        &findings,
        13,
        "[ttl] access: the device flow's tokens live for 60 s",
    );
    let service = Service::new(&[Device], as_is);
    let absent = Fault::member("token_type", MemberChange::Absent);
    service.fault(On::grant("device_code"), absent);
    let findings = service.run();
    changes(
        &findings,
        13,
        "protocol §3.1 and the mock's answer: token_type is not always Bearer (device flow)",
    );
}

#[test]
fn question_14_compares_two_regions() {
    let other = of(
        &[Jwt],
        answers(&[("jwt.aud", 400, Some("invalid_request"))]),
    );
    let mut service = Service::new(&[Jwt], as_is);
    service.beside = Some(other.json());
    let findings = service.run();
    let told = &about(&findings, 14).means;
    let differs: Vec<_> = told
        .iter()
        .filter(|line| line.starts_with("question "))
        .collect();
    assert_eq!(differs.len(), 1, "{told:?}");
    assert!(
        differs[0].starts_with("question 7 differs: here ")
            && differs[0].contains("400 invalid_request"),
        "{told:?}"
    );
    service.beside = Some(of(&[Jwt], as_is).json());
    let findings = service.run();
    let told = &about(&findings, 14).means;
    assert!(
        told.len() == 1 && told[0].ends_with("have the same answer in both runs"),
        "{told:?}"
    );
}

#[test]
fn questions_15_to_20_tell_what_a_workload_gets() {
    let findings = long(&[Workload], as_is);
    for (number, told) in [
        (15, "expires_in of W1 is a duration of 600 s"),
        (15, "expires_in of W2 is a duration of 900 s"),
        (16, "a key set is not at the two usual places"),
        (
            17,
            "W1 with a made-up id is refused with 401 invalid_client",
        ),
        (
            17,
            "W1 with a made-up secret is refused with 401 invalid_client",
        ),
        (17, "W1 as JSON is refused with 400 invalid_request"),
        (17, "W1 with Basic is refused with 400 invalid_request"),
        (
            17,
            "W2 with a made-up id token is refused with 400 invalid_request",
        ),
        (18, "an id token is good more than once"),
        (18, "an id token lives longer than 1 and at most 10 minutes"),
        (
            19,
            "a workload's access token is taken at /v1/users/me, as the mock does",
        ),
        (
            20,
            "W3 for an integration that is not there is refused with 500 500",
        ),
        (20, "W4 gives 3 variables"),
        (21, "the pair worked on the machine of this run"),
    ] {
        means(&findings, number, told);
    }
    keeps(&findings, 18, "[ttl]");
    let jwts = &about(&findings, 16).means;
    assert!(
        jwts[0].starts_with("the id token is a JWT with alg "),
        "{jwts:?}"
    );
    assert!(
        jwts[1].starts_with("the access token is a JWT with alg "),
        "{jwts:?}"
    );
    let not_asked = &about(&findings, 22).not_asked;
    assert_eq!(
        *not_asked,
        ["needs the environment of a project on .com; this one is not"]
    );

    let findings = long(&[Workload], |mock| {
        let mock = mock
            .toml("[ttl]\nid_token = \"20m\"\naccess = 120")
            .expect("a configuration");
        let mock = off(&["workload.form", "workload.secret"])(mock);
        answers(&[
            ("workload.client", 400, Some("invalid_request")),
            ("workload.subject_known", 400, Some("invalid_grant")),
            ("workload.subject_expiry", 401, None),
            ("workload.integration", 200, Some("1001")),
        ])(mock)
    });
    means(&findings, 15, "expires_in of W1 is a duration of 1200 s");
    means(&findings, 15, "expires_in of W2 is a duration of 120 s");
    means(&findings, 17, "W1 as JSON is accepted");
    means(&findings, 17, "W1 with a made-up secret is accepted");
    means(
        &findings,
        18,
        "an id token lives longer than 10 and at most 60 minutes",
    );
    means(
        &findings,
        20,
        "W3 for an integration that is not there is refused with 200 1001",
    );
    for (number, change) in [
        (
            15,
            "protocol §15.3, §15.8 and [ttl] access: expires_in of W2 is a duration of 120 s",
        ),
        (17, "workload.form: default = false"),
        (17, "workload.secret: default = false"),
        (
            17,
            "workload.client: status = 400, error = \"invalid_request\"",
        ),
        (
            17,
            "workload.subject_known: status = 400, error = \"invalid_grant\"",
        ),
        (
            18,
            "workload.subject_expiry: status = 401, error = \"invalid_request\"",
        ),
        (18, "[ttl] id_token: more than 600 and at most 3600"),
        (20, "workload.integration: status = 200, error = \"1001\""),
    ] {
        changes(&findings, number, change);
    }
    let findings = long(&[Workload], off(&["workload.subject_expiry"]));
    means(&findings, 18, "an id token lives longer than 60 minutes");
    for (change, told) in [
        (MemberChange::Absent, "expires_in of W2 is absent or null"),
        (MemberChange::Null, "expires_in of W2 is absent or null"),
        (MemberChange::String, "expires_in of W2 is a text"),
        (
            MemberChange::Value(1_750_000_900.into()),
            "expires_in of W2 is a moment, 900 s from now",
        ),
    ] {
        let service = Service::new(&[Workload], as_is);
        service.fault(
            On::grant("token_exchange"),
            Fault::member("expires_in", change),
        );
        means(&service.run(), 15, told);
    }
    // A service whose id tokens are good once, and whose API takes none of a workload's tokens.
    let mut service = Service::new(&[Workload], |mock| {
        let token = "[[user]]\nname = \"reader\"\n[[token]]\nkind = \"pat\"\nvalue = \"pat_of_the_console\"\nuser = \"reader\"";
        mock.toml(token).expect("a configuration")
    });
    let refused = r#"{"error":"invalid_grant","error_description":"token expired"}"#;
    service.fault(
        On::grant("token_exchange"),
        Fault::status(400).body(refused).skip(3),
    );
    let refused = r#"{"code":4100,"msg":"authentication is invalid"}"#;
    let fault = Fault::status(401).body(refused);
    service.token = Some("pat_of_the_console".to_owned());
    // The made-up token and COZE_API_TOKEN come first, in questions 8 and 12.
    service.fault(On::endpoint("users_me"), fault.skip(4));
    let findings = service.run();
    means(&findings, 18, "an id token is good once");
    means(
        &findings,
        19,
        "a workload's access token is refused at /v1/users/me",
    );
    changes(&findings, 19, "protocol §15.1");
}
