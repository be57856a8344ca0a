//! `shadow`, and what `env` prints for it, before a mock as the upstream.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::support::*;

type Started = (Server, BufReader<std::process::ChildStdout>, String);

/// A shadow that listens: the process, the rest of its output, and its base URL.
fn shadow(upstream: &str, more: &[&str]) -> Started {
    shadow_with(upstream, more, &[])
}

/// The same with these variables.
fn shadow_with(upstream: &str, more: &[&str], environment: &[(&str, &str)]) -> Started {
    let mut arguments = vec!["shadow", "--upstream", upstream, "--listen", "127.0.0.1:0"];
    arguments.extend(more);
    let mut child = command(&arguments)
        .envs(environment.iter().copied())
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

/// A proxy for one tunnel, which it leads to this port, whatever was asked for; it gives the head of the request.
fn proxy(to: String) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("an address").to_string();
    let serving = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the shadow");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let mut server = TcpStream::connect(to).expect("the mock");
        let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(answer).expect("sent");
        let (mut from, mut back) = (
            client.try_clone().expect("a socket"),
            server.try_clone().expect("a socket"),
        );
        std::thread::spawn(move || std::io::copy(&mut back, &mut client));
        let _ = std::io::copy(&mut from, &mut server);
        String::from_utf8(head).expect("a text")
    });
    (own, serving)
}

/// The usual way out of a company.
#[test]
fn the_upstream_is_reached_by_the_proxy_of_the_environment() {
    let folder = Folder::new("shadow-proxy");
    let ca = folder.path("ca.pem");
    let tls = [
        "--tls",
        "self",
        "--tls-name",
        "api.upstream.example",
        "--tls-ca",
        &ca,
    ];
    let (_mock, info) = serve(&tls);
    let mock = base_url(&info).replace("https://", "");
    let (own, serving) = proxy(mock);
    let variable = format!("http://user:p%40ss@{own}");
    let upstream = "https://api.upstream.example";
    let more = ["--upstream-ca", &*ca, "--until-stdin-closes"];
    let environment = [("HTTPS_PROXY", &*variable), ("NO_PROXY", "")];
    let (mut server, _out, base) = shadow_with(upstream, &more, &environment);
    let host = format!("Host: {}", base.trim_start_matches("http://"));
    let token = "Authorization: Bearer pat_mock_alice";
    let answer = ask(&base, "/v1/users/me", &[&host, token]);
    assert!(answer.contains("alice"), "{answer}");
    drop(server.0.stdin.take());
    assert!(server.0.wait().expect("an end").success());
    let asked = serving.join().expect("a request").to_lowercase();
    assert!(
        asked.starts_with("connect api.upstream.example:443 http/1.1\r\n"),
        "{asked}"
    );
    // The credential is base64, which has its own letters.
    assert!(
        asked.contains("proxy-authorization: basic dxnlcjpwqhnz\r\n"),
        "{asked}"
    );
    let mut log = String::new();
    let errors = server.0.stderr.take().expect("its standard error");
    BufReader::new(errors)
        .read_to_string(&mut log)
        .expect("a text");
    assert!(log.contains("is reached by the proxy 127.0.0.1"), "{log}");
    assert!(!log.contains("p@ss") && !log.contains("p%40ss"), "{log}");
}

#[test]
fn a_proxy_that_the_shadow_cannot_use_is_told() {
    let folder = Folder::new("shadow-other-proxy");
    let trusted = rcgen::generate_simple_self_signed(["ca".to_owned()]).expect("a certificate");
    let trusted = folder.write("trusted.pem", &trusted.cert.pem());
    let arguments = ["shadow", "--upstream", "https://api.coze.cn"];
    let more = ["--listen", "127.0.0.1:0", "--upstream-ca", &trusted];
    let started = command(&[&arguments[..], &more[..]].concat())
        .env("HTTPS_PROXY", "socks5://user:secret@127.0.0.1:9")
        .env("NO_PROXY", "")
        .output()
        .expect("the command runs");
    let error = String::from_utf8(started.stderr).expect("a text");
    assert_eq!(started.status.code(), Some(1), "{error}");
    assert!(
        error.contains("a proxy of socks5") && !error.contains("secret"),
        "{error}"
    );
    // One that answers no, as a mock does, and one that is not there.
    let (_mock, info) = serve(&[]);
    for (proxy, why) in [
        (&*base_url(&info), "it answered 4"),
        ("http://127.0.0.1:9", "refused"),
    ] {
        let more = ["--upstream-ca", &*trusted];
        let environment = [("HTTPS_PROXY", proxy), ("NO_PROXY", "")];
        let (_shadow, _out, base) = shadow_with("https://api.coze.cn", &more, &environment);
        let host = format!("Host: {}", base.trim_start_matches("http://"));
        let answer = ask(&base, "/v1/users/me", &[&host]);
        assert!(
            answer.contains("shadow_unreachable") && answer.contains("by the proxy 127.0.0.1"),
            "{answer}"
        );
        assert!(answer.contains(why), "{answer}");
    }
}
