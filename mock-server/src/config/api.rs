//! API calls of a configuration, in the form that the control plane takes.

use std::sync::Arc;

use super::faults::json_of_table;
use super::reader::Reader;
use super::table::Table;
use crate::intercept::api_spec::{ApiSpec, MEMBERS};
use crate::limits::MAX_APIS;
use crate::state::settings::Settings;

pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>, settings: &mut Settings) {
    let Some(tables) = reader.tables(top, "api", "[[api]]") else {
        return;
    };
    settings.apis.clear();
    for table in &tables {
        if table
            .entries
            .keys()
            .any(|key| !MEMBERS.contains(&&**key.get_ref()))
        {
            reader.keys(table, MEMBERS);
            continue;
        }
        let spec = serde_json::from_value::<ApiSpec>(json_of_table(table.entries));
        let Ok(spec) = spec else {
            let text = "this is not an API call; expected method = \"GET\", path = \"/v1/bots/{bot_id}\" and one of json = { … }, text = \"…\" and events = [{ event = \"done\", data = \"…\" }]";
            reader.wrong(table.at, text);
            continue;
        };
        let api = match spec.api() {
            Ok(api) => api,
            Err((member, why)) => {
                let at = table
                    .value(member)
                    .map_or(table.at, |value| value.span().start);
                reader.wrong(at, why);
                continue;
            }
        };
        if settings.apis.iter().any(|earlier| earlier.same_call(&api)) {
            let text = format!(
                "a second [[api]] with {} {}; each must have its own method and path",
                api.method, api.path
            );
            reader.wrong(table.at, text);
        } else if settings.apis.len() == MAX_APIS {
            reader.wrong(
                table.at,
                format!("more than {MAX_APIS} API calls; remove this one"),
            );
            return;
        } else {
            settings.apis.push(Arc::new(api));
        }
    }
}
