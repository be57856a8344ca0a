//! The apps of a configuration.

use std::collections::HashSet;
use std::fs;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use toml::de::DeValue;

use super::reader::{Reader, id, required};
use super::table::Table;
use super::target::{CONSENTS, For};
use crate::limits::MAX_APPS;
use crate::protocol::redirect_uri;
use crate::state::app::{App, AppKind, Integration, Key, Variable};
use crate::state::ready_made;

const KINDS: &[(&str, AppKind)] = &[
    ("web", AppKind::Web),
    ("pkce", AppKind::Pkce),
    ("device", AppKind::Device),
    ("jwt", AppKind::Jwt),
    ("workload", AppKind::Workload),
];

pub(super) fn apps_of(reader: &mut Reader<'_>, tables: &[Table<'_, '_>]) -> Vec<App> {
    let known = [
        "kind",
        "client_id",
        "name",
        "client_secret",
        "redirect_uris",
        "consent",
        "keys",
        "integrations",
        "variables",
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
        let integrations = integrations(reader, table);
        let variables = variables(reader, table);
        let Some(kind) = kind else { continue };
        fitting(reader, table, kind);
        let client_secret = match kind {
            AppKind::Web | AppKind::Workload => id(
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
        if kind == AppKind::Workload {
            let secret = client_secret.unwrap_or_default();
            apps.push(App {
                integrations: integrations.unwrap_or_else(ready_made::integrations),
                variables: variables.unwrap_or_else(ready_made::variables),
                ..App::workload(&name, &client_id, &secret)
            });
            continue;
        }
        apps.push(App {
            client_secret,
            consent,
            redirect_uris: match kind {
                AppKind::Web | AppKind::Pkce => {
                    redirect_uris.unwrap_or_else(ready_made::redirect_uris)
                }
                AppKind::Device | AppKind::Jwt | AppKind::Workload => Vec::new(),
            },
            private_key: keys
                .iter()
                .any(|key| key.development)
                .then(ready_made::private_key),
            keys,
            ..App::named(kind, &name, &client_id)
        });
    }
    if apps.len() > MAX_APPS {
        let text = format!("{} apps; the maximum is {MAX_APPS}", apps.len());
        reader.wrong(tables[MAX_APPS].at, text);
    }
    apps
}

/// Reports keys that an app of this kind does not have, and a missing one that it needs.
fn fitting(reader: &mut Reader<'_>, table: &Table<'_, '_>, kind: AppKind) {
    for (key, kinds) in [
        ("client_secret", &[AppKind::Web, AppKind::Workload][..]),
        ("redirect_uris", &[AppKind::Web, AppKind::Pkce]),
        ("consent", &[AppKind::Web, AppKind::Pkce, AppKind::Device]),
        ("keys", &[AppKind::Jwt]),
        ("integrations", &[AppKind::Workload]),
        ("variables", &[AppKind::Workload]),
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
    if kind == AppKind::Jwt && table.key_at("keys").is_none() {
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
        let problem = match redirect_uri::redirect_uri(fixed) {
            _ if fixed.contains('*') => Some("has a * that is not in a :*/* at its end"),
            Err(why) => Some(why),
            // The host is compared as it was written.
            Ok(url) if pattern => {
                let origin = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
                (origin != fixed).then_some("has more than scheme and host before :*/*")
            }
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

/// The integrations of a workload; none if the table does not say them.
fn integrations(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Vec<Integration>> {
    let example = "integrations = [{ name = …, credential = … }]";
    let pairs = pairs(
        reader,
        table,
        "integrations",
        example,
        ["name", "credential"],
    )?;
    let mut names = HashSet::new();
    let mut integrations = Vec::new();
    for ([name, credential], at) in pairs {
        if !names.insert(name.clone()) {
            reader.wrong(
                at,
                format!("a second integration with the name {name:?}; each must have its own"),
            );
        }
        integrations.push(Integration { name, credential });
    }
    Some(integrations)
}

/// The variables of a workload's project, of which two may have one key; none if the table does not say them.
fn variables(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<Vec<Variable>> {
    let example = "variables = [{ key = …, value = … }]";
    let pairs = pairs(reader, table, "variables", example, ["key", "value"])?;
    let variables = pairs
        .into_iter()
        .map(|([key, value], _)| Variable { key, value });
    Some(variables.collect())
}

/// The tables below `key`, each of two texts, with their places. The second text may be empty.
fn pairs(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    key: &str,
    example: &str,
    members: [&str; 2],
) -> Option<Vec<([String; 2], usize)>> {
    let tables = reader.tables(table, key, example)?;
    let mut pairs = Vec::new();
    for table in &tables {
        reader.keys(table, &members);
        let [first, second] = members;
        for member in members
            .into_iter()
            .filter(|member| table.value(member).is_none())
        {
            reader.wrong(
                table.at,
                format!("{example} without {member}; expected {first} and {second}"),
            );
        }
        let name = reader.text(table, first, "\"integration-feishu-base\"");
        let value = match table.value(second).map(|value| value.get_ref()) {
            Some(DeValue::String(text)) if text.is_empty() => Some(String::new()),
            _ => reader
                .text(table, second, "\"mock\"")
                .map(|(text, _)| text.to_owned()),
        };
        if let (Some((name, at)), Some(value)) = (name, value) {
            pairs.push(([name.to_owned(), value], at));
        }
    }
    Some(pairs)
}

/// The keys of a JWT app.
fn keys(reader: &mut Reader<'_>, table: &Table<'_, '_>, kids: &mut HashSet<String>) -> Vec<Key> {
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
            keys.push(Key {
                kid,
                public,
                development,
            });
        }
    }
    keys
}

/// Of a path, in bytes; longer ones may be a key.
const LONGEST_NAME: usize = 255;

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
            let text = "development can only be true: the key of this repository, whose private half the mock publishes";
            reader.wrong(value.span().start, text);
            return None;
        }
        return Some((ready_made::public_key(), true));
    }
    let (text, at) = reader.text(table, source, "\"k1.pub.pem\"")?;
    let pem = match source {
        "public_pem" => text.to_owned(),
        _ => {
            let For::Mock(folder) = &reader.whom else {
                // The sender of a configuration must not see files of this machine.
                let text = "a configuration of a world cannot name files; write the key itself: public_pem = \"…\"";
                reader.wrong(at, text);
                return None;
            };
            match fs::read_to_string(folder.join(text)) {
                Ok(pem) => pem,
                Err(error) => {
                    let text = match text.len() > LONGEST_NAME || text.contains('\n') {
                        true => "public_pem_file is not the name of a file; a key itself is written as public_pem = \"…\"".to_owned(),
                        false => format!(
                            "cannot read {text:?}: {error}; expected a file in the folder of the configuration, or an absolute path"
                        ),
                    };
                    reader.wrong(at, text);
                    return None;
                }
            }
        }
    };
    let problem = match parse_public_key(&pem) {
        Ok(key) => return Some((key, false)),
        Err(problem) => problem,
    };
    let text = format!(
        "{source} is not a public key: {problem}; make one with: openssl rsa -in key.pem -pubout"
    );
    reader.wrong(at, text);
    None
}

/// Parses a public key in PEM, however it was copied. The error says what the text is instead.
pub(crate) fn parse_public_key(pem: &str) -> Result<ParsedPublicKey, &'static str> {
    let pem = laid_out(pem)?;
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|_| "the text between BEGIN and END is not base64")?;
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref());
    key.map_err(|_| "it is not an RSA key of 2048 bits or more")
}

/// Returns the block of the public key with line breaks as PEM has them. The text may have been copied onto one line, with
/// `\n` written out, indented, or in quotes. The error says what the text is instead.
fn laid_out(pem: &str) -> Result<String, &'static str> {
    const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
    const END: &str = "-----END PUBLIC KEY-----";
    let Some((_, rest)) = pem.split_once(BEGIN) else {
        return Err(match pem {
            pem if pem.contains("PRIVATE KEY-----") => "it is a private key",
            pem if pem.contains("BEGIN RSA PUBLIC KEY") => {
                "it is in PKCS#1 (BEGIN RSA PUBLIC KEY), and BEGIN PUBLIC KEY is expected"
            }
            pem if pem.contains("BEGIN CERTIFICATE") => "it is a certificate",
            pem if pem.trim_start().starts_with("ssh-") => "it is in OpenSSH's format",
            _ => "it has no -----BEGIN PUBLIC KEY----- followed by a key",
        });
    };
    if pem.contains("PRIVATE KEY-----") {
        return Err("there is a private key, too");
    }
    let Some((body, after)) = rest.split_once(END) else {
        return Err("its END line is missing");
    };
    if after.contains(BEGIN) {
        return Err("it holds two public keys");
    }
    let body = body.replace("\\r", "").replace("\\n", "");
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '\\');
    let body: String = body.chars().filter(|c| !between(*c)).collect();
    Ok(format!("{BEGIN}\n{body}\n{END}\n"))
}
