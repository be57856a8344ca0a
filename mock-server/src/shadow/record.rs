//! A record of exchanges that can be attached to a public report: every value that is somebody's is replaced by a stand-in. Its format
//! is described in `mock-server/records/README.md`.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::error::Category;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Answer;
use super::facts::Facts;
use super::judge::Judge;
use super::report::Report;
use super::stand_ins::StandIns;
use super::upstream::Site;
use crate::limits::{MAX_BODY, SHADOW_RECORD, SHADOW_RECORD_BYTES};
use crate::protocol::client_id::members;
use crate::protocol::digest::{Digest, digest};
use crate::protocol::endpoint::Endpoint;
use crate::protocol::json_body::{JsonObject, Part};
use crate::protocol::request::{Body, Credential, Incoming};
use crate::state::app::{App, AppKind};
use crate::state::settings::Settings;

/// Name and version of the format.
const FORMAT: &str = "coze-auth-record/1";

/// The member that tells whether a record is as it was written.
const SHA256: &str = "sha256";

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
    /// Number of bytes of their bodies.
    bytes: usize,
    left_out: u64,
}

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

impl Recorder {
    pub(crate) fn add(&mut self, exchange: Exchange) {
        let request = match &exchange.request.body {
            Body::Whole(body) => body.len(),
            _ => 0,
        };
        let bytes = self.bytes + request + exchange.body.len();
        if self.exchanges.len() >= SHADOW_RECORD || bytes > SHADOW_RECORD_BYTES {
            self.left_out += 1;
            return;
        }
        self.bytes = bytes;
        self.exchanges.push(exchange);
    }

    /// The text of the record. None of the values that were replaced is in it, or the error says of which kind one is.
    pub(crate) fn text(
        &self,
        facts: &Facts,
        report: &Report,
        upstream: &str,
    ) -> Result<String, String> {
        let mut stand_ins = StandIns::new()?;
        // Before a challenge is met.
        for one in &self.exchanges {
            let body = members(&one.request);
            let verifier = body.as_ref().and_then(|body| body.get("code_verifier"));
            if let Some(verifier) = verifier.and_then(Part::as_str) {
                stand_ins.pair(verifier);
            }
        }
        let exchanges: Vec<_> = self
            .exchanges
            .iter()
            .map(|one| written(&mut stand_ins, one))
            .collect();
        let apps = self.apps(facts, &mut stand_ins);
        let mut record = json!({
            "format": FORMAT,
            "upstream": stand_ins.url(upstream),
            "left_out": self.left_out,
            "not_of_the_mock": report.others,
            "without_answer": report.lost,
            "refused_by_the_shadow": report.refused,
            "apps": apps,
            "exchanges": exchanges,
        });
        record[SHA256] = sum(&record).into();
        let text = format!("{record:#}\n");
        stand_ins.search(&text)?;
        Ok(text)
    }

    /// The apps of the configuration, with what the exchanges have of their secrets.
    fn apps(&self, facts: &Facts, stand_ins: &mut StandIns) -> Vec<Value> {
        let sent = self.exchanges.iter().flat_map(|one| secrets(&one.request));
        let sent: HashMap<Digest, String> = sent.map(|sent| (digest(&sent), sent)).collect();
        let apps = facts.apps.iter().zip(&facts.known);
        apps.filter(|(_, known)| known.configured)
            .map(|(app, known)| {
                let secret = known.secret.and_then(|key| sent.get(&key));
                let mut uris = Vec::new();
                if known.redirect_uris {
                    uris.extend(
                        app.redirect_uris
                            .iter()
                            .map(|uri| match uri.ends_with(":*/*") {
                                true => uri.clone(),
                                false => stand_ins.url(uri),
                            }),
                    );
                }
                json!({
                    "kind": app.kind.name(),
                    "client_id": stand_ins.of(&app.client_id),
                    "client_secret": secret.map(|secret| stand_ins.of(secret)),
                    "has_secret": known.secret.is_some(),
                    "redirect_uris": uris,
                })
            })
            .collect()
    }
}

/// The digest of a record, whatever the order of its members and its white space.
fn sum(record: &Value) -> String {
    let mut record = record.clone();
    if let Some(members) = record.as_object_mut() {
        members.remove(SHA256);
    }
    record.sort_all_objects();
    let sum = Sha256::digest(record.to_string());
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
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
    let path = without_ids(&request.path, |id| stand_ins.of(id));
    let body = match &request.body {
        Body::Whole(body) if body.is_empty() => Value::Null,
        Body::Whole(body) => match (
            request.endpoint(),
            serde_json::from_slice::<Map<String, Value>>(body),
        ) {
            (_, Ok(members)) => {
                let twice = serde_json::from_slice::<JsonObject<'_>>(body).ok();
                let twice = twice.as_ref().and_then(JsonObject::twice);
                let mut read = json!({ "json": stand_ins.members(&members) });
                if let Some(twice) = twice {
                    read["twice"] = stand_ins.name(twice).into();
                }
                read
            }
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

/// The path with what stands for its ids, which are somebody's.
pub(crate) fn without_ids(path: &str, mut stand_in: impl FnMut(&str) -> String) -> String {
    let mut before = "";
    let parts: Vec<_> = path
        .split('/')
        .map(|part| {
            let is_number = part.len() >= 6 && part.bytes().all(|byte| byte.is_ascii_digit());
            let is_id = matches!(before, "workspace_id" | "account" | "enterprise_id");
            before = part;
            match is_id || is_number {
                true => stand_in(part),
                false => part.to_owned(),
            }
        })
        .collect();
    parts.join("/")
}

/// What a record shows, without a network.
///
/// ```
/// use coze_auth_mock::{CozeAuthMock, Shadow, check_record};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let upstream = CozeAuthMock::builder().start().await?;
/// let shadow = Shadow::builder(upstream.base_url()).records().start().await?;
/// // A program sends its requests to the shadow, and then:
/// let record = shadow.record().expect("records() was called")?;
/// let checked = check_record(&record)?;
/// assert!(checked.differing().is_empty(), "{}", checked.report_text());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CheckedRecord {
    report: Report,
    upstream: String,
}

impl CheckedRecord {
    /// What the exchanges have shown, in the form of [`Shadow::report`](super::Shadow::report).
    #[must_use]
    pub fn report(&self) -> Value {
        self.report.json(std::slice::from_ref(&self.upstream))
    }

    /// The same for people.
    #[must_use]
    pub fn report_text(&self) -> String {
        self.report.text(&self.upstream)
    }

    /// The ids of the rules in which upstream and mock differ, in the order of the report.
    #[must_use]
    pub fn differing(&self) -> Vec<&'static str> {
        self.report.differing()
    }
}

/// Judges the exchanges of a record anew, without a network: asks the rules of this release about each.
///
/// # Errors
///
/// What is wrong with the text, if it is not a record, or not as it was written. Nothing of it is quoted.
pub fn check_record(text: &str) -> Result<CheckedRecord, String> {
    let record: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => format!("the record is truncated: it ends in line {line}"),
            _ => format!("not JSON at line {line}, column {column}"),
        }
    })?;
    let format = record["format"].as_str().unwrap_or_default();
    if format != FORMAT {
        return Err(match format.starts_with("coze-auth-record/") {
            true => format!(
                "a record of another version: \"format\" is not {FORMAT:?}, which this release reads"
            ),
            false => format!("this is not a record: \"format\" is not {FORMAT:?}"),
        });
    }
    if record[SHA256] != sum(&record) {
        return Err(format!(
            "the record was changed after it was written: {SHA256:?} is not there, or is not the digest of the rest"
        ));
    }
    let upstream = record["upstream"].as_str().unwrap_or_default().to_owned();
    // In our words: those of the error quote the URL.
    let api = Site::parse(&upstream)
        .map_err(|_| "\"upstream\" cannot be the upstream: it is not the URL of a service")?;
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
    let mut facts = Facts::new(settings, apps, false);
    facts.of_record = true;
    for (known, app) in facts.known.iter_mut().zip(&*facts.apps) {
        // A record has them if the shadow knew them, even where they are those of a mock.
        known.redirect_uris = !app.redirect_uris.is_empty();
    }
    let mut judge = Judge::new(facts, api);
    let total = |name: &str| record[name].as_u64().unwrap_or_default();
    judge.report.left_out = total("left_out");
    judge.report.others = total("not_of_the_mock");
    judge.report.lost = total("without_answer");
    judge.report.refused = total("refused_by_the_shadow");
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
    Ok(CheckedRecord {
        report: judge.report,
        upstream,
    })
}

fn read(one: &Value, upstream: &str) -> Option<(Incoming, (u64, Duration), Answer)> {
    let request = &one["request"];
    let body = &request["body"];
    let body = match body {
        Value::Null => Body::Whole(Bytes::new()),
        body if body.get("json").is_some() => {
            let mut text = body["json"].to_string();
            if let Some(twice) = body["twice"].as_str() {
                text.truncate(text.len() - 1);
                text += &format!(",{}:null}}", json!(twice));
            }
            Body::Whole(text.into())
        }
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

#[cfg(all(test, unix))]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// A record of `n` refreshes, each with tokens of its own.
    fn recorder(n: u64) -> Recorder {
        let mut recorder = Recorder::default();
        for n in 0..n {
            let token =
                |kind: &str| format!("{kind}{:0>60}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let body = json!({ "grant_type": "refresh_token", "client_id": "a", "refresh_token": token("r") });
            let answer =
                json!({ "access_token": token("a"), "refresh_token": token("n"), "expires_in": n });
            let mut headers = HeaderMap::new();
            let bearer = HeaderValue::from_str(&format!("Bearer {}", token("s")));
            headers.insert("authorization", bearer.expect("a header"));
            recorder.add(Exchange {
                at_ms: n,
                steady: Duration::from_millis(n),
                took: Duration::ZERO,
                request: Incoming {
                    method: Method::POST,
                    path: "/api/permission/oauth2/token".to_owned(),
                    query: None,
                    headers,
                    body: Body::Whole(body.to_string().into()),
                    base: "https://api.coze.cn".to_owned(),
                    call: None,
                },
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: answer.to_string().into(),
            });
        }
        recorder
    }

    /// Seconds of this thread's own processor time.
    fn cost(n: u64) -> f64 {
        let mut settings = Settings::standard([0; 32]);
        settings.tokens = Vec::new().into();
        let (recorder, facts) = (recorder(n), Facts::new(settings, Vec::new(), false));
        let now = || {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            Duration::new(
                time.tv_sec.unsigned_abs(),
                u32::try_from(time.tv_nsec).unwrap_or_default(),
            )
        };
        let before = now();
        let text = recorder
            .text(&facts, &Report::default(), "https://api.coze.cn")
            .expect("a record");
        let cost = (now() - before).as_secs_f64();
        assert!(text.len() > 800 * recorder.exchanges.len());
        cost
    }

    /// 64 times the work for 8 times the exchanges would be a search of the text for each value.
    #[test]
    fn a_record_is_written_in_a_time_that_grows_as_it_does() {
        let (one, eight) = (cost(60), cost(480));
        assert!(eight < 24.0 * one, "{one} s and {eight} s");
    }
}
