//! What goes wrong for an hour, and what it may cost.

use std::net::SocketAddr;
use std::time::Duration;

use coze_auth_mock::{At, Fault, On};

use crate::disk::Disk;
use crate::fixture::{Fixture, KINDS, Kind};
use crate::hour::Goal;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outage {
    Refused,
    NoName,
    Certificate,
    Dropped,
    Hangs,
    Unavailable,
    UnavailableFor,
    TooMany,
    Html,
    Clock,
    DiskFull,
    ReadOnly,
}

use Outage::{
    Certificate, Clock, DiskFull, Dropped, Hangs, Html, NoName, ReadOnly, Refused, TooMany,
    Unavailable, UnavailableFor,
};

pub(crate) const ALL: [Outage; 12] = [
    Refused,
    NoName,
    Certificate,
    Dropped,
    Hangs,
    Unavailable,
    UnavailableFor,
    TooMany,
    Html,
    Clock,
    DiskFull,
    ReadOnly,
];

/// What every change is held to.
pub(crate) const CI: [Outage; 3] = [Refused, UnavailableFor, Html];

/// A gateway's page.
const PAGE: &str = "<!DOCTYPE html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>";

impl Outage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Refused => "connection refused",
            NoName => "no such name (DNS)",
            Certificate => "certificate expired",
            Dropped => "connection reset in place of an answer",
            Hangs => "no answer (timeout of 100 ms)",
            Unavailable => "503",
            UnavailableFor => "503, `Retry-After: 600`",
            TooMany => "429",
            Html => "200 with a page of HTML",
            Clock => "our clock an hour fast",
            DiskFull => "disk full",
            ReadOnly => "disk read-only",
        }
    }

    /// A disk is where logins rest.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self.is_of_a_disk() {
            true => &[Kind::Login],
            false => &KINDS,
        }
    }

    /// Pauses of 1 s, 2, 4 … 60 are 65 tries in an hour and 6 in its first minute. The first asks a second time, where
    /// nothing can have been spent and the trouble may pass.
    pub(crate) fn goal(self) -> Goal {
        let (minute, hour, back) = match self {
            // As many as with a right one: a token lives for fifteen minutes here.
            Clock => (1, 5, 0),
            UnavailableFor => (1, 8, 600),
            DiskFull | ReadOnly => (0, 0, 61),
            _ => (8, 70, 61),
        };
        Goal {
            minute,
            hour,
            back: Duration::from_secs(back),
        }
    }

    /// Whether each request comes to the mock.
    pub(crate) fn lets_requests_by(self) -> bool {
        !matches!(self, Refused | NoName | Certificate | Hangs)
    }

    /// Whether the figures are the same on every machine, however busy it is.
    pub(crate) fn is_exact(self) -> bool {
        self != Hangs
    }

    /// Why there can be no such outage on this machine.
    pub(crate) fn cannot_be_made(self) -> Option<String> {
        self.is_of_a_disk().then(|| Disk::new().err()).flatten()
    }

    /// Whether it needs a disk of its own.
    pub(crate) fn is_of_a_disk(self) -> bool {
        matches!(self, DiskFull | ReadOnly)
    }

    /// Begins. It ends when what is given back is called.
    pub(crate) fn begin<'a>(
        self,
        fixture: &'a Fixture,
        disk: Option<&'a Disk>,
    ) -> Box<dyn FnOnce() + 'a> {
        let disk = || disk.expect("where logins rest");
        let fault = |fault| {
            let fault = fixture.mock.fault(On::endpoint("token"), fault);
            Box::new(move || fault.remove())
        };
        let lead_to = |address: Option<SocketAddr>| {
            fixture.network.lead_to(address);
            move || fixture.network.lead_to(Some(fixture.address()))
        };
        match self {
            // The discard service: nobody has it.
            Refused => Box::new(lead_to(Some(([127, 0, 0, 1], 9).into()))),
            NoName => Box::new(lead_to(None)),
            Certificate => {
                let (expired, address) = fixture.expired();
                let back = lead_to(Some(address));
                Box::new(move || {
                    back();
                    drop(expired);
                })
            }
            Dropped => fault(Fault::reset()),
            Hangs => {
                let gate = fixture
                    .mock
                    .gate("hangs", On::endpoint("token"), At::Request);
                Box::new(move || {
                    // Who has gone away by now is not answered late: that would spend a refresh token.
                    while gate.waiting() > 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    gate.open();
                })
            }
            Unavailable => fault(Fault::status(503)),
            UnavailableFor => fault(Fault::status(503).header("retry-after", "600")),
            TooMany => fault(Fault::status(429)),
            Html => fault(
                Fault::status(200)
                    .header("content-type", "text/html")
                    .body(PAGE),
            ),
            Clock => {
                fixture.clock.set_ahead(Duration::from_secs(3600));
                Box::new(|| fixture.clock.set_ahead(Duration::ZERO))
            }
            DiskFull => disk().fill(),
            ReadOnly => disk().make_read_only(),
        }
    }
}
