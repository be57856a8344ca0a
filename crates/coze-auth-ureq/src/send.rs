//! Requests of the application's own, with a token, through its own `ureq::Agent`.

use coze_auth_core::http::request::Builder;
use coze_auth_core::http::{HeaderMap, Request, Response};
use coze_auth_core::rejection::is_idempotent;
use coze_auth_tokens::adapter::AuthorizeRequest;
use coze_auth_tokens::blocking::{Logins as AnyLogins, SendRequest, TokenSource as AnyTokenSource};
use ureq::{Agent, AsSendBody, Body};

use crate::answer::ask;
use crate::network::network_error;
use crate::{Client, Error};

/// A valid token at any moment, and requests that have it; [`tokens::TokenSource`](crate::tokens::TokenSource) says what it does.
/// Clones share everything; keep one in a struct field, whatever its kind.
///
/// When the last clone of a source of a login is dropped, a renewal that runs is waited for, as
/// `close` does. What is never dropped (a `static`, a process that exits) is to be closed.
///
/// ```
/// use coze_auth_ureq::core::{AccessToken, Endpoints};
/// use coze_auth_ureq::{Client, TokenSource};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let coze = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let base = format!("http://{}", coze.local_addr()?);
/// # std::thread::spawn(move || {
/// #     use std::io::{Read as _, Write as _};
/// #     let (mut stream, _) = coze.accept().unwrap();
/// #     let _ = stream.read(&mut [0; 4096]).unwrap();
/// #     let user = r#"{"code":0,"msg":"","data":{"user_id":"7300","user_name":"alice"}}"#;
/// #     let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
/// #     write!(stream, "{head}: {}\r\n\r\n{user}", user.len()).unwrap();
/// # });
/// let client = Client::new()?; // keep one
/// let endpoints = Endpoints::custom(&base)?; // a mock server's; else `Endpoints::cn()`
/// let token = AccessToken::new("pat_of_the_console")?;
/// let tokens = TokenSource::fixed(&client, &endpoints, token); // or `jwt`, or `stored`; keep it
/// assert_eq!(tokens.token()?.expose(), "pat_of_the_console"); // valid, whenever you ask
///
/// let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into(); // your own
/// let answer = tokens.send(&agent, ureq::http::Request::get(format!("{base}/v1/users/me")))?;
/// assert_eq!(answer.status(), 200);
/// # Ok(()) }
/// ```
///
/// # What `send` takes
///
/// An `http::Request` with a body of ureq's that can be cloned, or a builder of one (`http::request::Builder`), which is sent without a
/// body. Not a `RequestBuilder` of ureq itself: it has an agent of its own, keeps its query where nobody else can read it, and
/// cannot be cloned. Settings for one request are `agent.configure_request(request)`, and `build()` gives the request back.
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
pub type TokenSource = AnyTokenSource<Client>;

/// The tokens of all users of a web, PKCE or device app; [`tokens::Logins`](crate::tokens::Logins) says what it does.
///
/// ```
/// use coze_auth_ureq::core::{Endpoints, device::DeviceApp};
/// use coze_auth_ureq::store::MemoryStore;
/// use coze_auth_ureq::{Client, Logins};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
/// let logins = Logins::new(&Client::new()?, app, MemoryStore::new()); // keep it
/// let alice = logins.of("alice")?; // her token source
/// assert!(alice.token().unwrap_err().needs_login()); // then `logins.install("alice", grant)`
/// # Ok(()) }
/// ```
pub type Logins = AnyLogins<Client>;

impl<B> AuthorizeRequest<Request<B>> for Client {
    fn url_and_headers(request: &mut Request<B>) -> (String, &mut HeaderMap) {
        (request.uri().to_string(), request.headers_mut())
    }
}

impl<B: AsSendBody + Clone> SendRequest<Request<B>> for Client {
    type Http = Agent;
    type Response = Response<Body>;

    fn send_request(
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

impl SendRequest<Builder> for Client {
    type Http = Agent;
    type Response = Response<Body>;

    fn send_request(
        tokens: &TokenSource,
        agent: &Agent,
        request: Builder,
        repeatable: bool,
    ) -> Result<Response<Body>, Error> {
        let request = request.body(());
        let request = request.map_err(|error| Error::Request(network_error(error.into(), None)))?;
        Self::send_request(tokens, agent, request, repeatable)
    }
}
