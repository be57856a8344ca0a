//! Real processes over one folder: this test's own program, started again.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use coze_auth_store::FileStore;
use coze_auth_tokens::blocking::{self, Blocking};
use coze_auth_tokens::core::error::SigningError;
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_tokens::core::{Endpoints, Request, Response};
use coze_auth_tokens::tokio::{self as awaited, Tokio};
use coze_auth_tokens::{Driver, SendError, TokenSource};

use crate::coze::{LIFE, RUNTIME};
use crate::steps::{Passed, answer};
use crate::{Folder, GUARD};

const FOLDER: &str = "COZE_AUTH_TEST_FOLDER";
const OVER: &str = "COZE_AUTH_TEST_OVER";

/// A process's own Coze, whose tokens are told from those of the other one's.
#[derive(Clone)]
struct Own(Arc<State>);

struct State {
    folder: PathBuf,
    clock: Passed,
    tokens: AtomicUsize,
    /// It never answers.
    stopped: Mutex<bool>,
}

impl State {
    /// All processes note here that they have signed.
    fn note(&self) {
        let mut options = OpenOptions::new();
        let noted = options.append(true).create(true).open(signed(&self.folder));
        // One write: it is not mixed with another's.
        noted.unwrap().write_all(b"signed\n").unwrap();
    }
}

impl Signer for Own {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.0.note();
        Ok(vec![7; 256])
    }
}

impl blocking::Transport for Own {
    fn send(&self, _: Request) -> Result<Response, SendError> {
        while *self.0.stopped.lock().unwrap() {
            thread::park();
        }
        let number = self.0.tokens.fetch_add(1, Ordering::SeqCst);
        let (process, end) = (std::process::id(), self.0.clock.now().unix.as_secs() + LIFE);
        let body = format!(r#"{{"access_token":"of-{process}-{number}","expires_in":{end}}}"#);
        Ok(answer(200, &body)?)
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.0.clock
    }
}

impl awaited::Transport for Own {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        blocking::Transport::send(self, request)
    }

    fn time(&self) -> &dyn awaited::Time {
        &self.0.clock
    }
}

/// Both names are in folders of the test's own.
fn signed(folder: &Path) -> PathBuf {
    folder.with_extension("signed")
}

/// Does what it is told by lines: `tick` lets a token's life pass, `stop` its Coze; each `tick` is answered with a token.
#[test]
fn a_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return; // it is not one
    };
    let state = State {
        folder: folder.into(),
        clock: Passed::default(),
        tokens: AtomicUsize::new(0),
        stopped: Mutex::new(false),
    };
    let own = Own(Arc::new(state));
    let store = FileStore::new(&own.0.folder).unwrap();
    match std::env::var(OVER).as_deref() {
        Ok("tokio") => {
            let tokens = shared::<Tokio<Own>>(&own, store);
            obey(&own, || {
                RUNTIME
                    .block_on(tokens.token())
                    .unwrap()
                    .expose()
                    .to_owned()
            });
        }
        _ => {
            let tokens = shared::<Blocking<Own>>(&own, store);
            obey(&own, || tokens.token().unwrap().expose().to_owned());
        }
    }
}

fn shared<D: Driver<Transport = Own>>(own: &Own, store: FileStore) -> TokenSource<D> {
    let app = JwtApp::new(Endpoints::cn(), "1000000001", "key-1", own.clone()).unwrap();
    let tokens = TokenSource::<D>::jwt(own, app, JwtGrant::new());
    tokens.shared(store).unwrap()
}

fn obey(own: &Own, token: impl Fn() -> String) {
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "stop" => *own.0.stopped.lock().unwrap() = true,
            _ => {
                own.0.clock.pass(LIFE);
                println!("token {}", token());
            }
        }
    }
}

struct Process {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Process {
    fn start(folder: &Path, over: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "processes::a_process", "--nocapture"])
            .env(FOLDER, folder)
            .env(OVER, over)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    fn tell(&mut self, what: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{what}").unwrap();
    }

    fn token(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "it has ended");
            if let Some((_, token)) = line.split_once("token ") {
                return token.trim().to_owned();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One over threads and one over tokio, at once. Then one dies while it asks for all.
#[test]
fn two_processes_sign_once_for_each_life() {
    const TICKS: usize = 30;
    let folder = Folder::new("processes");
    let signatures = || {
        let all = fs::read_to_string(signed(&folder.0)).unwrap_or_default();
        all.lines().count()
    };
    let mut one = Process::start(&folder.0, "threads");
    let mut other = Process::start(&folder.0, "tokio");
    for tick in 1..=TICKS {
        one.tell("tick");
        other.tell("tick");
        assert_eq!(one.token(), other.token(), "tick {tick}");
        assert_eq!(signatures(), tick);
    }
    one.tell("stop");
    one.tell("tick");
    let began = Instant::now();
    while signatures() == TICKS && began.elapsed() < GUARD {
        thread::sleep(Duration::from_millis(1));
    }
    other.tell("tick");
    let dead = one.child.id();
    drop(one);
    let token = other.token();
    assert!(!token.starts_with(&format!("of-{dead}-")), "{token}");
    assert_eq!(
        signatures(),
        TICKS + 2,
        "that of the dead one, and one for all"
    );
    let mut next = Process::start(&folder.0, "threads");
    next.tell("tick");
    assert_eq!(next.token(), token, "one that starts takes it up");
    assert_eq!(signatures(), TICKS + 2);
    let _ = fs::remove_file(signed(&folder.0));
}
