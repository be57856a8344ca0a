//! A value of every kind that is somebody's goes through every flow and every failure of a running `coze-auth-mock shadow`, and is in
//! nothing that it writes. The table of kinds and places is printed; a cell says in how many exchanges the value was on the wire.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::assertions;
use crate::pair::{DEVICE_CODE, JWT, JWT_GRANT, TOKEN, WEB, WORKLOAD_TOKEN};
use crate::support::{File, GUARD, authority};

/// What happens to an exchange.
const FAILURES: [&str; 24] = [
    "granted",
    "refused",
    "refused with a secret as its code",
    "another member with a secret as its name",
    "broken off",
    "packed",
    "packed, and it cannot be unpacked",
    "redirect",
    "malformed answer",
    "page of a gateway",
    "too many requests",
    "answer over 1 MiB",
    "secrets in headers",
    "no answer",
    "upstream down",
    "malformed request",
    "request over 64 KiB",
    "request over 1 MiB",
    "another name of the shadow",
    "page of another site",
    "whole URL",
    "upgrade",
    "tunnel refused",
    "assertion for another host",
];
/// Those in which nothing comes from the upstream.
const UNANSWERED: [&str; 9] = [
    "no answer",
    "upstream down",
    "request over 1 MiB",
    "another name of the shadow",
    "page of another site",
    "whole URL",
    "upgrade",
    "tunnel refused",
    "assertion for another host",
];

/// The one that assertions alone can have.
const OTHER_HOST: &str = "assertion for another host";

/// The values of one failure, by their kind: random in what they look like, and the same in each run.
#[derive(Default)]
struct Values {
    failure: usize,
    made: BTreeMap<&'static str, String>,
}

impl Values {
    fn random(&self, kind: &str, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let seed = kind.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut state = seed ^ (self.failure as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 40).expect("24 bits") % alphabet.len()
        };
        (0..length).map(|_| alphabet[next()]).collect()
    }

    fn of(&mut self, kind: &'static str) -> String {
        const LETTERS: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        const LOWER: &str = "abcdefghijkmnpqrstuvwxyz";
        const DIGITS: &str = "123456789";
        if let Some(made) = self.made.get(kind) {
            return made.clone();
        }
        let long = self.random(kind, LETTERS, 40);
        let label = self.random(kind, LOWER, 20);
        let number = self.random(kind, DIGITS, 19);
        let made = match kind {
            "client id" => format!("{}.app.coze", self.random(kind, DIGITS, 32)),
            "authorization code" => format!("code_{long}"),
            "access token" => format!("czu_{long}"),
            "access token of a JWT app" => format!("czs_{long}"),
            "access token of a workload" => format!("cztei_{long}"),
            "PAT" => format!("pat_{long}"),
            "SAT" => format!("sat_{long}"),
            "id token" => format!("eyJhbGciOiJSUzI1NiJ9.{long}.{label}"),
            "user code" => self.random(kind, "BCDFGHJKLMNPQRSTVWXZ", 9),
            "code verifier" => format!("{long}{label}"),
            "account id"
            | "user id"
            | "enterprise id"
            | "workspace id"
            | "id of a conversation"
            | "id of a bot"
            | "authorization code of digits" => number,
            "user name" => label,
            "nick name" | "workspace name" => format!("{label} {number}"),
            "e-mail address" => format!("{label}@mail.example"),
            "redirect URI" | "avatar address" | "icon address" | "verification address" => {
                format!("https://{label}.example/{number}")
            }
            "host" => format!("{label}.example"),
            _ => long,
        };
        self.made.insert(kind, made.clone());
        made
    }
}

/// A request, and what a service answers that grants it.
struct Flow {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: &'static str,
    location: String,
    answer: Value,
    /// What is on the wire in another spelling: header and claims of an assertion.
    inside: String,
    /// The assertion is for another host than the upstream.
    is_foreign: bool,
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Every flow, each with all that it has of somebody's.
fn flows(values: &mut Values, upstream: &str) -> Vec<Flow> {
    let mut of = |kind| values.of(kind);
    let client = of("client id");
    let tokens = json!({ "access_token": of("access token"), "refresh_token": of("refresh token"), "expires_in": 1_750_000_900, "token_type": "Bearer" });
    let bearer = |token: String| ("authorization", format!("Bearer {token}"));
    let flow = |method, target: String, headers: Vec<_>, body: String, answer: Value| Flow {
        method,
        target,
        headers,
        body,
        status: "200 OK",
        location: String::new(),
        answer,
        inside: String::new(),
        is_foreign: false,
    };
    let form = |pairs: &[(&str, &str)]| {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(pairs).finish()
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let mut parts = String::new();
    let (kid, jti, session, account) = (
        of("key id"),
        of("jti"),
        of("session name"),
        of("account id"),
    );
    let foreign = of("host");
    let signed = |aud: &str, parts: &mut String| {
        assertions::assertion(now, |header, claims| {
            header["kid"] = json!(kid);
            claims["jti"] = json!(jti);
            claims["session_name"] = json!(session);
            claims["aud"] = json!(aud);
            *parts = format!("{header}{claims}");
        })
    };
    let assertions = [authority(upstream), &foreign].map(|audience| {
        let assertion = signed(audience, &mut parts);
        (assertion, parts.clone(), audience == foreign)
    });
    let mut all = vec![
        Flow {
            status: "302 Found",
            location: format!(
                "{}?code={}&state={}",
                of("redirect URI"),
                of("authorization code"),
                of("state")
            ),
            ..flow(
                "GET",
                format!(
                    "/api/permission/oauth2/authorize?{}",
                    form(&[
                        ("response_type", "code"),
                        ("client_id", &client),
                        ("redirect_uri", &of("redirect URI")),
                        ("state", &of("state")),
                        ("code_challenge", &of("code challenge")),
                        ("code_challenge_method", "plain"),
                    ])
                ),
                vec![],
                String::new(),
                Value::Null,
            )
        },
        flow(
            "POST",
            TOKEN.to_owned(),
            vec![bearer(of("client secret"))],
            json!({ "grant_type": "authorization_code", "client_id": client, "code": of("authorization code"), "redirect_uri": of("redirect URI"), "code_verifier": of("code verifier") }).to_string(),
            tokens.clone(),
        ),
        flow(
            "POST",
            TOKEN.to_owned(),
            vec![bearer(of("client secret"))],
            json!({ "grant_type": "authorization_code", "client_id": WEB, "code": of("authorization code of digits"), "redirect_uri": of("redirect URI") }).to_string(),
            tokens.clone(),
        ),
        flow(
            "POST",
            TOKEN.to_owned(),
            vec![bearer(of("client secret"))],
            json!({ "grant_type": "refresh_token", "client_id": client, "refresh_token": of("refresh token") }).to_string(),
            tokens.clone(),
        ),
        flow(
            "POST",
            format!("/api/permission/oauth2/workspace_id/{}/device/code", of("workspace id")),
            vec![],
            json!({ "client_id": client }).to_string(),
            json!({ "device_code": of("device code"), "user_code": of("user code"), "verification_uri": of("verification address"), "expires_in": 300, "interval": 5 }),
        ),
        flow(
            "POST",
            DEVICE_CODE.to_owned(),
            vec![],
            json!({ "client_id": client, "user_code": of("user code") }).to_string(),
            json!({ "device_code": of("device code"), "user_code": of("user code"), "expires_in": 300, "interval": 5 }),
        ),
        flow(
            "POST",
            TOKEN.to_owned(),
            vec![],
            json!({ "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": client, "device_code": of("device code") }).to_string(),
            tokens,
        ),
    ];
    let scope = json!({ "account_permission": { "permission_list": ["Connector.botChat"] }, "attribute_constraint": { "connector_bot_chat_attribute": { "bot_id_list": [of("enterprise id"), of("workspace id")] } } });
    for path in [
        TOKEN.to_owned(),
        format!("/api/permission/oauth2/account/{account}/token"),
    ] {
        for (assertion, inside, is_foreign) in &assertions {
            let mut one = flow(
                "POST",
                path.clone(),
                vec![bearer(assertion.clone())],
                json!({ "grant_type": JWT_GRANT, "duration_seconds": 900, "scope": scope, "enterprise_id": of("enterprise id") }).to_string(),
                json!({ "access_token": of("access token of a JWT app"), "expires_in": 1_750_000_900, "token_type": "Bearer" }),
            );
            one.inside.clone_from(inside);
            one.is_foreign = *is_foreign;
            all.push(one);
        }
    }
    let (workload, secret, id_token) = (
        of("id of a workload"),
        of("secret of a workload"),
        of("id token"),
    );
    let access = of("access token of a workload");
    all.extend([
        flow(
            "POST",
            WORKLOAD_TOKEN.to_owned(),
            vec![],
            form(&[("grant_type", "client_credentials"), ("client_id", &workload), ("client_secret", &secret)]),
            json!({ "access_token": id_token, "expires_in": 600, "token_type": "Bearer" }),
        ),
        flow(
            "POST",
            WORKLOAD_TOKEN.to_owned(),
            vec![],
            form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("client_id", &workload),
                ("subject_token", &id_token),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ]),
            json!({ "access_token": access, "expires_in": 900, "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token" }),
        ),
        flow(
            "POST",
            "/api/v1/secret/integration".to_owned(),
            vec![bearer(access.clone())],
            json!({ "integration_name": of("name of an integration") }).to_string(),
            json!({ "code": 0, "msg": "", "data": { "credential": of("credential"), "key": of("API key") } }),
        ),
        flow(
            "GET",
            "/api/v1/secret/env".to_owned(),
            vec![bearer(access)],
            String::new(),
            json!({ "code": 0, "msg": "", "data": { "secrets": [{ "key": of("name of a variable"), "value": of("value of a variable") }] } }),
        ),
        flow(
            "GET",
            "/v1/users/me".to_owned(),
            vec![bearer(of("PAT"))],
            String::new(),
            json!({ "code": 0, "msg": "", "detail": { "logid": of("log id") }, "data": { "user_id": of("user id"), "user_name": of("user name"), "nick_name": of("nick name"), "avatar_url": of("avatar address"), "email": of("e-mail address") } }),
        ),
        flow(
            "GET",
            format!("/v1/workspaces?page_num=1&page_size=20&enterprise_id={}", of("enterprise id")),
            vec![bearer(of("SAT"))],
            String::new(),
            json!({ "code": 0, "msg": "", "detail": { "logid": of("log id") }, "data": { "total_count": 1, "workspaces": [{ "id": of("workspace id"), "name": of("workspace name"), "icon_url": of("icon address"), "role_type": "owner", "workspace_type": "personal", "enterprise_id": of("enterprise id") }] } }),
        ),
        flow(
            "POST",
            format!(
                "/v1/conversations/{}/messages?bot_id={}",
                of("id of a conversation"),
                of("id of a bot")
            ),
            vec![bearer(of("access token"))],
            json!({ "user_id": of("user id"), "additional_messages": [{ "content": of("message") }] }).to_string(),
            json!({ "code": 0, "data": { "content": of("message") } }),
        ),
    ]);
    all
}

/// An upstream that keeps the bytes of each request, and answers with those that it was told.
struct Upstream {
    base: String,
    answer: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Upstream {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (answer, seen) = (
            Arc::<Mutex<Vec<u8>>>::default(),
            Arc::<Mutex<Vec<u8>>>::default(),
        );
        let (next, kept) = (answer.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let _ = stream.set_read_timeout(Some(GUARD));
                let request = read_message(&mut stream);
                kept.lock().expect("the bytes").extend(request);
                let answer = next.lock().expect("the answer").clone();
                let _ = stream.write_all(&answer);
            }
        });
        Self { base, answer, seen }
    }
}

/// A request whole, by its length.
fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 65_536];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0_usize);
            if bytes.len() >= end + 4 + length {
                return bytes;
            }
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return bytes,
            Ok(n) => bytes.extend(&part[..n]),
        }
    }
}

/// Sends bytes to the shadow, and returns what comes until it closes.
fn exchange(base: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(authority(base)).expect("the shadow");
    let _ = stream.set_read_timeout(Some(GUARD));
    // Of a request that is too long not all is read.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn answer_with(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

impl Flow {
    /// What the program sends.
    fn request(&self, failure: &str, base: &str, values: &mut Values) -> Vec<u8> {
        let own = authority(base);
        let (mut host, mut target, mut method) = (own.to_owned(), self.target.clone(), self.method);
        let mut headers = self.headers.clone();
        let mut body = self.body.clone();
        headers.push(("cookie", format!("session={}", values.of("cookie"))));
        headers.push(("connection", "close".to_owned()));
        let is_form = self.target == WORKLOAD_TOKEN;
        let pad = |length: usize| match (body.as_str(), is_form) {
            ("", _) => "x".repeat(length),
            (body, true) => format!("{body}&pad={}", "x".repeat(length)),
            (body, false) => format!(
                "{},\"pad\":\"{}\"}}",
                &body[..body.len() - 1],
                "x".repeat(length)
            ),
        };
        match failure {
            "malformed request" if is_form => body += "&=%zz&client_id",
            "malformed request" if body.is_empty() => headers.extend(self.headers.clone()),
            "malformed request" => body.truncate(body.len() - 1),
            "request over 64 KiB" if self.method == "POST" => body = pad(70_000),
            "request over 1 MiB" => body = pad(1_100_000),
            "another name of the shadow" => host = values.of("host"),
            "page of another site" => {
                headers.push(("origin", format!("https://{}", values.of("host"))))
            }
            "whole URL" => target = format!("http://{}{target}", values.of("host")),
            "upgrade" => headers.push(("upgrade", format!("{}/1", values.of("protocol")))),
            "tunnel refused" => {
                // A proxy is told all of it by a program that is not set up for one.
                headers.push((
                    "proxy-authorization",
                    format!("Basic {}{}", self.target, self.body),
                ));
                (method, target) = ("CONNECT", format!("{}:443", values.of("host")));
                body.clear();
            }
            _ => {}
        }
        let kind = if is_form {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    /// What the upstream answers, and the same as it can be read.
    fn answer(&self, failure: &str, values: &mut Values) -> (Vec<u8>, String) {
        let body = self.answer.to_string();
        // A service that tells all that it has got, and has.
        let echo = format!(
            "{} {} {} {} {}",
            self.target,
            self.body,
            self.location,
            self.answer,
            self.headers
                .iter()
                .map(|(_, value)| value.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        );
        let mut usual = format!(
            "content-type: application/json\r\nx-tt-logid: {}\r\nset-cookie: sid={}; Path=/\r\n",
            values.of("log id"),
            values.of("cookie of the upstream")
        );
        if !self.location.is_empty() {
            usual += &format!("location: {}\r\n", self.location);
        }
        let refusal = |code: &str| json!({ "error_code": code, "error": code, "code": code, "error_message": echo, "error_description": echo, "msg": echo, "detail": { "logid": echo } });
        let bytes = match failure {
            "refused" => answer_with(
                "400 Bad Request",
                &usual,
                refusal("invalid_grant").to_string().as_bytes(),
            ),
            "refused with a secret as its code" => {
                let code = values.of("secret in a code");
                answer_with(
                    "400 Bad Request",
                    &usual,
                    refusal(&code).to_string().as_bytes(),
                )
            }
            "another member with a secret as its name" => {
                let mut answer = self.answer.clone();
                if let Some(members) = answer.as_object_mut() {
                    members.insert(values.of("member"), json!({ values.of("member"): 1 }));
                    members.insert("expires_in".to_owned(), json!(values.of("member")));
                }
                answer_with(self.status, &usual, answer.to_string().as_bytes())
            }
            "broken off" => {
                let whole = answer_with(self.status, &usual, body.as_bytes());
                let text = String::from_utf8(whole).expect("a text");
                let length = format!("content-length: {}", body.len());
                text.replace(&length, "content-length: 99999").into_bytes()
            }
            "packed" => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::default());
                packed.write_all(body.as_bytes()).expect("packed");
                let head = format!("{usual}content-encoding: gzip\r\n");
                let bytes = answer_with(self.status, &head, &packed.finish().expect("packed"));
                return (bytes, format!("{head}{body}"));
            }
            "packed, and it cannot be unpacked" => answer_with(
                self.status,
                &format!("{usual}content-encoding: gzip\r\n"),
                body.as_bytes(),
            ),
            "redirect" => {
                let to = format!(
                    "https://{}/{}#{}",
                    values.of("host"),
                    encoded(&echo),
                    encoded(&echo)
                );
                answer_with(
                    "302 Found",
                    &format!("{usual}location: {to}\r\n"),
                    body.as_bytes(),
                )
            }
            "malformed answer" => {
                answer_with(self.status, &usual, format!("{{\"a\":{echo}").as_bytes())
            }
            "page of a gateway" => {
                let page = format!("<!doctype html><title>502</title><pre>{echo}</pre>");
                answer_with(
                    "502 Bad Gateway",
                    &usual.replace("application/json", "text/html"),
                    page.as_bytes(),
                )
            }
            "too many requests" => answer_with(
                "429 Too Many Requests",
                &usual,
                refusal("4009").to_string().as_bytes(),
            ),
            "answer over 1 MiB" => {
                let long = format!("{body}{}", " ".repeat(1_200_000));
                answer_with(self.status, &usual, long.as_bytes())
            }
            "secrets in headers" => {
                let secret = values.of("secret in a header");
                let more = format!(
                    "date: {secret} GMT\r\nretry-after: {secret}\r\naccess-control-allow-origin: https://{secret}.example\r\naccess-control-expose-headers: {secret}\r\n{secret}: {secret}\r\nwww-authenticate: Bearer realm=\"{secret}\"\r\n"
                );
                let usual = usual.replace(
                    "application/json",
                    &format!("application/json; charset={secret}"),
                );
                answer_with(self.status, &format!("{usual}{more}"), body.as_bytes())
            }
            "no answer" => Vec::new(),
            _ => answer_with(self.status, &usual, body.as_bytes()),
        };
        let read = String::from_utf8_lossy(&bytes).into_owned();
        (bytes, read)
    }
}

/// A running command: its standard output and standard error come when it has ended.
struct Running {
    child: Child,
    base: String,
    first: String,
    out: BufReader<std::process::ChildStdout>,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coze-auth-mock"));
    command
        .args(arguments)
        .env("RUST_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

impl Running {
    fn start(upstream: &str, log: &File, app: &str, report: &File, record: &File) -> Self {
        let path = |file: &File| file.0.to_str().expect("a path").to_owned();
        let (report, record) = (path(report), path(record));
        let arguments = [
            "shadow",
            "--upstream",
            upstream,
            "--listen",
            "127.0.0.1:0",
            "--until-stdin-closes",
            "--app",
            app,
            "--report",
            &report,
            "--record",
            &record,
        ];
        let file = std::fs::File::create(&log.0).expect("a file");
        let mut child = command(&arguments)
            .stderr(file)
            .spawn()
            .expect("the command starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let mut first = String::new();
        let base = loop {
            let mut line = String::new();
            assert!(
                out.read_line(&mut line).expect("a line") > 0,
                "it did not start"
            );
            first += &line;
            if let Some((_, rest)) = line.split_once("Report") {
                break rest
                    .trim()
                    .split("/_mock")
                    .next()
                    .expect("a URL")
                    .to_owned();
            }
        };
        Self {
            child,
            base,
            first,
            out,
        }
    }

    fn asked(&self, path: &str, language: &str) -> String {
        let own = authority(&self.base);
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {own}\r\naccept-language: {language}\r\nconnection: close\r\n\r\n"
        );
        let answer = exchange(&self.base, request.as_bytes());
        let text = String::from_utf8(answer).expect("a text");
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        text
    }

    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("a text");
        let ended = self.child.wait().expect("an end");
        assert!(ended.success(), "the record was not written: {rest}");
        self.first + &rest
    }
}

/// The spellings in which a value could be told, and both of its ends.
fn spellings(value: &str) -> Vec<String> {
    let bare = value.split_once("://").map_or(value, |(_, rest)| rest);
    let bare = bare.split(['/', '@']).next().unwrap_or(bare);
    let bare = bare
        .trim_end_matches(".example")
        .trim_end_matches(".app.coze");
    let bare = [
        "code_",
        "czu_",
        "czs_",
        "cztei_",
        "pat_",
        "sat_",
        "eyJhbGciOiJSUzI1NiJ9.",
    ]
    .iter()
    .find_map(|prefix| bare.strip_prefix(prefix))
    .unwrap_or(bare);
    let mut all = vec![
        value.to_owned(),
        encoded(value),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE_NO_PAD.encode(value),
        bare.to_owned(),
        bare.to_ascii_lowercase(),
    ];
    if bare.len() > 12 {
        all.extend([bare[..12].to_owned(), bare[bare.len() - 12..].to_owned()]);
    }
    all
}

const KEY: &str = include_str!("../../dev-key.pem");

#[test]
fn what_is_somebodys_is_in_nothing_that_the_command_writes() {
    let upstream = Upstream::start();
    let nobody = {
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", closed.local_addr().expect("an address"))
    };
    let key_line = KEY.lines().nth(5).expect("a line of the key");
    let app_file = json!({ "client_type": "jwt", "client_id": JWT, "public_key_id": "of-the-app-file", "private_key": KEY });
    let app = File::new("app.json", &app_file.to_string());
    let app_path = app.0.to_str().expect("a path");
    let file = |name: &str| File::new(name, "");
    let files: Vec<[File; 3]> = (0..2)
        .map(|_| [file("log.txt"), file("report.json"), file("record.json")])
        .collect();
    let [up, down] = [(&upstream.base, &files[0]), (&nobody, &files[1])].map(
        |(upstream, [log, report, record])| Running::start(upstream, log, app_path, report, record),
    );

    // Through every flow and every failure, with values of its own for each failure.
    let mut wire: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let mut values = Vec::new();
    let (mut own_answers, mut all_wire) = (String::new(), String::new());
    for (number, failure) in FAILURES.into_iter().enumerate() {
        let mut of = Values {
            failure: number,
            ..Values::default()
        };
        for flow in flows(&mut of, &upstream.base) {
            let has_assertion = !flow.inside.is_empty();
            let is_of_one = failure == OTHER_HOST;
            if flow.is_foreign != is_of_one || is_of_one && !has_assertion {
                continue;
            }
            if has_assertion {
                let sent = flow.headers[0].1.rsplit('.').next();
                let signature = sent.expect("a signature").to_owned();
                of.made.insert("signature of an assertion", signature);
            }
            let shadow = if failure == "upstream down" {
                &down
            } else {
                &up
            };
            let request = flow.request(failure, &shadow.base, &mut of);
            let (answer, readable) = flow.answer(failure, &mut of);
            *upstream.answer.lock().expect("the answer") = answer;
            upstream.seen.lock().expect("the bytes").clear();
            let arrived = exchange(&shadow.base, &request);
            let seen =
                String::from_utf8_lossy(&upstream.seen.lock().expect("the bytes")).into_owned();
            let head = String::from_utf8_lossy(&arrived).into_owned();
            let is_refused = head.contains("x-mock-shadow: ");
            let is_passed = !(UNANSWERED.contains(&failure) && failure != "no answer")
                || flow.target.starts_with("/v1/conversations/") && failure == "request over 1 MiB";
            assert_eq!(
                !seen.is_empty(),
                is_passed,
                "{failure}: {} {}: {head}",
                flow.method,
                flow.target
            );
            // Without what makes it long.
            let begin = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(20_000)]);
                text.into_owned()
            };
            let mut on_wire = begin(&request) + &flow.inside;
            if is_refused {
                own_answers += &head;
            } else {
                assert!(!head.is_empty(), "{failure}: {}", flow.target);
                on_wire += &begin(readable.as_bytes());
            }
            for (kind, value) in &of.made {
                if on_wire.contains(value.as_str()) || on_wire.contains(&encoded(value)) {
                    *wire.entry(kind).or_default().entry(failure).or_default() += 1;
                }
            }
            if failure == "refused" {
                all_wire += &on_wire;
            }
        }
        values.push((failure, of.made));
    }

    let mut places: Vec<(&str, String)> = vec![("refusals", own_answers)];
    for (name, path, language) in [
        ("JSON", "/_mock/v1/shadow", ""),
        ("text", "/_mock/v1/shadow?format=text", ""),
        ("page", "/_mock/", "en"),
        ("page, zh", "/_mock/", "zh-CN"),
    ] {
        places.push((name, up.asked(path, language) + &down.asked(path, language)));
    }
    let run = |arguments: &[&str]| command(arguments).output().expect("the command runs");
    places.push((
        "env",
        said(&run(&["env", "--for", "python", "--shadow", &up.base])),
    ));
    places.push(("printed", up.end() + &down.end()));
    let read = |at: usize| -> String {
        let all = files
            .iter()
            .map(|files| std::fs::read_to_string(&files[at].0).expect("a file"));
        all.collect()
    };
    places.extend([
        ("log", read(0)),
        ("report file", read(1)),
        ("record", read(2)),
    ]);
    let record = files[0][2].0.to_str().expect("a path");
    places.push(("check", said(&run(&["shadow", "check", record]))));
    // Files with all of it that are no record and no app.
    let text = std::fs::read_to_string(record).expect("a record");
    let broken = [
        all_wire.clone(),
        json!({ "format": all_wire }).to_string(),
        json!({ "format": "coze-auth-record/1", "upstream": all_wire, "apps": [{ "kind": all_wire }] }).to_string(),
        json!({ "format": "coze-auth-record/1", "upstream": all_wire, "exchanges": [{ "request": all_wire }] }).to_string(),
        text.replacen('{', &all_wire, 1),
    ];
    let mut errors = String::new();
    for text in &broken {
        let broken = File::new("broken.json", text);
        errors += &said(&run(&[
            "shadow",
            "check",
            broken.0.to_str().expect("a path"),
        ]));
        errors += &said(&run(&[
            "shadow",
            "--upstream",
            &nobody,
            "--app",
            broken.0.to_str().expect("a path"),
        ]));
    }
    for (name, value) in [
        ("client_type", &all_wire[..]),
        ("private_key", &KEY[..900]),
        ("public_key_id", ""),
    ] {
        let mut app = app_file.clone();
        app[name] = json!(value);
        let app = File::new("broken-app.json", &app.to_string());
        errors += &said(&run(&[
            "shadow",
            "--upstream",
            &nobody,
            "--app",
            app.0.to_str().expect("a path"),
        ]));
    }
    assert!(
        errors
            .matches("expected the coze_oauth_config.json")
            .count()
            >= 7,
        "{errors}"
    );
    places.push(("errors", errors));

    // Each kind was on the wire in each failure in which it can be.
    let is_sent = |of: &BTreeMap<&str, u64>| of.contains_key("no answer");
    for (kind, of) in &wire {
        let is_of_one = of.len() == 1
            || [
                "host",
                "member",
                "secret in a code",
                "secret in a header",
                "protocol",
            ]
            .contains(kind);
        for failure in FAILURES
            .into_iter()
            .filter(|failure| !is_of_one && *failure != OTHER_HOST)
        {
            let can_be = is_sent(of) || !UNANSWERED.contains(&failure);
            assert!(
                !can_be || of.contains_key(failure),
                "{kind} was not on the wire: {failure}"
            );
        }
    }
    println!(
        "\n| kind | {} |",
        places
            .iter()
            .map(|(place, _)| *place)
            .collect::<Vec<_>>()
            .join(" | ")
    );
    println!("|---|{}", "---|".repeat(places.len()));
    // A search for all of them at once.
    let (mut told, mut looked_for) = (Vec::new(), Vec::new());
    for (failure, of) in &values {
        for (kind, value) in of {
            for spelling in spellings(value) {
                told.push((failure, kind));
                looked_for.push(spelling);
            }
        }
    }
    let searched = AhoCorasick::new(&looked_for).expect("an automaton");
    let mut leaks = Vec::new();
    let mut rows: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (place, text) in &places {
        assert!(text.len() > 40, "{place} is empty: {text}");
        assert!(!text.contains(key_line), "the private key is in {place}");
        for found in searched.find_iter(text).take(20) {
            let (failure, kind) = told[found.pattern().as_usize()];
            let before = text[..found.start()].char_indices().rev().nth(150);
            let from = before.map_or(0, |(at, _)| at);
            let around = &text[from..found.end()];
            leaks.push(format!("{place}: {kind}, {failure}: …{around}"));
        }
        for (kind, of) in &wire {
            rows.entry(kind).or_default().push(of.values().sum());
        }
    }
    for (kind, row) in &rows {
        assert!(
            row.len() == places.len() && row.iter().all(|cell| *cell > 0),
            "{kind}"
        );
        println!(
            "| {kind} | {} |",
            row.iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(" | ")
        );
    }
    println!(
        "{} kinds, {} failures, {} places",
        rows.len(),
        FAILURES.len(),
        places.len()
    );
    assert!(rows.len() >= 45, "{}", rows.len());
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
}
