//! The example `device_login` of `coze-auth-ureq`, as a person runs it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use coze_auth_mock::{CozeAuthMock, DeviceAction};

#[path = "common/example.rs"]
mod example;

static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| example::built("device_login"));

/// The example at work, ended with the test.
struct Run {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it has said so far.
    said: String,
    folder: PathBuf,
}

impl Run {
    /// Until it waits for the person.
    fn start(mock: &CozeAuthMock, name: &str) -> Self {
        let info = mock.info();
        let apps = info["apps"].as_array().expect("apps");
        let app = apps.iter().find(|app| app["kind"] == "device");
        let id = app.expect("a device app")["client_id"].as_str();
        let name = format!("coze-auth-device-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let mut child = Command::new(&*EXAMPLE)
            .arg("cn")
            .arg(&folder)
            .env("COZE_API_BASE", mock.base_url())
            .env("COZE_DEVICE_OAUTH_CLIENT_ID", id.expect("an id"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut run = Self {
            child,
            output,
            said: String::new(),
            folder,
        };
        run.waits();
        run
    }

    /// Until it waits for the person, from here on.
    fn waits(&mut self) {
        let before = self.said.len();
        while !self.said[before..].contains("\nWaiting: ") {
            let read = self.output.read_line(&mut self.said).expect("UTF-8");
            assert_ne!(read, 0, "it ended:\n{}", self.said);
        }
    }

    /// Whether it succeeded, and its errors.
    fn end(&mut self) -> (bool, String) {
        self.output.read_to_string(&mut self.said).expect("UTF-8");
        let mut errors = String::new();
        let stderr = self.child.stderr.as_mut().expect("piped");
        stderr.read_to_string(&mut errors).expect("UTF-8");
        (self.child.wait().expect("it ends").success(), errors)
    }

    /// What follows this word in a line.
    fn after(&self, word: &str) -> &str {
        let mut lines = self.said.lines();
        let rest = lines.find_map(|line| line.trim_start().strip_prefix(word));
        rest.expect("a line with it").trim()
    }

    fn grants(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.folder).expect("the folder is there");
        let paths = files.map(|file| file.expect("a file").path());
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

fn is_private(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().expect("it is there").permissions().mode();
        mode & 0o777 == 0o600
    }
    #[cfg(not(unix))]
    file.exists()
}

#[test]
fn a_person_logs_in_and_the_login_is_kept() {
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let mut run = Run::start(&mock, "kept");
    let code = run.after("and enter").to_owned();
    let page = run.after("Scan it, or open");
    assert!(page.starts_with(mock.base_url()), "{page}");
    let link = format!("  {page}?user_code={code}\n");
    assert!(run.said.contains(&link), "{link}{}", run.said);
    // The quiet zone above it, and the top of two of its corners.
    let corners = format!("\n  {}", "█".repeat(33));
    assert!(run.said.contains(&corners), "{}", run.said);
    assert!(run.said.contains("\n  ████ ▄▄▄▄▄ █"), "{}", run.said);
    assert!(run.said.contains("█ ▄▄▄▄▄ ████\n"), "{}", run.said);
    assert!(
        run.said.contains("left, next look in 5 s\n"),
        "{}",
        run.said
    );

    mock.decide_device(&code, DeviceAction::Approve)
        .expect("it waits");
    let (success, errors) = run.end();
    assert!(success, "{errors}{}", run.said);
    assert!(run.said.contains("\nLogged in as alice."), "{}", run.said);
    let grants = run.grants();
    assert_eq!(grants.len(), 1, "{grants:?}");
    assert!(is_private(&grants[0]));
}

#[test]
fn a_person_calls_it_off() {
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let mut run = Run::start(&mock, "off");
    let mut enter = run.child.stdin.take().expect("piped");
    enter.write_all(b"\n").expect("it reads");
    // If it goes on, the next poll ends it.
    let code = run.after("and enter").to_owned();
    mock.decide_device(&code, DeviceAction::Deny)
        .expect("it waits");
    let (success, errors) = run.end();
    assert!(!success);
    assert_eq!(errors, "\nerror: called off by the one who waited\n");
    assert!(run.grants().is_empty());
    let polls = mock.requests();
    assert!(polls.iter().all(|request| request.endpoint != "token"));
}

#[test]
fn a_code_that_expires_is_followed_by_another_and_a_no_is_the_end() {
    let quick = CozeAuthMock::builder().toml("[ttl]\ndevice_interval = 1\n");
    let mock = quick.expect("a second").start_blocking().expect("a mock");
    let mut run = Run::start(&mock, "expired");
    let first = run.after("and enter").to_owned();
    mock.decide_device(&first, DeviceAction::Expire)
        .expect("it waits");
    let before = run.said.len();
    while !run.said[before..].contains("The code is over. Here is another.") {
        let read = run.output.read_line(&mut run.said).expect("UTF-8");
        assert_ne!(read, 0, "it ended:\n{}", run.said);
    }
    run.said.clear();
    run.waits();
    let second = run.after("and enter").to_owned();
    assert_ne!(first, second);
    mock.decide_device(&second, DeviceAction::Deny)
        .expect("it waits");
    let (success, errors) = run.end();
    assert!(!success);
    assert!(errors.contains("the person said no"), "{errors}");
    assert!(run.grants().is_empty());
}
