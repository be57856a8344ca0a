//! The device page: a user types a user code, confirms it and decides (RFC 8628 §3.3).

use std::sync::Arc;

use askama::Template;
use http::{HeaderMap, StatusCode};

use super::chosen::chosen;
use crate::html::form::Fields;
use crate::html::language;
use crate::html::page::{Mood, page, told, undecided};
use crate::html::texts::Texts;
use crate::protocol::response::Reply;
use crate::state::devices::{DeviceAction, UserCodeError};
use crate::state::user::User;
use crate::state::{State, devices};

#[derive(Template)]
#[template(path = "device_entry.html")]
struct DeviceEntry<'a> {
    t: &'static Texts,
    user_code: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "device_confirm.html")]
struct DeviceConfirm<'a> {
    t: &'static Texts,
    app: &'a str,
    client_id: &'a str,
    workspace: &'a str,
    users: &'a [Arc<User>],
    user_code: &'a str,
}

pub(crate) fn device(state: &State, headers: &HeaderMap, query: &str) -> Reply {
    let t = language::texts(headers);
    let fields = Fields::of(query.as_bytes());
    let user_code = fields.get("user_code").trim();
    if user_code.is_empty() {
        let problem = None;
        let entry = DeviceEntry {
            t,
            user_code,
            problem,
        };
        return page(StatusCode::OK, t, &entry);
    }
    match devices::waiting(state, user_code, state.now_ms()) {
        Err(problem) => not_waiting(t, user_code, problem),
        Ok(device) => {
            let app = state.app(device.app);
            let confirm = DeviceConfirm {
                t,
                app: &app.name,
                client_id: &app.client_id,
                workspace: device.workspace.as_deref().unwrap_or(t.all_workspaces),
                users: &state.settings.users,
                user_code: &device.user_code,
            };
            page(StatusCode::OK, t, &confirm)
        }
    }
}

fn not_waiting(t: &'static Texts, user_code: &str, problem: UserCodeError) -> Reply {
    let (status, text) = match problem {
        UserCodeError::Unknown => (StatusCode::NOT_FOUND, t.unknown_code),
        UserCodeError::Expired => (StatusCode::GONE, t.expired_code),
        UserCodeError::Decided => (StatusCode::GONE, t.used_code),
    };
    let entry = DeviceEntry {
        t,
        user_code,
        problem: Some(text),
    };
    page(status, t, &entry)
}

pub(crate) fn decide_device(state: &mut State, headers: &HeaderMap, form: &[u8]) -> Reply {
    let t = language::texts(headers);
    let fields = Fields::of(form);
    let user_code = fields.get("user_code");
    let Some(action @ (DeviceAction::Approve | DeviceAction::Deny)) =
        DeviceAction::named(fields.get("action"))
    else {
        return undecided(t, t.undecided_text);
    };
    let Some(user) = chosen(state, &fields) else {
        return undecided(t, t.no_user);
    };
    let now = state.now_ms();
    match devices::decide(state, user_code, action, Some(user), now) {
        Err(problem) => not_waiting(t, user_code, problem),
        Ok(()) if action == DeviceAction::Approve => {
            told(t, StatusCode::OK, Mood::Done, t.connected, t.connected_text)
        }
        Ok(()) => told(t, StatusCode::OK, Mood::Denied, t.denied, t.denied_text),
    }
}
