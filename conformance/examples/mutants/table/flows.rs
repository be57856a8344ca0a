//! What is sent once more, and how long is waited.

use std::time::Duration;

use coze_auth_core::http::header::{AUTHORIZATION, LOCATION};
use coze_auth_core::{Request, Response, TransportFailure};

use crate::mutant::{Mutant, Way};

const POLL: &[&str] = &["device.poll"];

/// The same request, at the place that a redirect names.
fn followed(request: &Request, response: &Response) -> Option<Request> {
    let to = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut again = request.clone();
    *again.uri_mut() = to.parse().ok()?;
    Some(again)
}

pub(crate) fn all() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "redirects-followed-with-everything",
            Way::Repeats(|request, reply, _| followed(request, reply.as_ref().ok()?)),
        )
        .in_workloads(),
        Mutant::new(
            "redirects-followed-without-bearer",
            Way::Repeats(|request, reply, _| {
                let mut again = followed(request, reply.as_ref().ok()?)?;
                again.headers_mut().remove(AUTHORIZATION);
                Some(again)
            }),
        ),
        Mutant::new(
            "lost-answers-asked-for-again",
            Way::Repeats(|request, reply, sent| match reply {
                Err(_) if sent == 0 => Some(request.clone()),
                _ => None,
            }),
        ),
        Mutant::new(
            "trouble-repeated-at-once",
            Way::Repeats(|request, reply, sent| {
                let trouble = reply
                    .as_ref()
                    .is_ok_and(|answer| answer.status().is_server_error());
                (trouble && sent == 0).then(|| request.clone())
            }),
        ),
        Mutant::new(
            "sent-twice",
            Way::Repeats(|request, _, sent| (sent == 0).then(|| request.clone())),
        )
        .in_workloads(),
        Mutant::new("sent-twice-and-the-first-answer-counts", Way::Twice),
        Mutant::new("grants-remembered", Way::Remembers),
        Mutant::new("connections-left-open", Way::Leaks),
        Mutant::new("stays-when-all-is-done", Way::Stays).only(&["process.end"]),
        Mutant::new(
            "failure-not-sent-is-no-answer",
            Way::Fails(|failure| match failure {
                TransportFailure::NotSent => TransportFailure::NoAnswer,
                other => other,
            }),
        ),
        Mutant::new(
            "failure-no-answer-is-not-sent",
            Way::Fails(|failure| match failure {
                TransportFailure::NoAnswer => TransportFailure::NotSent,
                other => other,
            }),
        ),
        Mutant::new(
            "failure-timeout-is-no-answer",
            Way::Fails(|failure| match failure {
                TransportFailure::Timeout => TransportFailure::NoAnswer,
                other => other,
            }),
        ),
        Mutant::new(
            "waits-at-most-a-second",
            Way::Waits(|pause, _| pause.min(Duration::from_secs(1))),
        )
        .only(POLL),
        Mutant::new(
            "waits-at-most-the-default",
            Way::Waits(|pause, _| pause.min(Duration::from_secs(5))),
        )
        .only(POLL),
        Mutant::new(
            "waits-at-most-ten-seconds",
            Way::Waits(|pause, _| pause.min(Duration::from_secs(10))),
        )
        .only(POLL),
        Mutant::new(
            "waits-less-the-third-time",
            Way::Waits(|pause, number| match number {
                ..3 => pause,
                _ => pause.min(Duration::from_secs(5)),
            }),
        )
        .only(POLL),
        Mutant::new("waits-four-times-as-long", Way::Waits(|pause, _| pause * 4)).only(POLL),
        Mutant::new("waits-by-the-calendar", Way::Calendar).only(POLL),
        Mutant::new("goes-on-when-stopped", Way::Deaf).only(POLL),
        Mutant::new("goes-on-behind-when-stopped", Way::Lingers).only(POLL),
    ]
}
