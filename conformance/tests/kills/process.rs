//! A worker, as its parent sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::fixture::PATIENCE;
use crate::worker::{ADAPTER, MARK};

/// `SIGKILL`, on every unix.
const KILLED: i32 = 9;

/// What a worker said of a tick.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Word {
    /// It has a token, with this fingerprint.
    Token(String),
    /// Coze refused to renew the grant.
    Refused,
}

pub(crate) struct Worker {
    pub(crate) adapter: &'static str,
    child: Child,
    words: Receiver<String>,
    ready: bool,
}

impl Worker {
    /// This binary once more. It need not be ready yet.
    pub(crate) fn start(adapter: &'static str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["--exact", "worker", "--nocapture"])
            .env(ADAPTER, adapter)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, words) = channel();
        thread::spawn(move || {
            // A line that a kill has cut off is no word.
            let whole = stdout.lines().map_while(Result::ok);
            for word in whole.filter_map(|line| line.strip_prefix(MARK).map(str::to_owned)) {
                if tell.send(word).is_err() {
                    return;
                }
            }
        });
        Self {
            adapter,
            child,
            words,
            ready: false,
        }
    }

    /// Waits until it has started, so that a tick is a tick.
    pub(crate) fn get_ready(&mut self) {
        if !self.ready {
            assert_eq!(self.hear(), "ready", "{}", self.adapter);
            self.ready = true;
        }
    }

    /// It is this late now: ask for a token.
    pub(crate) fn tick(&mut self, unix_secs: u64) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        // One write, or it could be killed between two and the parent would be blamed.
        stdin
            .write_all(format!("{unix_secs}\n").as_bytes())
            .expect("it listens");
    }

    /// What came of the tick.
    pub(crate) fn word(&self) -> Word {
        let word = self.hear();
        self.read(&word)
    }

    /// Kills it, and gives what it had said of its last tick.
    pub(crate) fn kill(mut self) -> Option<Word> {
        self.child.kill().expect("it runs");
        let status = self.child.wait().expect("it was ours");
        assert_eq!(
            status.signal(),
            Some(KILLED),
            "it had ended by itself: {status}"
        );
        // To the end of its output: nothing that it said is missed.
        let words: Vec<String> = self.words.iter().collect();
        assert!(words.len() <= 1, "{words:?}");
        words.first().map(|word| self.read(word))
    }

    fn hear(&self) -> String {
        let word = self.words.recv_timeout(PATIENCE);
        word.unwrap_or_else(|gone| panic!("the worker over {} is stuck: {gone}", self.adapter))
    }

    fn read(&self, word: &str) -> Word {
        match (word, word.split_once(' ')) {
            ("refused", _) => Word::Refused,
            (_, Some(("token", print))) => Word::Token(print.to_owned()),
            _ => panic!("the worker over {}: {word}", self.adapter),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nothing to do for one that is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
