//! Prints what goes over the wire, as a person would want to read it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coze_auth_core::{Body, Flow, Now, Request, Response, Step, TransportFailure};
use serde_json::Value;

pub(crate) fn heading(text: &str) {
    println!(
        "\n━━ {text} {}",
        "━".repeat(76_usize.saturating_sub(text.chars().count()))
    );
}

pub(crate) fn note(text: &str) {
    println!("  · {text}");
}

/// A flow that prints what it sends, gets and waits for.
pub(crate) struct Traced<F>(pub(crate) F);

impl<F: Flow> Flow for Traced<F> {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        let step = self.0.step(now);
        match &step {
            Step::Send(request) => print_request(request),
            Step::Wait(pause) => print_pause(*pause),
            Step::Done(_) => {}
        }
        step
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        match &reply {
            Ok(response) => {
                let log_id = response
                    .headers()
                    .get("x-tt-logid")
                    .and_then(|value| value.to_str().ok());
                println!(
                    "  ← {}   log id {}",
                    response.status(),
                    log_id.unwrap_or("none")
                );
                print_body(response.body());
            }
            Err(failure) => println!("  ← {failure}"),
        }
        self.0.receive(reply, now);
    }
}

fn print_pause(pause: Duration) {
    println!("  … waits {} s", pause.as_secs_f64());
}

fn print_request(request: &Request) {
    println!("  → {} {}", request.method(), request.uri().path());
    if let Some(value) = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
    {
        let credential = value.trim_start_matches("Bearer ");
        let parts: Vec<&str> = credential.split('.').collect();
        match parts[..] {
            // What a client signs is a credential at the token endpoint alone; elsewhere it is a token of Coze's.
            [header, claims, _] if request.uri().path().ends_with("/oauth2/token") => {
                println!("      authorization: Bearer (an assertion)");
                println!("        header {}", decoded(header));
                println!("        claims {}", decoded(claims));
            }
            _ => println!("      authorization: Bearer {}", masked(credential)),
        }
    }
    match request.headers().get("content-type") {
        Some(form) if form == "application/x-www-form-urlencoded" => {
            let form = String::from_utf8_lossy(request.body().as_bytes());
            println!("      {}", masked_pairs(&form));
        }
        _ => print_body(request.body()),
    }
}

fn decoded(part: &str) -> String {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    json.map_or_else(
        || "not JSON".to_owned(),
        |json: Value| mask(json).to_string(),
    )
}

fn print_body(body: &Body) {
    if body.is_empty() {
        return;
    }
    match serde_json::from_slice(body.as_bytes()) {
        Ok(json) => println!("      {}", mask(json)),
        Err(_) => println!("      {} bytes that are not JSON", body.len()),
    }
}

/// The first characters of a secret tell what it is, its length that it is whole.
fn masked(secret: &str) -> String {
    let shown: String = secret.chars().take(4).collect();
    format!("{shown}…({})", secret.chars().count())
}

const SECRETS: &[&str] = &[
    "access_token",
    "client_secret",
    "code",
    "code_verifier",
    "credential",
    "device_code",
    "jti",
    "refresh_token",
    "state",
    "subject_token",
    // Of a project's variable.
    "value",
];

fn mask(json: Value) -> Value {
    match json {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) if SECRETS.contains(&name.as_str()) => {
                    (name, masked(&text).into())
                }
                other => (name, mask(other)),
            })
            .collect(),
        Value::Array(values) => values.into_iter().map(mask).collect(),
        other => other,
    }
}

/// A link as it is, with the secrets of its query masked.
pub(crate) fn masked_url(url: &str) -> String {
    let Some((page, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    format!("{page}?{}", masked_pairs(query))
}

fn masked_pairs(pairs: &str) -> String {
    let shown: Vec<String> = pairs
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if SECRETS.contains(&name) => format!("{name}={}", masked(value)),
            _ => pair.to_owned(),
        })
        .collect();
    shown.join("&")
}

/// Acts once, after the flow's first answer.
pub(crate) fn then_after_first_answer<F: Flow>(
    flow: F,
    act: impl FnOnce() -> bool + Send + 'static,
) -> Then<F> {
    Then {
        flow,
        act: Some(Box::new(act)),
    }
}

pub(crate) struct Then<F> {
    flow: F,
    act: Option<Box<dyn FnOnce() -> bool + Send>>,
}

impl<F: Flow> Flow for Then<F> {
    type Output = F::Output;

    fn step(&mut self, now: Now) -> Step<F::Output> {
        self.flow.step(now)
    }

    fn receive(&mut self, reply: Result<Response, TransportFailure>, now: Now) {
        self.flow.receive(reply, now);
        if let Some(act) = self.act.take() {
            assert!(act(), "the mock has this device authorization");
        }
    }
}
