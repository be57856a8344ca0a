//! One run of the program: what it is told, how long it may take, and what its exit code says.

use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::client::{Broken, Failure, Opening, Outcome};
use crate::{shell, variables};

/// What automake, meson and TAP read as a skip: the program does not have this feature.
const SKIPPED: i32 = 77;

/// Stands for what the program got, and tells nobody.
pub(super) const KEPT: &str = "kept by the program";

pub(super) fn run(
    command: &str,
    opening: &Opening,
    op: &str,
    with: &Map<String, Value>,
    folder: &Path,
    patience: Duration,
) -> Result<Outcome, Broken> {
    let mut program = shell::command(command);
    // Credentials of the person who runs the suite have no business here.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COZE_") {
            program.env_remove(name);
        }
    }
    // What it prints may be a token.
    let program = program.stdin(Stdio::null()).stdout(Stdio::null());
    program.env("COZE_AUTH_CASE", &opening.id);
    program.env("COZE_AUTH_DO", op);
    program.env("COZE_AUTH_WITH", json!(with).to_string());
    program.env("COZE_AUTH_FOLDER", folder);
    program.envs(environment(&opening.base_url, with));
    let mut child = program.spawn().map_err(|error| not_started(&error))?;
    let status = wait(&mut child, patience)?;
    match status.code() {
        Some(0) => Ok(Outcome::Ok(
            json!({ "access_token": KEPT, "refresh_token": KEPT }),
        )),
        Some(SKIPPED) => Ok(Outcome::Unsupported(format!("exit code {SKIPPED}"))),
        // What a shell says of a program that is not there, or is none.
        Some(code @ (126 | 127)) => Err(not_started(&format!("exit code {code}"))),
        Some(code) => Ok(Outcome::Err(Failure::new(
            "other",
            format!("exit code {code}"),
        ))),
        None => Err(Broken::Client("a signal ended it".to_owned())),
    }
}

fn not_started(why: &dyn std::fmt::Display) -> Broken {
    Broken::Client(format!("it does not start: {why}"))
}

fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus, Broken> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if started.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                let why = format!("it had not ended after {patience:?}");
                return Err(Broken::Client(why));
            }
            Err(error) => return Err(Broken::Harness(error.to_string())),
        }
    }
}

/// The variables that the SDKs know, and each argument under `COZE_AUTH_…`, for programs that read no JSON.
fn environment(base_url: &str, with: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |name: &str| with.get(name).and_then(Value::as_str);
    let base = text("base_url").unwrap_or(base_url);
    let mut all = vec![
        (variables::API_BASE, base),
        (variables::WWW_BASE, text("www_base_url").unwrap_or(base)),
    ];
    let kind = text("kind").unwrap_or_default();
    for (_, member, variable) in variables::OF_APPS.iter().filter(|app| app.0 == kind) {
        all.extend(text(member).map(|value| (*variable, value)));
    }
    for (_, variable) in variables::REDIRECT_URIS.iter().filter(|app| app.0 == kind) {
        all.extend(text("redirect_uri").map(|value| (*variable, value)));
    }
    all.extend(text("token").map(|value| (variables::TOKEN, value)));
    let known = all
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let own = with.iter().map(|(name, value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (format!("COZE_AUTH_{}", name.to_uppercase()), value)
    });
    known.chain(own).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_end_is_ended() {
        let (mut child, started) = (shell::command("sleep 20").spawn(), Instant::now());
        let child = child.as_mut().expect("it starts");
        let waited = wait(child, Duration::from_millis(50));
        assert_eq!(
            waited.unwrap_err().to_string(),
            "it had not ended after 50ms"
        );
        assert!(child.try_wait().is_ok_and(|ended| ended.is_some()));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
