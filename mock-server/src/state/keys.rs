//! The keys of JWT apps, which their owners add and remove.

use std::sync::Arc;

use super::app::{App, AppKind, Key};
use super::ready_made;
use crate::error::KeyError;
use crate::limits::MAX_KEYS;

const LONGEST_KID: usize = 256;

fn jwt_app<'a>(apps: &'a mut [App], client_id: &str) -> Result<&'a mut App, KeyError> {
    let mut all = apps.iter_mut().filter(|app| !app.removed);
    let app = all.find(|app| app.client_id == client_id);
    let app = app.ok_or(KeyError::UnknownApp)?;
    match app.kind {
        AppKind::Jwt => Ok(app),
        _ => Err(KeyError::NotJwt),
    }
}

/// Adds a key to a JWT app, in place of an earlier one of its kid.
pub(crate) fn add(apps: &mut Arc<Vec<App>>, client_id: &str, key: Key) -> Result<(), KeyError> {
    let apps = Arc::make_mut(apps);
    let plain = (1..=LONGEST_KID).contains(&key.kid.len());
    if !plain || key.kid.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(KeyError::BadKid);
    }
    jwt_app(apps, client_id)?;
    let mut others = apps
        .iter()
        .filter(|app| !app.removed && app.client_id != client_id);
    if others.any(|app| app.key(&key.kid).is_some()) {
        return Err(KeyError::Taken);
    }
    let app = jwt_app(apps, client_id)?;
    match app.keys.iter().position(|known| known.kid == key.kid) {
        Some(at) => app.keys[at] = key,
        None if app.keys.len() >= MAX_KEYS => return Err(KeyError::Full),
        None => app.keys.push(key),
    }
    know_private_key(app);
    Ok(())
}

pub(crate) fn remove(apps: &mut Arc<Vec<App>>, client_id: &str, kid: &str) -> Result<(), KeyError> {
    let apps = Arc::make_mut(apps);
    let app = jwt_app(apps, client_id)?;
    let before = app.keys.len();
    app.keys.retain(|key| key.kid != kid);
    know_private_key(app);
    match app.keys.len() < before {
        true => Ok(()),
        false => Err(KeyError::UnknownKey),
    }
}

/// The mock knows the private half of the development key alone.
fn know_private_key(app: &mut App) {
    let development = app.keys.iter().any(|key| key.development);
    app.private_key = development.then(ready_made::private_key);
}
