//! `shadow`, and what `env` prints for it, before a mock as the upstream.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::support::*;

/// A shadow that listens: the process, the rest of its output, and its base URL.
fn shadow(upstream: &str, more: &[&str]) -> (Server, BufReader<std::process::ChildStdout>, String) {
    let mut arguments = vec!["shadow", "--upstream", upstream, "--listen", "127.0.0.1:0"];
    arguments.extend(more);
    let mut child = command(&arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut out = BufReader::new(child.stdout.take().expect("its standard output"));
    let mut first = String::new();
    let mut report = String::new();
    out.read_line(&mut first).expect("a line");
    out.read_line(&mut report).expect("a line");
    assert!(first.contains(upstream), "{first}");
    let base = report.split_whitespace().nth(1).expect("a URL");
    let base = base.split("/_mock").next().expect("a URL").to_owned();
    (Server(child), out, base)
}

#[test]
fn a_shadow_reports_and_records_at_its_end() {
    let (_mock, info) = serve(&[]);
    let upstream = base_url(&info);
    let folder = Folder::new("shadow");
    let (report, record) = (folder.path("report.json"), folder.path("record.json"));
    let more = [
        "--mock-apps",
        "--until-stdin-closes",
        "--report",
        &report,
        "--record",
        &record,
    ];
    let (mut server, mut out, base) = shadow(&upstream, &more);
    let host = format!("Host: {}", base.trim_start_matches("http://"));
    let token = "Authorization: Bearer pat_mock_alice";
    let answer = ask(&base, "/v1/users/me", &[&host, token]);
    assert!(answer.contains("alice"), "{answer}");
    drop(server.0.stdin.take());
    let mut text = String::new();
    out.read_to_string(&mut text).expect("a text");
    assert!(server.0.wait().expect("an end").success());
    assert!(text.contains("1 exchanges judged"), "{text}");
    let written = std::fs::read_to_string(&report).expect("a report");
    let written: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["exchanges"], 1);
    let recorded = std::fs::read_to_string(&record).expect("a record");
    assert!(
        !recorded.contains("alice") && !recorded.contains("pat_mock_alice"),
        "{recorded}"
    );
    let checked = self::out(&["shadow", "check", &record]);
    assert!(
        checked.contains("1 exchanges judged") && checked.contains("answer.users_me"),
        "{checked}"
    );
    let (status, error) = failure(&["shadow", "check", &report]);
    assert!(status == 1 && error.contains("not a record"), "{error}");
}

#[test]
fn env_prints_what_a_program_needs() {
    let (_mock, info) = serve(&[]);
    let (_shadow, _out, base) = shadow(&base_url(&info), &[]);
    // The upstream is plain, so the shadow is the base.
    let lines = out(&["env", "--for", "python", "--shadow", &base]);
    assert_eq!(lines.trim(), format!("export COZE_API_BASE='{base}'"));
    let lines = out(&["env", "--for", "workload-python", "--shadow", &base]);
    let token = format!("'{base}/.well-known/token'");
    assert_eq!(
        lines.trim(),
        format!(
            "export COZE_WORKLOAD_IDENTITY_TOKEN_ENDPOINT={token}\nexport COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT={token}\n\
             export COZE_OUTBOUND_AUTH_ENDPOINT='{base}/api/v1/secret'"
        )
    );
    let folder = Folder::new("shadow-plain");
    let (mut server, mut printed, _) = shadow(
        &base_url(&info),
        &["--ca", &folder.path("ca.pem"), "--until-stdin-closes"],
    );
    drop(server.0.stdin.take());
    let mut text = String::new();
    printed.read_to_string(&mut text).expect("a text");
    assert!(
        text.contains("not before an upstream of plain http"),
        "{text}"
    );
    assert!(!text.contains("HTTPS_PROXY"), "{text}");
    // No request is sent to the real service: it is named, and nothing more. A machine without CA certificates will do.
    let trusted = rcgen::generate_simple_self_signed(["ca".to_owned()]).expect("a certificate");
    let trusted = folder.write("trusted.pem", &trusted.cert.pem());
    let (_shadow, _out, base) = shadow("https://api.coze.cn", &["--upstream-ca", &trusted]);
    let lines = out(&["env", "--for", "js", "--shadow", &base]);
    let value = |name: &str| {
        let line = lines
            .lines()
            .find_map(|line| line.strip_prefix(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {lines}"))
            .trim_matches('\'')
            .to_owned()
    };
    assert_eq!(value("COZE_API_BASE"), "https://api.coze.cn");
    assert_eq!(value("HTTPS_PROXY"), base);
    assert_eq!(value("NODE_USE_ENV_PROXY"), "1");
    let ca = std::fs::read_to_string(value("NODE_EXTRA_CA_CERTS")).expect("a file");
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"), "{ca}");
    let file = value("SSL_CERT_FILE");
    #[cfg(unix)]
    {
        // Another user may have put it there.
        let folder = Folder::new("shadow-ca");
        let theirs = folder.write("theirs.pem", "theirs");
        std::fs::remove_file(&file).expect("a file");
        std::os::unix::fs::symlink(&theirs, &file).expect("a link");
        out(&["env", "--for", "js", "--shadow", &base]);
        assert!(!std::path::Path::new(&file).is_symlink(), "{file}");
        assert_eq!(std::fs::read_to_string(&theirs).expect("a file"), "theirs");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), ca);
    }
    let _ = std::fs::remove_file(file);
    let java = out(&["env", "--for", "loop-java", "--shadow", &base]);
    assert!(
        java.contains("COZELOOP_API_BASE_URL='https://api.coze.cn'"),
        "{java}"
    );
    assert!(java.contains("-Dhttps.proxyHost=127.0.0.1"), "{java}");
    let workload = out(&["env", "--for", "workload-python", "--shadow", &base]);
    for line in [
        "COZE_WORKLOAD_ACCESS_TOKEN_ENDPOINT='https://api.coze.cn/.well-known/token'",
        "COZE_OUTBOUND_AUTH_ENDPOINT='https://integration.coze.cn/api/v1/secret'",
        "HTTPS_PROXY=",
    ] {
        assert!(workload.contains(line), "{line}: {workload}");
    }
    let (_mock, info) = serve(&[]);
    let (status, error) = failure(&["env", "--for", "js", "--shadow", &base_url(&info)]);
    assert!(status == 1 && error.contains("is not a shadow"), "{error}");
}

#[test]
fn an_upstream_that_cannot_be_one_is_told() {
    let (status, error) = failure(&["shadow", "--upstream", "http://api.coze.cn"]);
    assert!(
        status == 1 && error.contains("plain http to another machine"),
        "{error}"
    );
    let (status, error) = failure(&["shadow"]);
    assert!(status == 2 && error.contains("--upstream"), "{error}");
}
