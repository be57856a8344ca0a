//! The cases themselves: ids, levels, what they rest on, and what the frozen sets of requirements hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use coze_auth_conformance::case::Level;
use coze_auth_conformance::{Case, cases, specs};
use serde_json::Value;

fn all() -> &'static [Case] {
    cases().unwrap_or_else(|problem| panic!("{problem}"))
}

/// `case#check` of every check.
fn checks(
    cases: &[Case],
) -> impl Iterator<Item = (String, &Case, &coze_auth_conformance::case::Check)> {
    cases.iter().flat_map(|case| {
        let checks = case.checks.iter();
        checks.map(move |check| (format!("{}#{}", case.id, check.id), case, check))
    })
}

fn is_slug(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    id.split('.').all(part)
}

#[test]
fn ids_are_slugs_and_stand_once() {
    let cases = all();
    let mut seen = BTreeSet::new();
    for case in cases {
        assert!(
            is_slug(&case.id) && case.id.split('.').count() >= 3,
            "{}",
            case.id
        );
    }
    for (id, _, check) in checks(cases) {
        assert!(is_slug(&check.id), "{id}");
        assert!(seen.insert(id.clone()), "{id} stands twice");
    }
    assert!(seen.len() >= 150, "{} checks", seen.len());
}

#[test]
fn every_case_says_whom_it_hurts_and_has_a_check() {
    for case in all() {
        assert!(case.why.len() > 10 && !case.title.is_empty(), "{}", case.id);
        assert!(
            !case.checks.is_empty() && !case.steps.is_empty(),
            "{}",
            case.id
        );
    }
}

/// A check waits for one that came before it, and that turns a run red by itself: nothing is left out in a green one.
#[test]
fn after_names_an_earlier_check_that_counts() {
    for case in all() {
        for (index, check) in case.checks.iter().enumerate() {
            let Some(after) = &check.after else { continue };
            let earlier = case.checks[..index].iter().find(|one| one.id == *after);
            let earlier = earlier.unwrap_or_else(|| panic!("{}#{}: {after}", case.id, check.id));
            assert!(
                earlier.level != Level::Observe || check.level == Level::Observe,
                "{}#{}",
                case.id,
                check.id
            );
        }
    }
}

/// A statement that is not in the table cannot be looked up; one that no check follows from is dead.
#[test]
fn statements_resolve_and_none_is_unused() {
    let (cases, specs) = (all(), specs().unwrap_or_else(|problem| panic!("{problem}")));
    let mut used = BTreeSet::new();
    for (id, _, check) in checks(cases) {
        assert!(!check.spec.is_empty(), "{id} rests on nothing");
        for spec in &check.spec {
            assert!(
                specs.contains_key(spec),
                "{id} rests on {spec}, which is not in specs.json"
            );
            used.insert(spec.clone());
        }
    }
    let known: BTreeSet<String> = specs.keys().cloned().collect();
    assert_eq!(known, used);
    let evidence = ["standard", "documented", "sdk", "report", "guess"];
    for (id, spec) in specs {
        assert!(
            evidence.contains(&&*spec.evidence) && !spec.says.is_empty(),
            "{id}"
        );
    }
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()))
}

/// Facts stand in one place: a statement that is a rule of the mock has that rule's words and evidence, and one of
/// the protocol page has a section there.
#[test]
fn statements_are_those_of_their_sources() {
    let rules: toml::Table = read("mock-server/rules.toml").parse().expect("TOML");
    let rules = rules["rule"].as_array().expect("rules");
    let text = |rule: &toml::Value, name: &str| rule[name].as_str().expect("a text").to_owned();
    let rules: BTreeMap<String, (String, String)> = rules
        .iter()
        .map(|rule| {
            (
                format!("COZE-{}", text(rule, "id")),
                (text(rule, "text"), text(rule, "evidence")),
            )
        })
        .collect();
    let page = read("docs/protocol.md");
    let anchors: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let words = line
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-");
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
                .collect()
        })
        .collect();
    for (id, spec) in specs().expect("a table") {
        if spec.url == "mock-server/rules.toml" {
            let is = (spec.says.clone(), spec.evidence.clone());
            assert_eq!(rules.get(id), Some(&is), "{id}");
        } else if let Some(anchor) = spec.url.strip_prefix("docs/protocol.md#") {
            assert!(
                anchors.contains(anchor),
                "{id}: the protocol page has no {anchor}"
            );
        } else {
            let known = spec.url.starts_with("https://www.rfc-editor.org/rfc/")
                || spec.url == "docs/design.md";
            assert!(known, "{id}: {}", spec.url);
        }
    }
}

/// Kinds of faults that no case uses, and where they are tried.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "consent_policy",
        "only a browser obeys the policy of a page",
    ),
    (
        "callback_307",
        "only a browser sends the form of a page again",
    ),
    (
        "callback_twice",
        "only a browser loads the picture of a page",
    ),
];

/// Every kind of fault that the mock has, and every operation of the protocol of shims, is in some case.
#[test]
fn every_fault_and_every_operation_is_used() {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (mut faults, mut operations) = (BTreeSet::new(), BTreeSet::new());
    for step in all().iter().flat_map(|case| &case.steps) {
        operations.extend(step.r#do.clone());
        if step.during.iter().any(|during| during.cancel) {
            operations.insert("cancel".to_owned());
        }
        faults.extend(text(
            step.with.get("fault").and_then(|fault| fault.get("kind")),
        ));
    }
    let readme = read("mock-server/README.md");
    let table = readme.split("\n## Faults\n").nth(1).expect("a section");
    let table = table.split("\n## ").next().unwrap_or_default();
    let kinds = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let kinds: BTreeSet<String> = kinds.map(str::to_owned).collect();
    assert!(kinds.len() > 10, "{kinds:?}");
    faults.extend(ELSEWHERE.map(|(kind, _)| kind.to_owned()));
    assert_eq!(faults, kinds);
    let schema: Value =
        serde_json::from_str(&read("conformance/clients/shims/shim.schema.json")).expect("JSON");
    let known = schema["$defs"]["request"]["properties"]["op"]["enum"]
        .as_array()
        .expect("a list");
    let known = known.iter().filter_map(Value::as_str);
    // The runner's own.
    let known = known.filter(|op| !["hello", "case"].contains(op));
    assert_eq!(operations, known.map(str::to_owned).collect());
}

/// A capability that nobody can declare makes a case that nobody runs.
#[test]
fn capabilities_are_those_of_the_protocol() {
    let schema: Value =
        serde_json::from_str(&read("conformance/clients/shims/shim.schema.json")).expect("JSON");
    let known = schema["$defs"]["cap"]["enum"].as_array().expect("a list");
    let mut known: BTreeSet<&str> = known.iter().filter_map(Value::as_str).collect();
    known.extend(["network", "core"]);
    for (id, case, check) in checks(all()) {
        for need in case.needs.iter().chain(&check.needs) {
            let need = need.strip_prefix('!').unwrap_or(need);
            assert!(known.contains(need), "{id} needs {need}");
        }
    }
}

/// What runs against somebody else's service takes one grant at most, moves no time and breaks nothing; and something
/// of it can be seen without watching the server.
#[test]
fn what_is_live_safe_is_safe() {
    let live: Vec<&Case> = all().iter().filter(|case| case.live_safe).collect();
    assert!(live.len() >= 10, "{}", live.len());
    for case in live {
        let ops = case
            .steps
            .iter()
            .map(|step| step.r#do.as_deref().unwrap_or("no operation"));
        let mut grants = 0;
        for op in ops {
            match op {
                "client.new" | "api.call" => {}
                "jwt.token" | "workload.token" | "refresh" | "device.start" => grants += 1,
                other => panic!("{}: {other}", case.id),
            }
        }
        assert!(grants <= 1, "{}: {grants} grants", case.id);
        let quiet = case.mock.is_empty() && case.steps.iter().all(|step| step.during.is_empty());
        assert!(
            quiet && !case.needs.iter().any(|need| need == "clock"),
            "{}",
            case.id
        );
        let of_server = ["wire", "rules", "gaps_ms", "elsewhere", "leaks.wire"];
        let told = |at: &str| !of_server.iter().any(|place| at.starts_with(place));
        assert!(
            case.checks.iter().any(|check| told(&check.at)),
            "{}",
            case.id
        );
    }
}

/// Whoever passed a set once can say so for ever: a set does not change after its date. `UPDATE_REQUIREMENTS=1`
/// writes it while it is being made.
#[test]
fn the_requirements_of_2026_12_are_frozen() {
    let cases = all();
    let now: Vec<String> = checks(cases)
        .filter(|(_, case, check)| case.since.as_str() <= "2026-12" && check.level == Level::Must)
        .map(|(id, ..)| id)
        .collect();
    let path = "conformance/suite/requirements/2026-12.json";
    if std::env::var_os("UPDATE_REQUIREMENTS").is_some() {
        let text = format!(
            "{:#}\n",
            serde_json::json!({ "date": "2026-12", "must": now })
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::write(path, text).expect("it can be written");
        return;
    }
    let frozen: Value = serde_json::from_str(&read(path)).expect("JSON");
    let frozen = frozen["must"].as_array().expect("a list").iter();
    let frozen: BTreeSet<&str> = frozen.filter_map(Value::as_str).collect();
    let now: BTreeSet<&str> = now.iter().map(String::as_str).collect();
    let gone: Vec<_> = frozen.difference(&now).collect();
    let new: Vec<_> = now.difference(&frozen).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "gone: {gone:?}; new: {new:?}"
    );
}

/// Whoever reads a known failure finds the exchange by its id.
#[test]
fn known_failures_of_the_sdks_are_findings() {
    let findings = read("docs/sdk-findings.md");
    for file in [
        "cozepy",
        "coze-api",
        "coze-go",
        "coze-java",
        "coze-workload-identity",
    ] {
        let known: toml::Table = read(&format!("conformance/suite/known-failures/{file}.toml"))
            .parse()
            .expect("TOML");
        for defect in known[file].as_array().expect("defects") {
            let reason = defect["reason"].as_str().expect("a reason");
            let (id, _) = reason.split_once(": ").expect("an id");
            assert!(findings.contains(&format!("| {id} |")), "{reason}");
        }
    }
}
