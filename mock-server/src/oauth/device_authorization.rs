//! The device authorization request: issues a device code and a user code (RFC 8628, protocol §3.2).

use serde::Serialize;

use super::context::Context;
use crate::protocol::digest::digest;
use crate::protocol::refusal::Refusal;
use crate::protocol::response::Answer;
use crate::state::app::AppKind;
use crate::state::devices::{canonical, find};
use crate::state::grants::{Decision, Device};

#[derive(Serialize)]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    /// A duration in seconds, unlike that of the token answer.
    expires_in: u64,
    interval: u64,
}

pub(crate) fn start(ctx: &mut Context<'_>, workspace: Option<&str>) -> Result<Answer, Refusal> {
    let body = ctx.json_body()?;
    let app = ctx.client(body.text("client_id")?, &[AppKind::Device])?;
    let made = ctx.mark();
    let state = &mut *ctx.state;
    let ttl = state.settings.ttl;
    let device_code = state.ids.opaque("mock_", 59);
    let user_code = loop {
        let code = state.ids.user_code();
        if find(state, &code).is_none() {
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
        expires_ms: ctx.now_ms + ttl.device * 1000,
        last_poll: None,
        made,
        used: None,
    };
    state.devices.insert(key, device);
    state.user_codes.insert(digest(&canonical(&user_code)), key);
    Ok(Answer::json(&DeviceAnswer {
        device_code,
        user_code,
        verification_uri: format!("{}/oauth/device-activation", ctx.request.base),
        expires_in: ttl.device,
        interval: ttl.device_interval,
    }))
}
