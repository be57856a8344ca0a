//! A person's login in a Redis, the mock that gave it, and processes that share it.

use std::time::{Duration, Instant};

use coze_auth_conformance::SharedClock;
use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::config::Environment;
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{AccessToken, Entropy, Region};
use coze_auth_mock::{At, CozeAuthMock, Fault, FaultHandle, Gate, On};
use coze_auth_redis::{RedisOptions, RedisStore};
use coze_auth_store::{GrantKey, GrantStore as _};
use coze_auth_tokens::Error;
use coze_auth_ureq::{Client, TokenSource};

use crate::clocks::BlockingClock;
use crate::redis::Redis;

/// How long a token lives.
const LIFE: Duration = Duration::from_secs(900);
/// A pause after failures is no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What the rows give Redis. Shorter than the defaults, as is the lease, so that the rows are.
const CONNECT: Duration = Duration::from_millis(600);
const ANSWER: Duration = Duration::from_millis(400);
pub(crate) const LEASE: Duration = Duration::from_millis(1_500);
/// How late a caller may be told, on a busy machine: its limit, and as much again.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const SUBJECT: &str = "alice";

pub(crate) struct Scene {
    pub(crate) mock: CozeAuthMock,
    clock: SharedClock,
    app: PkceApp,
    options: RedisOptions,
}

/// What a process shares with others: its source, with a store of its own.
#[derive(Clone)]
pub(crate) struct Process(TokenSource);

/// What a call came to, and how long it took.
pub(crate) struct Said {
    pub(crate) result: Result<AccessToken, Error>,
    pub(crate) took: Duration,
}

impl Process {
    pub(crate) fn token(&self) -> Said {
        let began = Instant::now();
        let result = self.0.token();
        Said {
            result,
            took: began.elapsed(),
        }
    }
}

impl Said {
    /// A token, or the error as a log shows it.
    pub(crate) fn text(&self) -> String {
        match &self.result {
            Ok(_) => "a token".to_owned(),
            Err(error) => plain(&error.to_string()),
        }
    }

    pub(crate) fn assert_token(&self, when: &str) {
        assert!(self.result.is_ok(), "{when}: {}", self.text());
    }

    /// An error that says this, and in time.
    pub(crate) fn assert_error(&self, what: &str, when: &str) {
        let text = self.text();
        assert!(text.contains(what), "{when}: not {what}: {text}");
        assert!(self.took < LIMIT, "{when}: after {:?}: {text}", self.took);
    }
}

/// Without what differs from run to run: addresses, and the log id at the end.
fn plain(text: &str) -> String {
    let (text, after) = match text.split_once(" [log id ") {
        Some((text, rest)) => (text, rest.split_once(']').expect("its end").1),
        None => (text, ""),
    };
    let word = |word: &str| match word.trim_end_matches([':', ',', ';', '.']) {
        end if end.starts_with("127.0.0.1:") => word.replace(end, "redis.internal:6379"),
        end if end.starts_with("http://127.0.0.1:") => word.replace(end, "https://api.coze.cn"),
        _ => word.to_owned(),
    };
    let words: Vec<String> = text.split(' ').map(word).collect();
    words.join(" ") + after
}

impl Scene {
    pub(crate) fn new(redis: &Redis) -> Self {
        Self::with(RedisOptions::from_url(&redis.url()).expect("a URL"))
    }

    pub(crate) fn with(options: RedisOptions) -> Self {
        let clock = SharedClock::new();
        let mock = CozeAuthMock::builder()
            .seed(1)
            .clock(clock.handle())
            .start_blocking()
            .expect("a free port on 127.0.0.1");
        let app = Environment::new(Region::Cn, |name| mock.variable(name)).pkce_app();
        Self {
            app: app.expect("a ready-made app"),
            options: options
                .connect_within(CONNECT)
                .answer_within(ANSWER)
                .lease(LEASE),
            mock,
            clock,
        }
    }

    fn client(&self) -> Client {
        let client = Client::new().expect("a client");
        client.with_time(BlockingClock(self.clock.clone()))
    }

    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::with(self.options.clone()).expect("options")
    }

    /// One that starts now, as far as Redis can tell.
    pub(crate) fn process(&self) -> Process {
        let source = TokenSource::stored(&self.client(), self.app.clone(), SUBJECT, self.store());
        Process(source.expect("a subject"))
    }

    /// A person logs in. The process holds the token.
    pub(crate) fn log_in(&self) -> Process {
        let redirect = RedirectUri::new("http://localhost:8080/cb?from=coze").expect("a URL");
        let (url, pending) = self
            .app
            .authorize(&redirect, Entropy::from_bytes([7; 32]))
            .expect("a URL");
        let back = self.mock.authorize(url.as_str(), true);
        let back = back.unwrap_or_else(|refused| panic!("{refused}"));
        let callback = Callback::parse(&back).expect("a callback");
        let exchange = self.app.exchange(pending, &callback).expect("our state");
        let grant = self.client().run(exchange).expect("a grant");
        let process = self.process();
        process.0.install(grant).expect("stored");
        process
    }

    /// The refresh token of the stored grant is spent: by one that died before it could store what it was given.
    pub(crate) fn spend(&self) {
        let grant = self.store().load(&self.key()).expect("it can be read");
        let refresh = grant.expect("a grant").refresh_token;
        let refresh = refresh.expect("a refresh token");
        let flow = self.app.refresh(&refresh);
        self.client().run(flow).expect("a grant");
    }

    pub(crate) fn key(&self) -> GrantKey {
        GrantKey::new(&self.app.clone().into(), SUBJECT).expect("a key")
    }

    /// The name of the key in Redis.
    pub(crate) fn redis_key(&self) -> String {
        self.store().key(&self.key())
    }

    /// The token of everybody ends.
    pub(crate) fn life_passes(&self) {
        self.clock.advance(LIFE);
    }

    /// What failed is tried again.
    pub(crate) fn pause_passes(&self) {
        self.clock.advance(LONGEST_PAUSE);
    }

    /// The next refresh is answered when it is let go.
    pub(crate) fn hold_the_answer(&self) -> Gate {
        self.mock
            .gate("refresh", On::grant("refresh_token"), At::Answer)
    }

    /// One refresh, the next, is answered when this is removed.
    pub(crate) fn hold_one_answer(&self) -> FaultHandle {
        let hold = Fault::hold().at(At::Answer).times(1);
        self.mock.fault(On::grant("refresh_token"), hold)
    }

    /// Refreshes that were granted, and those that were refused.
    pub(crate) fn refreshes(&self) -> (usize, usize) {
        let mut all = self.mock.requests();
        all.retain(|entry| entry.grant == Some("refresh_token"));
        let granted = all.iter().filter(|entry| entry.issued.is_some()).count();
        (granted, all.len() - granted)
    }

    pub(crate) fn assert_refreshes(&self, granted: usize, refused: usize, when: &str) {
        assert_eq!(self.refreshes(), (granted, refused), "{when}");
    }
}
