//! What the bridge tells of requests: by whom nothing, what it was and how it ended. Never a value that a request has.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use clap::ValueEnum;

use super::refusal::Refusal;
use crate::output;

/// What is told of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Logged {
    /// Nothing
    Off,
    /// What was answered with 500 or more: Coze's trouble, the network's or the settings'
    Failures,
    /// What was refused, too
    Refusals,
    /// Every request
    Requests,
}

/// Lines that wait to be written. Who reads them may be slow, or stopped: no request waits for that.
const WAITING: usize = 1_024;
/// How long the last lines may take, at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Log {
    logged: Logged,
    /// None is the end.
    lines: SyncSender<Option<String>>,
    lost: AtomicUsize,
}

/// The thread that writes.
pub(super) struct Writer(Receiver<()>);

/// One request and its answer.
pub(super) struct Line<'a> {
    pub(super) method: &'static str,
    pub(super) place: &'static str,
    /// The grant type, where that is a known one.
    pub(super) what: &'static str,
    pub(super) status: u16,
    pub(super) refusal: Option<&'a Refusal>,
    pub(super) took: Duration,
}

impl Log {
    pub(super) fn new(logged: Logged) -> (Self, Writer) {
        let (lines, waiting) = sync_channel(WAITING);
        let (done, written) = sync_channel(1);
        std::thread::spawn(move || {
            waiting.iter().map_while(|line| line).for_each(output::tell);
            let _ = done.send(());
        });
        let lost = AtomicUsize::new(0);
        let log = Self {
            logged,
            lines,
            lost,
        };
        (log, Writer(written))
    }

    /// Tells the person at the terminal something that is of no request.
    pub(super) fn say(&self, text: impl fmt::Display) {
        self.write(format!("coze-auth: {text}"));
    }

    /// Waits until all lines are written, but not for a reader that has stopped.
    pub(super) fn end(&self, writer: &Writer) {
        let _ = self.lines.try_send(None);
        let _ = writer.0.recv_timeout(LAST_LINES);
    }

    fn write(&self, line: String) {
        let lost = self.lost.load(Ordering::Relaxed);
        let line = match lost {
            0 => line,
            lost => {
                format!("{line} ({lost} lines before it are lost: standard error was not read)")
            }
        };
        match self.lines.try_send(Some(line)) {
            Ok(()) => self.lost.fetch_sub(lost, Ordering::Relaxed),
            Err(_) => self.lost.fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(super) fn tell(&self, line: &Line<'_>) {
        let is_told = match self.logged {
            Logged::Off => false,
            Logged::Failures => line.status >= 500,
            Logged::Refusals => line.status >= 400,
            Logged::Requests => true,
        };
        if !is_told {
            return;
        }
        let what = match line.what {
            "" => String::new(),
            what => format!(" {what}"),
        };
        // Words of Coze's may name people, and those of a client anything: the code and the log id are enough to find the rest.
        let refused = line.refusal.map_or_else(String::new, |refusal| {
            let log_id = refusal.log_id();
            let log_id = log_id.map_or_else(String::new, |id| format!(" [log id {id}]"));
            format!(" {}{log_id}", refusal.error())
        });
        self.write(format!(
            "{} {}{what} {} {} ms{refused}",
            line.method,
            line.place,
            line.status,
            line.took.as_millis()
        ));
    }
}
