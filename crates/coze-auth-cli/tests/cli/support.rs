//! A mock, and a home of its own for each test.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use coze_auth_mock::CozeAuthMock;
use serde_json::Value;

/// A home, which is removed at the end, and a mock.
pub(crate) struct Home {
    pub(crate) mock: CozeAuthMock,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With a configuration of the mock.
    pub(crate) fn with(toml: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("coze-auth-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        let builder = CozeAuthMock::builder().toml(toml).expect("valid");
        let mock = builder.start_blocking().expect("a mock");
        Self { mock, path }
    }

    /// The command, with nothing of the environment that the test runs in.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coze-auth"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.path)
            .env("COZE_API_BASE", self.mock.base_url())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().expect("it runs"))
    }

    /// Runs it with this text on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        let mut child = piped(&mut command);
        let mut stdin = child.stdin.take().expect("piped");
        // It may have refused before it reads.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Run::of(child.wait_with_output().expect("it ends"))
    }

    pub(crate) fn sign_in(&self) {
        let run = self.run_with(&["login", "--with-token"], "pat_mock_alice\n");
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }

    /// The id of an app of the mock.
    pub(crate) fn app(&self, kind: &str) -> String {
        let info = self.mock.info();
        let apps = info["apps"].as_array().expect("apps").clone();
        let app = apps.iter().find(|app| app["kind"] == kind);
        app.expect("an app")["client_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs")
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The last line of standard output, as JSON.
    pub(crate) fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error on standard error.
    pub(crate) fn error(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"));
        error["error"].clone()
    }
}
