//! The token source of a workload: two requests for a token, and what all sources promise.

mod steps;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coze_auth_tokens::blocking::{Time, TokenSource, Transport};
use coze_auth_tokens::core::error::{ErrorKind, GrantType};
use coze_auth_tokens::core::http::{self, HeaderMap};
use coze_auth_tokens::core::workload::{Lane, ProjectVariable, WorkloadApp, WorkloadEndpoints};
use coze_auth_tokens::core::{
    AccessToken, ClientSecret, Endpoints, Request, Response, Retry, TransportFailure,
};
use coze_auth_tokens::{Error, SendError};

use steps::{Passed, answer};

const ID_URL: &str = "https://api.example/id";
const ACCESS_URL: &str = "https://api.example/t/a/.well-known/token";
const OUTBOUND_URL: &str = "https://out.example/secret";

fn app(id: &str) -> WorkloadApp {
    let endpoints = WorkloadEndpoints::custom(ID_URL, ACCESS_URL);
    let endpoints = endpoints.and_then(|endpoints| endpoints.with_outbound(OUTBOUND_URL));
    let secret = ClientSecret::new("secret").unwrap();
    WorkloadApp::new(endpoints.unwrap(), id, secret).unwrap()
}

/// What a request is: `id ID LANE`, `access ID`, or the path and its token.
fn line(request: &Request) -> String {
    let header = |name| {
        let value = request.headers().get(name);
        value.map_or("-", |value| value.to_str().unwrap())
    };
    let form = std::str::from_utf8(request.body().as_bytes()).unwrap();
    let member = |name: &str| {
        let members = form.split('&');
        let mut values = members.filter_map(|member| member.strip_prefix(name)?.strip_prefix('='));
        values.next().unwrap_or("-").to_owned()
    };
    match request.uri().to_string().as_str() {
        ID_URL => format!("id {} {}", member("client_id"), header("x-tt-env")),
        ACCESS_URL => format!("access {}", member("subject_token")),
        other => format!("{other} {}", header("authorization")),
    }
}

type Answers = dyn Fn(&str) -> Option<Result<Response, TransportFailure>> + Send + Sync;

/// A Coze in memory. It gives each id token and each access token a number, and says no if it is told to.
#[derive(Clone)]
struct Coze(Arc<State>);

struct State {
    clock: Passed,
    requests: Mutex<Vec<String>>,
    tokens: AtomicUsize,
    life: String,
    /// The access tokens that are not good any more.
    refused: Mutex<BTreeSet<String>>,
    answers: Box<Answers>,
}

impl Coze {
    fn new() -> Self {
        Self::answering("900", |_| None)
    }

    /// `expires_in` of an access token; `answers` are given in the place of Coze's.
    fn answering(
        life: &str,
        answers: impl Fn(&str) -> Option<Result<Response, TransportFailure>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(State {
            clock: Passed::default(),
            requests: Mutex::default(),
            tokens: AtomicUsize::new(0),
            life: life.to_owned(),
            refused: Mutex::default(),
            answers: Box::new(answers),
        }))
    }

    fn tokens(&self) -> TokenSource<Self> {
        TokenSource::workload(self, app("w"))
    }

    /// The requests since this was asked last.
    fn saw(&self) -> Vec<String> {
        std::mem::take(&mut self.0.requests.lock().unwrap())
    }

    fn refuse(&self, token: &AccessToken) {
        let token = format!("Bearer {}", token.expose());
        self.0.refused.lock().unwrap().insert(token);
    }
}

impl Transport for Coze {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let line = line(&request);
        self.0.requests.lock().unwrap().push(line.clone());
        if let Some(answer) = (self.0.answers)(&line) {
            return Ok(answer?);
        }
        let (what, rest) = line.split_once(' ').unwrap();
        let body = match what {
            "id" => format!(
                r#"{{"access_token":"id-of-{}"}}"#,
                rest.replace(' ', "-on-")
            ),
            "access" => {
                let number = self.0.tokens.fetch_add(1, Ordering::SeqCst);
                let life = &self.0.life;
                format!(r#"{{"access_token":"{rest}-{number}","expires_in":{life}}}"#)
            }
            _ if self.0.refused.lock().unwrap().contains(rest) => {
                let mut refusal =
                    answer(401, r#"{"code":4100,"msg":"authentication is invalid"}"#)?;
                let json = http::HeaderValue::from_static("application/json");
                refusal.headers_mut().insert("content-type", json);
                return Ok(refusal);
            }
            url if url.ends_with("/integration") => r#"{"data":{"credential":"c"}}"#.to_owned(),
            url if url.ends_with("/env") => {
                r#"{"data":{"secrets":[{"key":"A","value":"1"}]}}"#.to_owned()
            }
            _ => r#"{"data":{"user_id":"7"}}"#.to_owned(),
        };
        Ok(answer(200, &body)?)
    }

    fn time(&self) -> &dyn Time {
        &self.0.clock
    }
}

/// A renewal that runs behind has ended once this many requests are there.
fn wait_for(coze: &Coze, requests: usize) -> Vec<String> {
    let begun = Instant::now();
    while coze.0.requests.lock().unwrap().len() < requests && begun.elapsed() < steps::TIMEOUT {
        std::thread::yield_now();
    }
    coze.saw()
}

#[test]
fn a_token_costs_two_requests_and_is_kept() {
    let coze = Coze::new();
    let tokens = coze.tokens();
    assert_eq!(tokens.token().unwrap().expose(), "id-of-w-on---0");
    for _ in 0..10 {
        assert_eq!(tokens.token().unwrap().expose(), "id-of-w-on---0");
    }
    assert_eq!(coze.saw(), ["id w -", "access id-of-w-on--"]);
    // Its end is known, and it has nothing that renews it.
    let token = tokens.token_valid_for(Duration::from_secs(800)).unwrap();
    assert_eq!(token.expires_at.unwrap().as_secs(), steps::START + 900);
    coze.0.clock.pass(900);
    assert_eq!(tokens.token().unwrap().expose(), "id-of-w-on---1");
    assert_eq!(coze.saw().len(), 2, "an id token is never used again");
}

#[test]
fn callers_without_a_token_cause_two_requests() {
    const CALLERS: usize = 200;
    let asking = Arc::new(AtomicUsize::new(0));
    let all = asking.clone();
    let coze = Coze::answering("900", move |_| {
        // Everybody waits by then.
        while all.load(Ordering::SeqCst) < CALLERS {
            std::thread::yield_now();
        }
        None
    });
    let tokens = coze.tokens();
    let got: BTreeSet<String> = std::thread::scope(|scope| {
        let ask = || {
            asking.fetch_add(1, Ordering::SeqCst);
            tokens.token().unwrap().expose().to_owned()
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(ask)).collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    assert_eq!(got.len(), 1);
    assert_eq!(coze.saw(), ["id w -", "access id-of-w-on--"]);
}

/// In one process, over one transport.
#[test]
fn identities_and_lanes_never_share_a_token() {
    let coze = Coze::new();
    let mut sources = Vec::new();
    for identity in ["a", "b", "c"] {
        for lane in ["NONE", "ppe_x", "boe_x"] {
            let app = app(identity).with_lane(Lane::new(lane).unwrap());
            let name = app.lane().as_str().unwrap_or("-");
            let begins = format!("id-of-{identity}-on-{name}-");
            sources.push((begins, TokenSource::workload(&coze, app)));
        }
    }
    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        for (begins, source) in &sources {
            let token = source.token().unwrap();
            assert!(token.expose().starts_with(begins), "{token:?} of {begins}");
            tokens.insert(token.expose().to_owned());
        }
    }
    assert_eq!(tokens.len(), 9);
    assert_eq!(coze.saw().len(), 18);
    // Nor do two sources of the same identity.
    coze.tokens().token().unwrap();
    coze.tokens().token().unwrap();
    assert_eq!(coze.saw().len(), 4);
}

/// The official client asks anew for each use of a token that lives for a minute.
#[test]
fn a_short_life_is_renewed_early_and_behind() {
    let coze = Coze::answering("30", |_| None);
    let tokens = coze.tokens();
    let first = tokens.token().unwrap();
    coze.0.clock.pass(26);
    assert!(tokens.token().unwrap().matches(&first));
    assert_eq!(
        coze.saw().len(),
        2,
        "it is fresh for nine tenths of its life"
    );
    coze.0.clock.pass(2);
    assert!(tokens.token().unwrap().matches(&first), "it is good still");
    assert_eq!(wait_for(&coze, 2).len(), 2, "one renewal runs behind");
    let begun = Instant::now();
    while tokens.token().unwrap().matches(&first) && begun.elapsed() < steps::TIMEOUT {
        std::thread::yield_now();
    }
    assert_eq!(tokens.token().unwrap().expose(), "id-of-w-on---1");
    assert!(coze.saw().is_empty());
}

#[test]
fn a_refused_token_is_renewed_once_and_the_request_repeated_once() {
    let coze = Coze::new();
    let tokens = coze.tokens();
    let url = format!("{OUTBOUND_URL}/x");
    let send = |method: http::Method| {
        let request = http::Request::builder()
            .method(method)
            .uri(&url)
            .body(Vec::<u8>::new());
        let send = |request: http::Request<Vec<u8>>| {
            let answer = coze.send(request.map(Into::into));
            let answer = answer.map(|answer| answer.map(|body| body.as_bytes().to_vec()));
            answer.map_err(|_| std::io::Error::other("it answers"))
        };
        let answer = tokens.send_with(request.unwrap(), send).unwrap();
        (answer.status().as_u16(), coze.saw().len())
    };
    let pass_and_refuse = || {
        coze.0.clock.pass(60);
        coze.refuse(&tokens.token().unwrap());
        coze.saw();
    };
    assert_eq!(send(http::Method::GET), (200, 3));
    pass_and_refuse();
    assert_eq!(
        send(http::Method::GET),
        (200, 4),
        "refused, two for a token, repeated"
    );
    pass_and_refuse();
    assert_eq!(send(http::Method::POST), (401, 1), "it may not be repeated");
    assert_eq!(send(http::Method::POST), (200, 3), "but the token is new");

    pass_and_refuse();
    assert_eq!(tokens.integration("x").unwrap().expose(), "c");
    assert_eq!(coze.saw().len(), 4);
    pass_and_refuse();
    let variables = tokens.project_env().unwrap();
    assert_eq!(variables.get("A").map(ProjectVariable::expose), Some("1"));
    assert_eq!(coze.saw().len(), 4);
    pass_and_refuse();
    assert_eq!(tokens.whoami().unwrap().user_id, "7");
    let saw = coze.saw();
    assert!(
        saw[0].starts_with("https://api.example/t/a/v1/users/me "),
        "{saw:?}"
    );
    assert_eq!(saw.len(), 4);
}

#[test]
fn a_token_that_is_refused_for_good_is_not_renewed_for_ever() {
    let coze = Coze::answering("900", |line| {
        line.contains("/integration").then(|| answer(401, "{}"))
    });
    let tokens = coze.tokens();
    let error = tokens.integration("x").unwrap_err();
    assert!(matches!(&error, Error::Core { .. }), "{error}");
    assert_eq!(
        coze.saw().len(),
        6,
        "two for a token, one that is refused, and the same once more"
    );
    tokens.integration("x").unwrap_err();
    assert_eq!(
        coze.saw().len(),
        1,
        "the token that was renewed just now is not what is wrong"
    );
}

#[test]
fn a_failure_is_told_to_everyone_for_a_pause() {
    let refused = |step: &'static str| {
        Coze::answering("900", move |line| {
            let is_it = line.starts_with(step);
            is_it.then(|| {
                answer(
                    401,
                    r#"{"error":"invalid_client","error_description":"no"}"#,
                )
            })
        })
    };
    for (step, requests, grant) in [
        ("id ", 1, GrantType::ClientCredentials),
        ("access ", 2, GrantType::TokenExchange),
    ] {
        let coze = refused(step);
        let tokens = coze.tokens();
        for _ in 0..10 {
            let error = tokens.token().unwrap_err();
            assert_eq!(
                (error.kind(), error.retry()),
                (ErrorKind::Settings, Retry::Never)
            );
            let Error::Core { error, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!(error.grant_type(), Some(grant));
        }
        assert_eq!(coze.saw().len(), requests, "{step}: one attempt");
        for pause in [1, 2, 4] {
            coze.0.clock.pass(pause);
            tokens.token().unwrap_err();
            tokens.token().unwrap_err();
            assert_eq!(coze.saw().len(), requests, "{step}: one after {pause} s");
        }
    }
}

/// Nothing is spent by either request, so a second attempt asks for another id token.
#[test]
fn trouble_that_passes_is_healed_from_the_start() {
    for (step, requests) in [("id ", 3), ("access ", 4)] {
        for failure in [
            answer(503, "<html>"),
            answer(429, r#"{"error":"x"}"#),
            Err(TransportFailure::Timeout),
            Err(TransportFailure::NotSent),
        ] {
            let fails = Mutex::new(Some(failure));
            let coze = Coze::answering("900", move |line| {
                line.starts_with(step)
                    .then(|| fails.lock().unwrap().take())
                    .flatten()
            });
            let tokens = coze.tokens();
            let events = Arc::new(Mutex::new(Vec::new()));
            let notes = events.clone();
            let tokens = tokens.observe(move |event| {
                assert_eq!(event.grant_type, GrantType::ClientCredentials);
                assert_eq!((event.client_id, event.subject), ("w", None));
                notes.lock().unwrap().push(event.kind.to_string());
            });
            tokens.token().unwrap();
            let saw = coze.saw();
            assert_eq!(saw.len(), requests, "{step}: {saw:?}");
            assert_eq!(saw[requests - 2..], ["id w -", "access id-of-w-on--"]);
            // It is told after the token is there.
            let begun = Instant::now();
            while events.lock().unwrap().len() < 2 && begun.elapsed() < steps::TIMEOUT {
                std::thread::yield_now();
            }
            let done =
                format!("done in 1.000 s after {requests} requests, the token ends at 1750000901");
            assert_eq!(*events.lock().unwrap(), ["begun".to_owned(), done]);
        }
    }
}

#[test]
fn a_token_goes_to_the_outbound_endpoint_and_to_the_one_that_gave_it() {
    let coze = Coze::new();
    let tokens = coze.tokens();
    let put_on = |tokens: &TokenSource<Coze>, url: &str| {
        let mut headers = HeaderMap::new();
        let done = tokens.authorize_headers(url, &mut headers);
        assert_eq!(done.is_ok(), headers.contains_key("authorization"));
        done.map_err(|error| error.to_string())
    };
    for url in [
        "https://out.example/api/v3/chat",
        "https://api.example/v1/users/me",
        "https://API.example:443/",
    ] {
        put_on(&tokens, url).unwrap();
    }
    for url in [
        "https://integration.coze.cn/api",
        "https://api.coze.cn/v1/users/me",
        "http://out.example/",
        "https://out.example:8443/",
        "https://x.out.example/",
    ] {
        let error = put_on(&tokens, url).unwrap_err();
        assert!(
            error.contains("a token for https://out.example was to be sent to"),
            "{error}"
        );
    }
    let more = tokens.allow_origin("https://gateway.example").unwrap();
    put_on(&more, "https://gateway.example/v1").unwrap();

    // Without one, to the one that gave it alone; and where all is one, there.
    let endpoints = WorkloadEndpoints::custom("https://id.example/", ACCESS_URL).unwrap();
    let app = WorkloadApp::new(endpoints, "w", ClientSecret::new("s").unwrap()).unwrap();
    let alone = TokenSource::workload(&coze, app);
    assert!(
        format!("{alone:?}").contains(r#"Origins(["https://api.example"])"#),
        "{alone:?}"
    );
    put_on(&alone, "https://id.example/").unwrap_err();
}

#[test]
fn what_is_of_workloads_alone_is_of_no_other_source() {
    let coze = Coze::new();
    let token = AccessToken::new("pat_x").unwrap();
    let fixed = TokenSource::fixed(&coze, &Endpoints::cn(), token);
    for error in [
        fixed.integration("x").map(drop).unwrap_err(),
        fixed.project_env().map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotAWorkload), "{error}");
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().contains("is not a workload's"), "{error}");
    }
    let tokens = coze.tokens();
    assert!(matches!(
        tokens.session("x").unwrap_err(),
        Error::NotAJwtApp
    ));
    assert!(matches!(tokens.forget().unwrap_err(), Error::NotALogin));
    assert!(coze.saw().is_empty(), "nothing was sent for any of them");
    for (name, what) in [
        ("", "integration name: is empty"),
        ("a\n", "integration name: has a line break"),
    ] {
        let error = tokens.integration(name).unwrap_err();
        assert!(error.to_string().starts_with(what), "{error}");
    }
    tokens.close().unwrap();
    assert!(matches!(tokens.token().unwrap_err(), Error::Closed));
}
