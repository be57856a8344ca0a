//! The device flow: device authorization, polls, and the decision (RFC 8628, protocol §3.2, §7).

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::context::{Answer, Call, Refusal};
use crate::protocol::json_body::Members;
use crate::protocol::magic_values;
use crate::protocol::rules::Rule;
use crate::redact;
use crate::state::app::{Kind, User};
use crate::state::capped_map::{Digest, digest};
use crate::state::settings::Consent;
use crate::state::{AppIndex, Decision, Device, World};

/// A poll may come this much too early: timers of clients are not exact.
pub(crate) const TOLERANCE: Duration = Duration::from_millis(250);

#[derive(Serialize)]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    /// A duration in seconds, unlike the token answer's.
    expires_in: u64,
    interval: u64,
}

pub(crate) fn start(call: &mut Call<'_>, workspace: Option<&str>) -> Result<Answer, Refusal> {
    let body = call.json_body()?;
    let app = call.client(body.text("client_id")?, &[Kind::Device])?;
    let made = call.mark();
    let world = &mut *call.world;
    let ttl = world.settings.ttl;
    let device_code = world.ids.opaque("mock_", 59);
    let user_code = loop {
        let code = world.ids.user_code();
        if find(world, &code).is_none() {
            break code;
        }
    };
    let key = digest(&device_code);
    let device = Device {
        app,
        user_code: user_code.clone(),
        workspace: workspace.map(str::to_owned),
        decision: Decision::Pending,
        user: None,
        expires_ms: call.now_ms + ttl.device * 1000,
        last_poll: None,
        made,
        used: None,
    };
    world.devices.insert(key, device);
    world.user_codes.insert(digest(&canonical(&user_code)), key);
    Ok(Answer::json(&DeviceAnswer {
        device_code,
        user_code,
        verification_uri: format!("{}/oauth/device-activation", call.request.base),
        expires_in: ttl.device,
        interval: ttl.device_interval,
    }))
}

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
    let early = gap.is_some_and(|gap| gap + TOLERANCE < Duration::from_secs(interval_s));
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

/// As people type it: any case, with or without dashes and spaces.
fn canonical(user_code: &str) -> String {
    let letters = user_code.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_uppercase()).collect()
}

pub(crate) fn find(world: &World, user_code: &str) -> Option<Digest> {
    world
        .user_codes
        .get(&digest(&canonical(user_code)))
        .copied()
}

/// What a person can do with a device code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceAction {
    /// The user lets the device in.
    Approve,
    /// The user refuses.
    Deny,
    /// Nobody comes: the code expires now.
    Expire,
}

impl DeviceAction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "approve" => Some(Self::Approve),
            "deny" => Some(Self::Deny),
            "expire" => Some(Self::Expire),
            _ => None,
        }
    }
}

/// Why a user code cannot be decided about.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotWaiting {
    /// No device was given this code.
    Unknown,
    /// The code has expired.
    Expired,
    /// Somebody has approved or denied it.
    Decided,
}

impl std::fmt::Display for NotWaiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// What `main` and `unwrap` print is read by people.
impl std::fmt::Debug for NotWaiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotWaiting {}

impl NotWaiting {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "No device is waiting with this code. Check it and type it again.",
            Self::Expired => "This code has expired. Start again on the device.",
            Self::Decided => "This code has been used already. Start again on the device.",
        }
    }
}

/// The device behind `user_code`, if it still waits.
pub(crate) fn waiting<'a>(
    world: &'a World,
    user_code: &str,
    now_ms: u64,
) -> Result<&'a Device, NotWaiting> {
    let key = find(world, user_code).ok_or(NotWaiting::Unknown)?;
    let device = world.devices.get(&key).ok_or(NotWaiting::Unknown)?;
    match device.decision {
        Decision::Pending if now_ms >= device.expires_ms => Err(NotWaiting::Expired),
        Decision::Pending if device.used.is_none() => Ok(device),
        _ => Err(NotWaiting::Decided),
    }
}

/// `user` is who approves; none for who sits at the browser when the device gets its tokens.
/// The devices that a person can still decide about, oldest first.
pub(crate) fn all_waiting(world: &World, now_ms: u64) -> impl Iterator<Item = &Device> {
    let pending = |device: &&Device| device.decision == Decision::Pending && device.used.is_none();
    let devices = world.devices.iter().filter(pending);
    devices.filter(move |device| now_ms < device.expires_ms)
}

pub(crate) fn decide(
    world: &mut World,
    user_code: &str,
    action: DeviceAction,
    user: Option<Arc<User>>,
    now_ms: u64,
) -> Result<(), NotWaiting> {
    let key = find(world, user_code).ok_or(NotWaiting::Unknown)?;
    if action != DeviceAction::Expire {
        waiting(world, user_code, now_ms)?;
    }
    let device = world.devices.get_mut(&key).ok_or(NotWaiting::Unknown)?;
    match action {
        DeviceAction::Approve => {
            device.decision = Decision::Approved;
            device.user = user;
        }
        DeviceAction::Deny => device.decision = Decision::Denied,
        DeviceAction::Expire => device.expires_ms = device.expires_ms.min(now_ms),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::{Value, json};

    use crate::api::mock::CozeAuthMock;
    use crate::state::app::{App, apps};
    use crate::state::settings::Settings;

    fn post(mock: &CozeAuthMock, path: &str, body: &Value) -> Value {
        let request = http::Request::post(path)
            .header("Content-Type", "application/json")
            .body(Bytes::from(body.to_string()));
        let reply = mock.call_blocking(request.expect("a request"));
        serde_json::from_slice(reply.body()).expect("JSON")
    }

    /// The ready-made apps have one device app, so a second one is made here.
    #[test]
    fn a_device_code_belongs_to_its_app() {
        for on in [true, false] {
            let mut settings = Settings::standard([1; 32]);
            settings.rules.set("device.client", on).expect("a switch");
            settings.consent = Consent::Approve;
            let mock = CozeAuthMock::new(settings);
            let twin = apps().into_iter().find(|app| app.kind == Kind::Device);
            mock.shared.world().apps.push(App {
                client_id: "another".to_owned(),
                ..twin.expect("a device app")
            });
            let path = "/api/permission/oauth2/device/code";
            let started = post(&mock, path, &json!({ "client_id": "another" }));
            let poll = json!({
                "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
                "client_id": "33333333333333333333333333333333.app.coze",
                "device_code": started["device_code"],
            });
            let reply = post(&mock, "/api/permission/oauth2/token", &poll);
            let newest = mock.requests().pop().expect("an entry");
            match on {
                true => {
                    assert_eq!(newest.outcome.rule, Some("device.client"));
                    assert_eq!(reply["error_code"], "invalid_grant");
                }
                false => assert_eq!(newest.outcome.relaxed, ["device.client"]),
            }
        }
    }
}
