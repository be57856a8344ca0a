//! A record of exchanges that can be attached to a public report: every value that is somebody's is replaced by a stand-in.
//!
//! What is kept is listed here; all else is replaced. A stand-in has the length, the alphabet and the prefix of what it stands for, is
//! the same throughout one record, and tells nothing across records, since it is made with a key that is thrown away.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use super::answer::Answer;
use super::facts::Facts;
use super::judge::Judge;
use super::report::Report;
use super::upstream::Site;
use crate::limits::{MAX_BODY, SHADOW_RECORD};
use crate::net::addressing::is_loopback;
use crate::protocol::client_id::members;
use crate::protocol::digest::digest;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::grant::{GRANTS, WORKLOAD_GRANTS};
use crate::protocol::request::{Body, Credential, Incoming};
use crate::protocol::rules::Rule;
use crate::state::app::{App, AppKind};
use crate::state::challenges::s256;
use crate::state::settings::Settings;

const FORMAT: &str = "coze-auth-record/1";

/// An exchange as it was, until the record is written.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) at_ms: u64,
    pub(crate) steady: Duration,
    /// How long the upstream took.
    pub(crate) took: Duration,
    pub(crate) request: Incoming,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The exchanges of a record that is to be written.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    exchanges: Vec<Exchange>,
    left_out: u64,
}

/// Shorter values are not searched for: they stand in any text.
const SHORTEST: usize = 6;

/// What begins a value, and tells its kind.
const PREFIXES: [&str; 7] = [
    "czu_", "czs_", "cztei_", "pat_", "sat_", "code_", "volcano_",
];
const SUFFIX: &str = ".app.coze";

/// The headers that rules depend on.
const OF_REQUEST: [&str; 7] = [
    "content-type",
    "authorization",
    "origin",
    "host",
    "access-control-request-method",
    "x-tt-env",
    "x-use-ppe",
];
const OF_ANSWER: [&str; 8] = [
    "content-type",
    "date",
    "retry-after",
    "location",
    "x-tt-logid",
    "content-encoding",
    "access-control-allow-origin",
    "access-control-expose-headers",
];

/// Texts that mean the same for everybody.
const WORDS: [&str; 16] = [
    "code",
    "plain",
    "S256",
    "Bearer",
    "bearer",
    "RS256",
    "JWT",
    "GET",
    "POST",
    "ok",
    "success",
    "personal",
    "team",
    "owner",
    "urn:ietf:params:oauth:token-type:id_token",
    "urn:ietf:params:oauth:token-type:access_token",
];

/// Names of members and parameters that mean the same for everybody.
const NAMES: [&str; 65] = [
    "access_token",
    "account_id",
    "account_permission",
    "alg",
    "assertion",
    "attribute_constraint",
    "aud",
    "authorize_key",
    "avatar_url",
    "bot_id_list",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "connector_bot_chat_attribute",
    "credential",
    "data",
    "detail",
    "device_code",
    "duration_seconds",
    "enterprise_id",
    "error",
    "error_code",
    "error_description",
    "error_message",
    "exp",
    "expires_in",
    "grant_type",
    "iat",
    "icon_url",
    "id",
    "integration_name",
    "interval",
    "iss",
    "issued_token_type",
    "jti",
    "key",
    "kid",
    "logid",
    "msg",
    "name",
    "nick_name",
    "page_num",
    "page_size",
    "permission_list",
    "redirect_uri",
    "refresh_token",
    "response_type",
    "role_type",
    "scope",
    "secrets",
    "state",
    "subject_token",
    "subject_token_type",
    "token_type",
    "total_count",
    "user_code",
    "user_id",
    "user_name",
    "value",
    "verification_uri",
    "workspace_type",
    "workspaces",
];

/// Numbers that are times, counts or codes, and nobody's.
const NUMBERS: [&str; 9] = [
    "expires_in",
    "interval",
    "duration_seconds",
    "exp",
    "iat",
    "code",
    "page_num",
    "page_size",
    "total_count",
];

/// The stand-ins of one record.
struct StandIns {
    key: [u8; 32],
    made: BTreeMap<String, String>,
}

impl StandIns {
    fn new() -> Result<Self, String> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| format!("no randomness: {error}"))?;
        Ok(Self {
            key,
            made: BTreeMap::new(),
        })
    }

    /// The stand-in of a value: letters for letters, digits for digits, all else as it is; its prefix stays.
    fn of(&mut self, value: &str) -> String {
        if let Some(made) = self.made.get(value) {
            return made.clone();
        }
        let prefix = PREFIXES.iter().find(|prefix| value.starts_with(**prefix));
        let prefix = prefix.copied().unwrap_or_default();
        let rest = &value[prefix.len()..];
        let suffix = if rest.ends_with(SUFFIX) { SUFFIX } else { "" };
        let rest = &rest[..rest.len() - suffix.len()];
        let mut blocks = (1_u32..).flat_map(|block| {
            let hash = Sha256::new()
                .chain_update(self.key)
                .chain_update(value)
                .chain_update(block.to_be_bytes());
            <[u8; 32]>::from(hash.finalize())
        });
        let made = loop {
            let made: String = rest
                .chars()
                .zip(&mut blocks)
                .map(|(c, byte)| {
                    let of = |first: u8, count: u8| char::from(first + byte % count);
                    match c {
                        'a'..='z' => of(b'a', 26),
                        'A'..='Z' => of(b'A', 26),
                        '0'..='9' => of(b'0', 10),
                        c if c.is_ascii() => c,
                        _ => of(b'a', 26),
                    }
                })
                .collect();
            let same = made == rest && rest.chars().any(|c| c.is_ascii_alphanumeric());
            if !same {
                break made;
            }
        };
        let made = format!("{prefix}{made}{suffix}");
        self.made.insert(value.to_owned(), made.clone());
        made
    }

    /// Keeps a text that means the same for everybody.
    fn word(&mut self, text: &str) -> String {
        let grants = GRANTS.iter().chain(&WORKLOAD_GRANTS);
        let is_known = WORDS.contains(&text)
            || text.is_empty()
            || grants.clone().any(|(grant, _)| *grant == text)
            || Rule::ALL.iter().any(|rule| {
                let row = rule.text();
                row.error == text || row.message == text && !text.contains("{}")
            });
        match is_known {
            true => text.to_owned(),
            false => self.of(text),
        }
    }

    fn name(&mut self, name: &str) -> String {
        match NAMES.contains(&name) {
            true => name.to_owned(),
            false => self.of(name),
        }
    }

    fn host(&mut self, host: &str) -> String {
        let is_coze = ["coze.cn", "coze.com"].iter().any(|domain| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        match is_coze || is_loopback(host) {
            true => host.to_owned(),
            false => format!("{}.example", self.of(host).replace(['.', ':'], "-")),
        }
    }

    fn url(&mut self, text: &str) -> String {
        let Ok(url) = Url::parse(text) else {
            return self.of(text);
        };
        let Some(host) = url.host_str().map(str::to_owned) else {
            return self.of(text);
        };
        let mut made = format!("{}://{}", url.scheme(), self.host(&host));
        if let Some(port) = url.port() {
            made += &format!(":{port}");
        }
        // Without the slash that a parser adds.
        let bare = text.split(['?', '#']).next().unwrap_or_default();
        if bare.matches('/').count() > 2 {
            let path = url.path().to_owned();
            made += &match path.as_str() {
                "/" => path,
                _ => self.of(&path),
            };
        }
        if let Some(query) = url.query() {
            made += "?";
            made += &self.pairs(query);
        }
        made
    }

    /// A query or a form.
    fn pairs(&mut self, text: &str) -> String {
        let pairs: Vec<_> = form_urlencoded::parse(text.as_bytes())
            .map(|(name, value)| (self.name(&name), self.text(&name, &value)))
            .collect();
        let mut made = form_urlencoded::Serializer::new(String::new());
        made.extend_pairs(pairs).finish()
    }

    /// The value of a member or parameter.
    fn text(&mut self, name: &str, value: &str) -> String {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match name {
            "redirect_uri" | "verification_uri" | "avatar_url" | "icon_url" => self.url(value),
            "aud" => self.host(value),
            _ if NUMBERS.contains(&name) && is_number => value.to_owned(),
            _ => self.word(value),
        }
    }

    fn value(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(name, text).into(),
            Value::Number(number) if !NUMBERS.contains(&name) => {
                let made = self.of(&number.to_string());
                serde_json::from_str(&made).unwrap_or_else(|_| json!(7))
            }
            Value::Array(items) => items.iter().map(|item| self.value(name, item)).collect(),
            Value::Object(members) => Value::Object(self.members(members)),
            other => other.clone(),
        }
    }

    fn members(&mut self, members: &Map<String, Value>) -> Map<String, Value> {
        let members = members.iter();
        members
            .map(|(name, value)| (self.name(name), self.value(name, value)))
            .collect()
    }

    fn headers(&mut self, headers: &HeaderMap, kept: &[&str]) -> Value {
        let mut made = Vec::new();
        for (name, value) in headers {
            let Some(name) = kept.iter().find(|kept| **kept == name.as_str()) else {
                continue;
            };
            let Ok(text) = value.to_str() else { continue };
            let text = match *name {
                "authorization" => self.authorization(text),
                "location" => self.url(text).into(),
                "origin" | "access-control-allow-origin" => match text {
                    "*" => text.into(),
                    _ => self.url(text).into(),
                },
                "host" => self.host(text).into(),
                "x-tt-logid" | "x-tt-env" => self.of(text).into(),
                // The rest is read by rules as it is, if it is nobody's.
                _ => match text.len() <= 64
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
                {
                    true if is_plain(name, text) => text.into(),
                    _ => self.of(text).into(),
                },
            };
            made.push(json!([name, text]));
        }
        made.into()
    }

    /// An assertion by its parts, which rules depend on; any other credential as a stand-in.
    fn authorization(&mut self, text: &str) -> Value {
        let Some((scheme, credential)) = text.split_once(' ') else {
            return self.word(text).into();
        };
        let parts: Vec<_> = credential.trim().split('.').collect();
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&bytes).ok()
        };
        if let [header, claims, signature] = parts[..]
            && let (Some(header), Some(claims)) = (read(header), read(claims))
            && claims.contains_key("jti")
            && claims.contains_key("iss")
        {
            // The whole is somebody's as well.
            self.of(credential.trim());
            let header = self.members(&header);
            let claims = self.members(&claims);
            return json!({ "header": header, "claims": claims, "signature": signature.len() });
        }
        format!("{} {}", self.word(scheme), self.of(credential)).into()
    }
}

/// Media types, dates, numbers and names of headers.
fn is_plain(name: &str, text: &str) -> bool {
    let words = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/html",
        "text/plain",
        "charset=utf-8",
        "charset=UTF-8",
    ];
    match name {
        "content-type" => text.split(';').all(|part| words.contains(&part.trim())),
        "date" => text.ends_with("GMT"),
        "retry-after" | "x-use-ppe" => text.bytes().all(|byte| byte.is_ascii_digit()),
        "access-control-request-method" => text.parse::<Method>().is_ok_and(|method| {
            matches!(method.as_str(), "GET" | "POST" | "PUT" | "PATCH" | "DELETE")
        }),
        "access-control-expose-headers" => text.eq_ignore_ascii_case("x-tt-logid"),
        "content-encoding" => matches!(text, "gzip" | "deflate" | "identity"),
        _ => false,
    }
}

impl Recorder {
    pub(crate) fn add(&mut self, exchange: Exchange) {
        match self.exchanges.len() < SHADOW_RECORD {
            true => self.exchanges.push(exchange),
            false => self.left_out += 1,
        }
    }

    /// The text of the record. None of the values that were replaced is in it, or the error says of which kind one is.
    pub(crate) fn text(&self, facts: &Facts, upstream: &str) -> Result<String, String> {
        let mut stand_ins = StandIns::new()?;
        self.pair_challenges(&mut stand_ins);
        let exchanges: Vec<_> = self
            .exchanges
            .iter()
            .map(|one| written(&mut stand_ins, one))
            .collect();
        let apps = self.apps(facts, &mut stand_ins);
        let record = json!({
            "format": FORMAT,
            "upstream": stand_ins.url(upstream),
            "left_out": self.left_out,
            "apps": apps,
            "exchanges": exchanges,
        });
        let text = format!("{record:#}\n");
        searched(&text, &stand_ins)?;
        Ok(text)
    }

    /// A verifier and its challenge belong together, so the stand-in of the challenge is that of the verifier, hashed.
    fn pair_challenges(&self, stand_ins: &mut StandIns) {
        for one in &self.exchanges {
            let body = members(&one.request);
            let verifier = body
                .as_ref()
                .and_then(|body| body.get("code_verifier")?.as_str());
            if let Some(verifier) = verifier {
                let made = stand_ins.of(verifier);
                stand_ins.made.insert(s256(verifier), s256(&made));
            }
        }
    }

    /// The apps of the configuration, with what the exchanges have of their secrets.
    fn apps(&self, facts: &Facts, stand_ins: &mut StandIns) -> Vec<Value> {
        let configured = facts
            .apps
            .iter()
            .zip(&facts.known)
            .filter(|(_, known)| known.configured);
        let apps: Vec<_> = configured.collect();
        apps.into_iter()
            .map(|(app, known)| {
                let sent = self.exchanges.iter().flat_map(|one| secrets(&one.request));
                let secret = known
                    .secret
                    .and_then(|key| sent.into_iter().find(|sent| digest(sent) == key));
                let uris: Vec<_> = match known.redirect_uris {
                    true => app
                        .redirect_uris
                        .iter()
                        .map(|uri| match uri.ends_with(":*/*") {
                            true => uri.clone(),
                            false => stand_ins.url(uri),
                        })
                        .collect(),
                    false => Vec::new(),
                };
                json!({
                    "kind": app.kind.name(),
                    "client_id": stand_ins.of(&app.client_id),
                    "client_secret": secret.map(|secret| stand_ins.of(&secret)),
                    "has_secret": known.secret.is_some(),
                    "redirect_uris": uris,
                })
            })
            .collect()
    }
}

/// What a request has where a client secret stands.
fn secrets(request: &Incoming) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(Credential::Bearer(bearer)) = request.credential() {
        found.push(bearer.to_owned());
    }
    let body = members(request);
    let secret = body
        .as_ref()
        .and_then(|body| body.get("client_secret")?.as_str());
    found.extend(secret.map(str::to_owned));
    found
}

fn written(stand_ins: &mut StandIns, one: &Exchange) -> Value {
    let request = &one.request;
    let path = path(stand_ins, &request.path);
    let body = match &request.body {
        Body::Whole(body) if body.is_empty() => Value::Null,
        Body::Whole(body) => match (
            request.endpoint(),
            serde_json::from_slice::<Map<String, Value>>(body),
        ) {
            (_, Ok(members)) => json!({ "json": stand_ins.members(&members) }),
            (Endpoint::WorkloadToken { .. }, Err(_)) => {
                let text = String::from_utf8_lossy(body).into_owned();
                json!({ "form": stand_ins.pairs(&text) })
            }
            (_, Err(_)) => json!({ "unreadable": body.len() }),
        },
        _ => json!({ "too_long": true }),
    };
    let answer = Answer::new(one.status, one.headers.clone(), &one.body, one.took);
    let answered = match &answer.members {
        Some(members) => json!({ "json": stand_ins.members(members) }),
        None => json!({ "bytes": one.body.len() }),
    };
    json!({
        "at_ms": one.at_ms,
        "steady_ms": u64::try_from(one.steady.as_millis()).unwrap_or(u64::MAX),
        "took_ms": u64::try_from(one.took.as_millis()).unwrap_or(u64::MAX),
        "request": {
            "method": crate::redact::places::method(&request.method),
            "path": path,
            "query": request.query.as_deref().map(|query| stand_ins.pairs(query)),
            "headers": stand_ins.headers(&request.headers, &OF_REQUEST),
            "body": body,
        },
        "answer": {
            "status": one.status.as_u16(),
            "headers": stand_ins.headers(&one.headers, &OF_ANSWER),
            "body": answered,
        },
    })
}

/// The path, whose ids are somebody's.
fn path(stand_ins: &mut StandIns, path: &str) -> String {
    let mut before = "";
    let parts: Vec<_> = path
        .split('/')
        .map(|part| {
            let is_id = matches!(before, "workspace_id" | "account" | "enterprise_id");
            before = part;
            match is_id {
                true => stand_ins.of(part),
                false => part.to_owned(),
            }
        })
        .collect();
    parts.join("/")
}

/// Looks through the finished text for everything that was replaced, as it is and in the spellings that requests have.
fn searched(text: &str, stand_ins: &StandIns) -> Result<(), String> {
    let long = stand_ins
        .made
        .iter()
        .filter(|(value, made)| value.len() >= SHORTEST && value != made);
    for (value, _) in long {
        let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let quoted = serde_json::to_string(value).unwrap_or_default();
        let quoted = quoted.trim_matches('"');
        let spellings = [
            value.as_str(),
            &encoded,
            quoted,
            &STANDARD_NO_PAD.encode(value),
            &URL_SAFE_NO_PAD.encode(value),
        ];
        if spellings.iter().any(|spelling| text.contains(spelling)) {
            return Err(format!(
                "the record is not written: a value of {} characters that was replaced stands somewhere else in it, too",
                value.chars().count()
            ));
        }
    }
    Ok(())
}

/// Judges the exchanges of a record anew, without a network. The error says what is wrong with the text.
pub(crate) fn check(text: &str) -> Result<(Report, String), String> {
    let record: Value = serde_json::from_str(text).map_err(|error| {
        format!(
            "not JSON at line {}, column {}",
            error.line(),
            error.column()
        )
    })?;
    if record["format"] != FORMAT {
        return Err(format!(
            "this is not a record: \"format\" is not {FORMAT:?}"
        ));
    }
    let upstream = record["upstream"].as_str().unwrap_or_default().to_owned();
    let api = Site::parse(&upstream).map_err(|error| error.to_string())?;
    let mut apps = Vec::new();
    for app in record["apps"].as_array().into_iter().flatten() {
        let kind = match app["kind"].as_str() {
            Some("web") => AppKind::Web,
            Some("pkce") => AppKind::Pkce,
            Some("device") => AppKind::Device,
            Some("jwt") => AppKind::Jwt,
            Some("workload") => AppKind::Workload,
            _ => return Err("an app of an unknown kind".to_owned()),
        };
        let uris = app["redirect_uris"].as_array().into_iter().flatten();
        let secret = app["client_secret"].as_str().map(str::to_owned);
        apps.push(App {
            client_secret: match app["has_secret"].as_bool() {
                // The right one is in none of the exchanges.
                Some(true) => {
                    Some(secret.unwrap_or_else(|| "a secret that nobody sent".to_owned()))
                }
                _ => None,
            },
            redirect_uris: uris.filter_map(Value::as_str).map(str::to_owned).collect(),
            ..App::named(
                kind,
                "an app of the upstream",
                app["client_id"].as_str().unwrap_or_default(),
            )
        });
    }
    let mut settings = Settings::standard([0; 32]);
    settings.tokens = Vec::new().into();
    let mut judge = Judge::new(Facts::new(settings, apps, false), api);
    for (n, one) in record["exchanges"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let (request, times, answer) =
            read(one, &upstream).ok_or_else(|| format!("exchange {n} cannot be read"))?;
        judge.begin(&request);
        judge.judge(&request, times, &answer);
    }
    Ok((judge.report, upstream))
}

fn read(one: &Value, upstream: &str) -> Option<(Incoming, (u64, Duration), Answer)> {
    let request = &one["request"];
    let body = &request["body"];
    let body = match body {
        Value::Null => Body::Whole(Bytes::new()),
        body if body.get("json").is_some() => Body::Whole(body["json"].to_string().into()),
        body if body.get("form").is_some() => Body::Whole(body["form"].as_str()?.to_owned().into()),
        body if body.get("too_long").is_some() => Body::TooLong,
        body => {
            let length = usize::try_from(body["unreadable"].as_u64()?).ok()?;
            Body::Whole(vec![b'?'; length.min(MAX_BODY)].into())
        }
    };
    let incoming = Incoming {
        method: request["method"].as_str()?.parse().unwrap_or(Method::GET),
        path: request["path"].as_str()?.to_owned(),
        query: request["query"].as_str().map(str::to_owned),
        headers: headers(&request["headers"])?,
        body,
        base: upstream.to_owned(),
        call: None,
    };
    let times = (
        one["at_ms"].as_u64()?,
        Duration::from_millis(one["steady_ms"].as_u64()?),
    );
    let answer = &one["answer"];
    let body = match answer["body"].get("json") {
        Some(body) => body.to_string(),
        None => String::new(),
    };
    let mut answered = headers(&answer["headers"])?;
    // The body of a record is not packed.
    answered.remove(http::header::CONTENT_ENCODING);
    let status = StatusCode::from_u16(u16::try_from(answer["status"].as_u64()?).ok()?).ok()?;
    let took = Duration::from_millis(one["took_ms"].as_u64().unwrap_or_default());
    let answer = Answer::new(status, answered, &body.into(), took);
    Some((incoming, times, answer))
}

fn headers(list: &Value) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in list.as_array()? {
        let name = HeaderName::from_bytes(pair[0].as_str()?.as_bytes()).ok()?;
        let text = match &pair[1] {
            Value::String(text) => text.clone(),
            jwt => {
                let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
                let length = usize::try_from(jwt["signature"].as_u64()?)
                    .ok()?
                    .min(MAX_BODY);
                format!(
                    "Bearer {}.{}.{}",
                    part(&jwt["header"]),
                    part(&jwt["claims"]),
                    "A".repeat(length)
                )
            }
        };
        headers.append(name, HeaderValue::from_str(&text).ok()?);
    }
    Some(headers)
}
