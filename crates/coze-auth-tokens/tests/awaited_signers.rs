//! Signers that are awaited, and signers that block, under a token source on tokio.

mod steps;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use coze_auth_tokens::core::error::{ErrorKind, SigningError};
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, JwtIssuer, Signer};
use coze_auth_tokens::core::{self, Endpoints, Now, Request, Response};
use coze_auth_tokens::tokio::{AsyncJwtApp, AsyncSigner, Sleep, Time, TokenSource, Transport};
use coze_auth_tokens::{Error, JwtKeys, SendError};
use tokio::sync::Semaphore;

use steps::{LIFE, Passed, START, answer};

const ASSERTION_LIFE: u64 = 600;
/// Longer than any of these tests takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Coze, which refuses what the key named here has signed.
#[derive(Clone, Default)]
struct Coze {
    clock: Clock,
    requests: Arc<AtomicUsize>,
    unknown: Arc<Mutex<Option<JwtIssuer>>>,
}

#[derive(Clone, Default)]
struct Clock(Passed);

impl Time for Clock {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, pause: Duration) -> Sleep<'_> {
        self.0.pass(pause.as_secs());
        Box::pin(async {})
    }
}

impl Coze {
    fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }

    fn tokens(&self, keys: &JwtKeys<AsyncJwtApp>) -> TokenSource<Self> {
        TokenSource::jwt_async(self, keys, JwtGrant::new())
    }
}

impl Transport for Coze {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let bearer = request.headers()["authorization"].to_str().unwrap();
        let header = bearer.strip_prefix("Bearer ").unwrap().split('.').next();
        let is_unknown = self.unknown.lock().unwrap().as_ref().is_some_and(|issuer| {
            let entropy = core::Entropy::from_bytes([0; 32]);
            let unsigned = issuer.assertion(&JwtGrant::new(), entropy, self.clock.now());
            unsigned.signing_input().split(|&byte| byte == b'.').next() == header.map(str::as_bytes)
        });
        if is_unknown {
            return Ok(answer(401, r#"{"error_code":"invalid_client"}"#).unwrap());
        }
        let now = self.clock.now().unix.as_secs();
        let body = format!(
            r#"{{"access_token":"at-{}","expires_in":{}}}"#,
            now - START,
            now + LIFE
        );
        Ok(answer(200, &body).unwrap())
    }

    fn time(&self) -> &dyn Time {
        &self.clock
    }
}

/// A KMS: what it signs waits for a permit.
struct Kms {
    asked: Semaphore,
    permits: Semaphore,
    dropped: AtomicUsize,
    /// The next ones; then it signs.
    answers: Mutex<Vec<Answer>>,
}

/// In the place of a signature.
enum Answer {
    Panic,
    Pass(Passed, u64),
}

impl Kms {
    fn that_waits() -> Arc<Self> {
        Arc::new(Self {
            asked: Semaphore::new(0),
            permits: Semaphore::new(0),
            dropped: AtomicUsize::new(0),
            answers: Mutex::default(),
        })
    }

    fn that(answers: Vec<Answer>) -> Arc<Self> {
        let kms = Self::that_signs();
        *kms.answers.lock().unwrap() = answers;
        kms
    }

    fn that_signs() -> Arc<Self> {
        let kms = Self::that_waits();
        kms.permits.add_permits(1_000);
        kms
    }

    /// Until it is asked for a signature.
    async fn is_asked(&self) {
        self.asked.acquire().await.unwrap().forget();
    }
}

/// Counts how many signatures were given up.
struct Pending<'a>(&'a Kms, bool);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0
            .dropped
            .fetch_add(usize::from(self.1), Ordering::SeqCst);
    }
}

impl AsyncSigner for Kms {
    async fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        assert_eq!(message.split(|&byte| byte == b'.').count(), 2);
        self.asked.add_permits(1);
        let mut pending = Pending(self, true);
        self.permits.acquire().await.unwrap().forget();
        pending.1 = false;
        let answer = self.answers.lock().unwrap().pop();
        match answer {
            None => {}
            Some(Answer::Panic) => panic!("as it should"),
            Some(Answer::Pass(clock, secs)) => clock.pass(secs),
        }
        Ok(vec![7; 256])
    }
}

fn issuer(kid: &str) -> JwtIssuer {
    JwtIssuer::new(Endpoints::cn(), "1000000001", kid).unwrap()
}

fn keys(kms: &Arc<Kms>) -> JwtKeys<AsyncJwtApp> {
    JwtKeys::new(AsyncJwtApp::new(issuer("key"), kms.clone()))
}

fn signing_error(error: Error) -> String {
    assert!(matches!(error.kind(), ErrorKind::Wait(_)), "{error:?}");
    match error {
        Error::Core {
            error: core::Error::Signing(error),
            ..
        } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn callers_wait_for_the_signature_and_for_one_request() {
    let (coze, kms) = (Coze::default(), Kms::that_waits());
    let app = AsyncJwtApp::new(issuer("key"), kms.clone());
    let tokens = TokenSource::jwt_async(&coze, app, JwtGrant::new());
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(async move { tokens.token().await })
        })
        .collect();
    kms.is_asked().await;
    assert_eq!(coze.requests(), 0, "sent without a signature");
    kms.permits.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().expose(), "at-0");
    }
    assert_eq!(coze.requests(), 1);
}

/// As with a local key: a minute before the end one renewal runs in the background.
#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed_in_the_background() {
    let (coze, kms) = (Coze::default(), Kms::that_waits());
    let tokens = coze.tokens(&keys(&kms));
    kms.permits.add_permits(1);
    assert_eq!(tokens.token().await.unwrap().expose(), "at-0");
    kms.is_asked().await;
    coze.clock.0.pass(LIFE - 60);
    for _ in 0..2 {
        assert_eq!(tokens.token().await.unwrap().expose(), "at-0");
    }
    kms.is_asked().await;
    kms.permits.add_permits(1);
    let waits = tokens.clone().wait_when_stale();
    assert_eq!(waits.token().await.unwrap().expose(), "at-840");
    assert_eq!(kms.asked.available_permits(), 0, "two signatures");
    assert_eq!(coze.requests(), 2);
}

#[tokio::test]
async fn a_signer_that_hangs_fails_the_renewal_and_is_asked_again() {
    let (coze, kms) = (Coze::default(), Kms::that_waits());
    let tokens = coze.tokens(&keys(&kms).sign_within(Duration::from_millis(20)));
    let text = signing_error(tokens.token().await.unwrap_err());
    assert_eq!(
        text,
        "the assertion was not signed: the signer has not answered in 20ms"
    );
    assert_eq!(coze.requests(), 0);
    // As trouble of the network is, it was tried twice. Neither is left behind.
    for _ in 0..2 {
        kms.is_asked().await;
    }
    while kms.dropped.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    // In the pause nobody is asked.
    signing_error(tokens.token().await.unwrap_err());
    assert_eq!(kms.asked.available_permits(), 0);
    kms.permits.add_permits(1);
    coze.clock.0.pass(60);
    tokens.token().await.unwrap();
    assert_eq!(coze.requests(), 1);
}

/// A signature may take as long as a request, if nothing else is said.
#[tokio::test]
async fn the_time_of_a_signature_is_that_of_a_request() {
    struct Hasty(Coze);
    impl Transport for Hasty {
        async fn send(&self, request: Request) -> Result<Response, SendError> {
            self.0.send(request).await
        }
        fn timeout(&self) -> Duration {
            Duration::from_millis(30)
        }
        fn time(&self) -> &dyn Time {
            &self.0.clock
        }
    }
    let hasty = Arc::new(Hasty(Coze::default()));
    let kms = Kms::that_waits();
    let tokens = TokenSource::jwt_async(&hasty, keys(&kms), JwtGrant::new());
    let text = signing_error(tokens.token().await.unwrap_err());
    assert!(text.ends_with("has not answered in 30ms"), "{text}");
}

#[tokio::test]
async fn a_panic_of_a_signer_is_told_and_the_signer_asked_again() {
    let kms = Kms::that(vec![Answer::Panic, Answer::Panic]);
    let coze = Coze::default();
    let tokens = coze.tokens(&keys(&kms).sign_within(PATIENCE));
    let text = signing_error(tokens.token().await.unwrap_err());
    assert_eq!(
        text,
        "the assertion was not signed: waiting for the signer failed: it panicked"
    );
    assert_eq!(coze.requests(), 0);
    coze.clock.0.pass(60);
    tokens.token().await.unwrap();
    assert_eq!(kms.asked.available_permits(), 3);
    assert_eq!(coze.requests(), 1);
}

#[tokio::test]
async fn sessions_share_the_signer_and_its_replacement() {
    let (coze, old, new) = (Coze::default(), Kms::that_signs(), Kms::that_signs());
    let keys = keys(&old);
    let tokens = coze.tokens(&keys);
    tokens.session("alice").unwrap().token().await.unwrap();
    assert_eq!(old.asked.available_permits(), 1);
    keys.replace(AsyncJwtApp::new(issuer("new"), new.clone()))
        .unwrap();
    tokens.session("bob").unwrap().token().await.unwrap();
    assert_eq!(old.asked.available_permits(), 1);
    assert_eq!(new.asked.available_permits(), 1);
    // Coze does not know it after all.
    *coze.unknown.lock().unwrap() = Some(issuer("new"));
    tokens.session("carol").unwrap().token().await.unwrap();
    assert_eq!(new.asked.available_permits(), 2);
    assert_eq!(old.asked.available_permits(), 2);
    assert_eq!(coze.requests(), 4);
    assert_eq!(keys.key_id(), "key");
}

#[tokio::test]
async fn an_assertion_that_expires_while_it_is_signed_is_not_sent() {
    let coze = Coze::default();
    let late = Kms::that(vec![Answer::Pass(coze.clock.0.clone(), ASSERTION_LIFE)]);
    let tokens = coze.tokens(&keys(&late));
    // Made and signed anew, which takes no time now.
    tokens.token().await.unwrap();
    assert_eq!(late.asked.available_permits(), 2);
    assert_eq!(coze.requests(), 1);
    let in_time = Kms::that(vec![Answer::Pass(coze.clock.0.clone(), ASSERTION_LIFE - 1)]);
    coze.tokens(&keys(&in_time)).token().await.unwrap();
    assert_eq!(in_time.asked.available_permits(), 1);
    assert_eq!(coze.requests(), 1);
}

/// A key that blocks (an HSM behind PKCS#11, or RSA in memory) signs where it may.
#[tokio::test]
async fn a_signer_that_blocks_holds_no_task_up() {
    struct Hsm {
        on: Mutex<Vec<ThreadId>>,
        ends: Mutex<Receiver<()>>,
    }
    impl Signer for Hsm {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            self.on.lock().unwrap().push(std::thread::current().id());
            let _end = self.ends.lock().unwrap().recv();
            Ok(vec![7; 256])
        }
    }
    let (end, ends) = channel();
    let hsm = Arc::new(Hsm {
        on: Mutex::default(),
        ends: Mutex::new(ends),
    });
    let coze = Coze::default();
    let app = JwtApp::from_issuer(issuer("key"), hsm.clone());
    let keys = JwtKeys::new(app).sign_within(Duration::from_millis(20));
    let tokens = TokenSource::jwt(&coze, &keys, JwtGrant::new());
    let text = signing_error(tokens.token().await.unwrap_err());
    assert!(
        text.ends_with("the signer has not answered in 20ms"),
        "{text}"
    );
    drop(end);
    coze.clock.0.pass(60);
    // The thread that signs may be slow to come.
    let tokens = TokenSource::jwt(&coze, keys.sign_within(PATIENCE), JwtGrant::new());
    tokens.token().await.unwrap();
    let on = hsm.on.lock().unwrap();
    assert!(on.iter().all(|id| *id != std::thread::current().id()));
}
