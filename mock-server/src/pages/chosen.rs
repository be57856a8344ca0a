//! The user whom a form chooses.

use std::sync::Arc;

use crate::html::form::Fields;
use crate::state::State;
use crate::state::user::User;

/// The user whom a form chooses; the signed-in user if the form has no choice.
pub(crate) fn chosen(state: &State, fields: &Fields) -> Option<Arc<User>> {
    match fields.get("user") {
        "" => Some(state.user.clone()),
        name => {
            let mut users = state.settings.users.iter();
            users.find(|user| user.name == name).cloned()
        }
    }
}
