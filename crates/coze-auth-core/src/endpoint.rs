//! Coze's hosts and paths (protocol §1, §2).

use std::fmt;

use http::Uri;
use url::{Host, Url};

use crate::error::{ConfigError, Problem, is_invisible};
use crate::pasted::{self, Setting};

/// One of Coze's two separate services. Credentials of one mean nothing to the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_enums)] // Coze has two; anything else is a custom base
pub enum Region {
    /// `api.coze.cn`, `www.coze.cn` (扣子).
    Cn,
    /// `api.coze.com`, `www.coze.com`.
    Com,
}

/// Where Coze is: the API base, for token requests, and the www base, for pages that people open.
///
/// A base may have a path (`http://127.0.0.1:9777/t/team-a`); slashes at its end mean nothing.
///
/// ```
/// use coze_auth_core::{Endpoints, error::ConfigError};
///
/// # fn main() -> Result<(), ConfigError> {
/// assert_eq!(Endpoints::cn().api_base(), "https://api.coze.cn");
/// let mock = Endpoints::custom("http://127.0.0.1:9777/t/team-a/")?;
/// assert_eq!(mock.api_base(), "http://127.0.0.1:9777/t/team-a");
/// assert!(Endpoints::custom("http://api.example.com").is_err()); // secrets need https
/// # Ok(()) }
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoints {
    api: Url,
    www: Option<Url>,
    insecure: bool,
    /// Parsed once: every grant goes there.
    token: Uri,
}

impl Endpoints {
    /// `https://api.coze.cn` and `https://www.coze.cn`.
    pub fn cn() -> Self {
        Self::official("https://api.coze.cn", "https://www.coze.cn")
    }

    /// `https://api.coze.com` and `https://www.coze.com`.
    pub fn com() -> Self {
        Self::official("https://api.coze.com", "https://www.coze.com")
    }

    /// An API base of your own. The www base follows from it where it can: the host's first label
    /// `api` becomes `www`, and a base on this machine serves both; else name it with
    /// [`with_www`](Self::with_www).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it is not an `https` URL (`http` to this machine is allowed: 127.0.0.0/8,
    /// `[::1]`, `localhost`), has user info, a query or a fragment, is Coze's website, has a path of Coze's API
    /// in it, or has a host that would be read as another one.
    pub fn custom(api: &str) -> Result<Self, ConfigError> {
        Self::parse(api, false)
    }

    /// Like [`custom`](Self::custom), with `http` allowed to any host: anyone who can listen on the way
    /// gets every secret.
    ///
    /// # Errors
    ///
    /// As for [`custom`](Self::custom), plain `http` aside.
    pub fn custom_insecure(api: &str) -> Result<Self, ConfigError> {
        Self::parse(api, true)
    }

    fn official(api: &str, www: &str) -> Self {
        let url = |text| Url::parse(text).expect("a constant");
        Self::new(url(api), Some(url(www)), false)
    }

    pub(crate) fn new(api: Url, www: Option<Url>, insecure: bool) -> Self {
        let token = uri(&api, format_args!("/api/permission/oauth2/token"));
        Self {
            api,
            www,
            insecure,
            token,
        }
    }

    fn parse(api: &str, insecure: bool) -> Result<Self, ConfigError> {
        let api = base("API base", api, insecure, For::Api)?;
        // protocol §1.2: every SDK guesses the www host in a way of its own; only the first label is meant.
        let www = match api.host_str().and_then(|host| host.strip_prefix("api.")) {
            Some(rest) => {
                let mut www = api.clone();
                www.set_host(Some(&format!("www.{rest}")))
                    .ok()
                    .map(|()| www)
            }
            None => is_loopback(api.host()).then(|| api.clone()),
        };
        Ok(Self::new(api, www, insecure))
    }

    /// Names the base of the pages that people open.
    ///
    /// # Errors
    ///
    /// As for the API base, and if it is the website of Coze's other region.
    pub fn with_www(mut self, www: &str) -> Result<Self, ConfigError> {
        const WHAT: &str = "www base";
        let www = base(WHAT, www, self.insecure, For::Pages)?;
        if let (Some(api), Some(pages)) = (region(&self.api), region(&www))
            && api != pages
        {
            return Err(ConfigError::new(WHAT, Problem::Host(OTHER_REGION)));
        }
        self.www = Some(www);
        Ok(self)
    }

    /// The host of the API base, with its port if it names one: what an assertion's `aud` says (protocol §1.3).
    pub fn api_host(&self) -> String {
        let host = self.api.host_str().unwrap_or_default();
        self.api
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Scheme, host and port of the API base: the one [`origin`] that tokens are for.
    pub fn api_origin(&self) -> String {
        self.api.origin().ascii_serialization()
    }

    /// The API base, without a slash at its end.
    pub fn api_base(&self) -> &str {
        trimmed(&self.api)
    }

    pub(crate) fn token(&self) -> Uri {
        self.token.clone()
    }

    pub(crate) fn account_token(&self, account: &AccountId) -> Uri {
        self.api_uri(format_args!(
            "/api/permission/oauth2/account/{}/token",
            account.as_str()
        ))
    }

    pub(crate) fn enterprise_token(&self, enterprise: &EnterpriseId) -> Uri {
        self.api_uri(format_args!(
            "/api/permission/oauth2/enterprise_id/{}/token",
            enterprise.as_str()
        ))
    }

    pub(crate) fn device_code(&self, workspace: Option<&WorkspaceId>) -> Uri {
        self.api_uri(format_args!(
            "/api/permission/oauth2{}/device/code",
            WorkspacePath(workspace)
        ))
    }

    pub(crate) fn users_me(&self) -> Uri {
        self.api_uri(format_args!("/v1/users/me"))
    }

    fn api_uri(&self, path: fmt::Arguments<'_>) -> Uri {
        uri(&self.api, path)
    }

    /// The page where a person approves a login, without its parameters: for who builds no login here, but sends a person on to
    /// one that another program has begun. [`WebApp`](crate::web::WebApp) and [`PkceApp`](crate::pkce::PkceApp) give the
    /// whole URL.
    ///
    /// ```
    /// use coze_auth_core::Endpoints;
    ///
    /// let page = Endpoints::cn().authorize_page(None)?;
    /// assert_eq!(page, "https://www.coze.cn/api/permission/oauth2/authorize");
    /// # Ok::<(), coze_auth_core::error::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the www base is not known: see [`custom`](Self::custom).
    pub fn authorize_page(&self, workspace: Option<&WorkspaceId>) -> Result<String, ConfigError> {
        self.authorize(workspace).map(String::from)
    }

    pub(crate) fn authorize(&self, workspace: Option<&WorkspaceId>) -> Result<Url, ConfigError> {
        let www = self
            .www
            .as_ref()
            .ok_or_else(|| ConfigError::new("www base", Problem::NoWww))?;
        let mut url = www.clone();
        let base = www.path().trim_end_matches('/');
        url.set_path(&format!(
            "{base}/api/permission/oauth2{}/authorize",
            WorkspacePath(workspace)
        ));
        Ok(url)
    }
}

impl From<Region> for Endpoints {
    fn from(region: Region) -> Self {
        match region {
            Region::Cn => Self::cn(),
            Region::Com => Self::com(),
        }
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let www = self.www.as_ref().map(trimmed);
        f.debug_struct("Endpoints")
            .field("api", &self.api_base())
            .field("www", &www)
            .finish()
    }
}

/// Scheme, host and port of an absolute URL (RFC 6454 §6.2), to compare with another's: a port that the scheme implies
/// is left out. None where the origin is opaque, as of `file:` or `foo:`: all of those are written alike.
pub fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let origin = url.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// An origin that somebody lets tokens go to, as [`origin`] writes it. `insecure` lets it be `http` on any host. The
/// WebSocket schemes count as what they are opened with: `wss` as `https`, `ws` as `http` (RFC 6455 §4.1).
///
/// # Errors
///
/// [`ConfigError`] if it is not an `https` URL (`http` to this machine is allowed: 127.0.0.0/8, `[::1]`, `localhost`), or
/// has more than scheme, host and port: a token goes to the whole of an origin, whatever path it was allowed with.
pub fn token_origin(text: &str, insecure: bool) -> Result<String, ConfigError> {
    let bad = |problem| ConfigError::new("origin", problem);
    let text = text.trim();
    // No origin has either: the one is a wish for all hosts, the other cannot be seen.
    if let Some(at) = text.find(|character| character == '*' || is_invisible(character)) {
        return Err(bad(Problem::character(text, at)));
    }
    let opened_with = match text.split_at_checked(2) {
        Some((start, rest)) if start.eq_ignore_ascii_case("ws") => format!("http{rest}"),
        _ => text.to_owned(),
    };
    if base("origin", &opened_with, insecure, For::Tokens)?.path() != "/" {
        return Err(bad(Problem::UrlPart("path")));
    }
    origin(text).ok_or_else(|| bad(Problem::NotAUrl))
}

/// Whether a request to this address stays on this machine, so that no proxy can serve it.
pub fn is_loopback_uri(uri: &Uri) -> bool {
    uri.host()
        .and_then(|host| Host::parse(host).ok())
        .is_some_and(|host| is_loopback(Some(host)))
}

pub(crate) fn is_loopback(host: Option<Host<impl AsRef<str>>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name.as_ref().eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// In bytes, for a base and for an id in a path.
const LONGEST_BASE: usize = 2048;
const LONGEST_ID: usize = 256;

/// What a base is for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum For {
    Api,
    Pages,
    /// An origin to which a token may be sent, which need not be Coze's.
    Tokens,
    /// A whole URL that a request is sent to, or that names are added to.
    Endpoint,
}

/// The whole URL of an endpoint, checked as a base is. A slash at its end is a part of it.
pub(crate) fn endpoint(
    what: &'static str,
    given: &str,
    insecure: bool,
) -> Result<Url, ConfigError> {
    base(what, given, insecure, For::Endpoint)
}

/// A base URL: http or https, with a host, and with nothing that a request would carry along unseen.
fn base(what: &'static str, given: &str, insecure: bool, is_for: For) -> Result<Url, ConfigError> {
    let bad = |problem| Err(ConfigError::new(what, problem));
    let text = given.trim();
    if text.is_empty() {
        return bad(Problem::Empty);
    }
    // `http` takes URIs up to 64 KiB and panics beyond; nobody has such a base.
    if text.len() > LONGEST_BASE {
        return bad(Problem::TooLong(LONGEST_BASE));
    }
    if is_for != For::Tokens {
        pasted::refuse(what, text, Setting::Url)?;
    }
    if let Some(at) = text.find(unseen) {
        let before = given.len() - given.trim_start().len();
        return bad(Problem::character(given, before + at));
    }
    if Url::parse(text).is_ok_and(|url| has_user(&url)) {
        return bad(Problem::UrlPart("user name or password"));
    }
    let Some(mut url) = absolute(text) else {
        return bad(not_a_url(text));
    };
    let another = match is_for {
        For::Tokens => another_site(text, &url),
        For::Api | For::Pages | For::Endpoint => another_host(text, &url),
    };
    if let Some(problem) = another {
        return bad(problem);
    }
    if url.query().is_some() {
        return bad(Problem::UrlPart("query"));
    }
    if url.fragment().is_some() {
        return bad(Problem::UrlPart("fragment"));
    }
    if let Some(problem) = of_coze(&url, is_for) {
        return bad(problem);
    }
    if url.scheme() == "http" && !insecure && !is_loopback(url.host()) {
        return bad(Problem::Insecure);
    }
    // A slash too many makes `//api/…`, which is another path (protocol §1.4).
    if is_for != For::Endpoint {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
    }
    // Two parsers, and requests are built with the other one.
    match url.as_str().parse::<Uri>() {
        Ok(_) => Ok(url),
        Err(_) => bad(Problem::NotAUrl),
    }
}

/// What is wrong with a text that is not [`absolute`].
pub(crate) fn not_a_url(text: &str) -> Problem {
    match text.find(unseen) {
        Some(at) => Problem::character(text, at),
        None if is_host(text) => Problem::NoScheme,
        None => Problem::NotAUrl,
    }
}

/// A host, with a port or path, to which only the scheme is missing.
fn is_host(text: &str) -> bool {
    !text.contains("://")
        && !text.starts_with('/')
        && (text.contains('.') || begins_with_localhost(text))
        && absolute(&format!("https://{text}")).is_some()
}

fn begins_with_localhost(text: &str) -> bool {
    text.strip_prefix("localhost")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

/// The host as it is written, without user and port; of an address in brackets, which no one compares, its beginning.
fn written_host(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or_default()
}

/// Characters that do not show, or not as something.
fn unseen(character: char) -> bool {
    is_invisible(character) || character.is_whitespace()
}

/// Why a redirect URI goes to another host than the one that is written. An international name is itself, but
/// full-width letters and stops are mapped to others, and Coze compares the text.
pub(crate) fn another_site(text: &str, url: &Url) -> Option<Problem> {
    if let Some(at) = text.find(unseen) {
        return Some(Problem::character(text, at));
    }
    let written = written_host(text);
    let read = url.host_str().unwrap_or_default();
    let same = |(written, read): (&str, &str)| {
        written.eq_ignore_ascii_case(read) || !written.is_ascii() && read.starts_with("xn--")
    };
    let is_same = written.split('.').count() == read.split('.').count()
        && written.split('.').zip(read.split('.')).all(same);
    (!written.starts_with('[') && !is_same).then_some(Problem::Host(
        "is read as another one; write it as it is read",
    ))
}

/// Why the host that is written is not the one that would be asked: `url` maps full-width letters and stops, and
/// numbers of every base. The name in the certificate, and in `aud`, is what it makes of them.
fn another_host(text: &str, url: &Url) -> Option<Problem> {
    let host = written_host(text);
    if let Some(at) = host.find(|c: char| !c.is_ascii()) {
        // The host is a part of the text, so it has a place in it.
        let at = at + text.find(host).unwrap_or_default();
        return Some(match Problem::character(text, at) {
            Problem::Character {
                is: "a character that is not ASCII",
                ..
            } => Problem::Host(
                "is not written in ASCII; an international name is written with xn-- here",
            ),
            problem => problem,
        });
    }
    let is_address = host.starts_with('[');
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._%".contains(&byte);
    if !is_address && (!host.bytes().all(is_name) || host.contains("..")) {
        return Some(Problem::Host(
            "cannot be a name: it has a character that no name has, or an empty part",
        ));
    }
    (!is_address
        && !url
            .host_str()
            .is_some_and(|read| read.eq_ignore_ascii_case(host)))
    .then_some(Problem::Host(
        "is read as another one; write it as it is read",
    ))
}

/// What is wrong with a base of Coze's own, or a path of its API at another one: Coze's answers to both mislead.
fn of_coze(url: &Url, is_for: For) -> Option<Problem> {
    let host = url.host_str().unwrap_or_default();
    let name = host.strip_suffix('.').unwrap_or(host);
    let has_path = !url.path().trim_end_matches('/').is_empty();
    let (sub, domain) = match name.split_once('.') {
        Some((sub @ ("api" | "www"), domain)) => (sub, domain),
        _ => ("", name),
    };
    let is_coze = matches!(domain, "coze.cn" | "coze.com");
    if is_coze && host != name {
        return Some(Problem::Host(
            "ends in a full stop, and so is another name to Coze; leave it out",
        ));
    }
    match (is_for, sub, domain) {
        (For::Tokens, ..) => None,
        (For::Endpoint, ..) if is_coze && !has_path => Some(Problem::Looks(
            "is a host of Coze's alone; the whole URL is asked for, as the platform sets it",
        )),
        (For::Endpoint, ..) if is_of_other_grants(url.path()) => Some(Problem::Path(
            "of the endpoint for logins and JWT apps, which is not one for workloads",
        )),
        (For::Endpoint, ..) => None,
        (For::Api, "www" | "", "coze.cn") => Some(Problem::Host(
            "is Coze's website and not its API, which is https://api.coze.cn",
        )),
        (For::Api, "www" | "", "coze.com") => Some(Problem::Host(
            "is Coze's website and not its API, which is https://api.coze.com",
        )),
        (For::Pages, "api", "coze.cn") => Some(Problem::Host(
            "is Coze's API, where no page is; people log in at https://www.coze.cn",
        )),
        (For::Pages, "api", "coze.com") => Some(Problem::Host(
            "is Coze's API, where no page is; people log in at https://www.coze.com",
        )),
        _ if is_coze && has_path => Some(Problem::Path(
            "which Coze's base does not have: paths are added to it; leave out what stands behind the host",
        )),
        _ if is_api_path(url.path()) => Some(Problem::Path(
            "of Coze's API in it, which is added to the base; leave it out",
        )),
        _ => None,
    }
}

const OTHER_REGION: &str =
    "is of the other region than the API base: a login at one means nothing to the other";

/// The region whose API or website this is.
fn region(url: &Url) -> Option<Region> {
    match url.host_str()? {
        "api.coze.cn" | "www.coze.cn" | "coze.cn" => Some(Region::Cn),
        "api.coze.com" | "www.coze.com" | "coze.com" => Some(Region::Com),
        _ => None,
    }
}

/// Whether a path is below that of OAuth's endpoints but those of workloads.
fn is_of_other_grants(path: &str) -> bool {
    path.contains("/permission/oauth2/")
}

/// Whether a path has one of the API in it. A gateway may have any other, `/v1` as well.
fn is_api_path(path: &str) -> bool {
    const RESOURCES: [&str; 20] = [
        "apps",
        "audio",
        "bot",
        "bots",
        "chat",
        "connectors",
        "conversation",
        "conversations",
        "datasets",
        "files",
        "folders",
        "knowledge",
        "templates",
        "users",
        "variables",
        "workflow",
        "workflows",
        "workspaces",
        "enterprises",
        "commerce",
    ];
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    segments.windows(2).any(|pair| {
        let version = matches!(pair[0], "v1" | "v2" | "v3");
        matches!(pair, ["api", "permission"] | ["permission", "oauth2"])
            || pair[0] == "open_api"
            || version && RESOURCES.contains(&pair[1])
    }) || segments.last() == Some(&"open_api")
}

/// An http or https URL as a person would know it: written out, with a host, without a user. What `url`
/// mends (`https:host`, a tab within) is another URL to the next reader.
pub(crate) fn absolute(text: &str) -> Option<Url> {
    let written_out = ["http://", "https://"].iter().any(|start| {
        text.get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
    });
    let odd =
        |character: char| character.is_whitespace() || character.is_control() || character == '\\';
    if !written_out || text.contains(odd) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    // `https://https://host`: pasted behind what was there.
    let is_twice = matches!(url.host_str(), Some("http" | "https"));
    (url.has_host() && !is_twice && !has_user(&url)).then_some(url)
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

pub(crate) fn trimmed(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

pub(crate) fn uri(base: &Url, path: fmt::Arguments<'_>) -> Uri {
    format!("{}{path}", trimmed(base))
        .parse()
        .expect("a checked base and checked segments make a URI")
}

/// `/workspace_id/{id}` or nothing.
struct WorkspacePath<'a>(Option<&'a WorkspaceId>);

impl fmt::Display for WorkspacePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |id| write!(f, "/workspace_id/{}", id.as_str()))
    }
}

/// Defines an id that becomes one segment of a path.
macro_rules! path_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Takes one (", $what, "): letters, digits, `-`, `.`, `_` and `~`.")]
            ///
            /// # Errors
            ///
            /// [`ConfigError`] if it is empty or has another character: the id becomes a part of a path,
            /// and an empty one would call another endpoint (protocol §2.1).
            pub fn new(id: impl Into<String>) -> Result<Self, ConfigError> {
                let id = id.into();
                segment($what, &id).map(|()| Self(id))
            }

            /// The id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

path_id! {
    /// A workspace (空间): a login can be limited to one (enterprise plans, protocol §2.1 E2, E7).
    WorkspaceId, "workspace id"
}
path_id! {
    /// An account to get a JWT grant for: the UID of a workspace's owner, or an organisation (protocol §2.1 E4).
    AccountId, "account id"
}
path_id! {
    /// An enterprise to get a JWT grant for, such as `volcano_2101950001` (protocol §2.1 E5).
    EnterpriseId, "enterprise id"
}

fn segment(what: &'static str, id: &str) -> Result<(), ConfigError> {
    let problem = match id
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)))
    {
        _ if id.is_empty() => Problem::Empty,
        Some(at) => Problem::character(id, at),
        None if id.len() > LONGEST_ID => Problem::TooLong(LONGEST_ID),
        // `.` and `..` are no names but directions.
        None if matches!(id, "." | "..") => Problem::character(id, 0),
        None => return Ok(()),
    };
    Err(ConfigError::new(what, problem))
}

/// A client id, app id, key id or name: not empty, nothing around it, no invisible characters, nor the mark
/// of a text that was not Unicode.
///
/// # Errors
///
/// [`ConfigError`] about `what`.
pub fn identifier(what: &'static str, id: impl Into<String>) -> Result<String, ConfigError> {
    let id = id.into();
    let odd = |character| is_invisible(character) || character == char::REPLACEMENT_CHARACTER;
    let problem = match id.find(odd) {
        _ if id.is_empty() => Problem::Empty,
        Some(at) => Problem::character(&id, at),
        None if id.starts_with(char::is_whitespace) => Problem::character(&id, 0),
        None if id.ends_with(char::is_whitespace) => Problem::character(&id, id.trim_end().len()),
        None => return Ok(id),
    };
    Err(ConfigError::new(what, problem))
}

/// An id of an app or a key, as a person copied it: an [`identifier`] that does not look like something else.
pub(crate) fn copied(what: &'static str, id: impl Into<String>) -> Result<String, ConfigError> {
    let id = id.into();
    pasted::refuse(what, &id, Setting::Text)?;
    identifier(what, id)
}
