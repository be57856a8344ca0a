//! Answers of Coze, and of whatever answers in its place: `STATUS`, headers, an empty line, the body, to every reader of the core.
//!
//! No answer panics or is taken for a success that it is not; no error shows what was sent; the advice of an error agrees with itself;
//! compressed, whole or in pieces, an answer means the same.

use std::cell::OnceCell;
use std::fmt::Debug;
use std::io::Write as _;

use coze_auth_core::authorize::{Callback, PendingAuthorization, RedirectUri};
use coze_auth_core::device::DeviceApp;
use coze_auth_core::jwt::{JwtGrant, JwtIssuer};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::secret::DeviceCode;
use coze_auth_core::web::WebApp;
use coze_auth_core::workload::{WorkloadApp, WorkloadEndpoints};
use coze_auth_core::{
    AccessToken, ClientSecret, Endpoints, Entropy, Error, Flow, IssuedToken, RefreshToken,
    Response, TokenGrant, UnixTime, whoami,
};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::support::{answered, judge, keeps, now};

const CLIENT_SECRET: &str = "Sentinel-client-secret-91f3";
const REFRESH_TOKEN: &str = "Sentinel-refresh-token-91f3";
const ACCESS_TOKEN: &str = "Sentinel-access-token-91f3";
const CODE: &str = "Sentinel-code-91f3";
const DEVICE_CODE: &str = "Sentinel-device-code-91f3";
const SIGNATURE: &str = "Sentinel-signature-91f3";
/// All of them that a corpus may repeat.
pub(crate) const SECRETS: [&str; 6] = [
    CLIENT_SECRET,
    REFRESH_TOKEN,
    ACCESS_TOKEN,
    CODE,
    DEVICE_CODE,
    "Sentinel-signature-91f3",
];

/// An answer as the input says it.
struct Message<'a> {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &'a [u8],
    /// Made once for all readers.
    packed: OnceCell<(Vec<u8>, &'static str)>,
}

/// How a body goes over the wire.
#[derive(Clone, Copy, Debug)]
enum Packing {
    AsItIs,
    Gzip,
    /// Flushed after each piece, as a server that streams does.
    GzipInPieces,
    Zlib,
    Deflate,
}

impl<'a> Message<'a> {
    fn parse(data: &'a [u8]) -> Self {
        let mut rest = data;
        let mut line = || {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let end = end.unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            line
        };
        let status = StatusCode::from_bytes(line()).unwrap_or(StatusCode::OK);
        let mut headers = Vec::new();
        loop {
            let line = line();
            if line.is_empty() {
                break;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.push((name, value));
            }
        }
        Self {
            status,
            headers,
            body: rest,
            packed: OnceCell::new(),
        }
    }

    /// An input is packed in one way, since an encoder takes longer than all readers.
    fn packing(&self) -> Packing {
        match self.body.len() % 4 {
            0 => Packing::Gzip,
            1 => Packing::GzipInPieces,
            2 => Packing::Zlib,
            _ => Packing::Deflate,
        }
    }

    /// The body as it goes over the wire, with the name of its coding.
    fn packed(&self) -> (Vec<u8>, &'static str) {
        fn whole<W: std::io::Write>(mut encoder: W, body: &[u8]) -> W {
            encoder.write_all(body).expect("memory takes all");
            encoder
        }
        let fast = Compression::fast();
        let (packed, coding) = match self.packing() {
            Packing::AsItIs => return (self.body.to_vec(), "identity"),
            Packing::Gzip => {
                let encoder = whole(GzEncoder::new(Vec::new(), fast), self.body);
                (encoder.finish(), "gzip")
            }
            Packing::GzipInPieces => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
                for piece in self.body.chunks(7) {
                    encoder = whole(encoder, piece);
                    encoder.flush().expect("memory takes all");
                }
                (encoder.finish(), "x-gzip")
            }
            Packing::Zlib => {
                let encoder = whole(ZlibEncoder::new(Vec::new(), fast), self.body);
                (encoder.finish(), "deflate")
            }
            Packing::Deflate => {
                let encoder = whole(DeflateEncoder::new(Vec::new(), fast), self.body);
                (encoder.finish(), "deflate")
            }
        };
        (packed.expect("memory takes all"), coding)
    }

    fn response(&self, packing: Packing) -> Response {
        let (body, coding) = match packing {
            Packing::AsItIs => (self.body.to_vec(), None),
            _ => {
                let (body, coding) = self.packed.get_or_init(|| self.packed());
                (body.clone(), Some(*coding))
            }
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        if let Some(coding) = coding {
            let coding = HeaderValue::from_static(coding);
            let name = http::header::CONTENT_ENCODING;
            response.headers_mut().insert(name, coding);
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
        response
    }

    fn is_packed(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| *name == http::header::CONTENT_ENCODING)
    }

    fn is_cut(&self) -> bool {
        let mut lengths = self.headers.iter();
        lengths.any(|(name, value)| {
            *name == http::header::CONTENT_LENGTH
                && value.as_bytes() != self.body.len().to_string().as_bytes()
        })
    }

    /// Why this cannot be a success, by a second reader of JSON (protocol §4.1).
    fn is_refusal(&self) -> Option<&'static str> {
        if !self.status.is_success() {
            return Some("its status is not one of success");
        }
        if self.is_packed() {
            return None;
        }
        let Ok(Value::Object(members)) = serde_json::from_slice(self.body) else {
            return None;
        };
        let is_code = |name: &str| match members.get(name) {
            Some(Value::Number(code)) => code.as_f64() != Some(0.0),
            Some(Value::String(code)) => {
                let code = code.trim();
                !code.is_empty() && code.parse() != Ok(0_i64)
            }
            Some(Value::Array(_) | Value::Object(_) | Value::Bool(true)) => true,
            _ => false,
        };
        let names = ["error_code", "error", "code"];
        names.into_iter().find(|name| is_code(name))
    }
}

/// Hands an answer to a reader, in every packing, and judges what it makes of it.
fn read<F: Flow<Output: Debug>>(
    message: &Message<'_>,
    flow: impl Fn() -> F,
    secrets: &[&str],
    success: impl Fn(&F::Output),
) {
    read_of(message, flow, 1, secrets, success);
}

/// The same for a flow of so many requests.
fn read_of<F: Flow<Output: Debug>>(
    message: &Message<'_>,
    flow: impl Fn() -> F,
    requests: usize,
    secrets: &[&str],
    success: impl Fn(&F::Output),
) {
    let outcome = |packing| answered(flow(), requests, || message.response(packing));
    let Some(plain) = outcome(Packing::AsItIs) else {
        return;
    };
    match &plain {
        Ok(given) => {
            let refusal = message.is_refusal();
            assert!(refusal.is_none(), "taken for a success: {refusal:?}");
            success(given);
        }
        Err(error) => judge(error, secrets),
    }
    // What is packed already is another text when it is packed again, and what was cut off is whole.
    if message.is_packed() || message.is_cut() {
        return;
    }
    let packing = message.packing();
    match (outcome(packing), &plain) {
        (Some(Ok(one)), Ok(other)) => {
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{packing:?}");
        }
        (Some(Err(one)), Err(other)) => {
            let told = |error: &Error| {
                let log_id = error.log_id().map(str::to_owned);
                let code = error.code().map(ToString::to_string);
                (error.kind(), error.retry(), code, log_id)
            };
            assert_eq!(told(&one), told(other), "{packing:?}: {one} and {other}");
        }
        (one, other) => panic!("{packing:?}: {one:?} and {other:?}"),
    }
}

fn is_moment(at: UnixTime) -> bool {
    (978_307_200..=99_999_999_999).contains(&at.as_secs())
}

fn token(token: &AccessToken, shown: &str) {
    let text = token.expose();
    let is_text = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_text, "{text:?} fits no header");
    // A shorter one may stand in any text.
    if text.len() > 24 {
        keeps("Debug", shown, &[text]);
    }
}

/// A grant is stored and read as the same.
fn grant(grant: &TokenGrant) {
    token(&grant.access_token, &format!("{grant:?}"));
    let json = grant.to_secret_json();
    let again = TokenGrant::from_secret_json(json.expose()).expect("what was stored is read");
    assert_eq!(again.to_secret_json().expose(), json.expose());
    assert!(
        is_moment(grant.expires_at),
        "it ends at {:?}",
        grant.expires_at
    );
    let issued: IssuedToken = grant.issued_token();
    assert_eq!(issued.access_token.expose(), grant.access_token.expose());
}

fn endpoints() -> Endpoints {
    Endpoints::custom("https://api.example:8080").expect("a base")
}

fn web() -> WebApp {
    let secret = ClientSecret::new(CLIENT_SECRET).expect("a secret");
    WebApp::new(endpoints(), "web-id", secret).expect("an app")
}

fn workload() -> WorkloadApp {
    let endpoints =
        WorkloadEndpoints::custom("https://api.example/id/token", "https://api.example/access")
            .and_then(|endpoints| endpoints.with_outbound("https://out.example/secret"));
    let secret = ClientSecret::new(CLIENT_SECRET).expect("a secret");
    WorkloadApp::new(endpoints.expect("endpoints"), "workload-id", secret).expect("an app")
}

fn login() -> (PendingAuthorization, Callback) {
    let redirect = RedirectUri::new("https://app.example/cb").expect("a URL");
    let app = PkceApp::new(endpoints(), "pkce-id").expect("an app");
    let started = app.authorize(&redirect, Entropy::from_bytes([7; 32]));
    let (_, pending) = started.expect("a www base");
    let query = format!("code={CODE}&state={}", pending.state().expose());
    (pending, Callback::parse(&query).expect("a callback"))
}

/// One answer.
pub(crate) fn run(data: &[u8]) {
    let message = Message::parse(data);
    let refresh = RefreshToken::new(REFRESH_TOKEN).expect("a token");
    let bearer = AccessToken::received(ACCESS_TOKEN).expect("a token");
    let sent = [CLIENT_SECRET, REFRESH_TOKEN];
    read(
        &message,
        || web().refresh(&refresh),
        &sent,
        |given| {
            assert!(given.refresh_token.is_some(), "the login is lost");
            grant(given);
        },
    );
    let exchange = || {
        let (pending, callback) = login();
        let app = PkceApp::new(endpoints(), "pkce-id").expect("an app");
        app.exchange(pending, &callback).expect("its own callback")
    };
    read(&message, exchange, &[CODE], grant);
    let app = || DeviceApp::new(endpoints(), "device-id").expect("an app");
    read(
        &message,
        || app().start(),
        &[],
        |started| {
            for page in [
                &started.verification_uri,
                &started.verification_uri_complete,
            ] {
                let page = url::Url::parse(page).expect("an absolute URL");
                assert!(matches!(page.scheme(), "http" | "https"), "{page}");
            }
            assert!(
                !started.interval.is_zero(),
                "it would be polled without a pause"
            );
            let shown = format!("{started:?}");
            let code = started.device_code.expose();
            if code.len() > 24 {
                keeps("Debug", &shown, &[code]);
            }
            // Whatever it was told, it ends.
            let poll = || app().poll(started);
            read(&message, poll, &[started.device_code.expose()], grant);
        },
    );
    let code = DeviceCode::new(DEVICE_CODE).expect("a code");
    read(&message, || app().poll_once(&code), &[DEVICE_CODE], grant);
    let issuer = JwtIssuer::new(endpoints(), "100000000001", "key-1").expect("an issuer");
    let jwt = || {
        let entropy = Entropy::from_bytes([7; 32]);
        let unsigned = issuer.assertion(&JwtGrant::new(), entropy, now());
        let signed = unsigned.signed(SIGNATURE.as_bytes(), now());
        signed.expect("it is signed at once")
    };
    read(&message, jwt, &[], grant);
    read(
        &message,
        || whoami(&endpoints(), &bearer),
        &[ACCESS_TOKEN],
        |user| {
            assert!(!user.user_id.is_empty());
            // A page and a terminal show it.
            let name = user.user_name.to_string();
            let is_odd = |c: char| c.is_control() || "<>&\"'`".contains(c);
            assert!(!name.contains(is_odd), "{name:?}");
            if let Some(url) = &user.avatar_url {
                let url = url::Url::parse(url).expect("an absolute URL");
                assert!(matches!(url.scheme(), "http" | "https"), "{url}");
            }
        },
    );
    let workload_grant = || workload().grant();
    read_of(&message, workload_grant, 2, &[CLIENT_SECRET], |given| {
        assert!(given.refresh_token.is_none());
        grant(given);
    });
    let integration = || {
        workload()
            .integration(&bearer, "integration-x")
            .expect("a name")
    };
    read(
        &message,
        integration,
        &[ACCESS_TOKEN, CLIENT_SECRET],
        |credential| {
            let shown = format!("{credential:?}");
            if credential.expose().len() > 24 {
                keeps("Debug", &shown, &[credential.expose()]);
            }
        },
    );
    let variables = || {
        workload()
            .project_env(&bearer)
            .expect("an outbound endpoint")
    };
    read(&message, variables, &[ACCESS_TOKEN, CLIENT_SECRET], |all| {
        let shown = format!("{all:?}");
        for variable in all.iter() {
            let is_found = all.get(variable.name()).is_some();
            assert!(is_found, "{:?} is not found", variable.name());
            // Its value may be its name.
            if variable.expose().len() > 24 && !variable.name().contains(variable.expose()) {
                keeps("Debug", &shown, &[variable.expose()]);
            }
        }
    });
}
