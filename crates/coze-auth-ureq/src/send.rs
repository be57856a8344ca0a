//! Requests of the application's own, with a token, through its own `ureq::Agent`.

use coze_auth_core::http::{HeaderMap, Request, Response};
use coze_auth_core::rejection::is_idempotent;
use coze_auth_tokens::Carries;
use coze_auth_tokens::blocking::{Sends, TokenSource as Tokens};
use ureq::{Agent, AsSendBody, Body};

use crate::answer::ask;
use crate::{Client, Error};

/// A valid token at any moment, and requests that have it; [`tokens::TokenSource`](crate::tokens::TokenSource) says what it does.
/// Clones share everything; keep one in a struct field, whatever its kind.
///
/// When the last clone of a source of a login is dropped, a renewal that runs is waited for, as
/// `close` does. What is never dropped (a `static`, a process that exits) is to be closed.
///
/// ```no_run
/// # use coze_auth_ureq::{Client, Error, TokenSource, core, jwt_app_from_env};
/// # fn call() -> Result<(), Error> {
/// let client = Client::new()?;
/// let app = jwt_app_from_env(core::Region::Cn)?;
/// let tokens = TokenSource::jwt(&client, app, core::jwt::JwtGrant::new()); // keep it
///
/// let agent = ureq::Agent::new_with_defaults(); // your own
/// let request = ureq::http::Request::get("https://api.coze.cn/v1/users/me").body(()).unwrap();
/// let answer = tokens.send(&agent, request)?;
/// # drop(answer);
/// # Ok(()) }
/// ```
///
/// # What `send` does to your agent's answers
///
/// The agent's `http_status_as_error` is off for it. A request's body is cloned, to be sent once more; one that cannot be
/// is authorized with `authorize`, and sent by you.
///
/// Redirects are your agent's, and only the answer to a request that carried the token is judged. ureq drops the
/// token at every redirect, unless the agent's `redirect_auth_headers` is `SameHost` (the agent's, not one of the
/// request's own). A request that lost it, and was refused at another URL of the API, is sent to that URL directly,
/// if it is a GET or HEAD; else that is an error. What comes of a redirect and does not refuse the token, such as a
/// download, is handed on. `SameHost` takes the token to another port of the same host, and from http to https:
/// an error tells, but the token has gone there then.
pub type TokenSource = Tokens<Client>;

impl<B> Carries<Request<B>> for Client {
    fn url_and_headers(request: &mut Request<B>) -> (String, &mut HeaderMap) {
        (request.uri().to_string(), request.headers_mut())
    }
}

impl<B: AsSendBody + Clone> Sends<Request<B>> for Client {
    type Http = Agent;
    type Response = Response<Body>;

    fn send_with(
        tokens: &TokenSource,
        agent: &Agent,
        request: Request<B>,
        repeatable: bool,
    ) -> Result<Response<Body>, Error> {
        let repeatable = repeatable || is_idempotent(request.method());
        let ask = |request| ask(agent, request, tokens.origins());
        tokens.deliver_blocking(request, repeatable, ask)
    }
}
