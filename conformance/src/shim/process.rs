//! The process of a shim, and the lines that it says.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use crate::client::Broken;
use crate::shell;

const LONGEST_LINE: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) input: ChildStdin,
    pub(super) lines: Receiver<Result<String, String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = writeln!(self.input, r#"{{"op":"exit"}}"#);
        for _ in 0..100 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Its exit code once it has ended, None within if a signal ended it; None if it has not ended by itself so far.
    pub(super) fn ended(&mut self, patience: Duration) -> io::Result<Option<Option<i32>>> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.code()));
            }
            if started.elapsed() > patience {
                self.child.kill()?;
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(super) fn start(command: &str) -> Result<Self, Broken> {
        let mut shell = shell::command(command);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell
            .spawn()
            .map_err(|error| Broken::Client(format!("it does not start: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Broken::Harness("it has no pipes".to_owned()));
        };
        let (send, lines) = sync_channel(64);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = String::new();
                let read = output.by_ref().take(LONGEST_LINE + 1).read_line(&mut line);
                let line = match read {
                    Ok(0) => return,
                    Ok(_) if line.ends_with('\n') => Ok(line),
                    Ok(_) => Err("a line without an end, or longer than 1 MiB".to_owned()),
                    Err(error) => Err(format!("its standard output: {error}")),
                };
                let over = line.is_err();
                if send.send(line).is_err() || over {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            input,
            lines,
        })
    }
}
