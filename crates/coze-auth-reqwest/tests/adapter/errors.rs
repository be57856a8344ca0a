//! Errors: what they say, what they do not, and how they are made.

use std::error::Error as _;

use coze_auth_reqwest::core::authorize::{Callback, RedirectUri};
use coze_auth_reqwest::core::error::{CallbackError, GrantType, Problem, SigningError};
use coze_auth_reqwest::core::web::WebApp;
use coze_auth_reqwest::core::{
    ClientSecret, Endpoints, Entropy, Error as CoreError, Retry, TransportFailure,
};
use coze_auth_reqwest::{Client, Error};

use crate::support::{Listener, exchange, failed};

#[tokio::test]
async fn the_librarys_own_error_is_the_source_and_only_there() {
    let server = Listener::saying("");
    let error = failed(Client::new().unwrap().run(exchange(&server.base())).await);
    let source = error.source().unwrap();
    assert!(source.is::<reqwest::Error>(), "{source:?}");
    let broke = format!("{}: no whole answer arrived", server.base());
    assert!(error.to_string().starts_with(&broke), "{error}");
    assert!(!error.to_string().contains(&source.to_string()));
    // No URL: one with a query would tell secrets.
    assert!(!source.to_string().contains("http"), "{source}");
    let copy = error.clone();
    assert_eq!(copy.to_string(), error.to_string());
}

#[test]
fn the_cores_errors_pass_through_the_question_mark() {
    fn config() -> Result<(), Error> {
        ClientSecret::new("")?;
        Ok(())
    }
    fn callback() -> Result<(), Error> {
        Callback::parse("?code=a&code=b")?;
        Ok(())
    }
    fn rejected() -> Result<(), Error> {
        let app = WebApp::new(Endpoints::cn(), "app", ClientSecret::new("secret")?)?;
        let redirect = RedirectUri::new("https://app.example/callback")?;
        let (_, pending) = app.authorize(&redirect, Entropy::from_bytes([7; 32]))?;
        let _call = app.exchange(pending, &Callback::parse("?code=a&state=b")?)?;
        Ok(())
    }
    fn transport() -> Result<(), Error> {
        Err(CoreError::Transport {
            failure: TransportFailure::Timeout,
            grant: Some(GrantType::RefreshToken),
            to: "https://api.coze.cn".into(),
        })?
    }
    fn signing() -> Result<(), Error> {
        Err(SigningError::new("the HSM is busy"))?
    }
    let core = |result| match failed::<()>(result) {
        Error::Core { error, cause: None } => error,
        other => panic!("{other:?}"),
    };
    let CoreError::Config(error) = core(config()) else {
        panic!("no config error");
    };
    assert_eq!(error.problem(), &Problem::Empty);
    let error = core(callback());
    assert_eq!(error, CallbackError::Repeated("code").into());
    let error = core(rejected());
    assert_eq!(error, CallbackError::StateMismatch.into());
    assert!(matches!(failed(transport()).retry(), Retry::MaybeSpent(_)));
    assert!(matches!(core(signing()), CoreError::Signing(_)));
}

#[test]
fn a_client_tells_nothing_of_its_insides() {
    let client = Client::with_builder(|| {
        let proxy = reqwest::Proxy::all("http://user:SENTINEL@proxy.example").unwrap();
        reqwest::Client::builder().proxy(proxy)
    });
    assert_eq!(
        format!("{:?}", client.unwrap()),
        "Client { timeout: 30s, .. }"
    );
}

#[test]
fn a_bad_builder_is_told_at_once() {
    let client = Client::with_builder(|| reqwest::Client::builder().user_agent("line\nbreak"));
    let error = failed(client);
    assert!(matches!(error, Error::Build(_)), "{error:?}");
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.source().is_some());
}
