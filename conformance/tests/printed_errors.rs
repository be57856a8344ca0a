//! What a program prints that ends with an error: `main` and `unwrap` print its `Debug`, and people read it.

use std::error::Error as StdError;
use std::iter::successors;
use std::process::{Command, Termination as _};
use std::sync::Arc;

use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::error::{ConfigError, ErrorCode, SigningError, Unexpected};
use coze_auth_core::web::WebApp;
use coze_auth_core::{
    ClientSecret, Endpoints, Entropy, Error, Flow as _, Now, Response, SteadyTime, Step,
    TransportFailure, UnixTime,
};
use coze_auth_mock::CozeAuthMock;
use coze_auth_store::{MemoryStore, StoreError};

/// Stands in everything that is sent, so that it would be found.
const SECRET: &str = "SENTINEL-secret";

/// Returned from `main` by the child, and told to the test by the parent.
enum Task {
    Return,
    Tell(Vec<String>),
}

impl Task {
    fn with<E: StdError + 'static>(&mut self, error: E) {
        match self {
            // What the runtime does with the result of `main`.
            Self::Return => {
                Err::<(), E>(error).report();
            }
            Self::Tell(words) => {
                let causes = successors(error.source(), |&cause| cause.source());
                words.push(error.to_string());
                words.extend(causes.map(ToString::to_string));
            }
        }
    }
}

fn app() -> WebApp {
    let secret = ClientSecret::new(SECRET).unwrap();
    WebApp::new(Endpoints::cn(), "web-client", secret).unwrap()
}

fn now() -> Now {
    Now {
        unix: UnixTime::from_secs(1_750_000_000),
        steady: SteadyTime::from_duration(std::time::Duration::ZERO),
    }
}

/// What comes of an exchange that is answered so.
fn exchanged(reply: Result<Response, TransportFailure>) -> Error {
    let redirect = RedirectUri::new("https://app.example/callback").unwrap();
    let (url, pending) = app()
        .authorize(&redirect, Entropy::from_bytes([7; 32]))
        .unwrap();
    let state = url.as_str().split("state=").nth(1).unwrap();
    let callback = Callback::parse(&format!("/callback?code={SECRET}&state={state}")).unwrap();
    let mut call = app().exchange(pending, &callback).unwrap();
    let _sent = call.step(now());
    call.receive(reply, now());
    match call.step(now()) {
        Step::Done(Err(error)) => error,
        _ => panic!("no error"),
    }
}

fn answered(status: u16, body: &str) -> Result<Response, TransportFailure> {
    let mut response = Response::new(body.as_bytes().to_vec().into());
    *response.status_mut() = coze_auth_core::http::StatusCode::from_u16(status).unwrap();
    Ok(response)
}

fn refused() -> Error {
    exchanged(answered(
        400,
        r#"{"error_code":"invalid_grant","error_message":"no SENTINEL-secret"}"#,
    ))
}

fn unreadable() -> Unexpected {
    match exchanged(answered(200, "<html>SENTINEL-secret</html>")) {
        Error::Unexpected(odd) => odd,
        other => panic!("{other}"),
    }
}

fn config() -> ConfigError {
    ClientSecret::new("").unwrap_err()
}

fn disk() -> StoreError {
    StoreError::File {
        doing: "write",
        path: "grants/alice".into(),
        cause: Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
    }
}

/// Nobody listens there.
fn unreachable() -> coze_auth_tokens::Error {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let app = DeviceApp::new(Endpoints::custom(&base).unwrap(), "device-client").unwrap();
    let client = coze_auth_ureq::Client::new().unwrap();
    client.run(app.start()).expect_err("nobody is there")
}

/// A name, and what makes an error of the type.
type Named = (&'static str, fn(&mut Task));

/// One of each type of error that these crates can give.
const ERRORS: &[Named] = &[
    ("core", |task| task.with(refused())),
    ("core: config", |task| task.with(Error::from(config()))),
    ("core: transport", |task| {
        task.with(exchanged(Err(TransportFailure::NoAnswer)))
    }),
    ("ConfigError", |task| task.with(config())),
    ("CallbackError", |task| {
        task.with(Callback::parse("?code=a&code=b").unwrap_err())
    }),
    ("CallbackRejected", |task| {
        let redirect = RedirectUri::new("https://app.example/callback").unwrap();
        let (_, pending) = app()
            .authorize(&redirect, Entropy::from_bytes([7; 32]))
            .unwrap();
        let callback = Callback::parse("?code=SENTINEL-secret&state=another").unwrap();
        task.with(app().exchange(pending, &callback).expect_err("stray"));
    }),
    ("SigningError", |task| {
        task.with(SigningError::new("the HSM is busy"))
    }),
    ("Refused", |task| match refused() {
        Error::Refused(refused) => task.with(refused),
        other => panic!("{other}"),
    }),
    ("Unexpected", |task| task.with(unreadable())),
    ("TransportFailure", |task| {
        task.with(TransportFailure::NotSent)
    }),
    ("store", |task| {
        task.with(coze_auth_tokens::Error::from(config()))
    }),
    ("store: with a cause", |task| {
        task.with(coze_auth_tokens::Error::from(disk()))
    }),
    ("store: LoginNeeded", |task| {
        let client = coze_auth_ureq::Client::new().unwrap();
        let tokens =
            coze_auth_ureq::TokenSource::stored(&client, app(), "alice", MemoryStore::new());
        task.with(tokens.unwrap().token().unwrap_err());
    }),
    ("StoreError", |task| task.with(disk())),
    ("NetworkError", |task| match unreachable() {
        coze_auth_tokens::Error::Core {
            cause: Some(cause), ..
        } => task.with(cause),
        other => panic!("{other}"),
    }),
    ("mock: SetupError", |task| {
        let mock = CozeAuthMock::builder().rule("code.singel_use", false);
        task.with(mock.build().unwrap_err());
    }),
    ("mock: ConfigErrors", |task| {
        let mock = CozeAuthMock::builder().toml("[rules]\ncode.singel_use = \"off\"\nx = 1\n");
        task.with(mock.expect_err("mistakes"));
    }),
    ("mock: NotWaiting", |task| {
        task.with(coze_auth_mock::UserCodeError::Expired)
    }),
    ("conformance: Broken", |task| {
        task.with(coze_auth_conformance::client::Broken::Client(
            "it is silent".to_owned(),
        ));
    }),
];

#[test]
fn a_program_that_ends_with_an_error_prints_its_words() {
    if let Ok(name) = std::env::var("TEST_RETURN") {
        let (_, error) = ERRORS
            .iter()
            .find(|(known, _)| *known == name)
            .expect("an error");
        return error(&mut Task::Return);
    }
    let port = regex::Regex::new("127.0.0.1:[0-9]+").expect("a pattern");
    for (name, error) in ERRORS {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "--nocapture",
                "a_program_that_ends_with_an_error_prints_its_words",
            ])
            .env("TEST_RETURN", name)
            .output()
            .expect("the program runs");
        let printed = String::from_utf8(output.stderr).expect("UTF-8");
        let mut task = Task::Tell(Vec::new());
        error(&mut task);
        let Task::Tell(words) = task else {
            unreachable!()
        };
        let expected = match &words[..] {
            [words] => format!("Error: {words}\n"),
            [words, cause] => format!("Error: {words}\n\nCaused by:\n    {cause}\n"),
            [words, causes @ ..] => {
                let causes = causes.iter().enumerate();
                let causes: String = causes
                    .map(|(at, cause)| format!("    {at}: {cause}\n"))
                    .collect();
                format!("Error: {words}\n\nCaused by:\n{causes}")
            }
            [] => unreachable!(),
        };
        // Each run of it has a port of its own.
        let without_port = |text: &str| port.replace_all(text, "127.0.0.1").into_owned();
        assert_eq!(without_port(&printed), without_port(&expected), "{name}");
        assert!(!printed.contains(SECRET), "{name}: {printed}");
        assert!(!printed.contains("{ "), "{name}: {printed}");
    }
}

/// The words themselves, once.
#[test]
fn the_words_are_these() {
    assert_eq!(
        format!("{:?}", coze_auth_tokens::Error::from(disk())),
        "cannot write grants/alice: no storage space; check the folder, its owner and the disk\n\nCaused by:\n    no storage space"
    );
    let refused = format!("{:?}", refused());
    assert_eq!(
        refused,
        "Coze refused: invalid_grant (HTTP 400): no ***; the code is spent or expired, or was given for another redirect URI, client or code challenge: log in again"
    );
    assert_eq!(ErrorCode::InvalidGrant.to_string(), "invalid_grant");
}
