//! The shell blocks of the guide that run the command against the mock.

use std::path::Path;
use std::process::Command;

use crate::support::{Home, Run};

/// Where the pages say that the mock is.
const MOCK: &str = "http://127.0.0.1:9777";

#[cfg(unix)]
#[test]
fn the_commands_of_the_guide_print_what_it_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("docs/pat.md").exists() {
        println!("skipped: the guide is not in the package");
        return;
    }
    for page in ["pat.md", "zh-CN/pat.md", "workload.md", "zh-CN/workload.md"] {
        let page = &format!("docs/{page}");
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        let blocks: Vec<&str> = text
            .split("```console\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect();
        assert_eq!(blocks.len(), 1, "{page}");
        let home = Home::new();
        let own = Path::new(env!("CARGO_BIN_EXE_coze-auth"));
        let folder = own.parent().expect("a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        let lines = || blocks.iter().flat_map(|block| block.lines());
        let commands: Vec<&str> = lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let script = commands.join("\n").replace(MOCK, home.mock.base_url());
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-euc", &format!("exec 2>&1; {script}")])
            .env_clear()
            .env("PATH", format!("{folder}:{path}"))
            .env("HOME", &home.path)
            .envs(home.project())
            .current_dir(&home.path);
        let run = Run::of(bash.output().expect("bash runs"));
        assert_eq!(run.code, Some(0), "{page}: {run:?}");
        let printed = run.stdout.replace(home.mock.base_url(), MOCK);
        let shown: Vec<&str> = lines().filter(|line| !line.starts_with("$ ")).collect();
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(shown.len(), printed.len(), "{page}: {printed:?}");
        for (shown, printed) in shown.iter().zip(&printed) {
            // What follows is of the machine, or of the moment.
            let (beginning, _) = shown.split_once('…').unwrap_or((shown, ""));
            assert!(
                printed.starts_with(beginning),
                "{page}: {shown:?} {printed:?}"
            );
            assert!(
                shown.contains('…') || shown == printed,
                "{page}: {printed:?}"
            );
        }
    }
}

/// The control plane stands in for the mock's own command, which this package does not build.
#[cfg(all(unix, feature = "bridge"))]
#[test]
fn the_login_by_hand_of_the_bridges_page_gets_a_token() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("docs/bridge.md").exists() {
        println!("skipped: the guide is not in the package");
        return;
    }
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is not there");
        return;
    }
    let home = Home::new();
    let bridge = crate::bridge::process::Bridge::start(&home);
    let mock = home.mock.base_url();
    let of_the_mock = format!(
        r#"coze-auth-mock() {{
            [ "$1 $2 $4" = "ctl authorize approve" ]
            curl -s {mock}/_mock/v1/authorize -H content-type:application/json -d "{{\"url\":\"$3\",\"action\":\"$4\"}}" |
                sed 's/.*"redirect":"\([^"]*\)".*/\1/'
        }}"#
    );
    for page in ["docs/bridge.md", "docs/zh-CN/bridge.md"] {
        let text = std::fs::read_to_string(root.join(page)).expect("a page");
        let block = text
            .split("```sh\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let block = block
            .expect("a block")
            .replace("http://127.0.0.1:8555", &bridge.issuer);
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-euc", &format!("{of_the_mock}\n{block}")])
            .env("NO_PROXY", "127.0.0.1");
        let run = Run::of(bash.output().expect("bash runs"));
        assert_eq!(run.code, Some(0), "{page}: {run:?}");
        let answer: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!(answer["token_type"], "Bearer", "{page}: {answer}");
        assert!(answer["refresh_token"].is_string(), "{page}: {answer}");
    }
    assert_eq!(bridge.end().code, Some(0));
}
