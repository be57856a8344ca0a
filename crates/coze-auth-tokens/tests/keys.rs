//! The key of a JWT app that is replaced while its token sources are used, over a Coze in memory that knows keys by
//! their ids.

mod steps;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coze_auth_tokens::blocking::{self, Blocking};
use coze_auth_tokens::core::error::{ErrorCode, ErrorKind, SigningError};
use coze_auth_tokens::core::jwt::{JwtApp, JwtGrant, JwtIssuer, Signer};
use coze_auth_tokens::core::{self, Endpoints, Request, Response, Retry, TransportFailure};
use coze_auth_tokens::{Error, JwtKeys, SendError, TokenSource};

use steps::{Answer, LIFE, Passed, START, answer};

/// An assertion's, which is how long the old key is kept.
const ASSERTION_LIFE: u64 = 600;
const UNKNOWN: &str = r#"{"error_code":"invalid_client","error_message":"public key not found"}"#;

type Tokens = TokenSource<Blocking<Coze>>;
type Meanwhile = Box<dyn FnOnce() + Send>;

/// Coze, which knows some keys, and notes by which one each request was signed.
#[derive(Clone, Default)]
struct Coze {
    clock: Passed,
    known: Arc<Mutex<Vec<&'static str>>>,
    seen: Arc<Mutex<Vec<String>>>,
    /// In the place of the next answers, the last one first.
    instead: Arc<Mutex<Vec<Answer>>>,
    /// While the next request is under way.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

impl Coze {
    fn knowing(known: &[&'static str]) -> Self {
        let coze = Self::default();
        coze.knows(known);
        coze
    }

    /// The console's owner adds and removes keys.
    fn knows(&self, known: &[&'static str]) {
        *self.known.lock().unwrap() = known.to_vec();
    }

    /// Which keys have signed since this was last asked.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn tokens(&self, keys: &JwtKeys) -> Tokens {
        Tokens::jwt(self, keys, JwtGrant::new()).wait_when_stale()
    }

    /// A token that is not the one before, and the keys that signed for it.
    fn renewed(&self, tokens: &Tokens) -> Vec<String> {
        self.clock.pass(LIFE);
        tokens.token().unwrap();
        self.seen()
    }
}

impl blocking::Transport for Coze {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let bearer = request.headers()["authorization"].to_str().unwrap();
        let header = bearer.strip_prefix("Bearer ").unwrap();
        let header = URL_SAFE_NO_PAD.decode(header.split('.').next().unwrap());
        let header = String::from_utf8(header.unwrap()).unwrap();
        let kid = header.split('"').nth_back(1).unwrap().to_owned();
        assert!(header.contains(&format!(r#""kid":"{kid}""#)), "{header}");
        if let Some(act) = self.meanwhile.lock().unwrap().take() {
            act();
        }
        let is_known = self.known.lock().unwrap().contains(&&*kid);
        self.seen.lock().unwrap().push(kid);
        if let Some(answer) = self.instead.lock().unwrap().pop() {
            return answer.map_err(SendError::from);
        }
        if !is_known {
            return Ok(answer(401, UNKNOWN).unwrap());
        }
        let now = self.clock.now().unix.as_secs();
        let end = now + LIFE;
        let body = format!(
            r#"{{"access_token":"at-{}","expires_in":{end}}}"#,
            now - START
        );
        Ok(answer(200, &body).unwrap())
    }

    fn time(&self) -> &dyn blocking::Time {
        &self.clock
    }
}

/// What a signer does.
#[derive(Clone)]
enum Signing {
    Signs,
    Fails,
    Panics,
    /// For longer than the test lives.
    Hangs(Arc<Mutex<Vec<Sender<()>>>>),
    Takes(Passed, u64),
    FailsUntil(Arc<AtomicBool>),
}

impl Signing {
    /// Whoever hangs is not waited for long. To print a panic takes its time.
    fn limit(&self) -> Duration {
        match self {
            Self::Hangs(_) => Duration::from_millis(20),
            _ => Duration::from_secs(60),
        }
    }
}

impl Signer for Signing {
    fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
        match self {
            Self::Signs => {}
            Self::Fails => return Err(SigningError::new("the KMS does not have this key")),
            Self::Panics => panic!("as it should"),
            Self::Hangs(held) => {
                let (end, ends) = channel::<()>();
                held.lock().unwrap().push(end);
                let _never = ends.recv();
            }
            Self::Takes(clock, secs) => clock.pass(*secs),
            Self::FailsUntil(works) if works.load(Ordering::SeqCst) => {}
            Self::FailsUntil(_) => return Err(SigningError::passing("the KMS is busy")),
        }
        Ok(vec![7; 256])
    }
}

fn issuer(kid: &str) -> JwtIssuer {
    JwtIssuer::new(Endpoints::cn(), "1000000001", kid).unwrap()
}

fn app_that(kid: &str, signing: Signing) -> JwtApp {
    JwtApp::from_issuer(issuer(kid), signing)
}

fn app(kid: &str) -> JwtApp {
    app_that(kid, Signing::Signs)
}

fn signing_error(error: Error) -> (Error, String) {
    let text = match &error {
        Error::Core {
            error: core::Error::Signing(error),
            ..
        } => error.to_string(),
        other => panic!("{other:?}"),
    };
    (error, text)
}

#[test]
fn the_new_key_signs_from_then_on() {
    let coze = Coze::knowing(&["old", "new"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    let session = tokens.session("bob").unwrap();
    assert_eq!(coze.renewed(&tokens), ["old"]);
    keys.replace(app("new")).unwrap();
    assert_eq!(keys.key_id(), "new");
    assert_eq!(coze.renewed(&tokens), ["new"]);
    assert_eq!(coze.renewed(&session), ["new"]);
    coze.knows(&["new"]);
    assert_eq!(coze.renewed(&tokens), ["new"]);
}

/// The program is told before Coze's console is, and before the old key is removed there.
#[test]
fn a_key_that_coze_does_not_know_yet_or_no_longer_costs_one_request() {
    let coze = Coze::knowing(&["old"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    keys.replace(app("new")).unwrap();
    assert_eq!(coze.renewed(&tokens), ["new", "old"]);
    assert_eq!(keys.key_id(), "old");
    // It is remembered, for sessions too.
    assert_eq!(coze.renewed(&tokens), ["old"]);
    assert_eq!(coze.renewed(&tokens.session("bob").unwrap()), ["old"]);
    coze.knows(&["new"]);
    assert_eq!(coze.renewed(&tokens), ["old", "new"]);
    assert_eq!(keys.key_id(), "new");
    assert_eq!(coze.renewed(&tokens), ["new"]);
}

#[test]
fn a_key_that_is_replaced_while_its_request_is_under_way_is_not_missed() {
    let coze = Coze::knowing(&["old"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    let (console, program) = (coze.clone(), keys.clone());
    *coze.meanwhile.lock().unwrap() = Some(Box::new(move || {
        program.replace(app("new")).unwrap();
        console.knows(&["new"]);
    }));
    assert_eq!(coze.renewed(&tokens), ["old", "new"]);
    assert_eq!(coze.renewed(&tokens), ["new"]);
}

/// It worked, but it was asked for before there was another.
#[test]
fn a_late_success_of_the_old_key_does_not_bring_it_back() {
    let coze = Coze::knowing(&["old", "new"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    let program = keys.clone();
    *coze.meanwhile.lock().unwrap() = Some(Box::new(move || {
        program.replace(app("new")).unwrap();
    }));
    assert_eq!(coze.renewed(&tokens), ["old"]);
    assert_eq!(keys.key_id(), "new");
    assert_eq!(coze.renewed(&tokens), ["new"]);
}

#[test]
fn a_renewal_asks_once_more_and_no_more() {
    let coze = Coze::knowing(&[]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    keys.replace(app("new")).unwrap();
    let error = tokens.token().unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::InvalidClient));
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(coze.seen(), ["new", "old"]);
    // One key alone is one request.
    keys.drop_previous();
    coze.clock.pass(60);
    tokens.token().unwrap_err();
    assert_eq!(coze.seen(), ["new"]);
}

#[test]
fn what_is_not_about_the_key_is_asked_once() {
    let coze = Coze::knowing(&["old", "new"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    keys.replace(app("new")).unwrap();
    let refused = || answer(403, r#"{"error_code":"access_deny"}"#);
    coze.instead.lock().unwrap().push(refused());
    let error = tokens.token().unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::AccessDeny));
    assert_eq!(coze.seen(), ["new"]);
}

/// The hiccup is healed as always, and with the key that is on trial.
#[test]
fn a_hiccup_at_the_other_key_is_healed_with_that_key() {
    let coze = Coze::knowing(&["old"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    keys.replace(app("new")).unwrap();
    *coze.instead.lock().unwrap() = vec![Err(TransportFailure::NoAnswer), answer(401, UNKNOWN)];
    assert_eq!(coze.renewed(&tokens), ["new", "old", "old"]);
    assert_eq!(keys.key_id(), "old");
}

#[test]
fn the_old_key_is_kept_until_it_was_not_needed_for_an_assertions_life() {
    let coze = Coze::knowing(&["old", "new"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = Tokens::jwt(&coze, &keys, JwtGrant::new());
    let renew = |secs| {
        let before = tokens.token().unwrap();
        coze.seen();
        coze.clock.pass(secs);
        tokens.invalidate(&before);
        (tokens.token().is_ok(), coze.seen())
    };
    tokens.token().unwrap();
    let signed = |kids: &[&str]| (true, kids.iter().map(|&kid| kid.to_owned()).collect());
    keys.replace(app("new")).unwrap();
    assert_eq!(renew(60), signed(&["new"]));
    coze.knows(&["old"]);
    assert_eq!(renew(ASSERTION_LIFE - 60), signed(&["new", "old"]));
    // It was needed, so its time begins when the new one works.
    coze.knows(&["new"]);
    assert_eq!(renew(ASSERTION_LIFE), signed(&["old", "new"]));
    assert_eq!(renew(ASSERTION_LIFE - 1), signed(&["new"]));
    coze.knows(&["old"]);
    assert_eq!(renew(60), signed(&["new", "old"]));
    coze.knows(&["new"]);
    assert_eq!(renew(60), signed(&["old", "new"]));
    assert_eq!(renew(ASSERTION_LIFE), signed(&["new"]));
    // Dropped.
    coze.knows(&["old"]);
    let (is_ok, seen) = renew(60);
    assert!(!is_ok);
    assert_eq!(seen, ["new"]);
}

#[test]
fn the_last_key_that_worked_is_kept_however_many_come_and_go() {
    let coze = Coze::knowing(&["old"]);
    let keys = JwtKeys::new(app("old"));
    let tokens = coze.tokens(&keys);
    for kid in ["typo", "new"] {
        keys.replace(app(kid)).unwrap();
    }
    assert_eq!(coze.renewed(&tokens), ["new", "old"]);
    // Loaded anew without a change: it is tried again, and nothing is lost.
    keys.replace(app("new")).unwrap();
    assert_eq!(coze.renewed(&tokens), ["new", "old"]);
    // Taken back: the old one is the newest now.
    keys.replace(app("old")).unwrap();
    assert_eq!(coze.renewed(&tokens), ["old"]);
    coze.knows(&["new"]);
    assert_eq!(coze.renewed(&tokens), ["old", "new"]);
    keys.replace(app("third")).unwrap();
    assert_eq!(coze.renewed(&tokens), ["third", "new"]);
}

#[test]
fn a_key_of_another_app_is_refused_by_name() {
    let keys = JwtKeys::new(app("old"));
    let com = JwtApp::new(Endpoints::com(), "1000000001", "new", Signing::Signs).unwrap();
    let other = JwtApp::new(Endpoints::cn(), "2000000002", "new", Signing::Signs).unwrap();
    for (app, name) in [
        (com, "app 1000000001 at https://api.coze.com"),
        (other, "app 2000000002 at https://api.coze.cn"),
    ] {
        let error = keys.replace(app).unwrap_err();
        assert!(matches!(error, Error::OtherApp { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(keys.key_id(), "old");
    }
}

/// A KMS that does not know the new key, or that hangs, refuses nobody while the old one works.
#[test]
fn where_the_new_key_cannot_sign_the_old_one_does() {
    let held = Arc::new(Mutex::new(Vec::new()));
    for signing in [
        Signing::Fails,
        Signing::Panics,
        Signing::Hangs(held.clone()),
    ] {
        let coze = Coze::knowing(&["old", "new"]);
        let keys = JwtKeys::new(app("old")).sign_within(signing.limit());
        let tokens = coze.tokens(&keys);
        keys.replace(app_that("new", signing)).unwrap();
        assert_eq!(coze.renewed(&tokens), ["old"]);
        assert_eq!(keys.key_id(), "old");
        keys.replace(app("new")).unwrap();
        assert_eq!(coze.renewed(&tokens), ["new"]);
    }
    assert_eq!(held.lock().unwrap().len(), 1);
}

#[test]
fn a_signer_that_hangs_or_panics_fails_the_renewal_and_is_asked_again() {
    let held = Arc::new(Mutex::new(Vec::new()));
    for (signing, words) in [
        (
            Signing::Hangs(held.clone()),
            "the assertion was not signed: the signer has not answered in 20ms",
        ),
        (
            Signing::Panics,
            "the assertion was not signed: waiting for the signer failed: it panicked",
        ),
    ] {
        let coze = Coze::knowing(&["key"]);
        let limit = signing.limit();
        let keys = JwtKeys::new(app_that("key", signing)).sign_within(limit);
        let tokens = coze.tokens(&keys);
        let (error, text) = signing_error(tokens.token().unwrap_err());
        assert_eq!(text, words);
        assert!(matches!(error.kind(), ErrorKind::Wait(_)), "{error:?}");
        assert!(matches!(error.retry(), Retry::After(_)), "{error:?}");
        assert_eq!(coze.seen(), [""; 0]);
        // The key is mended.
        keys.replace(app("key")).unwrap();
        coze.clock.pass(60);
        tokens.token().unwrap();
        assert_eq!(coze.seen(), ["key"]);
    }
}

#[test]
fn trouble_of_a_signer_that_passes_is_healed_as_the_networks_is() {
    let coze = Coze::knowing(&["key"]);
    let works = Arc::new(AtomicBool::new(false));
    let keys = JwtKeys::new(app_that("key", Signing::FailsUntil(works.clone())));
    let tokens = coze.tokens(&keys);
    let (_, text) = signing_error(tokens.token().unwrap_err());
    assert_eq!(text, "the assertion was not signed: the KMS is busy");
    works.store(true, Ordering::SeqCst);
    coze.clock.pass(60);
    tokens.token().unwrap();
    assert_eq!(coze.seen(), ["key"]);
}

#[test]
fn an_assertion_that_expires_while_it_is_signed_is_not_sent() {
    let coze = Coze::knowing(&["key"]);
    let takes = |secs| Signing::Takes(coze.clock.clone(), secs);
    let keys = JwtKeys::new(app_that("key", takes(ASSERTION_LIFE)));
    let tokens = coze.tokens(&keys);
    let (error, text) = signing_error(tokens.token().unwrap_err());
    assert!(text.contains("ready after 600 s"), "{text}");
    assert!(matches!(error.kind(), ErrorKind::Wait(_)), "{error:?}");
    assert_eq!(coze.seen(), [""; 0]);
    keys.replace(app_that("key", takes(ASSERTION_LIFE - 1)))
        .unwrap();
    coze.clock.pass(60);
    tokens.token().unwrap();
    assert_eq!(coze.seen(), ["key"]);
}

#[test]
fn what_is_printed_of_keys_names_them_and_no_more() {
    let keys = JwtKeys::new(app("old"));
    keys.replace(app("new")).unwrap();
    let text = format!("{keys:?}");
    assert!(
        text.contains(r#"previous: Some("old"), signs_with: "new""#),
        "{text}"
    );
    assert!(text.contains("1000000001"), "{text}");
}
