//! The kinds of faults: what each takes, and when it acts.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::member::Member;
use super::phase::At;

pub(crate) const DELAY: Duration = Duration::from_millis(300);

pub(crate) const DRIP: Duration = Duration::from_millis(10);

/// One kind of fault, as the README's table has it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// When it acts by default.
    pub(crate) at: At,
    /// True if it acts on the socket, so that it needs a socket of the mock.
    pub(crate) socket: bool,
    /// Names of the members that the fault can have.
    pub(crate) takes: &'static [&'static str],
}

const fn row(name: &'static str, at: At, socket: bool, takes: &'static [&'static str]) -> Row {
    Row {
        name,
        at,
        socket,
        takes,
    }
}

/// All kinds. One that replaces the answer acts at the request, one that changes the answer acts at the answer.
pub(crate) const KINDS: [Row; 16] = [
    row("status", At::Request, false, &["status", "body", "header"]),
    row("delay", At::Answer, false, &["ms"]),
    row("hold", At::Answer, false, &[]),
    row("reset", At::Request, true, &[]),
    row("close_before_body", At::Answer, true, &["body"]),
    row("truncate", At::Answer, true, &["at_byte", "body"]),
    row("garbage", At::Request, true, &["body"]),
    row("slow_drip", At::Answer, true, &["ms", "body"]),
    row(
        "redirect",
        At::Request,
        false,
        &["status", "location", "header"],
    ),
    row("wrong_content_type", At::Answer, false, &["body", "header"]),
    row("empty_200", At::Request, false, &[]),
    row("dup_header", At::Answer, false, &["header"]),
    row("member", At::Answer, false, &["member", "to", "value"]),
    row("consent_policy", At::Answer, false, &[]),
    row("callback_307", At::Answer, false, &[]),
    row("callback_twice", At::Answer, false, &[]),
];

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Status(StatusCode),
    Delay(Duration),
    Hold,
    Reset,
    CloseBeforeBody,
    Truncate(Option<usize>),
    Garbage,
    SlowDrip(Duration),
    Redirect(StatusCode, HeaderValue),
    WrongContentType,
    Empty200,
    DupHeader,
    Member(Box<Member>),
    Callback(CallbackFault),
}

/// What goes wrong in the browser between the consent page and the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackFault {
    /// The policy of the consent page has `form-action 'self'`.
    Policy,
    /// The redirect is a 307, with which a browser sends the form of the page to the app.
    Status307,
    /// The browser requests the callback twice.
    Twice,
}

impl CallbackFault {
    pub(crate) fn name(self) -> &'static str {
        Kind::Callback(self).row().name
    }
}

impl Kind {
    pub(crate) const fn row(&self) -> &'static Row {
        &KINDS[match self {
            Self::Status(_) => 0,
            Self::Delay(_) => 1,
            Self::Hold => 2,
            Self::Reset => 3,
            Self::CloseBeforeBody => 4,
            Self::Truncate(_) => 5,
            Self::Garbage => 6,
            Self::SlowDrip(_) => 7,
            Self::Redirect(..) => 8,
            Self::WrongContentType => 9,
            Self::Empty200 => 10,
            Self::DupHeader => 11,
            Self::Member(_) => 12,
            Self::Callback(CallbackFault::Policy) => 13,
            Self::Callback(CallbackFault::Status307) => 14,
            Self::Callback(CallbackFault::Twice) => 15,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also that there is no other row.
    #[test]
    fn the_readme_has_this_table() {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("\n## Faults\n").expect("a section");
        let (section, _) = section.split_once("\n## ").expect("another");
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let documented: Vec<Vec<_>> = rows
            .map(|row| row.split('|').skip(1).take(4).map(str::trim).collect())
            .collect();
        let known = KINDS.iter().map(|kind| {
            let takes: Vec<_> = kind.takes.iter().map(|name| format!("`{name}`")).collect();
            let socket = if kind.socket { "yes" } else { "" };
            [
                format!("`{}`", kind.name),
                kind.at.name().to_owned(),
                socket.to_owned(),
                takes.join(", "),
            ]
        });
        assert_eq!(documented, known.collect::<Vec<_>>());
    }
}
