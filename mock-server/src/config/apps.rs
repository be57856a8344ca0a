//! Apps, users and tokens of a configuration.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use toml::de::DeValue;

use super::CONSENTS;
use super::guess::did_you_mean;
use super::reader::{Reader, Table};
use crate::apps::{self, App, ConsoleToken, Key, Kind, User};
use crate::world::Settings;

const KINDS: &[(&str, Kind)] = &[
    ("web", Kind::Web),
    ("pkce", Kind::Pkce),
    ("device", Kind::Device),
    ("jwt", Kind::Jwt),
];
const MOST_APPS: usize = 10_000;

/// What there is in the file replaces the ready-made ones of its sort.
pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>, settings: &mut Settings) {
    if let Some(tables) = reader.tables(top, "user", "[[user]]") {
        let users = users(reader, &tables);
        if !users.is_empty() {
            settings.users = users;
        }
    }
    if let Some(tables) = reader.tables(top, "app", "[[app]]") {
        settings.apps = apps_of(reader, &tables);
    }
    if let Some(tables) = reader.tables(top, "token", "[[token]]") {
        settings.tokens = tokens(reader, &tables, &settings.users);
    }
}

/// A required string without spaces, which nobody has had before.
fn id(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    key: &str,
    example: &str,
    seen: &mut HashSet<String>,
    secret: bool,
) -> Option<String> {
    if table.value(key).is_none() {
        let text = format!("{} without {key}; expected {key} = {example}", table.name);
        reader.wrong(table.at, text);
    }
    let (text, at) = reader.text(table, key, example)?;
    if text.chars().any(|c| !c.is_ascii_graphic()) {
        let text =
            format!("{key} has a space or a letter outside of ASCII in it; expected {example}");
        reader.wrong(at, text);
        return None;
    }
    if !seen.insert(text.to_owned()) {
        let of = if secret {
            String::new()
        } else {
            format!(" {text:?}")
        };
        let text = format!(
            "a second {} with the {key}{of}; each has one of its own",
            table.name
        );
        reader.wrong(at, text);
        return None;
    }
    Some(text.to_owned())
}

fn users(reader: &mut Reader<'_>, tables: &[Table<'_, '_>]) -> Vec<Arc<User>> {
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    let mut users = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        reader.keys(table, &["name", "id", "nick", "avatar_url", "workspace"]);
        let name = id(reader, table, "name", "\"alice\"", &mut names, false);
        let Some(name) = name else { continue };
        let mut user = apps::user(&name, number + 1);
        if table.value("id").is_some() {
            let example = "\"7300000000000000001\"";
            user.id = id(reader, table, "id", example, &mut ids, false).unwrap_or(user.id);
        }
        for (key, example, field) in [
            ("nick", "\"Alice\"", &mut user.nick),
            (
                "avatar_url",
                "\"https://app.example/alice.png\"",
                &mut user.avatar_url,
            ),
            ("workspace", "\"ws_a\"", &mut user.workspace),
        ] {
            if let Some((text, _)) = reader.text(table, key, example) {
                text.clone_into(field);
            }
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
            reader.wrong(at, format!("there is no user {name:?}; {right}"));
        }
        if let (Some(kind), Some(value)) = (kind, value) {
            let user = user.map(|(name, _)| name.to_owned());
            tokens.push(ConsoleToken { kind, value, user });
        }
    }
    tokens
}

fn required<T: Copy>(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    key: &str,
    choices: &[(&str, T)],
) -> Option<T> {
    if table.value(key).is_none() {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        let text = format!(
            "{} without {key}; expected one of {}",
            table.name,
            names.join(", ")
        );
        reader.wrong(table.at, text);
    }
    reader.choice(table, key, choices)
}

fn apps_of(reader: &mut Reader<'_>, tables: &[Table<'_, '_>]) -> Vec<App> {
    let known = [
        "kind",
        "client_id",
        "name",
        "client_secret",
        "redirect_uris",
        "consent",
        "keys",
    ];
    let (mut ids, mut kids) = (HashSet::new(), HashSet::new());
    let mut apps = Vec::new();
    for table in tables {
        reader.keys(table, &known);
        let kind = required(reader, table, "kind", KINDS);
        let client_id = id(reader, table, "client_id", "\"app_web\"", &mut ids, false);
        let name = reader.text(table, "name", "\"My app\"");
        let consent = reader.choice(table, "consent", CONSENTS);
        let redirect_uris = redirect_uris(reader, table);
        let keys = keys(reader, table, &mut kids);
        let Some(kind) = kind else { continue };
        fitting(reader, table, kind);
        let client_secret = match kind {
            Kind::Web => id(
                reader,
                table,
                "client_secret",
                "\"mock-web-secret\"",
                &mut HashSet::new(),
                true,
            ),
            _ => None,
        };
        let Some(client_id) = client_id else { continue };
        let name = name.map_or(client_id.as_str(), |(name, _)| name).to_owned();
        apps.push(App {
            client_secret,
            consent,
            redirect_uris: match kind {
                Kind::Web | Kind::Pkce => redirect_uris.unwrap_or_else(apps::redirect_uris),
                Kind::Device | Kind::Jwt => Vec::new(),
            },
            private_key: keys
                .iter()
                .any(|(_, development)| *development)
                .then(apps::private_key),
            keys: keys.into_iter().map(|(key, _)| key).collect(),
            ..App::named(kind, &name, &client_id)
        });
    }
    if apps.len() > MOST_APPS {
        let text = format!("{} apps; expected at most {MOST_APPS}", apps.len());
        reader.wrong(tables[MOST_APPS].at, text);
    }
    apps
}

/// Keys that an app of this kind has no use for, and one that it cannot do without.
fn fitting(reader: &mut Reader<'_>, table: &Table<'_, '_>, kind: Kind) {
    for (key, kinds) in [
        ("client_secret", &[Kind::Web][..]),
        ("redirect_uris", &[Kind::Web, Kind::Pkce]),
        ("consent", &[Kind::Web, Kind::Pkce, Kind::Device]),
        ("keys", &[Kind::Jwt]),
    ] {
        let Some(at) = table.key_at(key).filter(|_| !kinds.contains(&kind)) else {
            continue;
        };
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let text = format!(
            "an app of kind {:?} has no {key}; remove it, or make the kind {}",
            kind.name(),
            names.join(" or ")
        );
        reader.wrong(at, text);
    }
    if kind == Kind::Jwt && table.key_at("keys").is_none() {
        let text = "an app of kind \"jwt\" without keys; expected keys = [{ kid = \"k1\", public_pem_file = \"k1.pub.pem\" }]";
        reader.wrong(table.at, text);
    }
}

fn redirect_uris(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Vec<String>> {
    let uris = reader.list(table, "redirect_uris", "[\"http://localhost:*/*\"]")?;
    for (uri, at) in &uris {
        let (fixed, pattern) = match uri.strip_suffix(":*/*") {
            Some(origin) => (origin, true),
            None => (uri.as_str(), false),
        };
        let right = "expected one such as https://app.example/callback, or http://localhost:*/* for any port and path";
        let problem = match apps::redirect_uri(fixed) {
            _ if fixed.contains('*') => Some("has a * elsewhere than in :*/* at its end"),
            Err(why) => Some(why),
            // The host is compared as it was written.
            Ok(url) if pattern => {
                let origin = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
                (origin != fixed).then_some("has more than scheme and host before :*/*")
            }
            Ok(url) if url.fragment().is_some() => Some("has a fragment"),
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            let verb = if problem.starts_with("has") {
                ""
            } else {
                "is "
            };
            reader.wrong(
                *at,
                format!("the redirect URI {uri:?} {verb}{problem}; {right}"),
            );
        }
    }
    Some(uris.into_iter().map(|(uri, _)| uri).collect())
}

/// The keys of a JWT app, and which of them is the development key.
fn keys(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    kids: &mut HashSet<String>,
) -> Vec<(Key, bool)> {
    let tables = reader.tables(table, "keys", "keys = [{ kid = …, … }]");
    let mut keys = Vec::new();
    for table in tables.iter().flatten() {
        reader.keys(
            table,
            &["kid", "public_pem", "public_pem_file", "development"],
        );
        let kid = id(reader, table, "kid", "\"k1\"", kids, false);
        let key = public_key(reader, table);
        if let (Some(kid), Some((public, development))) = (kid, key) {
            keys.push((Key { kid, public }, development));
        }
    }
    keys
}

fn public_key(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<(ParsedPublicKey, bool)> {
    let sources = ["public_pem", "public_pem_file", "development"];
    let given: Vec<_> = sources
        .into_iter()
        .filter(|key| table.value(key).is_some())
        .collect();
    let [source] = given[..] else {
        let text = "a key is one of public_pem = \"…\", public_pem_file = \"k1.pub.pem\" or development = true; expected one of them";
        reader.wrong(table.at, text);
        return None;
    };
    let value = table.value(source)?;
    if source == "development" {
        if !matches!(value.get_ref(), DeValue::Boolean(true)) {
            let text = "development can only be true: the key of this repository, whose private half the mock gives out";
            reader.wrong(value.span().start, text);
            return None;
        }
        return Some((apps::public_key(), true));
    }
    let (text, at) = reader.text(table, source, "\"k1.pub.pem\"")?;
    let pem = match source {
        "public_pem" => text.to_owned(),
        _ => match fs::read_to_string(reader.folder.join(text)) {
            Ok(pem) => pem,
            Err(error) => {
                let text = format!(
                    "cannot read {text:?}: {error}; expected a file beside the configuration, or a whole path"
                );
                reader.wrong(at, text);
                return None;
            }
        },
    };
    let problem = if pem.contains("PRIVATE KEY-----") {
        "it is a private key"
    } else {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok();
        let key = der.map(|der| ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref()));
        match key {
            Some(Ok(key)) => return Some((key, false)),
            Some(Err(_)) => "it is no RSA key of 2048 bits or more",
            None => "it has no -----BEGIN PUBLIC KEY----- with a key behind it",
        }
    };
    let text = format!(
        "{source} is no public key: {problem}; make one with: openssl rsa -in key.pem -pubout"
    );
    reader.wrong(at, text);
    None
}
