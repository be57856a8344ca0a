//! Clients that lie, and clients whose words would break a terminal or a report.

use coze_auth_conformance::baseline::Baseline;
use coze_auth_conformance::case::Level;
use coze_auth_conformance::client::{About, Answer, Broken, Client, Failure, Opening, Outcome};
use coze_auth_conformance::result::{Run, Verdict};
use coze_auth_conformance::{Case, Harness, Plan, cases, report, run};
use serde_json::{Map, Value, json};

/// Answers without asking anybody.
struct Made {
    about: About,
    now_s: u64,
    made: u64,
    says: fn(&mut Self, &str, &Map<String, Value>) -> Outcome,
}

impl Client for Made {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(&mut self, case: &Opening) -> Result<(), Broken> {
        self.now_s = case.clock.handle().unix().as_secs();
        Ok(())
    }

    fn call(&mut self, op: &str, args: &Map<String, Value>) -> Result<Answer, Broken> {
        let result = (self.says)(self, op, args);
        let logs = Vec::new();
        Ok(Answer { result, logs })
    }
}

fn over(
    version: &str,
    wanted: &[&str],
    says: fn(&mut Made, &str, &Map<String, Value>) -> Outcome,
) -> Run {
    let all = cases().unwrap_or_else(|problem| panic!("{problem}"));
    let is_wanted = |case: &&Case| wanted.is_empty() || wanted.contains(&&*case.id);
    let cases: Vec<Case> = all.iter().filter(is_wanted).cloned().collect();
    let needs = cases.iter().flat_map(|case| &case.needs);
    let mut about = About::default();
    about.version = version.to_owned();
    about.caps = needs.cloned().collect();
    let make = || {
        let about = about.clone();
        let (now_s, made) = (0, 0);
        let made = Made {
            about,
            now_s,
            made,
            says,
        };
        Ok(Box::new(made) as Box<dyn Client>)
    };
    let plan = Plan::new("a|b<i>", 1, make);
    let mut runs = run(
        Harness::shared(),
        &[plan],
        &cases,
        &Baseline::default(),
        None,
    );
    runs.pop().expect("one client")
}

/// Whoever makes up a token in the right form, with the right end, has got none.
#[test]
fn a_token_that_nobody_issued_passes_nothing() {
    let run = over("1", &[], |made, op, args| {
        made.made += 1;
        let token = format!("czu_made_up_{:032}", made.made);
        let ttl_s = args.get("ttl_s").and_then(Value::as_u64).unwrap_or(900);
        Outcome::Ok(match op {
            "device.start" => {
                json!({ "user_code": "ABC-DEF-GHI", "verification_uri": "http://127.0.0.1/device",
                "interval_s": 5, "expires_in_s": 300 })
            }
            "api.call" => json!({ "user_id": "7000000000000000001", "user_name": "alice" }),
            "client.new" | "config.load" | "provider.new" => json!({}),
            "web.authorize_url" | "pkce.authorize_url" => json!({}),
            _ => {
                json!({ "access_token": token, "expires_at": made.now_s + ttl_s, "refresh_token": token,
                "token_type": "Bearer" })
            }
        })
    });
    let passed = run
        .checks()
        .filter(|(_, check)| check.level != Level::Observe && check.verdict == Verdict::Pass);
    let passed: Vec<&str> = passed.map(|(_, check)| &*check.id).collect();
    // Without a URL the person never came back: it did not say that it got a token.
    let left = [
        "web.secret.line-break#not-injected",
        "web.secret.line-break#nothing-sent",
    ];
    assert_eq!(passed, left);
    let (_, check) = run
        .checks()
        .find(|(_, check)| check.id == "device.login.token#token")
        .expect("it is there");
    assert_eq!(check.verdict, Verdict::NotTestable);
    let why = "device.start was ok, and no server received a request";
    assert_eq!(check.why.as_deref(), Some(why));
    assert_eq!(run.total(Verdict::HarnessError), 0);
}

const EVIL: &str = "\u{1b}[31mred\u{1b}]0;title\u{7} <script>|` \nnot ok 1 - x\r\nok 2\u{0}\u{9b}1m \u{fffe}\u{ffff} ]]>";

#[test]
fn what_a_client_says_breaks_no_report() {
    let run = over(EVIL, &["device.start.answer"], |_, op, _| match op {
        "client.new" => Outcome::Ok(json!({})),
        "device.start" => Outcome::Unsupported(EVIL.to_owned()),
        _ => Outcome::Err(Failure::new("other", EVIL)),
    });
    let runs = [run];
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    let terminal = report::terminal::runs(&runs);
    let case = report::terminal::case(&runs[0].cases[0]);
    let tap = report::tap::tap(&runs);
    for text in [&terminal, &case, &tap] {
        assert!(!text.contains(is_odd), "{text:?}");
        assert!(text.contains("\\u{1b}[31mred"), "{text}");
    }
    let tests = runs[0].checks().count();
    let lines = tap.lines().skip(2);
    assert_eq!(lines.clone().count(), tests, "{tap}");
    assert!(
        lines.clone().all(|line| line.starts_with("not ok ")),
        "{tap}"
    );
    let no_xml = |c: char| is_odd(c) || matches!(c, '\u{fffe}' | '\u{ffff}');
    for text in [report::junit::junit(&runs), report::html::html(&runs)] {
        assert!(
            !text.contains(no_xml) && !text.contains("<script>|"),
            "{text}"
        );
        assert!(text.contains("&lt;script&gt;|"), "{text}");
    }
    let markdown = report::markdown::markdown(&runs);
    let row = markdown.lines().find(|line| line.starts_with("| a"));
    let row = row.expect("a row").replace("\\|", "");
    assert_eq!(row.matches('|').count(), 7, "{row}");
    assert!(
        !markdown.contains("<script>") && !markdown.contains(is_odd),
        "{markdown}"
    );
    for line in report::json::lines(&runs).lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
