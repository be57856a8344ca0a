//! The mode for the real service. Here it is a mock with credentials of its own, started as a server, of which the
//! suite knows no more than of Coze: its address.

use std::collections::BTreeMap;

use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::result::{Run, Verdict};
use coze_auth_conformance::{Client, Harness, Plan, Reference, Service, Subject, cases, run};
use coze_auth_mock::{AppKind, CozeAuthMock};

#[path = "subjects/clocks.rs"]
mod clocks;
#[path = "live/command.rs"]
mod command;
#[path = "common/example.rs"]
mod example;
mod subjects;

const APPS: &str = r#"
    [[app]]
    kind = "web"
    client_id = "77777777777777777777777777777777.app.coze"
    client_secret = "own-secret-of-the-web-app"
    redirect_uris = ["http://localhost:*/*"]
    [[app]]
    kind = "device"
    client_id = "88888888888888888888888888888888.app.coze"
    [[app]]
    kind = "jwt"
    client_id = "200000000002"
    keys = [{ kid = "own-key", development = true }]
    [[app]]
    kind = "workload"
    client_id = "99999999999999999999999999999999"
    client_secret = "own-secret-of-the-workload"
    [[token]]
    kind = "pat"
    value = "pat_own_0123456789"
"#;

type Variables = BTreeMap<&'static str, String>;

fn service() -> (CozeAuthMock, Variables) {
    let builder = CozeAuthMock::builder().toml(APPS).expect("a configuration");
    let mock = builder.start_blocking().expect("a mock");
    let jwt = mock.app(AppKind::Jwt).expect("a JWT app");
    let key = jwt.private_key();
    let token_endpoint = format!("{}/.well-known/token", mock.base_url());
    let variables = [
        (
            "COZE_WORKLOAD_IDENTITY_CLIENT_ID",
            "99999999999999999999999999999999",
        ),
        (
            "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET",
            "own-secret-of-the-workload",
        ),
        ("COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT", &token_endpoint),
        ("COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT", &token_endpoint),
        ("COZE_API_BASE", mock.base_url()),
        ("COZE_API_TOKEN", "pat_own_0123456789"),
        (
            "COZE_WEB_OAUTH_CLIENT_ID",
            "77777777777777777777777777777777.app.coze",
        ),
        ("COZE_WEB_OAUTH_CLIENT_SECRET", "own-secret-of-the-web-app"),
        (
            "COZE_DEVICE_OAUTH_CLIENT_ID",
            "88888888888888888888888888888888.app.coze",
        ),
        ("COZE_JWT_OAUTH_CLIENT_ID", "200000000002"),
        ("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "own-key"),
        ("COZE_JWT_OAUTH_PRIVATE_KEY", key.expect("a key")),
    ];
    let variables = variables.map(|(name, value)| (name, value.to_owned()));
    (mock, variables.into())
}

fn read(variables: &Variables) -> Result<Service, String> {
    Service::from_variables(|name| variables.get(name).cloned())
}

fn over<S: Subject + Send + 'static>(variables: &Variables) -> Run {
    let service = read(variables).unwrap_or_else(|problem| panic!("{problem}"));
    let cases = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let make = || Ok(Box::new(Reference::<S>::new("x")) as Box<dyn Client>);
    let plan = Plan::new("x", 4, make);
    let harness = Harness::live(service);
    let mut runs = run(&harness, &[plan], cases, &Baseline::default(), None);
    runs.pop().expect("one client")
}

fn with(run: &Run, verdict: Verdict) -> Vec<String> {
    let all = run.checks().filter(|(_, check)| check.verdict == verdict);
    all.map(|(_, check)| check.id.clone()).collect()
}

fn why(run: &Run, id: &str) -> String {
    let found = run.checks().find(|(_, check)| check.id == id);
    let (_, check) = found.unwrap_or_else(|| panic!("no {id}"));
    format!(
        "{}: {}",
        check.verdict.name(),
        check.why.as_deref().unwrap_or_default()
    )
}

/// What reached the service, a line a request.
fn reached(mock: &CozeAuthMock) -> Vec<String> {
    let requests = mock.requests();
    let lines = requests.iter().map(|entry| {
        let status = entry.outcome.status;
        format!("{} {} {status}", entry.endpoint, entry.grant.unwrap_or("-"))
    });
    lines.collect()
}

/// The live-safe cases for which these variables have what they take; what is not safe is never sent.
const SENT: [&str; 12] = [
    "device_code - 200",
    "device_code - 401",
    "token jwt_bearer 200",
    "users_me - 200",
    "token jwt_bearer 200",
    "token jwt_bearer 401",
    "token refresh_token 400",
    "users_me - 200",
    "users_me - 200",
    "users_me - 401",
    "workload_token client_credentials 200",
    "workload_token token_exchange 200",
];

fn all_is_well<S: Subject + Send + 'static>() {
    let (mock, variables) = service();
    let first = over::<S>(&variables);
    for bad in [Verdict::Fail, Verdict::NotTestable, Verdict::HarnessError] {
        assert_eq!(with(&first, bad), [""; 0], "{first:#?}");
    }
    assert_eq!(reached(&mock), SENT);
    let passed = with(&first, Verdict::Pass);
    for id in [
        "jwt.grant.token#token",
        "jwt.refused.kid#code",
        "device.start.answer#user-code",
        "workload.grant.token#token",
    ] {
        assert!(passed.contains(&id.to_owned()), "{id}");
    }
    for (id, told) in [
        (
            "web.login.token#token",
            "not-applicable: it is not marked live_safe",
        ),
        (
            "jwt.grant.token#wire-quiet",
            "not-applicable: the requests to the real service are not recorded",
        ),
        (
            "jwt.refused.kid#logid",
            "not-applicable: the requests to the real service are not recorded",
        ),
        (
            "jwt.grant.token#expires-at",
            "not-applicable: the real service lives in real time",
        ),
        (
            "tokens.sat.accepted#opens",
            "not-applicable: COZE_API_TOKEN is not a sat_… token, or not set",
        ),
    ] {
        assert_eq!(why(&first, id), told);
    }
    // Nobody but a server without memory takes an assertion of yesterday.
    assert_eq!(with(&over::<S>(&variables), Verdict::Fail), [""; 0]);
}

#[test]
fn over_reqwest() {
    all_is_well::<subjects::Reqwest>();
}

#[test]
fn over_ureq() {
    all_is_well::<subjects::Ureq>();
}

#[test]
fn over_a_bare_socket() {
    all_is_well::<subjects::RawSocket>();
}

#[test]
fn a_wrong_credential_turns_red() {
    let (_mock, mut variables) = service();
    variables.insert("COZE_API_TOKEN", "pat_of_somebody_else".to_owned());
    variables.insert("COZE_WEB_OAUTH_CLIENT_SECRET", "another".to_owned());
    variables.insert("COZE_JWT_OAUTH_PUBLIC_KEY_ID", "another-key".to_owned());
    let failed = with(&over::<subjects::Ureq>(&variables), Verdict::Fail);
    let must = [
        "jwt.grant.token#token",
        "jwt.session.name#token",
        "refresh.refused.unknown#code",
        "tokens.pat.accepted#opens",
        "tokens.user.told#user",
    ];
    for id in must {
        assert!(
            failed.contains(&id.to_owned()),
            "{id} is not in {failed:#?}"
        );
    }
}

#[test]
fn what_has_no_credential_is_not_applicable() {
    let (mock, mut variables) = service();
    variables.retain(|name, _| ["COZE_API_BASE", "COZE_DEVICE_OAUTH_CLIENT_ID"].contains(name));
    let run = over::<subjects::Ureq>(&variables);
    for (id, variable) in [
        (
            "jwt.grant.token#token",
            "COZE_JWT_OAUTH_CLIENT_ID is not set",
        ),
        (
            "refresh.refused.unknown#code",
            "COZE_WEB_OAUTH_CLIENT_ID is not set",
        ),
        (
            "tokens.pat.accepted#opens",
            "COZE_API_TOKEN is not a pat_… token, or not set",
        ),
    ] {
        assert_eq!(why(&run, id), format!("not-applicable: {variable}"));
    }
    assert_eq!(
        reached(&mock),
        ["device_code - 200", "device_code - 401", "users_me - 401"]
    );
}

/// A transport that calls the mock as a function would call none.
#[test]
fn a_transport_without_sockets_sends_nothing() {
    let (mock, variables) = service();
    let run = over::<subjects::InMemory>(&variables);
    assert_eq!(
        why(&run, "jwt.grant.token#token"),
        "not-applicable: it has not declared network"
    );
    assert!(mock.requests().is_empty());
}

/// Nor does one without TLS send a credential in the clear.
#[test]
fn a_transport_without_tls_sends_nothing_to_https() {
    let (_mock, mut variables) = service();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("https://{}", listener.local_addr().expect("an address"));
    variables.insert("COZE_API_BASE", base);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Hung up at once.
        while listener.accept().is_ok_and(|_| tell.send(()).is_ok()) {}
    });
    let run = over::<subjects::RawSocket>(&variables);
    let token = why(&run, "jwt.grant.token#token");
    assert!(token.starts_with("fail"), "{run:#?}");
    assert!(told.try_recv().is_err(), "it was called");
}

#[test]
fn a_service_is_named_and_never_guessed() {
    let (_mock, variables) = service();
    let refused = |changed: &[(&'static str, &str)]| {
        let mut variables = variables.clone();
        variables.extend(
            changed
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        read(&variables).err().unwrap_or_default()
    };
    assert!(refused(&[("COZE_API_BASE", "")]).starts_with("COZE_API_BASE is not set"));
    let plain = refused(&[("COZE_API_BASE", "http://api.example")]);
    assert!(
        plain.starts_with("COZE_API_BASE: ") && plain.contains("https"),
        "{plain}"
    );
    let login = refused(&[("COZE_API_TOKEN", "czu_secret_of_a_login")]);
    assert!(
        login.contains("pat_") && !login.contains("secret_of_a_login"),
        "{login}"
    );
    let none: Variables = [
        ("COZE_API_BASE", "https://api.example".to_owned()),
        ("COZE_SERVER_ENV", "NONE".to_owned()),
    ]
    .into();
    let none = read(&none).err().unwrap_or_default();
    assert!(
        none.starts_with("no credential is set") && none.contains("COZE_API_TOKEN"),
        "{none}"
    );
}

#[test]
fn a_service_prints_no_secret() {
    let (mock, variables) = service();
    let service = read(&variables).expect("a service");
    let told = format!("{service:?} {}", service.told());
    assert!(
        told.contains(mock.base_url()) && told.contains("the jwt app 200000000002"),
        "{told}"
    );
    // It goes to URLs of its own.
    let workload = "the workload 99999999999999999999999999999999, whose requests go to http";
    assert!(told.contains(workload), "{told}");
    for secret in ["own-secret", "pat_own", "MII"] {
        assert!(!told.contains(secret), "{told}");
    }
}
