//! `run --live`, as a person runs it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use coze_auth_mock::{Fault, On};

use super::{Variables, example, reached, service};

static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| example::built("conformance"));

/// Exit code, and all that was printed and written.
fn live(variables: &Variables, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = std::env::temp_dir().join(format!(
        "coze-auth-live-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut command = Command::new(&*EXAMPLE);
    command.args(["run", "--live"]).args(arguments);
    for report in ["jsonl", "json", "junit", "tap", "md", "html"] {
        command.arg(format!("--{report}")).arg(folder.join(report));
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COZE_")) {
        command.env_remove(name);
    }
    let output = command.envs(variables).output().expect("it runs");
    let mut all = [output.stdout, output.stderr]
        .map(|text| String::from_utf8(text).expect("UTF-8"))
        .concat();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        all += &std::fs::read_to_string(entry.expect("an entry").path()).expect("UTF-8");
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
    (output.status.code(), all)
}

fn shows_no_secret(told: &str, variables: &Variables) {
    let secrets = [
        "COZE_API_TOKEN",
        "COZE_WEB_OAUTH_CLIENT_SECRET",
        "COZE_JWT_OAUTH_PRIVATE_KEY",
    ];
    let lines = secrets.iter().flat_map(|name| variables[name].lines());
    for secret in lines.filter(|line| line.len() > 6 && !line.starts_with('-')) {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
    assert!(
        !told.contains("czs_mock") && !told.contains("eyJ"),
        "{told}"
    );
}

#[test]
fn it_says_whom_it_calls_and_shows_no_secret() {
    let (mock, mut variables) = service();
    let (code, told) = live(&variables, &["--subject", "ureq", "--subject", "reqwest"]);
    let whom = format!(
        "live: requests go to {}, as the web app 777",
        mock.base_url()
    );
    assert!(told.starts_with(&whom), "{told}");
    assert!(told.contains("jwt.grant.token#token"), "{told}");
    assert_eq!(code, Some(0), "{told}");
    shows_no_secret(&told, &variables);

    // What is refused is told in full, and still shows none.
    variables.insert("COZE_API_TOKEN", "pat_somebody_elses_0123456789".to_owned());
    variables.insert(
        "COZE_WEB_OAUTH_CLIENT_SECRET",
        "somebody-elses-secret".to_owned(),
    );
    let (code, told) = live(&variables, &["--subject", "ureq"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("fail must tokens.pat.accepted#opens"),
        "{told}"
    );
    shows_no_secret(&told, &variables);
}

/// Neither a secret in its answers nor the tokens that it gives, whatever they look like.
#[test]
fn what_the_service_says_is_masked() {
    let (mock, variables) = service();
    let refused = r#"{"code":4100,"msg":"not own-secret-of-the-web-app"}"#;
    let _refused = mock.fault(On::endpoint("users_me"), Fault::status(401).body(refused));
    // Long enough to be cut, and no word of it long enough to be suspicious.
    let token = "opaque.".repeat(100);
    let granted = format!(r#"{{"access_token":"{token}","expires_in":4102444800}}"#);
    let _granted = mock.fault(On::grant("jwt_bearer"), Fault::status(200).body(granted));
    let (code, told) = live(&variables, &["--subject", "ureq"]);
    assert_eq!(code, Some(1), "{told}");
    let actual = r#"t.ok.access_token: expected matches "^czs_", actual "***""#;
    assert!(told.contains(actual) && told.contains("not ***"), "{told}");
    assert!(!told.contains("opaque"), "{told}");
    shows_no_secret(&told, &variables);
}

#[test]
fn what_is_not_safe_is_not_sent() {
    let (mock, variables) = service();
    let arguments = ["--subject", "ureq", "--case", "network", "--case", "web"];
    let (code, told) = live(&variables, &arguments);
    assert_eq!(code, Some(3), "a run of nothing: {told}");
    assert!(
        told.contains("none of the cases is for it: it is not marked live_safe"),
        "{told}"
    );
    assert_eq!(reached(&mock), [""; 0]);
}

/// By itself it calls nobody.
#[test]
fn it_wants_to_be_told_where_as_whom_and_with_what() {
    let (mock, variables) = service();
    let (code, told) = live(&Variables::new(), &["--subject", "ureq"]);
    assert_eq!(code, Some(4));
    assert!(told.starts_with("COZE_API_BASE is not set"), "{told}");
    let (code, told) = live(&variables, &[]);
    assert_eq!(code, Some(4));
    assert!(
        told.contains("name the client, by --subject or --adapter"),
        "{told}"
    );
    assert_eq!(reached(&mock), [""; 0]);
}

/// A shim is told the service and the machine's time.
#[cfg(unix)]
#[test]
fn over_a_shim() {
    let (mock, variables) = service();
    let file = std::env::temp_dir().join(format!("coze-auth-live-{}.txt", std::process::id()));
    let hello = r#"{"protocol":1,"name":"sh","version":"1","language":"sh","runtime":"sh","caps":["device","clock"]}"#;
    let shim = format!(
        r#"sh -c 'while read -r line; do
printf "%s\n" "$line" >> {file}
id=${{line##*\"id\":}}; id=${{id%%,*}}
case "$line" in
*\"op\":\"hello\"*) printf "%s\n" "{{\"id\":$id,\"ok\":{hello}}}";;
*\"op\":\"device.start\"*) printf "%s\n" "{{\"id\":$id,\"err\":{{\"kind\":\"oauth\",\"code\":\"invalid_client\",\"message\":\"no\"}}}}";;
*\"id\":*) printf "%s\n" "{{\"id\":$id,\"ok\":{{}}}}";;
*) exit 0;;
esac; done'"#,
        file = file.display(),
        hello = hello.replace('"', "\\\""),
    );
    let arguments = ["--adapter", &format!("sh={shim}"), "--case", "device.start"];
    let (code, told) = live(&variables, &arguments);
    assert!(
        told.contains("fail must device.start.answer#answered"),
        "{told}"
    );
    assert_eq!(code, Some(1), "{told}");
    let lines = std::fs::read_to_string(&file).expect("it ran");
    std::fs::remove_file(&file).expect("it is there");
    let begun = lines.lines().filter(|line| line.contains(r#""op":"case""#));
    let begun: Vec<serde_json::Value> = begun
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(begun.len(), 2, "{lines}");
    for case in begun {
        assert_eq!(case["args"]["base_url"], mock.base_url());
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_millis();
        let unix_ms = u128::from(case["unix_ms"].as_u64().unwrap_or_default());
        assert!(now.abs_diff(unix_ms) < 600_000, "{unix_ms}");
    }
}
