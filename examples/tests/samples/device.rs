//! `auth_oauth_device` and its blocking twin, as a person sees them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use coze_auth_mock::{CozeAuthMock, DeviceAction};

use crate::support::{Folder, sample_of};

/// The sample at work, ended with the test.
struct Run {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it has said so far.
    said: String,
}

impl Run {
    /// Until it has shown a code.
    fn start(name: &str, mock: &CozeAuthMock, folder: &Folder) -> Self {
        let mut child = sample_of(mock, name, &["COZE_DEVICE_OAUTH_CLIENT_ID"])
            .arg(&folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let said = String::new();
        Self {
            child,
            output,
            said,
        }
    }

    /// The next code that it shows.
    fn code(&mut self) -> String {
        loop {
            let before = self.said.len();
            let read = self.output.read_line(&mut self.said).expect("UTF-8");
            assert_ne!(read, 0, "it ended:\n{}", self.said);
            let line = self.said[before..].strip_prefix("or enter ");
            if let Some((code, _)) = line.and_then(|rest| rest.split_once(' ')) {
                return code.to_owned();
            }
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
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn grants(folder: &Folder) -> Vec<PathBuf> {
    let files = std::fs::read_dir(&folder.0).expect("the folder is there");
    let paths = files.map(|file| file.expect("a file").path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect()
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

fn quick_mock() -> CozeAuthMock {
    let quick = CozeAuthMock::builder().toml("[ttl]\ndevice_interval = 1\n");
    quick.expect("a second").start_blocking().expect("a mock")
}

#[test]
fn a_person_logs_in_and_the_next_run_asks_nobody() {
    let mock = quick_mock();
    let folder = Folder::new("device-kept");
    let mut run = Run::start("auth_oauth_device", &mock, &folder);
    let code = run.code();
    let page = format!("{}/oauth/device-activation", mock.base_url());
    let links = format!("Scan it, or open {page}?user_code={code}\nor enter {code} at {page}\n");
    assert!(run.said.ends_with(&links), "{links}{}", run.said);
    // The quiet zone above it, and the top of two of its corners.
    let corners = format!("{}\n", "█".repeat(33));
    assert!(run.said.contains(&corners), "{}", run.said);
    assert!(run.said.contains("\n████ ▄▄▄▄▄ █"), "{}", run.said);
    assert!(run.said.contains("█ ▄▄▄▄▄ ████\n"), "{}", run.said);
    mock.decide_device(&code, DeviceAction::Approve)
        .expect("it waits");
    let (success, errors) = run.end();
    assert!(success, "{errors}{}", run.said);
    assert!(run.said.contains(" left. Waiting"), "{}", run.said);
    assert!(run.said.contains("\nlogged in as alice, "), "{}", run.said);
    let kept = grants(&folder);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(is_private(&kept[0]));

    let before = mock.requests().len();
    let mut again = Run::start("auth_oauth_device_blocking", &mock, &folder);
    assert_eq!(again.end(), (true, String::new()), "{}", again.said);
    assert!(
        again.said.starts_with("logged in as alice, "),
        "{}",
        again.said
    );
    let since: Vec<_> = mock.requests().split_off(before);
    let since: Vec<_> = since.iter().map(|request| request.endpoint).collect();
    assert_eq!(since, ["users_me"], "the stored token, and nothing else");
}

#[test]
fn a_code_that_expires_is_followed_by_another_and_a_no_is_the_end() {
    for name in ["auth_oauth_device", "auth_oauth_device_blocking"] {
        let mock = quick_mock();
        let folder = Folder::new(&format!("refused-{name}"));
        let mut run = Run::start(name, &mock, &folder);
        let first = run.code();
        mock.decide_device(&first, DeviceAction::Expire)
            .expect("it waits");
        let second = run.code();
        assert!(run.said.contains("The code is over. Here is another.\n"));
        assert_ne!(first, second);
        mock.decide_device(&second, DeviceAction::Deny)
            .expect("it waits");
        let (success, errors) = run.end();
        assert!(!success);
        assert!(errors.contains("the person said no"), "{errors}");
        assert!(grants(&folder).is_empty());
    }
}
