//! Requests of the application's own that are redirected: only the answer to one that carried the token counts. What becomes of a
//! redirect is a matter of the HTTP client, so here the cases over the two adapters, whose clients follow some, are
//! not those over a transport of one's own, which is to follow none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use coze_auth_conformance::SharedClock;
use coze_auth_core::device::DeviceApp;
use coze_auth_core::{Endpoints, TokenGrant};
use coze_auth_store::MemoryStore;
use coze_auth_tokens::Error;

use crate::support::seconds;
use crate::transports::{Attohttpc, Hyper, OnThreads, OnTokio, Reqwest, Tokens, Ureq};

/// An API, another origin, and what came to both.
struct Sites {
    bases: [String; 2],
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Of each request: the site, how many redirects it has behind it, and which token it carried.
    requests: Vec<String>,
    /// The token that the API takes.
    good: String,
    grants: usize,
}

impl Sites {
    /// The API takes this token, until it is renewed. The other origin gives everything this status.
    fn new(good: &str, other: u16) -> Self {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let bases = listeners
            .each_ref()
            .map(|listener| format!("http://{}", listener.local_addr().expect("an address")));
        let state = State {
            good: good.to_owned(),
            ..State::default()
        };
        let sites = Self {
            bases,
            state: Arc::new(Mutex::new(state)),
        };
        for (site, listener) in listeners.into_iter().enumerate() {
            let (bases, state) = (sites.bases.clone(), sites.state.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.expect("a connection");
                    let (path, token) = request(&stream);
                    let answer = answer(
                        &mut state.lock().unwrap(),
                        &bases,
                        site,
                        &path,
                        token,
                        other,
                    );
                    stream.write_all(answer.as_bytes()).expect("it listens");
                }
            });
        }
        sites
    }

    /// A path that is redirected to each of these sites in turn.
    fn url(&self, chain: &str) -> String {
        format!("{}/x{chain}/0", self.bases[0])
    }

    fn saw(&self) -> String {
        std::mem::take(&mut self.state.lock().unwrap().requests).join(" ")
    }

    fn grants(&self) -> usize {
        self.state.lock().unwrap().grants
    }

    fn tokens<T: Tokens>(&self, clock: &SharedClock) -> T {
        let endpoints = Endpoints::custom(&self.bases[0]).expect("a base");
        let app = DeviceApp::new(endpoints, "device-client").expect("an id");
        let tokens = T::stored(clock, app, MemoryStore::new());
        let grant = TokenGrant::from_secret_json(
            r#"{"access_token":"old","refresh_token":"r","issued_at":1750000000,"expires_at":1760000000}"#,
        );
        tokens.install(grant.expect("a grant")).expect("stored");
        tokens
    }
}

/// The path of a request, and the token that it carries.
fn request(stream: &TcpStream) -> (String, String) {
    let mut lines = BufReader::new(stream)
        .lines()
        .map(|line| line.expect("text"));
    let first = lines.next().unwrap_or_default();
    let mut token = "-".to_owned();
    for line in lines.take_while(|line| !line.is_empty()) {
        if line
            .to_ascii_lowercase()
            .starts_with("authorization: bearer ")
        {
            token = line["authorization: bearer ".len()..].to_owned();
        }
    }
    (
        first.split(' ').nth(1).unwrap_or_default().to_owned(),
        token,
    )
}

fn answer(
    state: &mut State,
    bases: &[String; 2],
    site: usize,
    path: &str,
    token: String,
    other: u16,
) -> String {
    if path == "/api/permission/oauth2/token" {
        state.grants += 1;
        state.good = format!("new{}", state.grants);
        let body = format!(
            r#"{{"access_token":"{}","refresh_token":"r","expires_in":1760000000}}"#,
            state.good
        );
        return with_body("200 OK", &body);
    }
    let mut parts = path.trim_start_matches("/x").split('/');
    let chain = parts.next().unwrap_or_default();
    let step: usize = parts
        .next()
        .and_then(|step| step.parse().ok())
        .unwrap_or_default();
    let name = ["api", "other"][site];
    let good = match site {
        0 => token == state.good,
        _ => other == 200,
    };
    state.requests.push(format!("{name}/{step}:{token}"));
    match chain.as_bytes().get(step) {
        Some(to) => format!(
            "HTTP/1.1 302 Found\r\nlocation: {}/x{chain}/{}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            bases[usize::from(*to == b'o')],
            step + 1
        ),
        None if good => with_body("200 OK", r#"{"code":0}"#),
        None => with_body("401 Unauthorized", r#"{"code":4100}"#),
    }
}

fn with_body(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// What came of a request, in a word: its status, or which error at which site.
fn outcome(sites: &Sites, result: Result<(u16, String), Error>) -> String {
    let site = |to: &str| match to == sites.bases[0] {
        true => "api",
        false if to == sites.bases[1] => "other",
        false => "nowhere",
    };
    match result {
        Ok((status, _)) => status.to_string(),
        Err(Error::Redirected { to }) => format!("may have gone to {}", site(&to)),
        Err(Error::RefusedElsewhere { to }) => format!("refused elsewhere at {}", site(&to)),
        Err(error) => panic!("{error:?}"),
    }
}

struct Row {
    /// The sites that a request to the API is redirected to in turn: `a` for the API, `o` for the other origin.
    chain: &'static str,
    /// The token that the API takes from the start; the first that is sent is `old`.
    good: &'static str,
    /// What the other origin gives: 200, or 401.
    other: u16,
    method: &'static str,
    reqwest: (&'static str, &'static str),
    ureq: (&'static str, &'static str),
    grants: usize,
}

/// What reqwest 0.13 and ureq 3 do by default stands in the requests; docs/tokens.md tells it.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Not redirected: judged.
    Row { chain: "", good: "", other: 401, method: "GET", grants: 1,
        reqwest: ("api/0:old api/0:new1", "200"),
        ureq: ("api/0:old api/0:new1", "200") },
    // To another origin, which refuses: nothing is said about the token.
    Row { chain: "o", good: "old", other: 401, method: "GET", grants: 0,
        reqwest: ("api/0:old other/1:-", "may have gone to other"),
        ureq: ("api/0:old other/1:-", "refused elsewhere at other") },
    Row { chain: "o", good: "old", other: 401, method: "POST", grants: 0,
        reqwest: ("api/0:old other/1:-", "may have gone to other"),
        ureq: ("api/0:old other/1:-", "refused elsewhere at other") },
    Row { chain: "ao", good: "old", other: 401, method: "GET", grants: 0,
        reqwest: ("api/0:old api/1:old other/2:-", "may have gone to other"),
        ureq: ("api/0:old api/1:- other/2:-", "refused elsewhere at other") },
    // A download from elsewhere is handed on.
    Row { chain: "o", good: "old", other: 200, method: "GET", grants: 0,
        reqwest: ("api/0:old other/1:-", "200"),
        ureq: ("api/0:old other/1:-", "200") },
    // Within the API, with a token that is good and one that is not.
    Row { chain: "a", good: "old", other: 401, method: "GET", grants: 0,
        reqwest: ("api/0:old api/1:old", "200"),
        ureq: ("api/0:old api/1:- api/1:old", "200") },
    Row { chain: "a", good: "", other: 401, method: "GET", grants: 1,
        reqwest: ("api/0:old api/1:old api/1:old api/1:new1", "200"),
        ureq: ("api/0:old api/1:- api/1:old api/1:new1", "200") },
    // Out and back: the header is lost on the way.
    Row { chain: "oa", good: "old", other: 401, method: "GET", grants: 0,
        reqwest: ("api/0:old other/1:- api/2:- api/2:old", "200"),
        ureq: ("api/0:old other/1:- api/2:- api/2:old", "200") },
    Row { chain: "oa", good: "", other: 401, method: "GET", grants: 1,
        reqwest: ("api/0:old other/1:- api/2:- api/2:old api/2:new1", "200"),
        ureq: ("api/0:old other/1:- api/2:- api/2:old api/2:new1", "200") },
    // A redirect makes a GET of a POST, and what the POST would be answered is not known.
    Row { chain: "a", good: "", other: 401, method: "POST", grants: 0,
        reqwest: ("api/0:old api/1:old", "refused elsewhere at api"),
        ureq: ("api/0:old api/1:-", "refused elsewhere at api") },
];

fn over<T: Tokens>(expected: impl Fn(&Row) -> (&'static str, &'static str)) {
    for row in ROWS {
        let sites = Sites::new(row.good, row.other);
        let tokens: T = sites.tokens(&SharedClock::new());
        let url = sites.url(row.chain);
        // As often as one likes: a POST that may be repeated is treated like one that may not, here.
        let result = tokens.send(row.method, &url, row.method == "POST");
        let what = format!("{} {} {} {}", row.method, row.chain, row.good, row.other);
        let came = outcome(&sites, result);
        assert_eq!((&*sites.saw(), &*came), expected(row), "{what}");
        assert_eq!(sites.grants(), row.grants, "{what}");
        let token = tokens.token().expect("a token");
        let expected = ["old", "new1"][row.grants];
        assert_eq!(token.expose(), expected, "{what}");
    }
}

#[test]
fn a_row_over_reqwest_each() {
    over::<OnTokio<Reqwest>>(|row| row.reqwest);
}

#[test]
fn a_row_over_ureq_each() {
    over::<OnThreads<Ureq>>(|row| row.ureq);
}

/// A client that follows none: the redirect is the answer, whatever lies behind it, and nothing went there.
fn is_the_answer<T: Tokens>() {
    for row in ROWS {
        let sites = Sites::new(row.good, row.other);
        let tokens: T = sites.tokens(&SharedClock::new());
        let result = tokens.send(row.method, &sites.url(row.chain), row.method == "POST");
        let came = outcome(&sites, result);
        let expected = match row.chain {
            "" => row.reqwest,
            _ => ("api/0:old", "302"),
        };
        assert_eq!((&*sites.saw(), &*came), expected, "{}", row.chain);
    }
}

#[test]
fn over_a_transport_of_ones_own_a_redirect_is_the_answer() {
    is_the_answer::<OnTokio<Hyper>>();
    is_the_answer::<OnThreads<Attohttpc>>();
}

/// Ten minutes of a redirect to a host that says 401: not one grant.
fn ten_minutes<T: Tokens>(followed: bool) {
    let sites = Sites::new("old", 401);
    let clock = SharedClock::new();
    let tokens: T = sites.tokens(&clock);
    for _ in 0..20 {
        let result = tokens.send("GET", &sites.url("o"), false);
        assert_eq!(result.is_err(), followed, "it is not the API's answer");
        clock.advance(seconds(30));
    }
    assert_eq!(sites.grants(), 0);
}

#[test]
fn ten_minutes_over_the_adapters() {
    ten_minutes::<OnTokio<Reqwest>>(true);
    ten_minutes::<OnThreads<Ureq>>(true);
}

#[test]
fn ten_minutes_over_transports_of_ones_own() {
    ten_minutes::<OnTokio<Hyper>>(false);
    ten_minutes::<OnThreads<Attohttpc>>(false);
}
