//! The devices that wait, and the decision about them (RFC 8628, protocol §7).

use std::sync::Arc;

use super::State;
use super::grants::{Decision, Device};
use super::user::User;
use crate::protocol::digest::{Digest, digest};

/// As people type it: any case, with or without dashes and spaces.
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
pub enum UserCodeError {
    /// No device was given this code.
    Unknown,
    /// The code has expired.
    Expired,
    /// Somebody has approved or denied it.
    Decided,
}

impl std::fmt::Display for UserCodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// What `main` and `unwrap` print is read by people.
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

/// The device behind `user_code`, if it still waits.
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

/// The devices that a person can still decide about, oldest first.
pub(crate) fn all_waiting(state: &State, now_ms: u64) -> impl Iterator<Item = &Device> {
    let pending = |device: &&Device| device.decision == Decision::Pending && device.used.is_none();
    let devices = state.devices.iter().filter(pending);
    devices.filter(move |device| now_ms < device.expires_ms)
}

/// Approves, denies or ends a device code. `user` is the one who approves; with none it is the user who is signed in
/// when the device gets its tokens.
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
