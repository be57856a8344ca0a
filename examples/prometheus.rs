//! Counters of a token source for Prometheus: its text format, written by hand over the source's observer.
//!
//! Each line of the input is the name of an end user of a JWT app, for whom a token is asked for:
//!
//! ```console
//! $ export COZE_JWT_OAUTH_CLIENT_ID=… COZE_JWT_OAUTH_PUBLIC_KEY_ID=…
//! $ export COZE_JWT_OAUTH_PRIVATE_KEY="$(cat private_key.pem)"
//! $ cargo run --example prometheus
//! http://127.0.0.1:41234/metrics
//! alice
//! alice has a token
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use coze_auth::blocking::{Client, TokenSource};
use coze_auth::error::GrantType;
use coze_auth::jwt::JwtGrant;
use coze_auth::{Error, Event, EventKind, Region, jwt_app_from_env};

/// Name, type and meaning.
const METRICS: &[(&str, &str, &str)] = &[
    (
        "coze_auth_renewals_running",
        "gauge",
        "Renewals that have begun and not ended.",
    ),
    (
        "coze_auth_renewals_total",
        "counter",
        "Renewals that have ended, by how they did.",
    ),
    (
        "coze_auth_renewal_seconds_total",
        "counter",
        "Time that renewals took.",
    ),
    (
        "coze_auth_requests_total",
        "counter",
        "Requests for tokens.",
    ),
    (
        "coze_auth_stored_total",
        "counter",
        "Grants that were stored.",
    ),
    (
        "coze_auth_store_seconds_total",
        "counter",
        "Time that storing them took.",
    ),
    (
        "coze_auth_not_shared_total",
        "counter",
        "Renewals of a shared token without its store.",
    ),
    (
        "coze_auth_store_notices_total",
        "counter",
        "What the store had to tell, such as what endangers the logins in it.",
    ),
    (
        "coze_auth_tokens_refused_total",
        "counter",
        "Tokens that the API has refused.",
    ),
    (
        "coze_auth_evicted_total",
        "counter",
        "Users that made room for others.",
    ),
    (
        "coze_auth_clock_ahead_seconds",
        "gauge",
        "By how much our clock is ahead of Coze's, when it was last told.",
    ),
];

/// Values by metric and labels. A subject is not a label: there are as many as there are users.
#[derive(Default)]
struct Metrics(Mutex<BTreeMap<(&'static str, String), f64>>);

impl Metrics {
    fn observe(&self, event: &Event<'_>) {
        let grant_type = match event.grant_type {
            GrantType::Assertion => "jwt",
            GrantType::ClientCredentials => "workload",
            _ => "refresh_token",
        };
        let app = format!(
            "client_id=\"{}\",grant_type=\"{grant_type}\"",
            escaped(event.client_id)
        );
        let mut values = self.0.lock().expect("nobody panics here");
        let mut add = |name, more: &str, by: f64| {
            *values.entry((name, format!("{app}{more}"))).or_default() += by;
        };
        match &event.kind {
            EventKind::Begun => add("coze_auth_renewals_running", "", 1.0),
            EventKind::Done { took, requests, .. }
            | EventKind::Taken { took, requests, .. }
            | EventKind::Failed { took, requests, .. }
            | EventKind::Refused { took, requests, .. } => {
                let result = match &event.kind {
                    EventKind::Done { .. } => "done",
                    EventKind::Taken { .. } => "taken",
                    EventKind::Refused { .. } => "refused",
                    _ => "failed",
                };
                add("coze_auth_renewals_running", "", -1.0);
                add(
                    "coze_auth_renewals_total",
                    &format!(",result=\"{result}\""),
                    1.0,
                );
                add("coze_auth_renewal_seconds_total", "", took.as_secs_f64());
                add("coze_auth_requests_total", "", f64::from(*requests));
            }
            EventKind::Stored { took } => {
                add("coze_auth_stored_total", "", 1.0);
                add("coze_auth_store_seconds_total", "", took.as_secs_f64());
            }
            EventKind::NotShared { .. } => add("coze_auth_not_shared_total", "", 1.0),
            EventKind::Notice(_) => add("coze_auth_store_notices_total", "", 1.0),
            EventKind::TokenRefused => add("coze_auth_tokens_refused_total", "", 1.0),
            EventKind::Evicted { .. } => add("coze_auth_evicted_total", "", 1.0),
            EventKind::ClockSkew(skew) => {
                values.insert(
                    ("coze_auth_clock_ahead_seconds", app),
                    skew.as_secs() as f64,
                );
            }
            // A later version's.
            _ => {}
        }
    }

    fn text(&self) -> String {
        let values = self.0.lock().expect("nobody panics here");
        let mut text = String::new();
        for &(name, kind, help) in METRICS {
            let of_it = values.iter().filter(|((of, _), _)| *of == name);
            let lines: Vec<_> = of_it
                .map(|((_, labels), value)| format!("{name}{{{labels}}} {value}\n"))
                .collect();
            if !lines.is_empty() {
                let lines = lines.concat();
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
            }
        }
        text
    }
}

/// As the value of a label.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

/// The same to whatever is asked, which is enough for Prometheus.
fn serve(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let _request = stream.read(&mut [0; 4096])?;
    let text = metrics.text();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn main() -> Result<(), Error> {
    coze_auth_examples::mock_unless_set_up(); // for this sample alone: leave it out

    let client = Client::new()?;
    let metrics = Arc::new(Metrics::default());
    let counts = metrics.clone();
    let tokens = TokenSource::jwt(&client, jwt_app_from_env(Region::Cn)?, JwtGrant::new())
        .observe(move |event| counts.observe(event));

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("http://{}/metrics", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream, &metrics);
        }
    });
    for name in io::stdin().lines().map_while(Result::ok) {
        match tokens.session(&name).and_then(|session| session.token()) {
            Ok(_) => println!("{name} has a token"),
            Err(error) => println!("{name} has none: {error}"),
        }
    }
    tokens.close()
}
