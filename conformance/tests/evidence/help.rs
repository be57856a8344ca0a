//! The page for who has an account: its practice run ends as it says.

use std::path::Path;
use std::process::Command;

use coze_auth_conformance::evidence::budget;
use coze_auth_mock::{AppKind, Consent, CozeAuthMock, check_record};
use serde_json::Value;

use crate::service::app_file;

const PAGES: [&str; 2] = ["docs/evidence.md", "docs/zh-CN/evidence.md"];

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same code stands on both pages (`languages.rs`), so one is run. The person is `--yes-to-every-request`, and curl the browser.
#[cfg(unix)]
#[test]
fn the_practice_run_ends_as_the_page_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is not there");
        return;
    }
    let page = read(PAGES[0]);
    let blocks: Vec<&str> = page
        .split("```console\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 1);
    // Nobody waits for a device code of five minutes here.
    let mock = CozeAuthMock::builder()
        .toml("[ttl]\ndevice = 1\ndevice_interval = 1\n")
        .expect("a configuration")
        .consent(Consent::Approve)
        .start_blocking()
        .expect("a mock");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("practice-run");
    let _ = std::fs::remove_dir_all(&folder);
    let own = folder.join("own");
    std::fs::create_dir_all(&own).expect("a folder");
    for kind in [AppKind::Web, AppKind::Device, AppKind::Jwt] {
        let name = format!("{}.json", crate::service::name(kind));
        std::fs::write(own.join(name), app_file(&mock, kind)).expect("a file");
    }
    let of_the_mock = r#"coze-auth-mock() {
        case "$1 $2" in
            "env --config") cat "own/$3.json" ;;
            "shadow check") cp "$3" own/checked.json ;;
            *) exit 9 ;;
        esac
    }"#;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port().to_string();
    drop(free);
    let lines = blocks[0].lines().map(|line| line.strip_prefix("$ "));
    let lines: Vec<&str> = lines.map(|line| line.expect("a command")).collect();
    let script = lines.join("\n").replace("8414", &port).replace(
        "coze-auth-conformance evidence",
        "coze-auth-conformance evidence --yes-to-every-request",
    );
    let binary = Path::new(env!("CARGO_BIN_EXE_coze-auth-conformance"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", binary.parent().expect("a folder").display());
    let output = Command::new("bash")
        .args(["--norc", "-euc", &format!("{of_the_mock}\n{script}")])
        .env_clear()
        .env("PATH", path)
        .env("HOME", &folder)
        .env("NO_PROXY", "127.0.0.1")
        .env("BROWSER", "curl -s -L -o own/browser")
        .stdin(std::process::Stdio::null())
        .current_dir(&folder)
        .output()
        .expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, why) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}{why}");
    let checked = check_record(&read(own.join("checked.json"))).expect("a record");
    let report = checked.report_text();
    // With the usual lives it is nothing.
    let shorter = ["device.expired", "device.interval"];
    assert_eq!(checked.differing(), shorter, "{report}\n{told}");
    assert!(report.contains("\nDiffers from the mock\n"), "{report}");
    let found: Value =
        serde_json::from_str(&read(folder.join("practice-evidence.json"))).expect("JSON");
    assert_eq!(found["ended"], Value::Null, "{told}");
    let requests = found["requests"].as_u64().expect("a number");
    // The page says "about 55".
    assert!((45..=65).contains(&requests), "{requests}: {told}");
}

#[test]
fn the_page_names_the_number_of_requests() {
    for page in PAGES {
        let text = read(page);
        let most = format!(" {} ", budget());
        assert!(text.contains(&most), "{page} does not name{most}requests");
    }
}
