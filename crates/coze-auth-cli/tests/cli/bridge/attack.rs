//! Many hostile requests, and the secrets of all flows in the log: `just bridge-attack`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use coze_auth_mock::{AppKind, DeviceAction};

use super::process::{Bridge, MACHINE, REDIRECT, basic, encoded};
use crate::support::Home;

/// What no log may have: it stands wherever a client can write.
const SENTINEL: &str = "SENTINEL0123456789abcdefghijklmnopqrstuvwxyz-sentinel";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The same numbers in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn bytes(&mut self, number: usize) -> Vec<u8> {
        (0..number).map(|_| self.below(256) as u8).collect()
    }
}

/// Values that somebody tries in the place of any other.
const VALUES: &[&str] = &[
    "",
    SENTINEL,
    "a\r\nLocation: https://evil.example/",
    "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "\0",
    "\u{202e}\u{1b}]0;owned\u{7}",
    "https://evil.example/",
    "//evil.example/",
    "https://evil.example\\@www.coze.cn/",
    "javascript:alert(1)",
    "data:text/html,<script>",
    "../../../etc/passwd",
    "..%2f..%2f",
    "@evil.example",
    "' OR 1=1 --",
    "${jndi:ldap://evil.example}",
    "{\"a\":1}",
    "扣子",
    "%00%0d%0a",
    "-1",
    "99999999999999999999",
    "code",
    "token",
    "S256",
    "openid profile",
];

const NAMES: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "device_code",
    "session_name",
    "duration_seconds",
    "scope",
    "workspace_id",
    "state",
    "response_type",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "assertion",
    "client_assertion",
    "username",
];

const GRANTS: &[&str] = &[
    "authorization_code",
    "refresh_token",
    DEVICE,
    "client_credentials",
    "client_credentials",
    "client_credentials ",
    "password",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

const PATHS: &[&str] = &[
    "/token",
    "/token",
    "/token",
    "/authorize",
    "/authorize",
    "/device_authorization",
    "/userinfo",
    "/health",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/token/",
    "//token",
    "/%74oken",
    "/authorize/..",
    "/../authorize",
    "//evil.example/authorize",
    "/\\evil.example",
    "*",
    "http://evil.example/token",
    "/api/permission/oauth2/token",
];

/// The form of a request: mostly of a kind that something is made of.
fn form(dice: &mut Dice, home: &Known) -> String {
    let mut pairs = Vec::new();
    if dice.below(4) > 0 {
        pairs.push(("grant_type", dice.one(GRANTS)));
    }
    if dice.below(4) > 0 {
        let id = [&*home.web, &home.pkce, MACHINE.0, "grafana\0", SENTINEL][dice.below(5)];
        pairs.push(("client_id", id));
    }
    for _ in 0..dice.below(6) {
        pairs.push((dice.one(NAMES), dice.one(VALUES)));
    }
    let form = encoded(&pairs);
    match dice.below(12) {
        0 => form.replace('=', ""),
        1 => form.replace('&', "&&&;"),
        2 => form.replace('%', "%%"),
        3 => format!("{form}&{}", "a=b&".repeat(3_000)),
        _ => form,
    }
}

struct Known {
    web: String,
    pkce: String,
}

/// A whole request, or something that is none.
fn request(dice: &mut Dice, bridge: &Bridge, home: &Known) -> Vec<u8> {
    match dice.below(24) {
        0 => {
            let number = dice.below(600);
            return dice.bytes(number);
        }
        1 => return b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        3..=5 => {
            let form = [
                ("response_type", "code"),
                ("client_id", dice.one(VALUES)),
                ("redirect_uri", dice.one(VALUES)),
                ("state", dice.one(VALUES)),
                (
                    "workspace_id",
                    dice.one(&["", "", "ws", "..", "@evil.example", "a/b"]),
                ),
                (dice.one(NAMES), dice.one(VALUES)),
            ];
            let form = encoded(&form);
            return format!(
                "GET /authorize?{form} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                bridge.to
            )
            .into_bytes();
        }
        2 => return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        _ => {}
    }
    let method = dice.one(&[
        "POST", "POST", "POST", "GET", "GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "TRACE",
        SENTINEL,
    ]);
    let (path, sent) = (dice.one(PATHS), form(dice, home));
    let target = match dice.below(3) {
        0 if method == "POST" => format!("{path}?{SENTINEL}"),
        _ if method == "POST" => path.to_owned(),
        _ => format!("{path}?response_type=code&redirect_uri=https%3A%2F%2Fevil.example&{sent}"),
    };
    let body = if method == "POST" {
        sent
    } else {
        String::new()
    };
    let own = format!("Host: {}", bridge.to);
    let mut head = vec![if dice.below(10) == 0 {
        "Host: evil.example".to_owned()
    } else {
        own.clone()
    }];
    for _ in 0..dice.below(4) {
        let value = dice.one(VALUES).replace(['\r', '\n', '\0'], "");
        head.push(match dice.below(14) {
            0 => own.clone(),
            1 => format!("Origin: {value}"),
            2 => format!(
                "Sec-Fetch-Site: {}",
                dice.one(&["cross-site", "same-site", "none", "same-origin", SENTINEL])
            ),
            3 => format!(
                "Sec-Fetch-Mode: {}\r\nSec-Fetch-Dest: document",
                dice.one(&["navigate", "no-cors", "cors"])
            ),
            4 => basic(MACHINE.0, &value),
            5 => basic(&value, MACHINE.1),
            6 => basic(&home.web, SENTINEL),
            7 => format!("Authorization: Bearer {value}"),
            8 => format!("Authorization: {value}"),
            9 => format!(
                "X-Forwarded-Host: {value}\r\nX-Forwarded-Proto: https\r\nForwarded: host={value}"
            ),
            10 => format!("Cookie: {SENTINEL}={value}"),
            11 => "Transfer-Encoding: chunked".to_owned(),
            12 => format!("Expect: {}", dice.one(&["100-continue", SENTINEL])),
            _ => format!("{}: {value}", SENTINEL.replace('_', "-")),
        });
    }
    if dice.below(8) > 0 {
        head.push("Content-Type: application/x-www-form-urlencoded".to_owned());
    }
    let length = match dice.below(16) {
        0 => body.len() + 1,
        1 => body.len() / 2,
        2 => usize::MAX,
        _ => body.len(),
    };
    let version = dice.one(&[
        "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/3",
    ]);
    head.push(format!("Content-Length: {length}\r\nConnection: close"));
    format!(
        "{method} {target} {version}\r\n{}\r\n\r\n{body}",
        head.join("\r\n")
    )
    .into_bytes()
}

/// Sends it, and gives what came back. The end of our side tells that nothing more follows.
fn tried(bridge: &Bridge, request: &[u8]) -> (String, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(bridge.to).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    let _ = stream.write_all(request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    (
        String::from_utf8_lossy(&answer).into_owned(),
        begun.elapsed(),
    )
}

#[test]
fn hostile_requests_get_neither_a_token_nor_a_secret_nor_another_host() {
    const THREADS: u64 = 4;
    let all = std::env::var("BRIDGE_ATTACK").ok();
    let all: usize = all.map_or(4_000, |number| number.parse().expect("a number"));
    let home = Home::new();
    let bridge = Bridge::with_machine(&home, &[]);
    let known = Known {
        web: home.app(AppKind::Web),
        pkce: home.app(AppKind::Pkce),
    };
    let page = format!("{}/api/permission/oauth2/", home.mock.base_url());
    let judged = |seed: u64| {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let mut slowest = Duration::ZERO;
        let (mut redirects, mut refused, mut silent) = (0, 0, 0);
        for _ in 0..all / THREADS as usize {
            let request = request(&mut dice, &bridge, &known);
            let (answer, took) = tried(&bridge, &request);
            let shown = || format!("{:?}\n{answer:?}", String::from_utf8_lossy(&request));
            slowest = slowest.max(took);
            assert!(took < Duration::from_secs(2), "{took:?}: {}", shown());
            assert!(!answer.contains("access_token\""), "{}", shown());
            assert!(!answer.contains(MACHINE.1), "{}", shown());
            let head = answer.split("\r\n\r\n").next().unwrap_or_default();
            for line in head.lines().skip(1) {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.trim();
                let is_own = [
                    "allow",
                    "cache-control",
                    "connection",
                    "content-length",
                    "content-security-policy",
                    "content-type",
                    "date",
                    "location",
                    "pragma",
                    "referrer-policy",
                    "retry-after",
                    "www-authenticate",
                    "x-content-type-options",
                    "x-tt-logid",
                ];
                assert!(
                    is_own.contains(&&*name.to_ascii_lowercase()),
                    "{name}: {}",
                    shown()
                );
                if name.eq_ignore_ascii_case("location") {
                    redirects += 1;
                    assert!(value.starts_with(&page), "{}", shown());
                }
            }
            match answer.split(' ').nth(1) {
                Some("302") => {}
                Some(status) => {
                    assert!(
                        !status.starts_with('2')
                            || answer.contains("\"issuer\"")
                            || head.len() + 4 == answer.len()
                            || answer.ends_with("ok\n")
                            || answer.contains("\"device_code\"")
                            || answer.contains("100 Continue"),
                        "{}",
                        shown()
                    );
                    assert!(
                        !["500", "502", "503", "504"].contains(&status),
                        "{}",
                        shown()
                    );
                    refused += 1;
                }
                None => silent += 1,
            }
        }
        (slowest, redirects, refused, silent)
    };
    let judged: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|seed| scope.spawn(move || judged(seed)))
            .collect();
        // Somebody else is served meanwhile.
        let (id, secret) = MACHINE;
        let own = basic(id, secret);
        let mut served = 0;
        while !threads
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            assert_eq!(
                bridge
                    .token(&[&own], &[("grant_type", "client_credentials")])
                    .status,
                200
            );
            served += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(served > 3, "{served}");
        let machine = home
            .mock
            .requests()
            .iter()
            .filter(|request| request.jwt.is_some())
            .count();
        assert!(
            machine <= served,
            "{machine} assertions for {served} requests of who may"
        );
        threads
            .into_iter()
            .map(|thread| thread.join().expect("none is wrong"))
            .collect()
    });
    let slowest = judged.iter().map(|one| one.0).max();
    let count =
        |of: fn(&(Duration, usize, usize, usize)) -> usize| judged.iter().map(of).sum::<usize>();
    let (redirects, refused, silent) = (count(|one| one.1), count(|one| one.2), count(|one| one.3));
    println!(
        "{all} hostile requests: {redirects} redirects, {refused} refused, {silent} without an answer; the slowest took {slowest:?}"
    );
    assert!(
        redirects > all / 100 && refused > all / 2,
        "{redirects} {refused}"
    );
    #[cfg(target_os = "linux")]
    assert!(bridge.memory() < 60_000_000, "{}", bridge.memory());
    let run = bridge.end();
    assert_eq!(
        run.code,
        Some(0),
        "{}",
        run.stderr.lines().last().unwrap_or_default()
    );
    is_clean(
        &run.stderr,
        &[SENTINEL, MACHINE.1, "mock-web-secret", "evil", "Location"],
    );
}

/// A log has method, path, status, code and log id, and nothing else.
fn is_clean(log: &str, secrets: &[&str]) {
    assert!(!log.contains("panicked"), "{log}");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
    let is_known =
        |character: char| character.is_ascii_alphanumeric() || " /_-.()[],:;\n".contains(character);
    let odd = log.chars().find(|character| !is_known(*character));
    assert_eq!(odd, None, "{log}");
}

/// Secrets, codes, tokens and states of every flow, granted and refused, at the most that is told.
#[test]
fn no_secret_of_any_flow_is_in_the_log() {
    let home = Home::new();
    let mut command = Bridge::command(&home, &[]);
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    let (id, secret) = MACHINE;
    let file = home.path.join("machines.json");
    std::fs::write(&file, format!("{{\"{id}\": \"{secret}\"}}")).expect("written");
    let bridge = Bridge::of(command.arg("--machine-clients").arg(&file));
    let mut secrets = vec![
        SENTINEL.to_owned(),
        VERIFIER.to_owned(),
        CHALLENGE.to_owned(),
        secret.to_owned(),
    ];
    let mut keep = |answer: &super::process::Answer| {
        let json = answer.json();
        for name in ["access_token", "refresh_token", "device_code", "user_code"] {
            secrets.extend(json[name].as_str().map(str::to_owned));
        }
    };
    let web = home.mock.app(AppKind::Web).expect("an app");
    let own = basic(web.client_id(), web.client_secret().expect("a secret"));
    let wrong = basic(web.client_id(), SENTINEL);
    let code = bridge.code(
        &home,
        AppKind::Web,
        &[
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ],
    );
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    bridge
        .token(&[&wrong], &form)
        .refused(401, "invalid_client");
    let granted = bridge.token(&[&own], &form);
    assert_eq!(granted.status, 200, "{granted:?}");
    keep(&granted);
    bridge.token(&[&own], &form).refused(400, "invalid_grant");
    let token = granted.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    keep(&bridge.token(&[&own], &form));
    bridge.token(&[&own], &form).refused(400, "invalid_grant");
    bridge
        .token(&[&own], &[form[0], ("refresh_token", SENTINEL)])
        .refused(400, "invalid_grant");
    let pkce = home.app(AppKind::Pkce);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", SENTINEL),
        ("redirect_uri", REDIRECT),
        ("client_id", &*pkce),
        ("code_verifier", VERIFIER),
    ];
    bridge.token(&[], &form).refused(400, "invalid_grant");
    let device = home.app(AppKind::Device);
    let started = bridge.post("/device_authorization", &[], &[("client_id", &device)]);
    keep(&started);
    let polled = started.text("device_code");
    let form = [
        ("grant_type", DEVICE),
        ("device_code", &*polled),
        ("client_id", &*device),
    ];
    bridge
        .token(&[], &form)
        .refused(400, "authorization_pending");
    home.mock
        .decide_device(&started.text("user_code"), DeviceAction::Approve)
        .expect("it waits");
    home.mock.clock().advance(Duration::from_secs(10));
    keep(&bridge.token(&[], &form));
    let form = [
        ("grant_type", "client_credentials"),
        ("session_name", SENTINEL),
    ];
    keep(&bridge.token(&[&basic(id, secret)], &form));
    bridge
        .token(&[&basic(id, SENTINEL)], &form)
        .refused(401, "invalid_client");
    let access = format!("Authorization: Bearer {}", granted.text("access_token"));
    assert_eq!(bridge.get("/userinfo", &[&access]).status, 200);
    bridge
        .get("/userinfo", &[&format!("Authorization: Bearer {SENTINEL}")])
        .refused(401, "invalid_token");
    bridge
        .get(&format!("/{SENTINEL}?{SENTINEL}"), &[])
        .refused(404, "invalid_request");
    assert_eq!(
        bridge
            .get(
                &format!("/authorize?state={SENTINEL}&client_secret={SENTINEL}"),
                &[]
            )
            .status,
        400
    );
    bridge
        .ask(
            SENTINEL,
            "/token",
            &[&format!("{SENTINEL}: {SENTINEL}")],
            SENTINEL,
        )
        .refused(405, "invalid_request");
    bridge
        .token(&[&format!("Origin: https://{SENTINEL}")], &[])
        .refused(403, "invalid_request");
    bridge.get("/health", &[&format!("Host: {SENTINEL}")]);
    secrets.extend([code, "mock-web-secret".to_owned()]);
    secrets.push(own.rsplit(' ').next().expect("a pair").to_owned());
    let run = bridge.end();
    assert!(run.stderr.lines().count() > 15, "{run:?}");
    assert!(
        run.stderr.contains("POST /token refresh_token 400"),
        "{run:?}"
    );
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    is_clean(&run.stderr, &secrets);
    assert_eq!(home.mock.leaks_in(&run.stderr).len(), 0);
}
