//! Grants and errors for a token cache, and what it was seen to say.

use std::time::Duration;

use coze_auth_core::cache::{Lookup, RefreshPolicy, RefreshTicket, TokenCache};
use coze_auth_core::error::TransportFailure;
use coze_auth_core::{
    AccessToken, Error, Flow, IssuedToken, Now, RefreshToken, SteadyTime, TokenGrant, UnixTime,
};

use super::{UNIX, error_of, reply_with, request_of, result_of, web};

pub const LEASE: u64 = 30;

/// A cache without a grant, whose leases last [`LEASE`] seconds.
pub fn empty() -> TokenCache {
    TokenCache::new(RefreshPolicy::new(Duration::from_secs(LEASE)))
}

/// A cache that took [`grant`] 1 at the start: 900 seconds of life, stale from 840.
pub fn filled() -> TokenCache {
    let mut cache = empty();
    cache.restore(grant(1, 0, 900), clocks(0, 0));
    cache
}

/// The grant of this number, from and to these seconds after the start.
pub fn grant(number: u64, issued_at: u64, expires_at: u64) -> TokenGrant {
    saved(number, Some(number), issued_at, expires_at)
}

/// The same without a refresh token, as the JWT flow gives it.
pub fn jwt_grant(number: u64, issued_at: u64, expires_at: u64) -> TokenGrant {
    saved(number, None, issued_at, expires_at)
}

fn saved(number: u64, refresh: Option<u64>, issued_at: u64, expires_at: u64) -> TokenGrant {
    let json = serde_json::json!({
        "access_token": format!("access-{number}"),
        "refresh_token": refresh.map(|number| format!("refresh-{number}")),
        "issued_at": UNIX + issued_at,
        "expires_at": UNIX + expires_at,
    });
    TokenGrant::from_secret_json(&json.to_string()).expect("a saved grant")
}

pub fn access(number: u64) -> AccessToken {
    AccessToken::new(format!("access-{number}")).expect("a token")
}

pub fn refresh(number: u64) -> RefreshToken {
    RefreshToken::new(format!("refresh-{number}")).expect("a token")
}

/// The two clocks apart: seconds after the start on the calendar, and on the steady clock.
pub fn clocks(unix: i64, steady: u64) -> Now {
    Now {
        unix: UnixTime::from_secs(UNIX.checked_add_signed(unix).expect("after 1970")),
        steady: SteadyTime::from_duration(Duration::from_secs(steady)),
    }
}

/// What a refresh gives when the server says no with this code.
pub fn refused(code: &str) -> Error {
    said(400, &[], &format!(r#"{{"error":"{code}"}}"#))
}

/// What a refresh gives for this answer.
pub fn said(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
    error_of(
        web().refresh(&refresh(1)),
        reply_with(status, headers, body),
    )
}

/// What a refresh gives when its answer does not come in time.
pub fn timed_out() -> Error {
    let (mut call, now) = (web().refresh(&refresh(1)), clocks(0, 0));
    request_of(&mut call, now);
    call.receive(Err(TransportFailure::Timeout), now);
    result_of(&mut call, now).expect_err("no answer")
}

/// What the cache says now, in short, and the ticket if it gives one.
pub fn look(cache: &mut TokenCache, now: Now) -> (String, Option<RefreshTicket>) {
    look_lasting(cache, 0, now)
}

/// The same, for a token that is valid for at least so many seconds.
pub fn look_lasting(
    cache: &mut TokenCache,
    at_least: u64,
    now: Now,
) -> (String, Option<RefreshTicket>) {
    let text = |token: &IssuedToken| token.access_token.expose().to_owned();
    match cache.lookup_lasting(Duration::from_secs(at_least), now) {
        Lookup::Fresh(token) => (format!("fresh {}", text(&token)), None),
        Lookup::Stale(token, ticket) => (format!("stale {}", text(&token)), Some(ticket)),
        Lookup::Missing(ticket) => ("missing".to_owned(), Some(ticket)),
        Lookup::Busy(rest) => (format!("busy {rest:?}"), None),
        Lookup::Failed(error) => (format!("failed {}", name(&error)), None),
    }
}

pub fn says(cache: &mut TokenCache, now: Now) -> String {
    look(cache, now).0
}

/// The ticket that the cache gives now.
#[track_caller]
pub fn ticket(cache: &mut TokenCache, now: Now) -> RefreshTicket {
    let (said, ticket) = look(cache, now);
    ticket.unwrap_or_else(|| panic!("no ticket but: {said}"))
}

/// Takes the ticket that the cache gives now, and fails with this.
#[track_caller]
pub fn fail(cache: &mut TokenCache, error: Error, now: Now) {
    let ticket = ticket(cache, now);
    cache.complete(ticket, Err(error), now);
}

/// The refresh token of the cache's grant.
pub fn kept(cache: &TokenCache) -> Option<&str> {
    let token = cache.grant()?.refresh_token.as_ref()?;
    Some(token.expose())
}

fn name(error: &Error) -> String {
    match error {
        Error::Refused(refused) => refused.code().to_string(),
        Error::Unexpected(odd) => odd.status().to_string(),
        Error::Transport { failure, .. } => format!("{failure:?}"),
        other => other.to_string(),
    }
}
