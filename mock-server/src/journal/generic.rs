//! What an explanation tells of a client that is built on a library for OAuth 2.0 in general.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::record::Record;
use crate::protocol::rules::Rule;
use crate::protocol::user_agent::client_of;

/// For a library that no `User-Agent` gives away, and for a program without such a setting.
const BRIDGE: &str =
    "For a program that cannot be made to send this, `coze-auth bridge` speaks OAuth 2.0.";

/// What a client that sends a form, or its secret as RFC 6749 §2.3.1 has it, can do about it.
pub(super) fn advice(record: &Record, rule: Rule) -> Option<String> {
    let starts = |header, with: &str| {
        let value = record
            .header(header)
            .and_then(|value| value.get(..with.len()));
        value.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let is_form = starts("content-type", "application/x-www-form-urlencoded");
    let is_basic = starts("authorization", "Basic ");
    let secret_in_body = || {
        let members = record.members();
        members.is_some_and(|members| members["client_secret"].is_string())
    };
    let applies = match rule {
        Rule::BodyJson => is_form,
        Rule::ClientSecretMissing => is_basic || secret_in_body(),
        Rule::ParamRequired if record.endpoint == "workload_token" => {
            return is_basic.then(|| {
                "A Basic credential is not read here: send client_id and client_secret in the form, which libraries call client_secret_post.".to_owned()
            });
        }
        _ => false,
    };
    let client = record.header("user-agent").and_then(client_of);
    applies.then(|| match client {
        Some(client) => format!(
            "The User-Agent is that of {}: {} {BRIDGE}",
            client.is, client.setting
        ),
        None => BRIDGE.to_owned(),
    })
}

/// What `expires_in` of a token answer means, and what it is taken for (protocol §3.1), at the time `now` of the mock's clock.
pub(super) fn moment(expires: u64, now: u64) -> String {
    let utc = |seconds: u64| {
        let seconds = i64::try_from(seconds).ok()?;
        let at = Timestamp::from_second(seconds).ok()?;
        Some(at.to_zoned(TimeZone::UTC))
    };
    let mut text =
        format!(" expires_in {expires} is the moment at which the token expires, in Unix seconds");
    if let Some(at) = utc(expires) {
        text += &format!(" ({})", at.timestamp());
    }
    text += ", and not a duration. A library for OAuth 2.0 adds it to its clock, so it takes the token for good";
    if let Some(until) = utc(now.saturating_add(expires)) {
        text += &format!(" until the year {}", until.year());
    }
    text + ", and does not refresh it."
}
