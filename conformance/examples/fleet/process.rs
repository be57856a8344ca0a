//! A process of the fleet, as its parent sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use crate::worker::NAME;

pub(crate) struct Process {
    /// Its place in the fleet, and how often that was filled: `7.2`. No two have the same.
    pub(crate) name: String,
    /// The last life of which it has all tokens.
    pub(crate) done: u32,
    pub(crate) is_ready: bool,
    child: Child,
}

/// What a process said, and which; None if it says nothing any more.
pub(crate) type Word = (String, Option<String>);

impl Process {
    /// This binary once more. It need not be ready yet.
    pub(crate) fn start(
        name: String,
        variables: &[(&str, String)],
        adapter: &str,
        words: Sender<Word>,
    ) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .env(NAME, &name)
            .env(crate::worker::ADAPTER, adapter)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let of = name.clone();
        thread::spawn(move || {
            let mut line = String::new();
            // A line that a kill has cut off is no word.
            while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let word = line.trim_end().to_owned();
                let _ = words.send((of.clone(), Some(word)));
                line.clear();
            }
            let _ = words.send((of, None));
        });
        Self {
            name,
            done: 0,
            is_ready: false,
            child,
        }
    }

    /// This life begins at this time.
    pub(crate) fn tick(&mut self, life: u32, unix_secs: u64) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        let line = format!("{life} {unix_secs}\n");
        stdin.write_all(line.as_bytes()).expect("it listens");
    }

    /// Ends it by `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to do for one that is dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
