//! Requests of the application's own, with a token, through its own `reqwest::Client`.

use coze_auth_core::http::{HeaderMap, Method};
use coze_auth_core::rejection::is_idempotent;
use coze_auth_tokens::adapter::{ApiRequest, AuthorizeRequest};
use coze_auth_tokens::tokio::{Logins as AnyLogins, SendRequest, TokenSource as AnyTokenSource};
use reqwest::{Request, RequestBuilder, Response};

use crate::answer::ask;
use crate::network::network_error;
use crate::{Client, Error};

/// A valid token at any moment, and requests that have it; [`tokens::TokenSource`](crate::tokens::TokenSource) says what it does.
/// Clones share everything; keep one in a struct field, whatever its kind.
///
/// **Keep the runtime alive until `close` has ended.** A renewal that is dropped with its runtime
/// may take a rotated refresh token with it. No task is started before one is needed.
///
/// ```
/// use coze_auth_reqwest::core::{AccessToken, Endpoints};
/// use coze_auth_reqwest::{Client, TokenSource};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
/// assert_eq!(tokens.token().await?.expose(), "pat_of_the_console"); // valid, whenever you ask
///
/// let http = reqwest::Client::builder().no_proxy().build()?; // your own
/// let answer = tokens.send(&http, http.get(format!("{base}/v1/users/me"))).await?;
/// assert_eq!(answer.status(), 200);
/// # Ok(()) }
/// ```
///
/// # Redirects of `send`
///
/// Redirects are your client's, and only the answer to a request that carried the token is judged. reqwest 0.13
/// means to drop the token on the way to another origin, and tells where a request ended, not by which way. So one that ended at another URL of the API and was refused there
/// is sent to that URL directly, if it is a GET or HEAD; else that is an error. What comes of a redirect and does
/// not refuse the token, such as a download, is handed on. A client that sends no token astray follows no
/// redirect to another origin:
///
/// ```
/// # use reqwest::redirect::Policy;
/// # fn client() -> reqwest::Result<reqwest::Client> {
/// let policy = Policy::custom(|attempt| match attempt.previous().first() {
///     Some(first) if first.origin() != attempt.url().origin() => attempt.stop(), // the 302 is the answer
///     _ => Policy::default().redirect(attempt),
/// });
/// reqwest::Client::builder().redirect(policy).build()
/// # }
/// # client().unwrap();
/// ```
pub type TokenSource = AnyTokenSource<Client>;

/// The tokens of all users of a web, PKCE or device app; [`tokens::Logins`](crate::tokens::Logins) says what it does.
///
/// ```
/// use coze_auth_reqwest::core::{Endpoints, device::DeviceApp};
/// use coze_auth_reqwest::store::MemoryStore;
/// use coze_auth_reqwest::{Client, Logins};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = DeviceApp::new(Endpoints::cn(), "5678.app.coze")?;
/// let logins = Logins::new(&Client::new()?, app, MemoryStore::new()); // keep it
/// let alice = logins.of("alice")?; // her token source
/// assert!(alice.token().await.unwrap_err().needs_login()); // then `logins.install("alice", grant)`
/// # Ok(()) }
/// ```
pub type Logins = AnyLogins<Client>;

impl AuthorizeRequest<Request> for Client {
    fn url_and_headers(request: &mut Request) -> (String, &mut HeaderMap) {
        (request.url().to_string(), request.headers_mut())
    }
}

impl SendRequest<Request> for Client {
    type Http = reqwest::Client;
    type Response = Response;

    async fn send_request(
        tokens: &TokenSource,
        http: &reqwest::Client,
        request: Request,
        repeatable: bool,
    ) -> Result<Response, Error> {
        let repeatable = repeatable || is_idempotent(request.method());
        let ask = |Own(request)| ask(http, request, tokens.origins());
        tokens.deliver(Own(request), repeatable, ask).await
    }
}

impl SendRequest<RequestBuilder> for Client {
    type Http = reqwest::Client;
    type Response = Response;

    async fn send_request(
        tokens: &TokenSource,
        http: &reqwest::Client,
        request: RequestBuilder,
        repeatable: bool,
    ) -> Result<Response, Error> {
        let request = request.build();
        let request = request.map_err(|error| Error::Request(network_error(error, None)))?;
        Self::send_request(tokens, http, request, repeatable).await
    }
}

/// A request of the application's own.
struct Own(Request);

impl ApiRequest for Own {
    fn method(&self) -> &Method {
        self.0.method()
    }

    fn url(&self) -> String {
        self.0.url().to_string()
    }

    fn set_url(&mut self, url: &str) -> Result<(), Error> {
        let parsed = url.parse();
        *self.0.url_mut() = parsed.map_err(|_| Error::refused_elsewhere(url))?;
        Ok(())
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.0.headers_mut()
    }

    fn try_clone(&self) -> Option<Self> {
        self.0.try_clone().map(Self)
    }
}
