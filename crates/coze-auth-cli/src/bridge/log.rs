//! What the bridge tells of requests: by whom nothing, what it was and how it ended. Never a value that a request has.

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

#[derive(Debug)]
pub(super) struct Log(Logged);

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
    pub(super) const fn new(logged: Logged) -> Self {
        Self(logged)
    }

    pub(super) fn tell(&self, line: &Line<'_>) {
        let is_told = match self.0 {
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
        output::tell(format_args!(
            "{} {}{what} {} {} ms{refused}",
            line.method,
            line.place,
            line.status,
            line.took.as_millis()
        ));
    }
}
