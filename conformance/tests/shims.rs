//! The runner's side of `coze-auth-shim/1`, over shims of a few lines of shell.
#![cfg(unix)]

use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::client::Client;
use coze_auth_conformance::result::{CaseResult, Run, Verdict};
use coze_auth_conformance::{Case, Harness, Plan, Shim, run};
use serde_json::{Value, json};

/// A shim that answers operations by what `answers` says: shell in which `$id` is the request's.
fn script(answers: &str) -> String {
    let hello = r#"{"protocol":1,"name":"sh","version":"1","language":"sh","runtime":"sh","caps":["device","clock","cancel","race"]}"#;
    // Members come sorted: args, id, op, unix_ms.
    format!(
        r#"sh -c 'say() {{ printf "%s\n" "$1"; }}
while read -r line; do
id=${{line##*\"id\":}}; id=${{id%%,*}}
case "$line" in
*\"op\":\"exit\"*) exit 0;;
*\"op\":\"hello\"*) say "{{\"id\":$id,\"ok\":{hello}}}";;
{answers}
*) say "{{\"id\":$id,\"ok\":{{}}}}";;
esac; done'"#,
        hello = hello.replace('"', "\\\"")
    )
}

/// A line of the protocol, as the shell above writes it.
fn say(line: &str) -> String {
    format!("say \"{}\"", line.replace('"', "\\\""))
}

fn case(steps: &Value, checks: &Value, real_ms: u64) -> Case {
    let case = json!({
        "id": "shims.of.shell", "title": "t", "kind": "interop", "why": "w", "since": "2026-12",
        "needs": ["device"], "steps": steps, "checks": checks,
        "limits": { "virtual_s": 60, "real_ms": real_ms },
    });
    serde_json::from_value(case).expect("a case")
}

fn over(command: &str, cases: &[Case], checked: bool) -> Run {
    let start = || {
        let shim = match checked {
            true => Shim::start_checked(command),
            false => Shim::start(command),
        };
        shim.map(|shim| Box::new(shim) as Box<dyn Client>)
    };
    let plan = Plan::new("sh", 1, start);
    let mut runs = run(
        Harness::shared(),
        &[plan],
        cases,
        &Baseline::default(),
        None,
    );
    runs.pop().expect("one client")
}

fn verdicts(case: &CaseResult) -> Vec<(Verdict, &str)> {
    let checks = case.checks.iter();
    checks
        .map(|check| (check.verdict, check.why.as_deref().unwrap_or_default()))
        .collect()
}

fn start() -> Value {
    json!([{ "do": "config.load", "with": { "config": {} }, "as": "d" }])
}

fn is_ok(at: &str) -> Value {
    json!([{ "id": "ok", "level": "must", "spec": ["x"], "at": at, "ok": true }])
}

#[test]
fn a_sleep_moves_the_clock_of_both_sides() {
    let poll = format!(
        "*provider.parallel*) {}; read -r wake; case \"$wake\" in *1750000007000*) {};; esac;;",
        say(r#"{"ev":"sleep","n":1,"ms":7000}"#),
        say(
            r#"{"id":$id,"ok":{"results":[{"ok":{"access_token":"t"}},{"ok":{"access_token":"t"}}]}}"#
        ),
    );
    // With which no server need be asked.
    let with = json!({ "provider": "p", "callers": 2 });
    let steps = json!([{ "do": "provider.parallel", "with": with, "as": "t" }]);
    let checks = json!([
        { "id": "slept", "level": "must", "spec": ["x"], "at": "sleeps_ms", "eq": [7000] },
        { "id": "time", "level": "must", "spec": ["x"], "at": "now", "eq": 1_750_000_007 },
        { "id": "ok", "level": "must", "spec": ["x"], "at": "t.ok.results.0.ok.access_token", "eq": "t" },
    ]);
    let run = over(&script(&poll), &[case(&steps, &checks, 5_000)], true);
    assert!(
        run.checks()
            .all(|(_, check)| check.verdict == Verdict::Pass),
        "{run:#?}"
    );
}

#[test]
fn who_sleeps_for_ever_is_given_up_and_goes_on() {
    let poll = format!(
        "*device.poll*) {}; read -r wake; case \"$wake\" in *abandon*) {};; esac;;",
        say(r#"{"ev":"sleep","n":1,"ms":3600000}"#),
        say(r#"{"id":$id,"err":{"kind":"abandoned","message":"left asleep"}}"#),
    );
    let steps = json!([
        { "do": "device.poll", "with": { "device": "d" }, "as": "t" },
        { "do": "config.load", "with": { "config": {} }, "as": "d" },
    ]);
    let checks = json!([
        { "id": "told", "level": "must", "spec": ["x"], "at": "t", "err": ["abandoned"] },
        { "id": "next", "level": "must", "spec": ["x"], "at": "d", "ok": true },
    ]);
    let run = over(&script(&poll), &[case(&steps, &checks, 5_000)], false);
    assert!(
        run.checks()
            .all(|(_, check)| check.verdict == Verdict::Pass),
        "{run:#?}"
    );
}

#[test]
fn one_that_dies_is_started_again() {
    let dies = case(
        &json!([{ "do": "device.poll", "with": { "device": "d" } }]),
        &is_ok("last"),
        5_000,
    );
    let good = case(&start(), &is_ok("d"), 5_000);
    let command = script("*device.poll*) exit 3;;");
    let run = over(&command, &[dies, good], false);
    assert_eq!(
        verdicts(&run.cases[0]),
        [(Verdict::NotTestable, "its process ended")]
    );
    assert_eq!(verdicts(&run.cases[1]), [(Verdict::Pass, "")]);
}

#[test]
fn one_that_is_silent_is_ended() {
    let silent = case(
        &json!([{ "do": "device.poll", "with": { "device": "d" } }]),
        &is_ok("last"),
        200,
    );
    let good = case(&start(), &is_ok("d"), 5_000);
    let run = over(&script("*device.poll*) ;;"), &[silent, good], false);
    assert_eq!(
        verdicts(&run.cases[0]),
        [(
            Verdict::NotTestable,
            "it neither answered nor slept for 200ms"
        )]
    );
    assert_eq!(verdicts(&run.cases[1]), [(Verdict::Pass, "")]);
}

/// Only an answer, or a sleep that ends, is a sign of life.
#[test]
fn one_that_logs_or_sleeps_for_ever_is_ended() {
    let log = say(r#"{"ev":"log","level":"info","text":"on and on"}"#);
    let sleep = say(r#"{"ev":"sleep","n":1,"ms":0}"#);
    for [line, wake] in [[log, String::new()], [sleep, "read -r wake".to_owned()]] {
        let command = script(&format!(
            "*device.poll*) while {line}; do {wake}\n:; done;;"
        ));
        let poll = json!([{ "do": "device.poll", "with": { "device": "d" } }]);
        let run = over(&command, &[case(&poll, &is_ok("last"), 200)], false);
        let why = "it neither answered nor slept for 200ms";
        assert_eq!(verdicts(&run.cases[0]), [(Verdict::NotTestable, why)]);
    }
}

#[test]
fn what_is_no_protocol_is_told() {
    let command = script("*config.load*) echo hello there;;");
    let run = over(&command, &[case(&start(), &is_ok("d"), 5_000)], false);
    let [(verdict, why)] = verdicts(&run.cases[0])[..] else {
        panic!("{run:#?}")
    };
    assert_eq!(verdict, Verdict::NotTestable);
    assert!(why.contains("hello there"), "{why}");
}

/// On demand: a line that the schema does not allow is no answer.
#[test]
fn the_schema_is_held_on_demand() {
    // A config.load without its members.
    let cases = [case(&start(), &is_ok("d"), 5_000)];
    let run = over(&script(""), &cases, false);
    assert_eq!(verdicts(&run.cases[0]), [(Verdict::Pass, "")]);
    let run = over(&script(""), &cases, true);
    let [(verdict, why)] = verdicts(&run.cases[0])[..] else {
        panic!("{run:#?}")
    };
    assert_eq!(verdict, Verdict::NotTestable);
    assert!(why.contains("kind is missing"), "{why}");
}

#[test]
fn one_that_does_not_start_makes_the_run_incomplete() {
    let run = over("false", &[case(&start(), &is_ok("d"), 5_000)], false);
    assert_eq!(run.incomplete.as_deref(), Some("its process ended"));
}

/// What a process does after it was asked to end by itself is seen from outside.
#[test]
fn a_process_that_does_not_end_is_told_from_one_that_does() {
    let end = [json!({ "do": "process.end", "as": "e" })];
    let checks = json!([
        { "id": "ends", "level": "must", "spec": ["x"], "at": "e.ok.ended", "eq": true },
        { "id": "code", "level": "must", "spec": ["x"], "after": "ends", "at": "e.ok.exit_code", "eq": 0 },
    ]);
    let ok = say(r#"{"id":$id,"ok":{}}"#);
    for (then, expected) in [
        ("exit 0", [Verdict::Pass, Verdict::Pass]),
        // As a detector of races does.
        ("exit 66", [Verdict::Pass, Verdict::Fail]),
        // A shell that waits for what it has started, as a JVM does for its threads.
        ("exec sleep 60", [Verdict::Fail, Verdict::NotJudged]),
    ] {
        let command = script(&format!("*process.end*) {ok}; {then};;"));
        let cases = [
            case(&json!(end), &checks, 400),
            case(&start(), &is_ok("d"), 5_000),
        ];
        let run = over(&command, &cases, false);
        let told: Vec<Verdict> = verdicts(&run.cases[0]).iter().map(|one| one.0).collect();
        assert_eq!(told, expected, "{then}: {run:#?}");
        // The next case has a process of its own.
        assert_eq!(verdicts(&run.cases[1]), [(Verdict::Pass, "")], "{then}");
    }
}

/// An end that was asked for is not a crash, of which there may be few.
#[test]
fn a_process_may_be_asked_to_end_often() {
    let end = json!([{ "do": "process.end", "as": "e" }]);
    let checks =
        json!([{ "id": "ends", "level": "must", "spec": ["x"], "at": "e.ok.ended", "eq": true }]);
    let command = script(&format!(
        "*process.end*) {}; exit 0;;",
        say(r#"{"id":$id,"ok":{}}"#)
    ));
    let cases: Vec<Case> = (0..8).map(|_| case(&end, &checks, 5_000)).collect();
    let run = over(&command, &cases, true);
    let told = run.checks().map(|(_, check)| check.verdict);
    assert!(
        told.into_iter().all(|verdict| verdict == Verdict::Pass),
        "{run:#?}"
    );
}

/// What a detector of races has seen in earlier cases is not held against this one.
#[test]
fn a_case_about_races_has_a_process_of_its_own() {
    let counts = say(r#"{"id":$id,"ok":{"kind":"$n"}}"#);
    let command = script(&format!("*config.load*) n=$((n+1)); {counts};;"));
    let counted = |needs: &[&str], count: &str| {
        let checks =
            json!([{ "id": "n", "level": "must", "spec": ["x"], "at": "d.ok.kind", "eq": count }]);
        let mut case = case(&start(), &checks, 5_000);
        case.needs = needs.iter().map(|&need| need.to_owned()).collect();
        case
    };
    let cases = [
        counted(&["device"], "1"),
        counted(&["device"], "2"),
        counted(&["race"], "1"),
    ];
    let run = over(&command, &cases, false);
    let told: Vec<_> = run.cases.iter().flat_map(verdicts).collect();
    assert_eq!(told, [(Verdict::Pass, ""); 3]);
}

/// A library that knows hosts alone. What it makes of a path is for the cases that have one.
#[test]
fn one_that_declares_it_has_a_base_without_a_path() {
    let paths = format!(
        "*base_url*/t/c*) {};;",
        say(r#"{"id":$id,"err":{"kind":"config","message":"a path"}}"#),
    );
    let of_hosts = script(&paths).replace("cancel", "base.origin");
    let steps = json!([
        { "do": "config.load", "with": { "config": { "base_url": "${base}" } }, "as": "d" },
        { "do": "config.load", "with": { "config": { "base_url": "${base_with_path}" } }, "as": "p" },
    ]);
    let checks = json!([
        { "id": "base", "level": "must", "spec": ["x"], "at": "d", "ok": true },
        { "id": "path", "level": "must", "spec": ["x"], "at": "p", "err": ["config"] },
    ]);
    let cases = [case(&steps, &checks, 5_000)];
    let run = over(&of_hosts, &cases, false);
    let passed = |run: &Run| {
        run.checks()
            .all(|(_, check)| check.verdict == Verdict::Pass)
    };
    assert!(passed(&run), "{run:#?}");
    assert!(
        !passed(&over(&script(&paths), &cases, false)),
        "every client has a base with a path but those that declare it"
    );
}
