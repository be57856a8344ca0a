//! That no secret of a workload stands in what is printed, told or logged, whatever goes wrong. One test: the subscriber and the logger
//! are the process's.

#[path = "subjects/clocks.rs"]
mod clocks;
#[path = "common/platform.rs"]
#[allow(dead_code)] // the sources use more of it
mod platform;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use clocks::{AsyncClock, BlockingClock};
use coze_auth::{Client, TokenSource, blocking};
use coze_auth_conformance::SharedClock;
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{AccessToken, ClientSecret};
use coze_auth_tokens::{Error, trace};
use platform::{Answer, Platform, Seen, json};

const ID: &str = "workload-of-the-test";
const SECRET: &str = "SENTINEL-client/secret+0123456789";
const ID_TOKEN: &str = "SENTINEL-header-of-id.SENTINEL-claims-of-id.SENTINEL-signature-of-id";
const ACCESS_TOKEN: &str = "SENTINEL-header-of-access.SENTINEL-claims-of-access.signature";
const CREDENTIAL: &str = "SENTINEL-credential";
const VALUE: &str = "SENTINEL-value";

/// All that is written anywhere.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Log {
    /// But for what `coze-auth-ureq` says to cut back: `ureq_proto` writes whole bodies at trace, and has no setting against it.
    fn enabled(&self, of: &log::Metadata<'_>) -> bool {
        !(of.target().starts_with("ureq_proto") && of.level() == log::Level::Trace)
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        self.note(&format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

impl Log {
    fn note(&self, text: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(text.as_bytes());
        all.push(b'\n');
    }

    fn text(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// All that a server may know, in each spelling, as a text of its own.
fn echo() -> String {
    let pair = format!("{ID}:{SECRET}");
    let keys = [STANDARD.encode(&pair), STANDARD_NO_PAD.encode(&pair)];
    let secrets = [SECRET, &keys[0], &keys[1]];
    let encoded = secrets
        .map(|secret| url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>());
    format!("{} {} no", secrets.join(" "), encoded.join(" "))
}

/// What goes wrong: in which request, and what is answered. The situations are those that the released client was run in.
fn failures() -> Vec<(&'static str, Answer)> {
    let all = format!("{} {ID_TOKEN} {ACCESS_TOKEN}", echo());
    let with = |status: u16, body: String| {
        let (_, headers, _) = json("");
        (status, format!("{headers}x-tt-logid: {}\r\n", echo()), body)
    };
    let error = |text: &str| format!(r#"{{"error":"{text}","error_description":"{text}"}}"#);
    let code =
        |text: &str| format!(r#"{{"code":4000,"msg":"{text}","detail":{{"logid":"{text}"}}}}"#);
    let mut failures = vec![];
    for (line, said) in [
        ("POST /id", echo()),
        ("POST /access", format!("{} {ID_TOKEN}", echo())),
        (
            "POST /out/integration",
            format!("{} {ACCESS_TOKEN}", echo()),
        ),
        ("GET /out/env", format!("{} {ACCESS_TOKEN}", echo())),
    ] {
        for status in [200, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503] {
            failures.push((line, with(status, error(&said))));
            failures.push((line, with(status, code(&said))));
            failures.push((line, with(status, format!("<html>{all}"))));
            failures.push((line, with(status, String::new())));
        }
        for body in [
            "[]",
            "7",
            "\"text\"",
            r#"{"access_token":7,"data":7}"#,
            r#"{"data":{"credential":7,"secrets":null}}"#,
            r#"{"data":{"secrets":[{"key":"A","value":7}]}}"#,
        ] {
            failures.push((line, with(200, body.to_owned())));
        }
    }
    for life in ["0", "-1", "true", "\"SENTINEL\"", "1795886887000"] {
        let body = format!(r#"{{"access_token":"{ACCESS_TOKEN}","expires_in":{life}}}"#);
        failures.push(("POST /access", with(200, body)));
    }
    failures
}

fn usual(seen: &Seen) -> Answer {
    json(match seen.line.as_str() {
        "POST /id" => format!(r#"{{"access_token":"{ID_TOKEN}"}}"#),
        "POST /access" => format!(r#"{{"access_token":"{ACCESS_TOKEN}","expires_in":900}}"#),
        "POST /out/integration" => format!(r#"{{"data":{{"credential":"{CREDENTIAL}"}}}}"#),
        _ => format!(r#"{{"data":{{"secrets":[{{"key":"SENTINEL_NAME","value":"{VALUE}"}}]}}}}"#),
    })
}

/// What both adapters' sources have.
trait Tokens: std::fmt::Debug {
    fn token(&self) -> Result<AccessToken, Error>;
    fn integration(&self) -> Result<String, Error>;
    fn project_env(&self) -> Result<String, Error>;
    fn send(&self, url: &str) -> Result<u16, Error>;
}

#[derive(Debug)]
struct OverReqwest(TokenSource, tokio::runtime::Runtime);

impl Tokens for OverReqwest {
    fn token(&self) -> Result<AccessToken, Error> {
        self.1.block_on(self.0.token())
    }

    fn integration(&self) -> Result<String, Error> {
        let credential = self.1.block_on(self.0.integration("x"))?;
        Ok(format!("{credential:?}"))
    }

    fn project_env(&self) -> Result<String, Error> {
        let variables = self.1.block_on(self.0.project_env())?;
        Ok(format!(
            "{variables:?} {:?}",
            variables.iter().collect::<Vec<_>>()
        ))
    }

    fn send(&self, url: &str) -> Result<u16, Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build();
        let http = http.expect("a client");
        let answer = self.1.block_on(self.0.send(&http, http.get(url)))?;
        Ok(answer.status().as_u16())
    }
}

#[derive(Debug)]
struct OverUreq(blocking::TokenSource);

impl Tokens for OverUreq {
    fn token(&self) -> Result<AccessToken, Error> {
        self.0.token()
    }

    fn integration(&self) -> Result<String, Error> {
        Ok(format!("{:?}", self.0.integration("x")?))
    }

    fn project_env(&self) -> Result<String, Error> {
        let variables = self.0.project_env()?;
        Ok(format!(
            "{variables:?} {:?}",
            variables.iter().collect::<Vec<_>>()
        ))
    }

    fn send(&self, url: &str) -> Result<u16, Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let request = coze_auth_core::http::Request::get(url)
            .body(())
            .expect("a request");
        Ok(self.0.send(&agent, request)?.status().as_u16())
    }
}

/// Uses all of a source, and notes all that can be seen of it.
fn used(tokens: &dyn Tokens, platform: &Platform, log: &Log) -> usize {
    let mut failed = 0;
    let mut note = |what: Result<String, Error>| match what {
        Ok(shown) => log.note(&shown),
        Err(error) => {
            failed += 1;
            log.note(&format!(
                "{error}\n{error:?}\n{:?} {:?}",
                error.code(),
                error.log_id()
            ));
        }
    };
    log.note(&format!("{tokens:?}"));
    note(tokens.token().map(|token| format!("{token:?}")));
    note(tokens.integration());
    note(tokens.project_env());
    note(
        tokens
            .send(&platform.url("/out/x"))
            .map(|status| status.to_string()),
    );
    log.note(&format!("{tokens:?}"));
    failed
}

#[test]
fn no_secret_of_a_workload_is_seen_anywhere() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    log::set_boxed_logger(Box::new(log.clone())).expect("none is set");
    log::set_max_level(log::LevelFilter::Trace);

    let (mut tried, mut failed) = (0, 0);
    let nothing = [("nothing", json(""))];
    for (line, answer) in failures().into_iter().chain(nothing) {
        for adapter in ["reqwest", "ureq"] {
            let answer = answer.clone();
            let platform = Platform::saying(900, move |seen| {
                Some(if seen.line == line {
                    answer.clone()
                } else {
                    usual(seen)
                })
            });
            let app = platform.app(ID, SECRET);
            log.note(&format!("{app:?}"));
            let tokens: Box<dyn Tokens> = match adapter {
                "reqwest" => {
                    let client = Client::new().expect("a client");
                    let client = client.with_time(AsyncClock(SharedClock::new()));
                    let source = TokenSource::workload(&client, app);
                    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                    Box::new(OverReqwest(source.observe(trace), runtime))
                }
                _ => {
                    let client = blocking::Client::new().expect("a client");
                    let client = client.with_time(BlockingClock(SharedClock::new()));
                    let source = blocking::TokenSource::workload(&client, app);
                    Box::new(OverUreq(source.observe(trace)))
                }
            };
            let failures = used(&*tokens, &platform, &log);
            assert_eq!(failures == 0, line == "nothing", "{adapter} {line}");
            tried += 1;
            failed += failures;
        }
    }
    // No server at all.
    let nowhere = "http://127.0.0.1:9/id";
    let endpoints = WorkloadEndpoints::custom(nowhere, nowhere).expect("endpoints");
    let secret = ClientSecret::new(SECRET).expect("a secret");
    let app = WorkloadApp::new(endpoints, ID, secret).expect("an app");
    let client = blocking::Client::new().expect("a client");
    let client = client.with_time(BlockingClock(SharedClock::new()));
    let source = blocking::TokenSource::workload(&client, app);
    let error = source.observe(trace).token().expect_err("nobody listens");
    log.note(&format!("{error} {error:?}"));

    let text = log.text();
    println!(
        "{tried} situations, {failed} failures, {} bytes of log",
        text.len()
    );
    for what in [
        "renewal failed",
        "renewal refused",
        "(step 2 of 2, token exchange)",
        "***",
        "ureq",
        "hyper",
    ] {
        assert!(text.contains(what), "{what}");
    }
    let pair = format!("{ID}:{SECRET}");
    let key = STANDARD_NO_PAD.encode(pair);
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    for secret in ["SENTINEL", &key, &encoded, SECRET] {
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains(secret))
            .take(5)
            .collect();
        assert!(lines.is_empty(), "{secret} in\n{}", lines.join("\n"));
    }
}
