//! Waiting devices, and the decision about them (RFC 8628, protocol §7).

use std::sync::Arc;

use super::State;
use super::grants::{Decision, Device};
use super::user::User;
use crate::protocol::digest::{Digest, digest};

/// The canonical form of a user code, which people type in any case, with or without dashes and spaces.
pub(crate) fn canonical(user_code: &str) -> String {
    let letters = user_code.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_uppercase()).collect()
}

pub(crate) fn find(state: &State, user_code: &str) -> Option<Digest> {
    state
        .user_codes
        .get(&digest(&canonical(user_code)))
        .copied()
}

/// A decision about a device code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceAction {
    /// The user approves.
    Approve,
    /// The user denies.
    Deny,
    /// Nobody decides: the code expires now.
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

/// Why no decision about a user code is possible.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserCodeError {
    /// No device has this code.
    Unknown,
    /// The code has expired.
    Expired,
    /// The code was approved or denied already.
    Decided,
}

impl std::fmt::Display for UserCodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// The same as `Display`, since people read what `main` and `unwrap` print.
impl std::fmt::Debug for UserCodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for UserCodeError {}

impl UserCodeError {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "No device is waiting with this code. Check it and type it again.",
            Self::Expired => "This code has expired. Start again on the device.",
            Self::Decided => "This code has been used already. Start again on the device.",
        }
    }
}

/// The device with this `user_code`, if it still waits.
pub(crate) fn waiting<'a>(
    state: &'a State,
    user_code: &str,
    now_ms: u64,
) -> Result<&'a Device, UserCodeError> {
    let key = find(state, user_code).ok_or(UserCodeError::Unknown)?;
    let device = state.devices.get(&key).ok_or(UserCodeError::Unknown)?;
    match device.decision {
        Decision::Pending if now_ms >= device.expires_ms => Err(UserCodeError::Expired),
        Decision::Pending if device.used.is_none() => Ok(device),
        _ => Err(UserCodeError::Decided),
    }
}

/// The devices that wait for a decision, oldest first.
pub(crate) fn all_waiting(state: &State, now_ms: u64) -> impl Iterator<Item = &Device> {
    let pending = |device: &&Device| device.decision == Decision::Pending && device.used.is_none();
    let devices = state.devices.iter().filter(pending);
    devices.filter(move |device| now_ms < device.expires_ms)
}

/// Approves, denies or expires a device code. `user` is the user who approves; none means the user who is signed in when
/// the device gets its tokens.
pub(crate) fn decide(
    state: &mut State,
    user_code: &str,
    action: DeviceAction,
    user: Option<Arc<User>>,
    now_ms: u64,
) -> Result<(), UserCodeError> {
    let key = find(state, user_code).ok_or(UserCodeError::Unknown)?;
    if action != DeviceAction::Expire {
        waiting(state, user_code, now_ms)?;
    }
    let device = state.devices.get_mut(&key).ok_or(UserCodeError::Unknown)?;
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
