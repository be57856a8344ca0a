//! Every flow of a client after every failure, over both adapters, two HTTP clients of one's own and none, and what is seen of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Duration;

use coze_auth_conformance::SharedClock;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::device::{DeviceApp, DevicePoll};
use coze_auth_core::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use coze_auth_core::jwt::{JwtApp, JwtGrant, RsaKey};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::secret::DeviceCode;
use coze_auth_core::web::WebApp;
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{
    self as core, AccessToken, Body, ClientSecret, Endpoints, Flow, RefreshToken, TokenGrant,
    TransportFailure, whoami,
};
use coze_auth_examples::custom_transport::HyperTransport;
use coze_auth_examples::custom_transport_blocking::AttohttpcTransport;
use coze_auth_mock::CozeAuthMock;
use coze_auth_store::MemoryStore;
use coze_auth_tokens::{Error, SendError, blocking, tokio as awaited, trace};
use tokio::runtime::Runtime;

use crate::clocks::{AsyncClock, BlockingClock};
use crate::logs;
use crate::scenes::{self, entropy};
use crate::secrets::{Kind, sentinel};
use crate::server::{self, Does, Server, Written};
use crate::texts::{Name, Part, Texts};
use crate::whole;

const IN_MEMORY: Name = "a transport in memory";

/// The failures, and what the server does to bring each about.
const FAILURES: &[(Name, Does)] = &[
    ("success", Does::Serve),
    ("refused, quoted", Does::Quote(Written::AsItIs)),
    ("refused, quoted as in a URL", Does::Quote(Written::InUrl)),
    (
        "refused, quoted as in a url",
        Does::Quote(Written::InLowerUrl),
    ),
    ("refused, quoted in base64", Does::Quote(Written::InBase64)),
    ("refused, quoted in hex", Does::Quote(Written::InHex)),
    (
        "refused, quoted in escapes",
        Does::Quote(Written::InJsonEscapes),
    ),
    ("a page of HTML", Does::Page),
    ("a redirect", Does::Redirect),
    ("no answer in time", Does::Nothing),
    ("a reset", Does::Reset),
    ("a body that breaks off", Does::BreakOff),
    ("malformed JSON", Does::NotJson),
    ("an answer too long", Does::TooLong),
    ("bytes that are not text", Does::NotText),
    (NO_TLS, Does::Serve),
    (NO_NAME, Does::Serve),
    (ASKS, Does::AskForPassword),
    (FORBIDS, Does::Forbid),
    (UNKNOWN_CA, Does::Serve),
    (PANICS, Does::Serve),
];
const NO_TLS: Name = "no TLS";
const NO_NAME: Name = "an unknown name";
const ASKS: Name = "a proxy asks for a password";
const FORBIDS: Name = "a proxy refuses";
const UNKNOWN_CA: Name = "a certificate of an unknown CA";
const PANICS: Name = "the transport panics";

const NEW: [Kind; 2] = ["access token", "new refresh token"];

/// All that clients show.
const PART: Part = Part {
    who: &[IN_MEMORY, "reqwest", "ureq"],
    flows: &[
        (
            "web: exchange",
            &[
                "client secret",
                "authorization code",
                "state",
                "entropy",
                NEW[0],
                NEW[1],
                "proxy password",
            ],
        ),
        (
            "web: refresh",
            &[
                "client secret",
                "refresh token",
                NEW[0],
                NEW[1],
                "proxy password",
            ],
        ),
        (
            "PKCE: exchange",
            &[
                "authorization code",
                "code verifier",
                "state",
                "entropy",
                NEW[0],
                NEW[1],
                "proxy password",
            ],
        ),
        (
            "device: start",
            &["device code", "user code", "proxy password"],
        ),
        (
            "device: poll",
            &["device code", "user code", NEW[0], NEW[1], "proxy password"],
        ),
        (
            "JWT: grant",
            &[
                "private key",
                "loaded key",
                "assertion",
                scenes::OF_AWS_LC,
                "entropy",
                "access token of a JWT app",
                "proxy password",
            ],
        ),
        ("PAT: whoami", &["PAT", "proxy password"]),
        ("SAT: whoami", &["SAT", "proxy password"]),
        (
            "workload: grant",
            &[
                "workload client secret",
                "workload API key",
                "id token",
                "access token of a workload",
                "proxy password",
            ],
        ),
        (
            "workload: integration",
            &[
                "workload client secret",
                "access token of a workload",
                "credential of an integration",
                "proxy password",
            ],
        ),
        (
            "workload: variables",
            &[
                "workload client secret",
                "access token of a workload",
                "project variable",
                "proxy password",
            ],
        ),
        (
            LOGIN,
            &[
                "client secret",
                "refresh token",
                NEW[0],
                NEW[1],
                "proxy password",
            ],
        ),
        (
            JWT,
            &[
                "private key",
                "loaded key",
                "assertion",
                scenes::OF_AWS_LC,
                "access token of a JWT app",
                "proxy password",
            ],
        ),
        (
            WORKLOAD,
            &[
                "workload client secret",
                "workload API key",
                "id token",
                "access token of a workload",
                "credential of an integration",
                "project variable",
                "proxy password",
            ],
        ),
    ],
    failures: &[
        FAILURES[0].0,
        FAILURES[1].0,
        FAILURES[2].0,
        FAILURES[3].0,
        FAILURES[4].0,
        FAILURES[5].0,
        FAILURES[6].0,
        FAILURES[7].0,
        FAILURES[8].0,
        FAILURES[9].0,
        FAILURES[10].0,
        FAILURES[11].0,
        FAILURES[12].0,
        FAILURES[13].0,
        FAILURES[14].0,
        FAILURES[15].0,
        FAILURES[16].0,
        FAILURES[17].0,
        FAILURES[18].0,
        FAILURES[19].0,
        FAILURES[20].0,
    ],
    places: &["Debug", "Display", "causes", "log (ours)", "panic"],
    cannot: &[
        (
            &[IN_MEMORY],
            &[],
            &[NO_TLS, NO_NAME, UNKNOWN_CA, ASKS, FORBIDS],
            &[],
            "it has no network",
        ),
        (
            &["hyper", "attohttpc"],
            &[],
            &[ASKS, FORBIDS],
            &[],
            "its client goes through no proxy",
        ),
        (
            &["hyper", "attohttpc"],
            &[],
            &[PANICS],
            &[],
            "its client takes no part of one's own that could; that of both adapters does",
        ),
        (
            &[],
            &[],
            &["success"],
            &["Display", "causes"],
            "it does not fail",
        ),
        (
            &[],
            &[LOGIN, JWT, WORKLOAD],
            &[],
            &["panic"],
            "the source catches it and tells an error; the hook's words are under the flows, which do not",
        ),
        (
            &[],
            CALLS,
            &[PANICS],
            &["Display", "causes"],
            "the panic goes on to the caller",
        ),
        (
            &[],
            CALLS,
            &[],
            &["log (ours)"],
            "the core and the adapters log nothing",
        ),
        (&[], &[], &FAIL, &["panic"], "nothing panics"),
    ],
};

/// The same; the whole has two more clients.
pub(crate) fn part() -> Part {
    Part {
        who: match whole() {
            true => &[IN_MEMORY, "reqwest", "ureq", "hyper", "attohttpc"],
            false => PART.who,
        },
        ..PART
    }
}

const LOGIN: Name = "source of a login";
const JWT: Name = "source of a JWT app";
const WORKLOAD: Name = "source of a workload";
const CALLS: &[Name] = &[
    "web: exchange",
    "web: refresh",
    "PKCE: exchange",
    "device: start",
    "device: poll",
    "JWT: grant",
    "PAT: whoami",
    "SAT: whoami",
    "workload: grant",
    "workload: integration",
    "workload: variables",
];
const FAIL: [Name; 20] = {
    let mut names = [""; 20];
    let mut at = 0;
    while at < 20 {
        names[at] = FAILURES[at].0;
        at += 1;
    }
    names
};

/// How long a request may take where it waits in vain.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(20);

/// A transport of one's own on the clock of the test.
#[derive(Clone)]
struct Own<T, C> {
    transport: T,
    time: C,
    timeout: Duration,
}

impl awaited::Transport for Own<HyperTransport, AsyncClock> {
    async fn send(&self, request: core::Request) -> Result<core::Response, SendError> {
        let sent = tokio::time::timeout(self.timeout, self.transport.send(request));
        sent.await
            .unwrap_or_else(|_| Err(TransportFailure::Timeout.into()))
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn time(&self) -> &dyn awaited::Time {
        &self.time
    }
}

impl blocking::Transport for Own<AttohttpcTransport, BlockingClock> {
    fn send(&self, request: core::Request) -> Result<core::Response, SendError> {
        let request = request.map(|body| body.as_bytes().to_vec());
        let answer = coze_auth_examples::custom_transport_blocking::send(request, self.timeout);
        let (head, body) = answer.map_err(SendError::of)?.into_parts();
        let mut bytes = Vec::new();
        let mut body = std::io::Read::take(body, Body::READ_AT_MOST as u64);
        std::io::Read::read_to_end(&mut body, &mut bytes).map_err(SendError::of)?;
        Ok(core::Response::from_parts(head, bytes.into()))
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.time
    }
}

/// The server as a function.
#[derive(Clone)]
struct InMemory {
    does: Does,
    panics: bool,
}

impl blocking::Transport for Own<InMemory, BlockingClock> {
    fn send(&self, request: core::Request) -> Result<core::Response, SendError> {
        assert!(!self.transport.panics, "cannot send {request:?}");
        let does = self.transport.does;
        match does {
            Does::Nothing => return Err(TransportFailure::Timeout.into()),
            Does::Reset | Does::BreakOff => {
                let kind = std::io::ErrorKind::ConnectionReset;
                return Err(SendError::of(std::io::Error::from(kind)));
            }
            _ => {}
        }
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri().path());
        for (name, value) in request.headers() {
            head += &format!("{name}: {}\r\n", value.to_str().expect("text"));
        }
        let answer = server::answer(does, head.as_bytes(), request.body().as_bytes());
        let end = answer
            .windows(4)
            .position(|part| part == b"\r\n\r\n")
            .expect("a head");
        let mut response = core::Response::new(answer[end + 4..].to_vec().into());
        let lines = String::from_utf8_lossy(&answer[..end]);
        let mut lines = lines.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        *response.status_mut() =
            StatusCode::from_bytes(status.expect("a status").as_bytes()).expect("a status");
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name: HeaderName = name.parse().expect("a name");
            response
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        Ok(response)
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.time
    }
}

/// What an adapter's client is given to find addresses with.
#[derive(Debug)]
struct Panics;

impl reqwest::dns::Resolve for Panics {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        panic!("cannot send to {}", name.as_str())
    }
}

impl ureq::unversioned::resolver::Resolver for Panics {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: ureq::unversioned::transport::NextTimeout,
    ) -> Result<ureq::unversioned::resolver::ResolvedSocketAddrs, ureq::Error> {
        panic!("cannot send to {uri}")
    }
}

/// One of the clients.
enum Over {
    Memory(Own<InMemory, BlockingClock>),
    Reqwest(coze_auth_reqwest::Client),
    Ureq(coze_auth_ureq::Client),
    Hyper(Own<HyperTransport, AsyncClock>),
    Attohttpc(Own<AttohttpcTransport, BlockingClock>),
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
});

impl Over {
    fn new(who: Name, failure: Name, does: Does, proxy: Option<&str>) -> Self {
        let timeout = if does == Does::Nothing { SHORT } else { LONG };
        let clock = SharedClock::new();
        let blocking = BlockingClock(clock.clone());
        match who {
            "reqwest" => {
                let proxy = proxy.map(str::to_owned);
                let client = coze_auth_reqwest::Client::with_builder(move || {
                    let mut builder = reqwest::Client::builder().tls_certs_only([]);
                    if failure == PANICS {
                        builder = builder.dns_resolver(Panics);
                    }
                    match &proxy {
                        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).expect("a proxy")),
                        None => builder.no_proxy(),
                    }
                });
                Self::Reqwest(
                    client
                        .expect("a client")
                        .with_timeout(timeout)
                        .with_time(AsyncClock(clock)),
                )
            }
            "ureq" => {
                let tls =
                    ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::from([]));
                let proxy = proxy.map(|proxy| ureq::Proxy::new(proxy).expect("a proxy"));
                let config = ureq::Agent::config_builder()
                    .tls_config(tls.build())
                    .proxy(proxy);
                let agent = match failure {
                    PANICS => ureq::Agent::with_parts(
                        config.build(),
                        ureq::unversioned::transport::DefaultConnector::new(),
                        Panics,
                    ),
                    _ => config.build().new_agent(),
                };
                let client = coze_auth_ureq::Client::with_agent(agent);
                Self::Ureq(client.with_timeout(timeout).with_time(blocking))
            }
            "hyper" => Self::Hyper(Own {
                transport: HyperTransport::default(),
                time: AsyncClock(clock),
                timeout,
            }),
            "attohttpc" => Self::Attohttpc(Own {
                transport: AttohttpcTransport,
                time: blocking,
                timeout,
            }),
            _ => Self::Memory(Own {
                transport: InMemory {
                    does,
                    panics: failure == PANICS,
                },
                time: blocking,
                timeout,
            }),
        }
    }

    fn run<F: Flow>(&self, flow: F) -> Result<F::Output, Error> {
        match self {
            Self::Memory(transport) => blocking::run(transport, flow),
            Self::Reqwest(client) => RUNTIME.block_on(client.run(flow)),
            Self::Ureq(client) => client.run(flow),
            Self::Hyper(transport) => RUNTIME.block_on(awaited::run(transport, flow)),
            Self::Attohttpc(transport) => blocking::run(transport, flow),
        }
    }

    fn source(&self, flow: Name, base: &str, texts: &mut Texts) {
        match self {
            Self::Memory(transport) => blocks(transport, flow, base, texts),
            Self::Reqwest(client) => RUNTIME.block_on(awaits(client, flow, base, texts)),
            Self::Ureq(client) => blocks(client, flow, base, texts),
            Self::Hyper(transport) => RUNTIME.block_on(awaits(transport, flow, base, texts)),
            Self::Attohttpc(transport) => blocks(transport, flow, base, texts),
        }
    }

    /// Runs a flow and notes all that can be seen of it.
    fn see<F: Flow<Output: std::fmt::Debug> + std::fmt::Debug>(&self, flow: F, texts: &mut Texts) {
        texts.debug(&flow);
        match catch_unwind(AssertUnwindSafe(|| self.run(flow))) {
            Ok(result) => texts.result(&result),
            Err(panic) => {
                let words = panic.downcast_ref::<String>().expect("words").clone();
                texts.look("panic", words);
                texts.look("panic", logs::panics());
            }
        }
    }
}

/// A source of each kind, in both forms.
macro_rules! sources {
    ($name:ident, [$($asynchronous:tt)*], $in:ident, [$($wait:tt)*]) => {
        $($asynchronous)* fn $name<T: $in::Transport + Clone + 'static>(transport: &T, flow: Name, base: &str, texts: &mut Texts) {
            type Source<T> = $in::TokenSource<T>;
            match flow {
                LOGIN => {
                    let store = MemoryStore::new();
                    texts.debug(&store);
                    let tokens = Source::stored(transport, web(base), "alice", store).expect("a subject").observe(trace);
                    texts.debug(&tokens);
                    let ended = scenes::saved(1_700_000_000);
                    let grant = TokenGrant::from_secret_json(&ended).expect("a grant");
                    texts.debug(&grant);
                    texts.result(&tokens.install(grant)$($wait)*.map_err(Box::new).map_err(|error| *error));
                    texts.result(&tokens.token()$($wait)*);
                    texts.debug(&tokens);
                    let mut headers = HeaderMap::new();
                    let url = format!("{base}/v1/users/me");
                    let authorized = tokens.authorize_headers(&url, &mut headers)$($wait)*;
                    if authorized.is_ok() {
                        texts.debug(&headers);
                    }
                    texts.result(&tokens.whoami()$($wait)*);
                    drop(tokens.close()$($wait)*);
                }
                JWT => {
                    let tokens = Source::jwt(transport, jwt(base), JwtGrant::new()).observe(trace);
                    texts.debug(&tokens);
                    let session = tokens.session("user-42").expect("a name");
                    texts.result(&session.token()$($wait)*);
                    texts.result(&tokens.whoami()$($wait)*);
                    texts.debug(&session);
                    drop(tokens.close()$($wait)*);
                }
                _ => {
                    let tokens = Source::workload(transport, workload(base)).observe(trace);
                    texts.debug(&tokens);
                    texts.result(&tokens.token()$($wait)*);
                    texts.result(&tokens.integration("feishu")$($wait)*);
                    texts.result(&tokens.project_env()$($wait)*);
                    texts.debug(&tokens);
                    drop(tokens.close()$($wait)*);
                }
            }
        }
    };
}
sources!(blocks, [], blocking, []);
sources!(awaits, [async], awaited, [.await]);

fn endpoints(base: &str) -> Endpoints {
    let endpoints = Endpoints::custom(base).and_then(|it| it.with_www("https://www.coze.cn"));
    endpoints
        .or_else(|_| Endpoints::custom(base))
        .expect("a base")
}

pub(crate) fn web(base: &str) -> WebApp {
    let secret = ClientSecret::new(sentinel("client secret")).expect("a secret");
    WebApp::new(endpoints(base), "1.app.coze", secret).expect("an app")
}

fn jwt(base: &str) -> JwtApp {
    let key = RsaKey::from_pem(&scenes::key()).expect("a key");
    JwtApp::new(endpoints(base), "4", "key-1", key).expect("an app")
}

fn workload(base: &str) -> WorkloadApp {
    let places = WorkloadEndpoints::custom(&format!("{base}/id"), &format!("{base}/access"));
    let places = places.and_then(|places| places.with_outbound(&format!("{base}/out")));
    let secret = ClientSecret::new(sentinel("workload client secret")).expect("a secret");
    WorkloadApp::new(places.expect("endpoints"), "workload", secret).expect("an app")
}

fn play(over: &Over, flow: Name, base: &str, texts: &mut Texts) {
    let redirect = RedirectUri::new("https://app.example/callback").expect("a URI");
    match flow {
        "web: exchange" | "PKCE: exchange" => {
            let (web, pkce) = (
                web(base),
                PkceApp::new(endpoints(base), "2.app.coze").expect("an app"),
            );
            let started = match flow {
                "web: exchange" => web.authorize(&redirect, entropy("entropy")),
                _ => pkce.authorize(&redirect, entropy("entropy")),
            };
            texts.debug(&(&web, &pkce));
            let (url, pending) = started.expect("a URL");
            texts.debug(&url);
            texts.debug(&pending);
            let saved = pending.to_secret_json();
            texts.debug(&saved);
            texts
                .needles
                .add("state", pending.state().expose().as_bytes());
            if let Some((_, verifier)) = saved.expose().split_once("\"code_verifier\":\"") {
                texts
                    .needles
                    .add("code verifier", &verifier.as_bytes()[..43]);
            }
            let query = scenes::form(&[
                ("code", &scenes::secret("authorization code")),
                ("state", pending.state().expose()),
            ]);
            let callback = Callback::parse(&query).expect("a callback");
            texts.debug(&callback);
            // Another's, which gives the attempt back.
            let stray = Callback::parse(&scenes::form(&[
                ("code", &scenes::secret("authorization code")),
                ("state", "x"),
            ]));
            let rejected = web
                .exchange(pending, &stray.expect("a callback"))
                .expect_err("another state");
            texts.debug(&rejected);
            let pending = *rejected.pending.expect("it is given back");
            let call = match flow {
                "web: exchange" => web.exchange(pending, &callback),
                _ => pkce.exchange(pending, &callback),
            };
            over.see(call.expect("it is its own"), texts);
        }
        "web: refresh" => {
            let token = RefreshToken::new(sentinel("refresh token")).expect("a token");
            texts.debug(&token);
            over.see(web(base).refresh(&token), texts);
        }
        "device: start" => {
            let app = DeviceApp::new(endpoints(base), "3.app.coze").expect("an app");
            over.see(app.start(), texts);
        }
        "device: poll" => {
            let app = DeviceApp::new(endpoints(base), "3.app.coze").expect("an app");
            let good = Over::new(IN_MEMORY, "", Does::Serve, None);
            let started = good.run(app.start()).expect("codes");
            texts.debug(&started);
            let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
            let told = seen.clone();
            let poll: DevicePoll = app.poll(&started);
            let poll = poll.on_progress(move |progress| {
                *told.lock().expect("a text") += &format!("{progress:?}\n{progress:#?}\n");
            });
            // A poll goes on after most failures, for as long as the codes are good.
            if matches!(over, Over::Memory(_)) {
                over.see(poll, texts);
            } else {
                texts.debug(&poll);
            }
            texts.look("Debug", seen.lock().expect("a text").clone());
            let code = DeviceCode::new(sentinel("device code")).expect("a code");
            over.see(app.poll_once(&code), texts);
        }
        "JWT: grant" => {
            let app = jwt(base);
            texts.debug(&app);
            texts.debug(&RsaKey::from_pem(&scenes::key()).expect("a key"));
            over.see(app.grant(&JwtGrant::new(), entropy("entropy")), texts);
        }
        "PAT: whoami" | "SAT: whoami" => {
            let kind = if flow.starts_with("PAT") {
                "PAT"
            } else {
                "SAT"
            };
            let token = AccessToken::new(sentinel(kind)).expect("a token");
            texts.debug(&token);
            over.see(whoami(&endpoints(base), &token), texts);
        }
        "workload: grant" => {
            texts.debug(&workload(base));
            over.see(workload(base).grant(), texts);
        }
        "workload: integration" | "workload: variables" => {
            let app = workload(base);
            let token =
                AccessToken::received(sentinel("access token of a workload")).expect("a token");
            match flow {
                "workload: integration" => {
                    over.see(app.integration(&token, "feishu").expect("a place"), texts)
                }
                _ => over.see(app.project_env(&token).expect("a place"), texts),
            }
        }
        _ => over.source(flow, base, texts),
    }
}

/// Each flow over this client, for a scene: but for that which has answers of its own in memory.
pub(crate) fn scene(who: Name, base: &str) {
    let over = Over::new(who, "", Does::Serve, None);
    for (flow, _) in PART
        .flows
        .iter()
        .filter(|(flow, _)| *flow != "device: poll")
    {
        play(&over, flow, base, &mut Texts::default());
    }
}

/// Plays all.
pub(crate) fn all(texts: &mut Texts) {
    let server = Server::start();
    let of_unknown_ca = CozeAuthMock::builder().tls().start_blocking();
    let of_unknown_ca = of_unknown_ca.expect("a server");
    let password = sentinel("proxy password");
    let mut renews = None;
    let proxy = format!("http://user:{password}@127.0.0.1:{}", server.port());
    let part = part();
    for who in part.who {
        for (failure, does) in FAILURES {
            let is_proxy = [ASKS, FORBIDS].contains(failure);
            server.now(*does);
            let base = match *failure {
                NO_TLS => format!("https://127.0.0.1:{}", server.port()),
                UNKNOWN_CA => of_unknown_ca.base_url().to_owned(),
                // Reserved (RFC 2606 §2).
                NO_NAME | ASKS | FORBIDS | PANICS => "https://api.invalid".to_owned(),
                _ => server.base(),
            };
            for (flow, _) in part.flows {
                if part.reason((who, flow, failure, "Debug")).is_some() {
                    continue;
                }
                texts.at(who, flow, failure);
                let over = Over::new(who, failure, *does, is_proxy.then_some(&*proxy));
                play(&over, flow, &base, texts);
                // A renewal may go on behind its source, and log then.
                if !CALLS.contains(flow) {
                    renews = Some((*who, *flow, *failure));
                }
                if let Some((who, flow, failure)) = renews {
                    texts.at(who, flow, failure);
                }
                logs::into(texts);
            }
        }
    }
    for request in server.sent() {
        scenes::assertions_of(&String::from_utf8_lossy(&request), &mut |kind, secret| {
            texts.needles.add(kind, secret)
        });
    }
}
