//! The device code grant: a device polls for its tokens (RFC 8628, protocol §7).

use std::time::Duration;

use super::context::Call;
use crate::limits::POLL_TOLERANCE;
use crate::protocol::json_body::Members;
use crate::protocol::magic_values;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::{Consent, Kind};
use crate::state::grants::{AppIndex, Decision, Device};

pub(crate) fn poll(call: &mut Call<'_>, body: &Members<'_>) -> Result<Answer, Refusal> {
    let app = call.client(body.text("client_id")?, &[Kind::Device])?;
    let secret = body.text("device_code")?;
    magic_values::check("device_code", secret)?;
    let key = call.key(secret);
    let (now, steady) = (call.now_ms, call.world.settings.clock.steady());
    let Some(entry) = call.world.devices.get_mut(&key) else {
        let note = call.world.devices.eviction_note();
        return Err(Refusal {
            rule: Rule::DeviceKnown,
            detail: String::new(),
            expected: "a device code that this server issued".to_owned(),
            came: format!("unknown code {}{note}", redact::mask(secret)),
        });
    };
    let device = entry.clone();
    if device.app == app {
        entry.last_poll = Some(steady);
    }
    check(call, &device, app, steady)?;
    let mark = call.mark();
    if let Some(device) = call.world.devices.get_mut(&key) {
        device.used = Some(mark);
    }
    let user = device.user.unwrap_or_else(|| call.world.user.clone());
    let origin = call.origin(Some(&key));
    let tokens = call.world.issue_pair(app, user, now, origin);
    Ok(call.hand_out(&tokens))
}

fn check(
    call: &mut Call<'_>,
    device: &Device,
    app: AppIndex,
    steady: Duration,
) -> Result<(), Refusal> {
    let now = call.now_ms;
    let owner = call.world.app(device.app).client_id.clone();
    call.require(Rule::DeviceClient, device.app == app, || {
        (
            format!("the client id {owner}, to which it was issued"),
            "another client id",
        )
    })?;
    call.require(Rule::DeviceSingleUse, device.used.is_none(), || {
        ("a device code that gave no tokens yet", "one that did")
    })?;
    call.require(Rule::DeviceExpired, now < device.expires_ms, || {
        let late = (now - device.expires_ms) / 1000;
        (
            "a device code that has not expired",
            format!("one that expired {late} s ago"),
        )
    })?;
    // The settings decide for those that nobody has decided about.
    let decision = match (device.decision, call.world.consent_of(device.app)) {
        (Decision::Pending, Consent::Approve) => Decision::Approved,
        (Decision::Pending, Consent::Deny) => Decision::Denied,
        (decision, _) => decision,
    };
    call.require(Rule::DeviceDenied, decision != Decision::Denied, || {
        ("a user who approves", "one who refused")
    })?;
    // slow_down is a kind of pending (RFC 8628 §3.5): who has been approved gets the tokens.
    let pending = decision == Decision::Pending;
    // A pause is steady time: a wall clock that is set back makes nobody poll early.
    let gap = device.last_poll.map(|last| steady.saturating_sub(last));
    let interval_s = call.world.settings.ttl.device_interval;
    let early = gap.is_some_and(|gap| gap + POLL_TOLERANCE < Duration::from_secs(interval_s));
    call.require(Rule::DeviceInterval, !(pending && early), || {
        let expected = format!("{} ms between polls", interval_s * 1000);
        (
            expected,
            format!("{} ms", gap.unwrap_or_default().as_millis()),
        )
    })?;
    call.require(Rule::DevicePending, !pending, || {
        (format!("a decision about {}", device.user_code), "none yet")
    })
}
