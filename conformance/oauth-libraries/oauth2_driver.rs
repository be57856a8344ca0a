//! The Rust crate `oauth2`. It keeps no token, so the program here refreshes when what `expires_in` told is over.

mod oauth2_recipe;

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::url::Url;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, RedirectUrl,
    RefreshToken, RequestTokenError, SyncHttpClient, TokenResponse, TokenUrl, http,
};
use serde_json::{Value, json};

static AHEAD_S: AtomicU64 = AtomicU64::new(0);

/// The clock of this program, and of the recipe, which asks the system elsewhere.
pub fn now() -> SystemTime {
    SystemTime::now() + Duration::from_secs(AHEAD_S.load(Ordering::Relaxed))
}

type Failed = (String, String);

fn failed(kind: &str) -> impl Fn(&dyn std::error::Error) -> Failed {
    move |error| (kind.to_owned(), error.to_string())
}

/// One request over a connection of its own.
fn send(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let uri = request.uri();
    let host = uri.authority().ok_or_else(|| bad("no host"))?;
    let mut stream = TcpStream::connect(host.as_str())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("{} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", request.method());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().map_err(|_| bad("a header"))?);
    }
    head += &format!("content-length: {}\r\n\r\n", request.body().len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(request.body())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| bad("no head"))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or_else(|| bad("no status"))?;
    let mut response = http::Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    response.body(answer.split_off(end + 4)).map_err(|_| bad("an answer"))
}

struct Kept {
    token: BasicTokenResponse,
    ends: Option<SystemTime>,
}

struct Program {
    given: Value,
    state: CsrfToken,
    kept: Option<Kept>,
}

impl Program {
    fn text(&self, name: &str) -> String {
        self.given[name].as_str().unwrap_or_default().to_owned()
    }

    fn is_recipe(&self) -> bool {
        self.given["how"] == "by recipe"
    }

    fn begin(given: Value) -> Result<(Self, Url), Failed> {
        let mut program = Self { given, state: CsrfToken::new_random(), kept: None };
        let url = AuthUrl::new(program.text("authorize")).map_err(|error| failed("ParseError")(&error))?;
        let redirect = RedirectUrl::new(program.text("redirect_uri")).map_err(|error| failed("ParseError")(&error))?;
        let client = BasicClient::new(ClientId::new(program.text("client_id"))).set_auth_uri(url).set_redirect_uri(redirect);
        let (url, state) = client.authorize_url(CsrfToken::new_random).url();
        program.state = state;
        Ok((program, url))
    }

    /// Exchanges a code, or the refresh token that is kept.
    fn grant(&mut self, code: Option<String>) -> Result<String, Failed> {
        match self.is_recipe() {
            true => self.grant_over(code, &oauth2_recipe::coze(&self.text("client_secret"), send)),
            false => self.grant_over(code, &send),
        }
    }

    fn grant_over<E: std::error::Error + 'static>(
        &mut self,
        code: Option<String>,
        client: &impl SyncHttpClient<Error = E>,
    ) -> Result<String, Failed> {
        let parse = |error| failed("ParseError")(&error);
        let oauth = BasicClient::new(ClientId::new(self.text("client_id")))
            .set_client_secret(ClientSecret::new(self.text("client_secret")))
            .set_token_uri(TokenUrl::new(self.text("token")).map_err(parse)?)
            .set_redirect_uri(RedirectUrl::new(self.text("redirect_uri")).map_err(parse)?);
        let oauth = match self.is_recipe() {
            true => oauth.set_auth_type(AuthType::RequestBody),
            false => oauth,
        };
        let answer = match code {
            Some(code) => oauth.exchange_code(AuthorizationCode::new(code)).request(client),
            None => {
                let none = || ("NoRefreshToken".to_owned(), "no refresh token".to_owned());
                let kept = self.kept.as_ref().ok_or_else(none)?;
                let secret = kept.token.refresh_token().ok_or_else(none)?.secret().clone();
                oauth.exchange_refresh_token(&RefreshToken::new(secret)).request(client)
            }
        };
        let token = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => ("ServerResponse".to_owned(), said.to_string()),
            RequestTokenError::Request(error) => failed("Request")(&error),
            RequestTokenError::Parse(error, _) => failed("Parse")(&error),
            RequestTokenError::Other(why) => ("Other".to_owned(), why),
        })?;
        let secret = token.access_token().secret().clone();
        self.kept = Some(Kept { ends: token.expires_in().map(|life| now() + life), token });
        Ok(secret)
    }

    fn callback(&mut self, url: &str) -> Result<String, Failed> {
        let url = Url::parse(url).map_err(|error| failed("ParseError")(&error))?;
        let of = |name: &str| url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned());
        if of("state").as_ref() != Some(self.state.secret()) {
            return Err(("State".to_owned(), "another state".to_owned()));
        }
        self.grant(of("code"))
    }

    fn profile(&mut self) -> Result<String, Failed> {
        let kept = self.kept.as_ref().ok_or_else(|| ("NoLogin".to_owned(), "no login".to_owned()))?;
        let token = match kept.ends.is_some_and(|ends| ends <= now()) {
            true => self.grant(None)?,
            false => kept.token.access_token().secret().clone(),
        };
        let request = http::Request::get(self.text("profile")).header("authorization", format!("Bearer {token}"));
        let request = request.body(Vec::new()).map_err(|error| failed("Http")(&error))?;
        let answer = send(request).map_err(|error| failed("Io")(&error))?;
        let answer: Value = serde_json::from_slice(answer.body()).map_err(|error| failed("Json")(&error))?;
        let name = if self.is_recipe() { &answer["data"]["user_name"] } else { &answer["name"] };
        let name = name.as_str().ok_or_else(|| ("NoName".to_owned(), "no name".to_owned()))?;
        Ok(name.to_owned())
    }
}

fn main() {
    let mut program: Option<Program> = None;
    for line in io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let mut with = |act: &dyn Fn(&mut Program) -> Result<String, Failed>| act(program.as_mut().expect("begun"));
        let said = match asked["do"].as_str() {
            Some("clock") => {
                AHEAD_S.store(asked["seconds"].as_u64().expect("seconds"), Ordering::Relaxed);
                Ok(json!({}))
            }
            Some("callback") => {
                let url = asked["url"].as_str().expect("a URL");
                with(&|program| program.callback(url)).map(|token| json!({ "token": token }))
            }
            Some("profile") => with(&|program| program.profile()).map(|name| json!({ "name": name })),
            _ => Program::begin(asked).map(|(begun, url)| {
                program = Some(begun);
                json!({ "url": url.as_str() })
            }),
        };
        let said = said.unwrap_or_else(|(kind, error)| json!({ "error": error, "type": kind }));
        println!("{said}");
        io::stdout().flush().expect("written");
    }
}
