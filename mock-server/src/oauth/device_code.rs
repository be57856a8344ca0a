//! The device code grant: a device polls for its tokens (RFC 8628, protocol §7).

use std::time::Duration;

use super::context::Context;
use crate::limits::POLL_TOLERANCE;
use crate::protocol::json_body::JsonObject;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::{AppKind, Consent};
use crate::state::grants::{AppIndex, Decision, Device};

pub(crate) fn poll(ctx: &mut Context<'_>, body: &JsonObject<'_>) -> Result<Answer, Refusal> {
    let app = ctx.client(body.text("client_id")?, &[AppKind::Device])?;
    let secret = body.text("device_code")?;
    magic_values::check("device_code", secret)?;
    let key = ctx.key(secret);
    let (now, steady) = (ctx.now_ms, ctx.state.settings.clock.steady());
    let Some(entry) = ctx.state.devices.get_mut(&key) else {
        let note = ctx.state.devices.eviction_note();
        return Err(Refusal {
            rule: Rule::DeviceKnown,
            detail: String::new(),
            expected: "a device code that this server issued".to_owned(),
            actual: format!("unknown code {}{note}", redact::mask(secret)),
        });
    };
    let device = entry.clone();
    if device.app == app {
        entry.last_poll = Some(steady);
    }
    check(ctx, &device, app, steady)?;
    let mark = ctx.mark();
    if let Some(device) = ctx.state.devices.get_mut(&key) {
        device.used = Some(mark);
    }
    let user = device.user.unwrap_or_else(|| ctx.state.user.clone());
    let origin = ctx.origin(Some(&key));
    let tokens = ctx.state.issue_pair(app, user, now, origin);
    Ok(ctx.hand_out(&tokens))
}

fn check(
    ctx: &mut Context<'_>,
    device: &Device,
    app: AppIndex,
    steady: Duration,
) -> Result<(), Refusal> {
    let now = ctx.now_ms;
    let owner = ctx.state.app(device.app).client_id.clone();
    ctx.require(Rule::DeviceClient, device.app == app, || {
        (
            format!("the client id {owner}, to which it was issued"),
            "another client id",
        )
    })?;
    ctx.require(Rule::DeviceSingleUse, device.used.is_none(), || {
        ("a device code that was not used before", "one that was")
    })?;
    ctx.require(Rule::DeviceExpired, now < device.expires_ms, || {
        let late = (now - device.expires_ms) / 1000;
        (
            "a device code that has not expired",
            format!("one that expired {late} s ago"),
        )
    })?;
    // Without a decision, the settings decide.
    let decision = match (device.decision, ctx.state.consent_of(device.app)) {
        (Decision::Pending, Consent::Approve) => Decision::Approved,
        (Decision::Pending, Consent::Deny) => Decision::Denied,
        (decision, _) => decision,
    };
    ctx.require(Rule::DeviceDenied, decision != Decision::Denied, || {
        ("the approval of a user", "a denial")
    })?;
    // slow_down is a kind of pending (RFC 8628 §3.5), so an approved device gets its tokens.
    let pending = decision == Decision::Pending;
    // A pause is steady time, so setting a wall clock back does not make a poll too early.
    let gap = device.last_poll.map(|last| steady.saturating_sub(last));
    let interval_s = ctx.state.settings.ttl.device_interval;
    let early = gap.is_some_and(|gap| gap + POLL_TOLERANCE < Duration::from_secs(interval_s));
    ctx.require(Rule::DeviceInterval, !(pending && early), || {
        let expected = format!("{} ms between polls", interval_s * 1000);
        (
            expected,
            format!("{} ms", gap.unwrap_or_default().as_millis()),
        )
    })?;
    ctx.require(Rule::DevicePending, !pending, || {
        (format!("a decision about {}", device.user_code), "none yet")
    })
}
