//! The runner itself: clients that are wrong in known ways, and what it says of them.

use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::case::Level;
use coze_auth_conformance::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use coze_auth_conformance::result::{CheckResult, Run, Score, Verdict, exit_code};
use coze_auth_conformance::{Case, Harness, Plan, Reference, cases, requirements, run};
use serde_json::{Map, Value, json};

#[path = "subjects/raw_socket.rs"]
mod raw_socket;

/// Declares everything, does nothing, and always says the same.
struct Liar {
    about: About,
    says: fn(&str) -> Result<Outcome, Broken>,
}

impl Liar {
    fn new(says: fn(&str) -> Result<Outcome, Broken>) -> Self {
        let all = all();
        let needs = all.iter().flat_map(|case| {
            let of_checks = case.checks.iter().flat_map(|check| &check.needs);
            case.needs.iter().chain(of_checks)
        });
        let mut about = About::default();
        about.caps = needs
            .filter(|need| !need.starts_with('!'))
            .cloned()
            .collect();
        Self { about, says }
    }
}

impl Client for Liar {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(&mut self, _: &Opening) -> Result<(), Broken> {
        Ok(())
    }

    fn call(&mut self, op: &str, _: &Map<String, Value>) -> Result<Answer, Broken> {
        let result = (self.says)(op)?;
        Ok(Answer {
            result,
            logs: Vec::new(),
        })
    }
}

fn all() -> &'static [Case] {
    cases().unwrap_or_else(|problem| panic!("{problem}"))
}

fn only(id: &str) -> Vec<Case> {
    let found: Vec<Case> = all().iter().filter(|case| case.id == id).cloned().collect();
    assert_eq!(found.len(), 1, "{id}");
    found
}

fn run_over(make: impl Fn() -> Box<dyn Client> + Send + Sync, cases: &[Case], known: &str) -> Run {
    let plan = Plan::new("x", 2, move || Ok(make()));
    let known = Baseline::parse(known).unwrap_or_else(|problem| panic!("{problem}"));
    let mut runs = run(Harness::shared(), &[plan], cases, &known, None);
    runs.pop().expect("one client")
}

fn liar(says: fn(&str) -> Result<Outcome, Broken>, cases: &[Case], known: &str) -> Run {
    run_over(move || Box::new(Liar::new(says)), cases, known)
}

fn reference(cases: &[Case], known: &str) -> Run {
    run_over(
        || Box::new(Reference::<raw_socket::RawSocket>::new("x")),
        cases,
        known,
    )
}

fn yes(_: &str) -> Result<Outcome, Broken> {
    Ok(Outcome::Ok(json!({})))
}

fn no(_: &str) -> Result<Outcome, Broken> {
    Ok(Outcome::Err(Failure::new("other", "no")))
}

/// Who takes a refusal for a success has one defect, whatever else the case asks of the error.
#[test]
fn a_defect_is_counted_once() {
    let run = liar(yes, &only("errors.form.rfc"), "");
    let verdicts: Vec<_> = run.checks().map(|(_, check)| check.verdict).collect();
    let (fail, none) = (Verdict::Fail, Verdict::NotJudged);
    assert_eq!(verdicts, [fail, none, none, none]);
    // To fail sooner is no better score.
    assert_eq!(run.passed(Level::Must), (0, 3));
    let sets = requirements().unwrap_or_else(|problem| panic!("{problem}"));
    let score = Score::of(&sets[0], &run.cases);
    assert_eq!((score.passed, score.of, score.not_applicable), (0, 3, 0));
    let code = run.checks().nth(1).map(|(_, check)| check.why.clone());
    assert_eq!(
        code,
        Some(Some("it says nothing without refused".to_owned()))
    );
}

fn is_counted(check: &CheckResult) -> bool {
    check.level != Level::Observe && check.verdict != Verdict::NotApplicable
}

/// Cases with checks that count, all of which passed.
fn passed(run: &Run) -> Vec<&str> {
    let passed = run.cases.iter().filter(|case| {
        let mut counted = case
            .checks
            .iter()
            .filter(|check| is_counted(check))
            .peekable();
        counted.peek().is_some() && counted.all(|check| check.verdict == Verdict::Pass)
    });
    passed.map(|case| &*case.id).collect()
}

/// A case that a client passes by saying yes and doing nothing looks at nothing.
#[test]
fn no_case_is_passed_by_saying_yes() {
    let run = liar(yes, all(), "");
    let passed = passed(&run);
    assert!(passed.is_empty(), "{passed:#?}");
    // It is the client's fault, and not the suite's.
    assert_eq!(run.total(Verdict::HarnessError), 0);
}

/// Saying no to everything passes where a refusal is right, and nowhere else.
#[test]
fn saying_no_passes_only_where_a_refusal_is_asked_for() {
    let run = liar(no, all(), "");
    let mut passed = passed(&run);
    passed.retain(|id| {
        let case = all().iter().find(|case| case.id == *id);
        let checks = case.into_iter().flat_map(|case| &case.checks);
        !checks
            .into_iter()
            .any(|check| check.has.contains_key("err"))
    });
    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn what_is_declared_and_not_there_counts_as_failed() {
    let unsupported = |_: &str| Ok(Outcome::Unsupported("no such call".to_owned()));
    let run = liar(unsupported, &only("web.login.token"), "");
    assert!(
        run.checks()
            .all(|(_, check)| check.verdict == Verdict::NotTestable)
    );
    assert_eq!(exit_code(&[run]), 1);
}

#[test]
fn what_is_not_declared_is_no_pass_and_no_failure() {
    let run = reference(&only("provider.jwt.token"), "");
    assert!(
        run.checks()
            .all(|(_, check)| check.verdict == Verdict::NotApplicable)
    );
    assert_eq!(exit_code(&[run]), 0);
}

#[test]
fn a_client_that_dies_fails_this_case_and_no_other() {
    let dies = |op: &str| match op {
        "device.start" => Err(Broken::Client("its process ended".to_owned())),
        _ => yes(op),
    };
    let run = liar(dies, &only("device.start.answer"), "");
    assert!(
        run.checks()
            .all(|(_, check)| check.verdict == Verdict::NotTestable)
    );
    let panics = |op: &str| match op {
        "device.start" => panic!("out of cheese"),
        _ => yes(op),
    };
    let run = liar(panics, &only("device.start.answer"), "");
    for (_, check) in run.checks() {
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(
            check
                .why
                .as_ref()
                .is_some_and(|why| why.contains("out of cheese"))
        );
    }
}

#[test]
fn a_case_that_is_wrong_is_not_the_clients_fault() {
    let mut cases = only("tokens.pat.accepted");
    cases[0].checks[0].has = [("eq".to_owned(), json!("${nobody.ok.x}"))].into();
    let run = reference(&cases, "");
    assert_eq!(exit_code(&[run]), 4);
}

const KNOWN: &str = r#"
[[x]]
reason = "no code"
checks = ["device.start.answer#user-code"]
"#;

#[test]
fn known_failures_are_green_and_stale_ones_red() {
    let cases = only("device.start.answer");
    let run = liar(yes, &cases, KNOWN);
    let known = run
        .checks()
        .find(|(_, check)| check.id.ends_with("#user-code"));
    assert_eq!(
        known.map(|(_, check)| check.verdict),
        Some(Verdict::KnownFail)
    );
    assert_eq!(exit_code(&[run]), 1, "the others are not known");

    let run = reference(&cases, KNOWN);
    assert_eq!(run.total(Verdict::FixedButListed), 1);
    assert_eq!(exit_code(&[run]), 2);

    let run = reference(&cases, &KNOWN.replace("answer#user-code", "nothing#at-all"));
    assert_eq!(run.unused, ["device.start.nothing#at-all"]);
    assert_eq!(exit_code(&[run]), 2);

    let several = KNOWN.replace("device.start.answer#user-code", "*.*.*#refused");
    let cases = [only("hosts.base.user-info"), only("errors.form.rfc")].concat();
    let run = liar(no, &cases, &several);
    assert_eq!(run.total(Verdict::KnownFail), 1);
    assert_eq!(
        run.total(Verdict::FixedButListed),
        1,
        "a pattern hides no fix"
    );
    let known = Baseline::parse(&several).unwrap_or_else(|problem| panic!("{problem}"));
    let written = known
        .for_runs(&[run])
        .unwrap_or_else(|problem| panic!("{problem}"));
    let narrowed = several.replace("*.*.*#refused", "errors.form.rfc#refused");
    assert_eq!(written.trim(), narrowed.trim());

    let run = reference(&only("tokens.pat.accepted"), KNOWN);
    assert_eq!(
        exit_code(&[run]),
        0,
        "of a case that was not run nothing is known"
    );
}

#[test]
fn a_baseline_of_a_run_makes_it_green() {
    let cases = only("device.start.answer");
    let stale = KNOWN.replace("answer#user-code", "nothing#at-all");
    let elsewhere = KNOWN.replace("device.start.answer#user-code", "tokens.pat.accepted#*");
    let mut known = Baseline::default();
    for text in [KNOWN, &stale, &elsewhere] {
        known.add(Baseline::parse(text).unwrap_or_else(|problem| panic!("{problem}")));
    }
    let written = known.for_runs(&[liar(yes, &cases, "")]);
    let written = written.unwrap_or_else(|problem| panic!("{problem}"));
    let again = liar(yes, &cases, &written);
    assert_eq!(exit_code(&[again]), 0, "{written}");
    assert!(
        written.contains("no code") && written.contains("tokens.pat.accepted#*"),
        "{written}"
    );
    assert!(!written.contains("nothing#at-all"), "{written}");
}

#[test]
fn a_run_of_nothing_is_incomplete() {
    assert_eq!(exit_code(&[]), 3);
    assert_eq!(exit_code(&[reference(&[], "")]), 3);
    let plan = Plan::new("x", 1, || Err(Broken::Client("does not start".to_owned())));
    let runs = run(
        Harness::shared(),
        &[plan],
        &only("tokens.pat.accepted"),
        &Baseline::default(),
        None,
    );
    assert_eq!(exit_code(&runs), 3);
}
