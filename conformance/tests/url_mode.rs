//! Programs that are no shims, judged by what they send.
#![cfg(unix)]

use std::process::{Command, Stdio};

use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::result::{CaseResult, Run, Verdict};
use coze_auth_conformance::{Case, Client, Harness, Plan, UrlMode, cases, run};
use serde_json::Value;

const EXAMPLE: &str = concat!(
    "sh '",
    env!("CARGO_MANIFEST_DIR"),
    "/clients/url-mode/coze.sh'"
);

fn all() -> &'static [Case] {
    cases().unwrap_or_else(|problem| panic!("{problem}"))
}

fn over(command: &str, wanted: &[&str]) -> Run {
    let is_wanted = |case: &&Case| wanted.is_empty() || wanted.contains(&&*case.id);
    let cases: Vec<Case> = all().iter().filter(is_wanted).cloned().collect();
    let make = || Ok(Box::new(UrlMode::new("x", command)) as Box<dyn Client>);
    let plan = Plan::new("x", 4, make);
    let mut runs = run(
        Harness::shared(),
        &[plan],
        &cases,
        &Baseline::default(),
        None,
    );
    runs.pop().expect("one program")
}

fn with(run: &Run, verdict: Verdict) -> Vec<String> {
    let all = run.checks().filter(|(_, check)| check.verdict == verdict);
    all.map(|(_, check)| format!("{}: {}", check.id, check.why.as_deref().unwrap_or_default()))
        .collect()
}

fn verdict(run: &Run, id: &str) -> (Verdict, String) {
    let found = run.checks().find(|(_, check)| check.id == id);
    let (_, check) = found.unwrap_or_else(|| panic!("no {id}"));
    (check.verdict, check.why.clone().unwrap_or_default())
}

/// What became of each operation.
fn came(case: &CaseResult) -> Vec<&Value> {
    let all = case.log.iter().filter_map(|entry| entry.get("came"));
    all.collect()
}

/// The example is a shell script around curl: where there is none, there is nothing to see.
fn curl_is_there() -> bool {
    let mut curl = Command::new("curl");
    let found = curl.arg("--version").stdout(Stdio::null()).status();
    if found.is_err() {
        println!("not tested: there is no curl");
    }
    found.is_ok()
}

#[test]
fn the_example_does_all_that_it_has() {
    if !curl_is_there() {
        return;
    }
    let run = over(EXAMPLE, &[]);
    for bad in [Verdict::Fail, Verdict::NotTestable, Verdict::HarnessError] {
        assert_eq!(with(&run, bad), [""; 0]);
    }
    for good in [
        "web.login.request#json",
        "pkce.exchange.request#verifier",
        "web.callback.other-state#nothing-sent",
        "refresh.rotation.pkce#grant-type",
        "secrets.wire.web#wire-quiet",
        "network.redirect.access-token#kept",
        "tokens.pat.accepted#header",
        "workload.grant.forms#form",
        "workload.lane.ppe#ppe",
        "workload.redirect.identity-307#kept",
        "workload.settings.empty-client-secret#nothing-sent",
    ] {
        assert_eq!(verdict(&run, good).0, Verdict::Pass, "{good}");
    }
    let refreshed = run
        .cases
        .iter()
        .find(|case| case.id == "refresh.rotation.pkce");
    let refreshed = refreshed.expect("the case");
    // With the refresh token that the program had kept.
    assert_eq!(came(refreshed), ["ok"; 5]);
    let at_ms = refreshed.log[0]["at_ms"].as_u64();
    assert!(
        at_ms > Some(1_760_000_000_000),
        "the machine's time: {at_ms:?}"
    );
    for (other, why) in [
        ("jwt.request.form#json", "jwt.token: exit code 77"),
        ("web.login.token#token", "it is not seen on the wire"),
        ("device.poll.interval#gap", "it has not declared clock"),
        ("web.code.expired#rule", "a program lives in real time"),
        (
            "refresh.refused.revoked#not-repeated",
            "it takes what only the program knows",
        ),
        (
            "web.authorize-url.workspace#path",
            "nothing of it is seen on the wire",
        ),
    ] {
        assert_eq!(
            verdict(&run, other),
            (Verdict::NotApplicable, why.to_owned()),
            "{other}"
        );
    }
}

#[test]
fn its_spoiled_twin_turns_red_where_it_is_wrong() {
    if !curl_is_there() {
        return;
    }
    let run = over(
        &format!("env SPOIL=form {EXAMPLE}"),
        &["web.login.token", "tokens.pat.accepted"],
    );
    let failed = with(&run, Verdict::Fail).concat();
    let refused = "web.login.token#nothing-refused: rules: expected count 0, actual 1 (";
    assert!(failed.starts_with(refused), "{failed}");
    let log = &run.cases[if run.cases[0].id == "web.login.token" {
        0
    } else {
        1
    }]
    .log;
    assert!(
        log.iter().any(|entry| entry["rule"] == "body.json"),
        "{log:#?}"
    );
    assert_eq!(
        verdict(&run, "tokens.pat.accepted#header").0,
        Verdict::Pass,
        "it has no body"
    );
}

/// As a command line program does its login: it opens the page by itself, with a state of its own.
#[test]
fn a_program_may_open_the_authorize_page_itself() {
    if !curl_is_there() {
        return;
    }
    let login = r#"sh -c '
        [ "$COZE_AUTH_DO" = web.token ] || exit 1
        back=$(curl -sS -o /dev/null -w "%{redirect_url}" -G "$COZE_WWW_BASE/api/permission/oauth2/authorize" \
            -d response_type=code -d client_id="$COZE_WEB_OAUTH_CLIENT_ID" -d state=its-own \
            --data-urlencode redirect_uri="$COZE_WEB_OAUTH_REDIRECT_URI")
        code=${back##*code=} && code=${code%%&*}
        curl -sSf -o /dev/null "$COZE_API_BASE/api/permission/oauth2/token" -H "content-type: application/json" \
            -H "authorization: Bearer $COZE_WEB_OAUTH_CLIENT_SECRET" \
            -d "{\"grant_type\":\"authorization_code\",\"client_id\":\"$COZE_WEB_OAUTH_CLIENT_ID\",\"code\":\"$code\",\"redirect_uri\":\"$COZE_WEB_OAUTH_REDIRECT_URI\"}"'"#;
    let run = over(login, &["web.login.token"]);
    assert_eq!(came(&run.cases[0])[2], "ok");
    assert_eq!(
        verdict(&run, "web.login.token#nothing-refused").0,
        Verdict::Pass
    );
}

/// What sends nothing sends nothing wrong: that must not do.
#[test]
fn a_program_that_does_nothing_passes_nothing() {
    let run = over("true", &[]);
    assert_eq!(with(&run, Verdict::Pass), [""; 0]);
    let (verdict, why) = verdict(&run, "secrets.wire.jwt#wire-quiet");
    assert_eq!(verdict, Verdict::NotTestable);
    assert_eq!(why, "it exited with 0, and the server had given it nothing");
}

/// But for the cases in which nothing may be sent.
#[test]
fn a_program_that_refuses_everything_passes_where_nothing_may_be_sent() {
    let run = over("false", &[]);
    assert!(run.total(Verdict::Pass) > 0);
    for (case, check) in run
        .checks()
        .filter(|(_, check)| check.verdict == Verdict::Pass)
    {
        let all = all().iter().find(|known| known.id == case.id);
        let mut checks = all.into_iter().flat_map(|case| &case.checks);
        let silence = checks.any(|check| {
            check.at.starts_with("wire.") && check.has.get("count").is_some_and(|count| *count == 0)
        });
        assert!(silence, "{}", check.id);
    }
    assert_eq!(
        verdict(&run, "secrets.wire.jwt#wire-quiet"),
        (Verdict::NotTestable, "it sent nothing".to_owned())
    );
}

#[test]
fn one_that_is_not_there_or_dies_counts_as_failed() {
    for (command, why) in [
        ("/no/such/program", "it does not start: exit code 127"),
        ("sh -c 'kill -9 $$'", "a signal ended it"),
    ] {
        let run = over(command, &["jwt.request.form"]);
        let told = verdict(&run, "jwt.request.form#json");
        assert_eq!(told, (Verdict::NotTestable, why.to_owned()));
    }
}

fn command(case: &str, program: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_coze-auth-conformance"))
        .args(["run", "--case", case, "--url-mode", &format!("x={program}")])
        .env("COZE_API_TOKEN", "pat_of_the_person")
        .env("COZE_WEB_OAUTH_CLIENT_SECRET", "secret-of-the-person")
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), said)
}

/// What a program is told for a case.
fn told(case: &str) -> String {
    let name = format!("coze-auth-url-mode-{}-{case}.txt", std::process::id());
    let file = std::env::temp_dir().join(name);
    let (code, said) = command(
        case,
        &format!(
            "sh -c 'env > {} && ls \"$COZE_AUTH_FOLDER\" && exit 77'",
            file.display()
        ),
    );
    assert!(
        said.contains("incomplete: none of the cases is for it"),
        "{said}"
    );
    assert_eq!(code, Some(3), "a run of nothing");
    let told = std::fs::read_to_string(&file).expect("it ran");
    std::fs::remove_file(&file).expect("it is there");
    assert!(
        !told.contains("of_the_person") && !told.contains("of-the-person"),
        "{told}"
    );
    told
}

/// And that it is told nothing of who runs the suite.
#[test]
fn the_environment_is_that_of_the_case() {
    let told = told("jwt.session.name");
    for line in [
        "COZE_API_BASE=http://127.0.0.1:",
        "COZE_WWW_BASE=http://127.0.0.1:",
        "COZE_AUTH_CASE=jwt.session.name\n",
        "COZE_AUTH_DO=jwt.token\n",
        "COZE_AUTH_SESSION_NAME=user-42\n",
        "COZE_AUTH_TTL_S=900\n",
        "COZE_JWT_OAUTH_CLIENT_ID=100000000001\n",
        "COZE_JWT_OAUTH_PUBLIC_KEY_ID=mock-jwt-key-1\n",
        "COZE_JWT_OAUTH_PRIVATE_KEY=-----BEGIN",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    let with = told
        .lines()
        .find_map(|line| line.strip_prefix("COZE_AUTH_WITH="));
    let with: Value = serde_json::from_str(with.expect("it is told")).expect("JSON");
    assert_eq!(with["session_name"], "user-42");
    assert_eq!(with["ttl_s"], 900);
    assert_eq!(with["client"], Value::Null, "a handle of the runner's");
    let folder = told
        .lines()
        .find_map(|line| line.strip_prefix("COZE_AUTH_FOLDER="));
    assert!(
        !std::path::Path::new(folder.expect("it is told")).exists(),
        "{folder:?} is left"
    );
}

/// As the platform sets them.
#[test]
fn a_workload_is_told_its_variables() {
    let told = told("workload.lane.ppe");
    for line in [
        "COZE_AUTH_DO=workload.token\n",
        "COZE_WORKLOAD_IDENTITY_CLIENT_ID=55555555555555555555555555555555\n",
        "COZE_WORKLOAD_IDENTITY_CLIENT_SECRET=mockworkloadsecret",
        "COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT=http://127.0.0.1:",
        "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT=http://127.0.0.1:",
        "COZE_SERVER_ENV=ppe_case\n",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    assert!(!told.contains("COZE_OUTBOUND_AUTH_ENDPOINT"), "{told}");
}

#[test]
fn a_run_is_red_by_its_exit_code() {
    let (code, said) = command("secrets.wire.jwt", "false");
    assert!(said.contains("it sent nothing"), "{said}");
    assert_eq!(code, Some(1));
}
