//! What the run sends: each request once, through the shadow, within the budget of its question, and none after the first 429.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Value, json};
use ureq::Agent;
use url::Url;

use super::questions::QUESTIONS;
use super::words;

/// How long an answer may take. The shadow gives up before that.
const ANSWER: Duration = Duration::from_secs(90);
/// Codes of rate limits (protocol §4.4).
const LIMITS: [&str; 3] = ["4008", "4009", "4020"];
/// Maximum number of bytes of an answer that are read.
const MAX_ANSWER: u64 = 1 << 20;

/// Why a question goes no further.
#[derive(Debug)]
pub(super) enum Halt {
    /// The whole run is over; `Wire` has the reason.
    Run,
    /// This question alone, with what is missing.
    Question(String),
}

/// A request.
pub(super) struct Sent<'a> {
    pub(super) method: &'static str,
    /// Path, or a whole URL of a workload.
    pub(super) to: &'a str,
    pub(super) authorization: Option<String>,
    pub(super) body: Body,
}

pub(super) enum Body {
    None,
    /// The text of a JSON body.
    Json(String),
    /// The text of a form.
    Form(String),
}

impl Body {
    pub(super) fn json(members: &Value) -> Self {
        Self::Json(members.to_string())
    }

    pub(super) fn form(members: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        Self::Form(form.extend_pairs(members).finish())
    }
}

/// An answer, as far as questions ask about it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `error_code`, `error` or `code`, in the order of protocol §4.1.
    pub(super) code: Option<String>,
    message: Option<String>,
    pub(super) body: Value,
    /// A redirect leads somewhere.
    pub(super) is_redirect: bool,
    /// The service asks for fewer requests.
    is_limit: bool,
    /// The service's own time, in seconds since the epoch. None if the answer has no `Date`.
    pub(super) date: Option<i64>,
}

impl Answer {
    /// What was asked for was given. A 200 alone is not enough: a gateway's page has it, too.
    pub(super) fn granted(&self) -> bool {
        let is_given = |name: &str| !self.body[name].is_null();
        let given = ["access_token", "device_code", "data"];
        (200..300).contains(&self.status)
            && self.code.is_none()
            && (given.iter().any(|name| is_given(name)) || self.body["code"] == 0)
    }

    /// Why this answer to a request that breaks `rule` says nothing about the rule, with what to do.
    pub(super) fn says_nothing(&self, rule: &str) -> Option<String> {
        let code = self.code.as_deref().unwrap_or_default();
        let of_device = [
            "device.pending",
            "device.interval",
            "device.denied",
            "device.expired",
        ];
        let is_poll = of_device.contains(&rule);
        let why = match code {
            _ if self.is_limit && rule != "device.interval" => {
                "the service asked for fewer requests; run it again an hour later"
            }
            _ if self.status >= 500 => {
                return Some(format!(
                    "{} is a fault of the service, or of a gateway before it; run it again later",
                    self.status
                ));
            }
            "server_error" | "temporarily_unavailable" | "internal_error" => {
                "the service failed; run it again later"
            }
            _ if is_poll && self.granted() => {
                "the device was approved; run it again, and decide as the step says"
            }
            "" if !self.granted() => {
                return Some(format!(
                    "{} without a code of Coze's is not an answer of its API: a proxy or a gateway may have given it; see that nothing stands between, and run it again",
                    self.status
                ));
            }
            "authorization_pending" if rule != "device.pending" => {
                "nobody has decided about this device code yet; run it again, type the code of this very step, and press Enter after you have decided"
            }
            "slow_down" if rule != "device.interval" => {
                "the poll was too fast; run it again, with no other program that polls for this app"
            }
            "access_denied" if is_poll && rule != "device.denied" => {
                "the device was refused; run it again, and decide as the step says"
            }
            "expired_token" if is_poll && rule != "device.expired" => {
                "the device code had expired; run it again, and decide within its five minutes"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    /// A refusal of the same kind: status and code.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.status, &self.code) == (other.status, &other.code)
    }

    /// Status, code and message, in words that mean the same for everybody.
    pub(super) fn told(&self) -> Value {
        json!({
            "status": self.status,
            "code": self.code.as_deref().map(words::code),
            "message": self.message.as_deref().map(words::message),
            "granted": self.granted(),
        })
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.body[name].as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.body[name].as_u64()
    }
}

/// The one way out.
pub(super) struct Wire {
    agent: Agent,
    /// Origins of the service, each with the shadow before it. The first is that of the base.
    ways: Vec<(String, String)>,
    /// Requests so far, by question.
    sent: BTreeMap<u8, u32>,
    /// Why the run is over.
    pub(super) ended: Option<String>,
    /// Why a request did not reach the service, for the person alone: it may name a host or a proxy of theirs.
    pub(super) cause: Option<String>,
    /// What no text may show.
    secrets: Vec<String>,
}

impl Wire {
    pub(super) fn new(ways: Vec<(String, String)>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A connection that was kept could have ended, and a request on it would be sent a second time.
            .max_idle_connections(0)
            .proxy(None)
            .timeout_global(Some(ANSWER))
            .user_agent(concat!(
                "coze-auth-conformance/",
                env!("CARGO_PKG_VERSION"),
                " evidence"
            ))
            .build();
        Self {
            agent: config.into(),
            ways,
            sent: BTreeMap::new(),
            ended: None,
            cause: None,
            secrets: Vec::new(),
        }
    }

    /// Notes a value that no text may show.
    pub(super) fn hide(&mut self, value: &str) {
        if value.len() >= words::SHORTEST && !self.secrets.iter().any(|own| own == value) {
            self.secrets.push(value.to_owned());
        }
    }

    /// A text without the values that were hidden.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut secrets: Vec<&String> = self.secrets.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "***")
        })
    }

    pub(super) fn sent(&self, question: u8) -> u32 {
        self.sent.get(&question).copied().unwrap_or_default()
    }

    pub(super) fn end(&mut self, why: impl Into<String>) -> Halt {
        self.ended.get_or_insert_with(|| why.into());
        Halt::Run
    }

    /// The URL by which a request reaches the shadow.
    fn local(&self, to: &str) -> Option<String> {
        if to.starts_with('/') {
            return Some(format!("{}{to}", self.ways.first()?.1));
        }
        let origin = Url::parse(to).ok()?.origin().ascii_serialization();
        let (_, shadow) = self.ways.iter().find(|(own, _)| *own == origin)?;
        Some(format!("{shadow}{}", to.get(origin.len()..)?))
    }

    /// Sends a request, once.
    pub(super) fn send(&mut self, question: u8, request: Sent<'_>) -> Result<Answer, Halt> {
        if self.ended.is_some() {
            return Err(Halt::Run);
        }
        let budget = QUESTIONS.iter().find(|own| own.number == question);
        let budget = budget.map_or(0, |own| own.budget);
        let count = self.sent.entry(question).or_default();
        if *count >= budget {
            let why = format!("its budget of {budget} requests is used");
            return Err(Halt::Question(why));
        }
        let origin = match Url::parse(request.to) {
            Ok(url) => url.origin().ascii_serialization(),
            Err(_) => self
                .ways
                .first()
                .map_or_else(String::new, |way| way.0.clone()),
        };
        let url = self.local(request.to);
        let url = url.ok_or_else(|| Halt::Question("its URL cannot be read".to_owned()))?;
        *self.sent.entry(question).or_default() += 1;
        let mut head = ureq::http::Request::builder()
            .method(request.method)
            .uri(url)
            .header("accept", "application/json");
        if let Some(authorization) = request.authorization {
            head = head.header("authorization", authorization);
        }
        let reply = match request.body {
            Body::None => head.body(()).map_err(|_| ()).map(|own| self.agent.run(own)),
            Body::Json(text) => {
                let own = head.header("content-type", "application/json").body(text);
                own.map_err(|_| ()).map(|own| self.agent.run(own))
            }
            Body::Form(text) => {
                let form = "application/x-www-form-urlencoded";
                let own = head.header("content-type", form).body(text);
                own.map_err(|_| ()).map(|own| self.agent.run(own))
            }
        };
        let lost = "no answer arrived, and nothing is sent a second time";
        let Ok(Ok(mut reply)) = reply else {
            return Err(self.end(lost));
        };
        if let Some(refused) = reply.headers().get("x-mock-shadow") {
            let name = refused.to_str().unwrap_or_default().to_owned();
            let body = reply
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER)
                .read_to_vec();
            let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
            let told = body["error_message"].as_str().unwrap_or_default();
            let told = told.trim_start_matches("coze-auth-mock shadow: ");
            self.cause = Some(told.replacen("the upstream", &origin, 1));
            return Err(self.end(format!(
                "a request could not be passed on to the service ({name})"
            )));
        }
        let status = reply.status().as_u16();
        let is_redirect =
            reply.status().is_redirection() && reply.headers().contains_key("location");
        let header = |name: &str| reply.headers().get(name)?.to_str().ok();
        let date = header("date").and_then(|text| DateTimeParser::new().parse_timestamp(text).ok());
        let date = date.map(Timestamp::as_second);
        let is_later = status >= 400 && reply.headers().contains_key("retry-after");
        let body = reply
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec();
        let Ok(body) = body else {
            return Err(self.end(lost));
        };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.hide_all(&body);
        let code = code(&body);
        let message = ["error_message", "error_description", "msg"]
            .iter()
            .find_map(|name| Some(body[*name].as_str()?.to_owned()));
        let is_limit = is_later || status == 429 || names_a_limit(&code, &message);
        let answer = Answer {
            status,
            code,
            message,
            body,
            is_redirect,
            is_limit,
            date,
        };
        if is_limit {
            self.end("the service asked for fewer requests (429, Retry-After, or a code or words of a rate limit)");
        }
        Ok(answer)
    }

    /// The values of an answer that are somebody's.
    fn hide_all(&mut self, value: &Value) {
        let Value::Object(members) = value else {
            return;
        };
        for (name, value) in members {
            match value {
                Value::String(text) if !words::is_told(name) => self.hide(text),
                Value::Array(items) => items.iter().for_each(|item| self.hide_all(item)),
                value => self.hide_all(value),
            }
        }
    }
}

fn names_a_limit(code: &Option<String>, message: &Option<String>) -> bool {
    let code = code.as_deref().unwrap_or_default();
    let message = message.as_deref().unwrap_or_default().to_ascii_lowercase();
    LIMITS.contains(&code)
        || [
            "rate limit",
            "rate_limit",
            "too many requests",
            "too_many_requests",
        ]
        .iter()
        .any(|words| code.contains(words) || message.contains(words))
}

fn code(body: &Value) -> Option<String> {
    ["error_code", "error", "code"]
        .iter()
        .find_map(|name| match &body[*name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) if number.as_i64() != Some(0) => Some(number.to_string()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A service that answers every request with this, and how many it has had.
    fn service(answer: &'static str) -> (Wire, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let count = Arc::<AtomicUsize>::default();
        let own = count.clone();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                own.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        (
            Wire::new(vec![("https://api.coze.cn".to_owned(), url)]),
            count,
        )
    }

    fn request() -> Sent<'static> {
        Sent {
            method: "GET",
            to: "/v1/users/me",
            authorization: None,
            body: Body::None,
        }
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

    #[test]
    fn what_is_beyond_the_budget_of_a_question_is_not_sent() {
        let (mut wire, count) = service(GOOD);
        // Question 10 may cost one request, question 5 none.
        wire.send(10, request()).expect("within its budget");
        for question in [10, 5, 99] {
            let refused = wire.send(question, request());
            let Err(Halt::Question(why)) = refused else {
                panic!("question {question}: {refused:?}");
            };
            assert!(why.contains("its budget of"), "{why}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!((wire.sent(10), wire.sent(5)), (1, 0));
        assert!(wire.ended.is_none());
    }

    #[test]
    fn an_answer_that_breaks_off_ends_the_run_and_is_not_asked_for_again() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            "HTTP/1.1 429 x\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (mut wire, count) = service(answer);
            let _ = wire.send(12, request());
            assert!(matches!(wire.send(12, request()), Err(Halt::Run)));
            assert_eq!(count.load(Ordering::SeqCst), 1, "{answer:?}");
        }
    }
}
