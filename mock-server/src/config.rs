//! The configuration in TOML. All of its mistakes are reported at once, each with line, column and what to do.

mod api;
pub(crate) mod apps;
pub(crate) mod errors;
mod faults;
pub(crate) mod options;
mod reader;
mod suggest;
pub(crate) mod summary;
mod table;
pub(crate) mod target;
pub(crate) mod time;
mod users;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use toml::de::{DeTable, DeValue};

use crate::error::SetupError;
use crate::limits::{MAX_TTL_S, MEGABYTE, MIN_MEMORY_MB};
use crate::net::addressing::{self, Origins};
use crate::net::connections::ConnectionLimits;
use crate::protocol::rules::{Rule, RuleError};
use crate::state::settings::WorkloadPaths;
use crate::time::clock::ClockHandle;
use errors::ConfigErrors;
use options::{Listen, Options, WantedTls};
use reader::Reader;
use suggest::did_you_mean;
use table::{Table, kind_of};
use target::{CONSENTS, For};

/// The configuration that `coze-auth-mock init` writes: it sets every value to its default, with comments.
pub const SAMPLE_CONFIG: &str = include_str!("config/sample.toml");

const TOP: &[&str] = &[
    "seed",
    "listen",
    "public_url",
    "allowed_origins",
    "allowed_hosts",
    "tls",
    "tls_names",
    "consent",
    "accounts",
    "enterprises",
    "workload_paths",
    "clock",
    "rules",
    "answers",
    "ttl",
    "limits",
    "user",
    "app",
    "token",
    "fault",
    "api",
];

pub(crate) fn apply_file(options: Options, path: &Path) -> Result<Options, ConfigErrors> {
    let name = path.display().to_string();
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let applied = match fs::read_to_string(path) {
        Ok(text) => apply(options, &text, For::Mock(folder)),
        Err(error) => Err(ConfigErrors::unreadable(&error)),
    };
    applied.map_err(|errors| errors.of_file(name))
}

pub(crate) fn apply(mut options: Options, text: &str, whom: For) -> Result<Options, ConfigErrors> {
    let mut reader = Reader::new(text, whom);
    let (document, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        // What follows a line with a mistake would be reported as further mistakes.
        for error in syntax {
            reader.syntax(&error);
        }
        return Err(reader.errors());
    }
    let top = Table::new("the configuration", &document);
    reader.keys(&top, TOP);
    read_top(&mut reader, &top, &mut options);
    if let Some(table) = reader.table(&top, "clock", "[clock]") {
        read_clock(&mut reader, &table, &mut options);
    }
    if let Some(table) = reader.table(&top, "rules", "[rules]") {
        read_rules(&mut reader, &table, &mut options);
    }
    if let Some(table) = reader.table(&top, "answers", "[answers]") {
        read_answers(&mut reader, &table, &mut options);
    }
    if let Some(table) = reader.table(&top, "ttl", "[ttl]") {
        read_ttl(&mut reader, &table, &mut options);
    }
    if let Some(table) = reader.table(&top, "limits", "[limits]") {
        let of_a_world = ["grants", "journal"];
        let of_the_mock = [
            "connections",
            "handshake",
            "head",
            "body",
            "answer",
            "idle",
            "memory_mb",
        ];
        reader.keys(&table, &[&of_a_world[..], &of_the_mock].concat());
        for key in of_the_mock {
            if let (For::World, Some(value)) = (&reader.whom, table.value(key)) {
                let at = value.span().start;
                reader.wrong(
                    at,
                    format!("{key} is a limit of the whole mock, not of a world; remove this line"),
                );
            }
        }
        read_connections(&mut reader, &table, &mut options.connections);
        let megabytes = reader.number(&table, "memory_mb", MIN_MEMORY_MB, u32::MAX.into());
        if let Some(megabytes) = megabytes {
            let megabytes = usize::try_from(megabytes).unwrap_or(usize::MAX);
            options.max_memory = megabytes.saturating_mul(MEGABYTE);
        }
        let settings = &mut options.settings;
        for (key, most, limit) in [
            ("grants", 10_000_000, &mut settings.cap),
            ("journal", 1_000_000, &mut settings.journal),
        ] {
            let number = reader.number(&table, key, 1, most);
            let number = number.and_then(|number| usize::try_from(number).ok());
            *limit = number.unwrap_or(*limit);
        }
    }
    users::read(&mut reader, &top, &mut options.settings);
    faults::read(&mut reader, &top, &mut options.settings);
    api::read(&mut reader, &top, &mut options.settings);
    let errors = reader.errors();
    match errors.errors().is_empty() {
        true => Ok(options),
        false => Err(errors),
    }
}

/// Of the mock's sockets.
fn read_connections(reader: &mut Reader<'_>, table: &Table<'_, '_>, limits: &mut ConnectionLimits) {
    let connections = reader.number(table, "connections", 1, 100_000);
    let connections = connections.and_then(|number| usize::try_from(number).ok());
    limits.connections = connections.unwrap_or(limits.connections);
    for (key, limit) in [
        ("handshake", &mut limits.handshake),
        ("head", &mut limits.head),
        ("body", &mut limits.body),
        ("answer", &mut limits.answer),
        ("idle", &mut limits.idle),
    ] {
        let seconds = reader.seconds(table, key, MAX_TTL_S);
        *limit = seconds.map_or(*limit, Duration::from_secs);
    }
}

fn read_top(reader: &mut Reader<'_>, top: &Table<'_, '_>, options: &mut Options) {
    if let Some(seed) = reader.number(top, "seed", 0, u64::MAX) {
        options.set_seed(seed);
    }
    for key in [
        "listen",
        "public_url",
        "allowed_origins",
        "allowed_hosts",
        "tls",
        "tls_names",
    ] {
        if let (For::World, Some(value)) = (&reader.whom, top.value(key)) {
            let at = value.span().start;
            reader.wrong(
                at,
                format!("{key} is a setting of the whole mock, not of a world; remove this line"),
            );
        }
    }
    if let Some((listen, at)) = reader.text(top, "listen", "\"127.0.0.1:9777\"") {
        // Whether other machines are allowed is known when the mock starts; here it has to be an address.
        match addressing::resolve(listen, true) {
            Ok(_) => options.listen = Listen::Named(listen.to_owned()),
            Err(error) => reader.wrong(at, error.to_string()),
        }
    }
    if let Some((url, at)) = reader.text(top, "public_url", "\"http://mock:9777\"") {
        match addressing::public_url(url) {
            Ok(url) => options.addressing.public_url = Some(url),
            Err(error) => reader.wrong(at, error.to_string()),
        }
    }
    read_allowed(reader, top, options);
    read_tls(reader, top, options);
    if let Some(names) = reader.list(top, "tls_names", "[\"api.mock.example\"]") {
        options.tls_names = names.into_iter().map(|(name, _)| name).collect();
    }
    if let Some(consent) = reader.choice(top, "consent", CONSENTS) {
        options.settings.consent = consent;
    }
    let paths = [("one", WorkloadPaths::One), ("two", WorkloadPaths::Two)];
    if let Some(paths) = reader.choice(top, "workload_paths", &paths) {
        options.settings.workload_paths = paths;
    }
    for (key, list) in [
        ("accounts", &mut options.settings.accounts),
        ("enterprises", &mut options.settings.enterprises),
    ] {
        if let Some(ids) = reader.list(top, key, "[\"7300000000000000009\"]") {
            *list = ids.into_iter().map(|(id, _)| id).collect();
        }
    }
}

/// The origins whose pages may call, and further names of the mock.
fn read_allowed(reader: &mut Reader<'_>, top: &Table<'_, '_>, options: &mut Options) {
    let example = "[\"loopback\", \"https://app.example\"]";
    if let Some(origins) = reader.list(top, "allowed_origins", example) {
        let mut allowed = Origins::none();
        for (origin, at) in origins {
            if let Err(error) = allowed.add(&origin) {
                reader.wrong(at, error.to_string());
            }
        }
        options.addressing.allowed_origins = allowed;
    }
    if let Some(hosts) = reader.list(top, "allowed_hosts", "[\"mock\"]") {
        options.addressing.allowed_hosts.clear();
        for (host, at) in hosts {
            match addressing::allowed_host(&host) {
                Ok(host) => options.addressing.allowed_hosts.push(host),
                Err(error) => reader.wrong(at, error.to_string()),
            }
        }
    }
}

/// The files are read when the mock starts.
fn read_tls(reader: &mut Reader<'_>, top: &Table<'_, '_>, options: &mut Options) {
    let Some(value) = top.value("tls") else {
        return;
    };
    let at = value.span().start;
    match value.get_ref() {
        DeValue::String(text) if text == "self" => return options.tls = WantedTls::OwnCa,
        DeValue::String(text) if text == "off" => return options.tls = WantedTls::Off,
        DeValue::Table(entries) => {
            let name = "tls";
            let table = Table { name, entries, at };
            reader.keys(&table, &["cert", "key"]);
            let certificate = reader.text(&table, "cert", "\"mock.pem\"");
            let key = reader.text(&table, "key", "\"mock.key\"");
            let (Some((certificate, _)), Some((key, _)), For::Mock(folder)) =
                (certificate, key, &reader.whom)
            else {
                reader.wrong(
                    at,
                    "expected tls = { cert = \"mock.pem\", key = \"mock.key\" }",
                );
                return;
            };
            options.tls = WantedTls::Files {
                certificate: folder.join(certificate),
                key: folder.join(key),
            };
            return;
        }
        _ => {}
    }
    let text = "expected tls = \"self\", \"off\" or { cert = \"mock.pem\", key = \"mock.key\" }";
    reader.wrong(at, text);
}

fn read_clock(reader: &mut Reader<'_>, table: &Table<'_, '_>, options: &mut Options) {
    reader.keys(table, &["mode", "start"]);
    let frozen = reader.choice(table, "mode", &[("real", false), ("frozen", true)]);
    let start = table.value("start").and_then(|value| {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            _ => String::new(),
        };
        let time = text.parse::<Timestamp>().ok();
        let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        if ms.is_none() {
            let text = "start is not a time with a UTC offset since 1970; expected one such as \"2026-01-01T00:00:00Z\"";
            reader.wrong(value.span().start, text);
        }
        ms.map(Duration::from_millis)
    });
    options.settings.clock = match frozen {
        Some(true) => ClockHandle::frozen_at(start.unwrap_or_else(|| ClockHandle::real().unix())),
        _ => {
            let clock = ClockHandle::real();
            if let Some(start) = start {
                clock.set(start);
            }
            clock
        }
    };
}

fn read_rules(reader: &mut Reader<'_>, table: &Table<'_, '_>, options: &mut Options) {
    for (id, at, value) in table.flat() {
        let on = match value.get_ref() {
            DeValue::Boolean(on) => *on,
            DeValue::String(text) if text == "on" => true,
            DeValue::String(text) if text == "off" => false,
            other => {
                let actual = kind_of(other);
                let text = format!("the rule {id} is {actual}; expected \"on\" or \"off\"");
                reader.wrong(value.span().start, text);
                continue;
            }
        };
        if let Err(error) = Arc::make_mut(&mut options.settings.rules).set(&id, on) {
            reader.wrong(at, rule_problem(error, &id));
        }
    }
}

fn read_answers(reader: &mut Reader<'_>, table: &Table<'_, '_>, options: &mut Options) {
    for (id, at, value) in table.flat() {
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        let (status, code) = match text.split_once(':') {
            Some((status, code)) => (status, Some(code)),
            None => (text.as_str(), None),
        };
        let plain = |code: &str| !code.is_empty() && code.chars().all(|c| c.is_ascii_graphic());
        let (Ok(status), true) = (status.parse(), code.is_none_or(plain)) else {
            let text = format!(
                "the answer to {id} is not a status; expected 400 or \"401:invalid_client\""
            );
            reader.wrong(value.span().start, text);
            continue;
        };
        match Arc::make_mut(&mut options.settings.rules).set_answer(&id, status, code) {
            Ok(()) => {}
            Err(error @ RuleError::AnswerStatus(..)) => {
                reader.wrong(value.span().start, rule_problem(error, &id));
            }
            Err(error) => reader.wrong(at, rule_problem(error, &id)),
        }
    }
}

fn rule_problem(error: RuleError, id: &str) -> String {
    let known = Rule::ALL.iter().map(|rule| rule.id());
    match (error, did_you_mean(id, known)) {
        (RuleError::Unknown(_), Some(near)) => {
            format!("unknown rule {id:?}; did you mean {near:?}?")
        }
        (error @ RuleError::NotSwitchable(_), _) => {
            format!("{}; remove this line", SetupError::from(error))
        }
        (error, _) => SetupError::from(error).to_string(),
    }
}

fn read_ttl(reader: &mut Reader<'_>, table: &Table<'_, '_>, options: &mut Options) {
    let ttl = &mut options.settings.ttl;
    let known = [
        "access",
        "refresh",
        "code",
        "id_token",
        "device",
        "device_interval",
    ];
    reader.keys(table, &known);
    for (key, seconds) in known.into_iter().zip([
        &mut ttl.access,
        &mut ttl.refresh,
        &mut ttl.code,
        &mut ttl.id_token,
        &mut ttl.device,
        &mut ttl.device_interval,
    ]) {
        *seconds = reader.seconds(table, key, MAX_TTL_S).unwrap_or(*seconds);
    }
}
