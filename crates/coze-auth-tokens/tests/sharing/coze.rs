//! A Coze in memory, the processes of a fleet over it, and what their observers were told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coze_auth_tokens::blocking::{self, Blocking};
use coze_auth_tokens::core::error::SigningError;
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, Signer};
use coze_auth_tokens::core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_tokens::core::{AccessToken, ClientSecret, Endpoints, Now, Request, Response};
use coze_auth_tokens::tokio::{self as awaited, Tokio};
use coze_auth_tokens::{Driver, Error, EventKind, SendError, TokenSource};

use crate::GUARD;
use crate::steps::{Passed, answer};

/// How long a token lives, in seconds.
pub(crate) const LIFE: u64 = 900;
pub(crate) const CLIENT_SECRET: &str = "the-client-secret";
pub(crate) const ID_TOKEN: &str = "the-id-token";
/// What a signature is in base64, of bytes that are all the same.
pub(crate) const SIGNATURE: &str = "BwcHBwcHBwcHBwcH";

/// It gives each token a number, and says whose it is.
#[derive(Clone)]
pub(crate) struct Coze {
    server: Arc<Server>,
    pub(crate) clock: Passed,
    timeout: Duration,
}

struct Server {
    /// It is right.
    clock: Passed,
    tokens: AtomicUsize,
    signatures: AtomicUsize,
    requests: AtomicUsize,
    refuses: Mutex<bool>,
}

struct Key(Arc<Server>);

impl Signer for Key {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.0.signatures.fetch_add(1, Ordering::SeqCst);
        Ok(vec![7; 256])
    }
}

impl Coze {
    pub(crate) fn new() -> Self {
        Self::within(Duration::from_secs(30))
    }

    /// With another timeout of a request, by which the patience with a store goes.
    pub(crate) fn within(timeout: Duration) -> Self {
        let clock = Passed::default();
        let server = Server {
            clock: clock.clone(),
            tokens: AtomicUsize::new(0),
            signatures: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            refuses: Mutex::new(false),
        };
        Self {
            server: Arc::new(server),
            clock,
            timeout,
        }
    }

    /// As a process sees it whose clock is another.
    pub(crate) fn on(&self, clock: Passed) -> Self {
        Self {
            clock,
            ..self.clone()
        }
    }

    pub(crate) fn app(&self) -> JwtApp {
        let key = Key(self.server.clone());
        JwtApp::new(Endpoints::cn(), "1000000001", "key-1", key).unwrap()
    }

    pub(crate) fn jwt<D: Over>(&self) -> TokenSource<D> {
        TokenSource::jwt(self, self.app(), JwtGrant::new())
    }

    pub(crate) fn workload<D: Over>(&self) -> TokenSource<D> {
        TokenSource::workload(self, workload_app())
    }

    pub(crate) fn signatures(&self) -> usize {
        self.server.signatures.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.server.requests.load(Ordering::SeqCst)
    }

    /// Whether it is out of order.
    pub(crate) fn refuse(&self, refuses: bool) {
        *self.server.refuses.lock().unwrap() = refuses;
    }

    fn answer(&self, request: &Request) -> Result<Response, SendError> {
        self.server.requests.fetch_add(1, Ordering::SeqCst);
        if *self.server.refuses.lock().unwrap() {
            return Ok(answer(503, "<html>")?);
        }
        let now = self.server.clock.now().unix.as_secs();
        let number = || self.server.tokens.fetch_add(1, Ordering::SeqCst);
        let body = std::str::from_utf8(request.body().as_bytes()).unwrap();
        let body = if body.contains("client_credentials") {
            format!(r#"{{"access_token":"{ID_TOKEN}"}}"#)
        } else if body.contains("token-exchange") {
            assert!(body.contains(ID_TOKEN), "{body}");
            format!(
                r#"{{"access_token":"workload-{}","expires_in":{LIFE}}}"#,
                number()
            )
        } else {
            let bearer = request.headers()["authorization"].to_str().unwrap();
            let claims = bearer.split('.').nth(1).expect("an assertion");
            let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
            let claims = String::from_utf8(claims).unwrap();
            let named = claims.split_once(r#""session_name":""#);
            let session = named.map_or("", |(_, rest)| rest.split('"').next().unwrap());
            let end = now + LIFE;
            let number = number();
            format!(r#"{{"access_token":"jwt-{number}-{session}","expires_in":{end}}}"#)
        };
        let mut answer = answer(200, &body)?;
        // The start of `Passed`.
        let passed = now - crate::steps::START;
        let (minutes, seconds) = (6 + (40 + passed) / 60, (40 + passed) % 60);
        if minutes < 60 {
            let date = format!("Sun, 15 Jun 2025 15:{minutes:02}:{seconds:02} GMT");
            let date = date.parse().unwrap();
            answer.headers_mut().insert("date", date);
        }
        Ok(answer)
    }
}

pub(crate) fn workload_app() -> WorkloadApp {
    let endpoints = WorkloadEndpoints::custom("https://p.example/id", "https://p.example/access");
    let secret = ClientSecret::new(CLIENT_SECRET).unwrap();
    WorkloadApp::new(endpoints.unwrap(), "w", secret).unwrap()
}

impl blocking::Transport for Coze {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        self.answer(&request)
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.clock
    }
}

impl awaited::Transport for Coze {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        // As a network does.
        tokio::task::yield_now().await;
        self.answer(&request)
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn time(&self) -> &dyn awaited::Time {
        &self.clock
    }
}

impl awaited::Time for Passed {
    fn now(&self) -> Now {
        self.now()
    }

    fn sleep(&self, pause: Duration) -> awaited::Sleep<'_> {
        self.pass(pause.as_secs());
        Box::pin(std::future::ready(()))
    }
}

/// What a token source runs on, asked from a thread.
pub(crate) trait Over: Driver<Transport = Coze> {
    fn token(tokens: &TokenSource<Self>) -> Result<AccessToken, Error>;
    fn close(tokens: &TokenSource<Self>) -> Result<(), Error>;
}

impl Over for Blocking<Coze> {
    fn token(tokens: &TokenSource<Self>) -> Result<AccessToken, Error> {
        tokens.token()
    }

    fn close(tokens: &TokenSource<Self>) -> Result<(), Error> {
        tokens.close()
    }
}

impl Over for Tokio<Coze> {
    fn token(tokens: &TokenSource<Self>) -> Result<AccessToken, Error> {
        RUNTIME.block_on(tokens.token())
    }

    fn close(tokens: &TokenSource<Self>) -> Result<(), Error> {
        RUNTIME.block_on(tokens.close())
    }
}

pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap()
});

/// The text of a token.
pub(crate) fn text<D: Over>(tokens: &TokenSource<D>) -> String {
    D::token(tokens).expect("a token").expose().to_owned()
}

/// What observers were told, in a word each.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Told {
    pub(crate) fn of<D: Over>(&self, tokens: TokenSource<D>) -> TokenSource<D> {
        let told = self.0.clone();
        tokens.observe(move |event| {
            let word = match &event.kind {
                EventKind::Done { .. } => "signed".to_owned(),
                EventKind::Taken { requests: 0, .. } => "taken".to_owned(),
                EventKind::Failed { .. } => "failed".to_owned(),
                EventKind::NotShared { error } => format!("not shared: {error}"),
                _ => return,
            };
            told.0.lock().unwrap().push(word);
            told.1.notify_all();
        })
    }

    /// What there is since this was asked last, once it is so much: a token is handed out before its renewal is told. In the order of
    /// the alphabet, since two processes tell at once.
    pub(crate) fn take(&self, count: usize) -> Vec<String> {
        let told = self.0.0.lock().unwrap();
        let too_few = |told: &mut Vec<String>| told.len() < count;
        let waited = self.0.1.wait_timeout_while(told, GUARD, too_few);
        let mut all = std::mem::take(&mut *waited.unwrap().0);
        all.sort_unstable();
        all
    }
}
