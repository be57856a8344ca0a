//! Users and tokens of a configuration.

use std::collections::HashSet;
use std::sync::Arc;

use super::apps::apps_of;
use super::reader::{Reader, id, required};
use super::suggest::did_you_mean;
use super::table::Table;
use crate::state::ready_made;
use crate::state::settings::Settings;
use crate::state::user::{ConsoleToken, User};

/// Reads apps, users and tokens. Those of the file replace the ready-made ones of their kind.
pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>, settings: &mut Settings) {
    if let Some(tables) = reader.tables(top, "user", "[[user]]") {
        let users = users(reader, &tables);
        if !users.is_empty() {
            settings.users = users.into();
        }
    }
    if let Some(tables) = reader.tables(top, "app", "[[app]]") {
        settings.apps = Arc::new(apps_of(reader, &tables));
    }
    if let Some(tables) = reader.tables(top, "token", "[[token]]") {
        settings.tokens = tokens(reader, &tables, &settings.users).into();
    }
}

fn users(reader: &mut Reader<'_>, tables: &[Table<'_, '_>]) -> Vec<Arc<User>> {
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    let mut users = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        reader.keys(
            table,
            &[
                "name",
                "id",
                "nick",
                "avatar_url",
                "workspace",
                "workspaces",
            ],
        );
        let name = id(reader, table, "name", "\"alice\"", &mut names, false);
        let Some(name) = name else { continue };
        let mut user = ready_made::user(&name, number + 1);
        if table.value("id").is_some() {
            let example = "\"7300000000000000001\"";
            user.id = id(reader, table, "id", example, &mut ids, false).unwrap_or(user.id);
        }
        for (key, example, field) in [
            ("nick", "\"Alice\"", &mut user.nick),
            ("workspace", "\"ws_a\"", &mut user.workspace),
        ] {
            if let Some((text, _)) = reader.text(table, key, example) {
                text.clone_into(field);
            }
        }
        let example = "\"https://app.example/alice.png\"";
        let picture = reader.text(table, "avatar_url", example);
        user.avatar_url = picture.map(|(text, _)| text.to_owned());
        if let Some(ids) = reader.list(table, "workspaces", "[\"ws_team\"]") {
            user.workspaces = ids.into_iter().map(|(id, _)| id).collect();
        }
        users.push(Arc::new(user));
    }
    users
}

fn tokens(
    reader: &mut Reader<'_>,
    tables: &[Table<'_, '_>],
    users: &[Arc<User>],
) -> Vec<ConsoleToken> {
    let mut values = HashSet::new();
    let mut tokens = Vec::new();
    for table in tables {
        reader.keys(table, &["kind", "value", "user"]);
        let kind = required(reader, table, "kind", &[("pat", "pat"), ("sat", "sat")]);
        let value = id(
            reader,
            table,
            "value",
            "\"pat_mock_alice\"",
            &mut values,
            true,
        );
        let user = reader.text(table, "user", "\"alice\"");
        if let Some((name, at)) = user
            && !users.iter().any(|user| user.name == name)
        {
            let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
            let right = match did_you_mean(name, names.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("expected one of {}", names.join(", ")),
            };
            reader.wrong(at, format!("unknown user {name:?}; {right}"));
        }
        if let (Some(kind), Some(value)) = (kind, value) {
            let user = user.map(|(name, _)| name.to_owned());
            tokens.push(ConsoleToken { kind, value, user });
        }
    }
    tokens
}
