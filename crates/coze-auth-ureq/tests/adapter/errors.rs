//! Errors: what they say, what they do not, and how they are made.

use std::error::Error as _;

use coze_auth_ureq::core::authorize::{Callback, RedirectUri};
use coze_auth_ureq::core::error::{CallbackError, GrantType, Problem, SigningError};
use coze_auth_ureq::core::web::WebApp;
use coze_auth_ureq::core::{
    ClientSecret, Endpoints, Entropy, Error as CoreError, Retry, TransportFailure,
};
use coze_auth_ureq::{Client, Error};
use ureq::{Agent, Proxy};

use crate::support::{Listener, exchange, failed};

#[test]
fn the_librarys_own_error_is_the_source_and_only_there() {
    let server = Listener::saying("");
    let error = failed(Client::new().unwrap().run(exchange(&server.base())));
    let source = error.source().unwrap();
    assert!(source.is::<ureq::Error>(), "{source:?}");
    let broke = format!("{}: no whole answer arrived", server.base());
    assert!(error.to_string().starts_with(&broke), "{error}");
    assert!(!error.to_string().contains(&source.to_string()));
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
    let proxy = Proxy::new("http://user:SENTINEL@proxy.example").unwrap();
    let agent = Agent::config_builder()
        .proxy(Some(proxy))
        .build()
        .new_agent();
    assert_eq!(
        format!("{:?}", Client::with_agent(agent)),
        "Client { timeout: 30s, .. }"
    );
}
