//! A login over real sockets: the tests are the browser.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::core::http::Request;
use crate::core::{Body, ClientSecret, Endpoints, Flow as _, Step};
use crate::{ErrorKind, tokens};

/// Against a test that hangs.
const GUARD: Duration = Duration::from_secs(20);

fn pkce() -> PkceApp {
    let endpoints = Endpoints::custom("http://127.0.0.1:9").expect("a base");
    PkceApp::new(endpoints, "1234.app.coze").expect("an id")
}

fn redirect(uri: &str) -> RedirectUri {
    RedirectUri::new(uri).expect("a redirect URI")
}

/// Limits that no test waits for by mistake, and in which a page is enough to close.
const LIMITS: Limits = Limits {
    head: GUARD,
    answer: GUARD,
    stay: GUARD,
    after_page: Duration::ZERO,
};

/// A login that somebody waits for on a thread, and what it has told.
struct Running {
    url: String,
    at: SocketAddr,
    notices: Arc<Mutex<Vec<Notice>>>,
    outcome: Receiver<Result<Call<TokenGrant>, Error>>,
}

impl Running {
    fn new() -> Self {
        Self::of(Self::login())
    }

    fn login() -> Login {
        let mut login = Login::new(pkce(), &redirect("http://127.0.0.1/callback"));
        login.limits = LIMITS;
        login.any_port().without_browser().within(GUARD)
    }

    fn of(login: Login) -> Self {
        let (told, addresses) = mpsc::channel();
        let notices: Arc<Mutex<Vec<Notice>>> = Arc::default();
        let kept = notices.clone();
        let login = login.on_notice(move |notice| {
            kept.lock().unwrap().push(notice.clone());
            if let Notice::Address { url, port, .. } = notice {
                // Whoever is told the address can go there at once.
                TcpStream::connect(("127.0.0.1", *port)).expect("it listens before it tells");
                told.send((url.as_str().to_owned(), *port)).expect("a test");
            }
        });
        let (end, outcome) = mpsc::channel();
        thread::spawn(move || {
            let _ = end.send(login.wait_blocking());
        });
        let (url, port) = addresses.recv_timeout(GUARD).expect("an address");
        Self {
            url,
            at: ([127, 0, 0, 1], port).into(),
            notices,
            outcome,
        }
    }

    fn parameter(&self, name: &str) -> String {
        parameter(&self.url, name).to_owned()
    }

    /// The path of this login's callback.
    fn callback(&self, code: &str) -> String {
        format!("/callback?code={code}&state={}", self.parameter("state"))
    }

    fn get(&self, target: &str) -> Answer {
        ask(
            self.at,
            &format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        )
    }

    fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap().clone()
    }

    fn stray_notices(&self) -> usize {
        let notices = self.notices();
        notices
            .iter()
            .filter(|notice| **notice == Notice::StrayCallback)
            .count()
    }

    /// Nothing has come of it so far.
    fn waits(&self) {
        assert!(self.outcome.try_recv().is_err(), "the login is over");
    }

    /// The person follows the redirect, and the program goes on.
    fn finish(&self) -> Result<Call<TokenGrant>, Error> {
        assert_eq!(self.get("/done").status, 200);
        self.outcome.recv_timeout(GUARD).expect("an outcome")
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("somebody listens");
    stream.set_read_timeout(Some(GUARD)).expect("a limit");
    stream
}

/// All that comes until the connection is closed; a reset fails.
fn read(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .expect("an answer to its end");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let answer = Answer {
        status: head[9..12].parse().expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    };
    assert_eq!(answer.header("Connection"), Some("close"));
    let length: usize = answer
        .header("Content-Length")
        .expect("it")
        .parse()
        .expect("a number");
    assert!(
        length > 0,
        "a page without a body is the browser's own error page"
    );
    assert!(body.is_empty() || body.len() == length);
    answer
}

fn ask(at: SocketAddr, request: &str) -> Answer {
    let mut stream = connect(at);
    stream.write_all(request.as_bytes()).expect("it is read");
    read(stream)
}

/// The request that the call would send.
fn request(mut call: Call<TokenGrant>) -> Request<Body> {
    match call.step(tokens::system_now()) {
        Step::Send(request) => request,
        other => panic!("{other:?}"),
    }
}

/// A parameter of an address.
fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let mut pairs = url.split(['?', '&']);
    let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.expect("a parameter")
}

/// The person approves at this address, and follows the redirect.
fn log_in(at: SocketAddr, url: &str) {
    let state = parameter(url, "state");
    let callback = format!("GET /callback?code=c&state={state} HTTP/1.1\r\n\r\n");
    assert_eq!(ask(at, &callback).status, 303);
    assert_eq!(ask(at, "GET /done HTTP/1.1\r\n\r\n").status, 200);
}

fn body(call: Call<TokenGrant>) -> String {
    String::from_utf8(request(call).body().as_bytes().to_vec()).expect("JSON")
}

#[test]
fn a_callback_leads_to_a_page_without_the_code_and_gives_the_exchange() {
    let login = Running::new();
    let answer = login.get(&login.callback("code_1"));
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("Location"), Some("/done"));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert!(!answer.body.is_empty());
    let page = login.get("/done");
    assert_eq!(
        (page.status, page.header("Cache-Control")),
        (200, Some("no-cache"))
    );
    assert!(
        page.body.contains("<h1>Coze has answered</h1>")
            && page.body.contains("<h2>扣子已答复</h2>")
    );
    let call = login
        .outcome
        .recv_timeout(GUARD)
        .expect("an outcome")
        .expect("a call");
    let body = body(call);
    let uri = format!("http://127.0.0.1:{}/callback", login.at.port());
    for part in [
        "\"code\":\"code_1\"",
        &format!("\"redirect_uri\":\"{uri}\""),
        "\"code_verifier\":\"",
    ] {
        assert!(body.contains(part), "{part}");
    }
    TcpStream::connect(login.at).expect_err("the port is free when the call is there");
}

#[test]
fn a_web_app_logs_in_for_one_workspace() {
    let secret = ClientSecret::new("of-the-console").expect("a secret");
    let endpoints = Endpoints::custom("http://127.0.0.1:9").expect("a base");
    let app = WebApp::new(endpoints, "1234.app.coze", secret).expect("an app");
    let mut login = Login::new(&app, &redirect("http://127.0.0.1/callback")).any_port();
    login.limits = LIMITS;
    let workspace = WorkspaceId::new("77").expect("an id");
    let login = Running::of(login.without_browser().in_workspace(workspace));
    assert!(login.url.contains("/workspace_id/77/"), "{}", login.url);
    assert!(!login.url.contains("code_challenge"));
    assert_eq!(login.get(&login.callback("code_2")).status, 303);
    let request = request(login.finish().expect("a call"));
    assert_eq!(request.headers()["authorization"], "Bearer of-the-console");
}

#[test]
fn the_registered_redirect_uri_decides_and_a_free_port_is_taken_by_name_only() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let port = free.expect("a port").port();
    let uri = format!("http://127.0.0.1:{port}/a%20b/callback?from=coze");
    let mut login = Login::new(pkce(), &redirect(&uri)).without_browser();
    login.limits = LIMITS;
    let login = Running::of(login);
    assert_eq!(login.at.port(), port);
    // To the letter.
    let sent: String = login
        .parameter("redirect_uri")
        .replace("%3A", ":")
        .replace("%2F", "/")
        .replace("%3F", "?")
        .replace("%3D", "=")
        .replace("%25", "%");
    assert_eq!(sent, uri);
    let state = login.parameter("state");
    assert_eq!(
        login
            .get(&format!("/a%20b/callback?from=coze&code=c&state={state}"))
            .status,
        303
    );
    assert!(body(login.finish().expect("a call")).contains(&uri));
}

#[test]
fn other_callbacks_are_answered_and_the_login_goes_on() {
    let login = Running::new();
    for stray in [
        "/callback?code=old&state=of-an-earlier-login",
        "/callback?code=old",
        "/callback",
        "/callback?error=access_denied&state=x",
    ] {
        let answer = login.get(stray);
        assert_eq!(answer.status, 400, "{stray}");
        assert!(
            answer.body.contains("This tab is of another login"),
            "{stray}"
        );
        assert!(answer.body.contains("此标签页属于另一次登录"), "{stray}");
        assert_eq!(answer.header("Cache-Control"), Some("no-cache"), "{stray}");
    }
    let state = login.parameter("state");
    for unreadable in [
        format!("/callback?code=a&code=b&state={state}"),
        format!("/callback?code=a%0Ab&state={state}"),
    ] {
        let answer = login.get(&unreadable);
        assert!(answer.status == 400 && answer.body.contains("This is not a callback"));
    }
    // A tab of an earlier login, restored.
    let answer = login.get("/done");
    assert!(answer.status == 404 && answer.body.contains("of an earlier login"));
    for path in ["/favicon.ico", "/", "/callback/", "/callbacks?code=c"] {
        assert_eq!(login.get(path).status, 404, "{path}");
    }
    login.waits();
    assert_eq!(
        login.stray_notices(),
        1,
        "an old tab loads itself again and again"
    );
    assert_eq!(login.get(&login.callback("new")).status, 303);
    assert!(body(login.finish().expect("a call")).contains("\"code\":\"new\""));
}

#[test]
fn another_method_is_refused_and_the_login_goes_on() {
    let login = Running::new();
    let target = login.callback("code_1");
    for method in ["POST", "PUT", "OPTIONS", "HEAD"] {
        let answer = ask(
            login.at,
            &format!("{method} {target} HTTP/1.1\r\nContent-Length: 4\r\n\r\na=bb"),
        );
        assert_eq!(
            (answer.status, answer.header("Allow")),
            (405, Some("GET")),
            "{method}"
        );
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{method}");
    }
    login.waits();
    assert_eq!(login.get(&target).status, 303);
    drop(login.finish().expect("a call"));
}

#[test]
fn a_long_head_is_answered_to_its_end() {
    let login = Running::new();
    // More than the sockets hold.
    let long = "x".repeat(20_000_000);
    let mut stream = connect(login.at);
    // It is answered before it was read; the rest of it must not turn the page into a reset.
    stream
        .write_all(format!("GET /callback HTTP/1.1\r\nCookie: {long}\r\n\r\n").as_bytes())
        .expect("it is read");
    let answer = read(stream);
    assert_eq!(answer.status, 431);
    assert!(answer.body.contains("The request is too long"));
    // One without an end, of which no more is waited for.
    let began = Instant::now();
    let endless = format!("GET /callback HTTP/1.1\r\nCookie: {}", "x".repeat(20_000));
    assert_eq!(ask(login.at, &endless).status, 431);
    assert!(began.elapsed() < LIMITS.head / 2);
    // Little more than may be, with its end.
    let long = "x".repeat(17_000);
    assert_eq!(login.get(&format!("/callback?code={long}")).status, 431);
    // What Coze could send is not too long.
    let code = "c".repeat(4_000);
    assert_eq!(login.get(&login.callback(&code)).status, 303);
    drop(login.finish().expect("a call"));
}

#[test]
fn what_is_not_http_is_answered_at_once() {
    let login = Running::new();
    for garbage in [
        "\x16\x03\x01\x02",
        "GET /callback\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
    ] {
        let answer = ask(login.at, garbage);
        assert_eq!(answer.status, 400, "{garbage:?}");
    }
    let half = connect(login.at);
    half.shutdown(std::net::Shutdown::Write)
        .expect("an open connection");
    assert_eq!(read(half).status, 400);
    login.waits();
    assert_eq!(login.get(&login.callback("c")).status, 303);
    drop(login.finish().expect("a call"));
}

#[test]
fn connections_are_served_side_by_side() {
    let login = Running::new();
    // As a browser keeps them, and nobody speaks.
    let silent: Vec<TcpStream> = (0..20).map(|_| connect(login.at)).collect();
    let began = Instant::now();
    assert_eq!(login.get(&login.callback("c")).status, 303);
    drop(login.finish().expect("a call"));
    assert!(
        began.elapsed() < LIMITS.head,
        "it waited for a silent connection"
    );
    drop(silent);
}

#[test]
fn a_head_has_a_time_limit_as_a_whole() {
    let mut login = Running::login();
    login.limits.head = Duration::from_millis(300);
    let login = Running::of(login);
    let answer = read(connect(login.at));
    assert_eq!(answer.status, 408);
    assert!(answer.body.contains("did not arrive in time"));
    // A byte now and then does not put it off.
    let mut drip = connect(login.at);
    let mut writer = drip.try_clone().expect("a handle");
    let began = Instant::now();
    let dripping = thread::spawn(move || {
        while began.elapsed() < GUARD && writer.write_all(b"G").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut status = [0; 12];
    drip.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 408");
    assert!(began.elapsed() < GUARD / 2);
    drop(drip);
    dripping.join().expect("the writer");
    login.waits();
    assert_eq!(login.get(&login.callback("c")).status, 303);
    drop(login.finish().expect("a call"));
}

#[test]
fn more_connections_than_are_served_at_once_only_wait() {
    let mut login = Running::login();
    login.limits.head = Duration::from_millis(500);
    let login = Running::of(login);
    let silent: Vec<TcpStream> = (0..100).map(|_| connect(login.at)).collect();
    assert_eq!(login.get(&login.callback("c")).status, 303);
    drop(login.finish().expect("a call"));
    for stream in silent.into_iter().take(60) {
        assert_eq!(read(stream).status, 408);
    }
}

#[test]
fn the_same_callback_again_has_the_same_page_and_no_second_exchange() {
    let mut login = Running::login();
    // So that it stays after the page.
    login.limits.after_page = Duration::from_millis(700);
    let login = Running::of(login);
    let target = login.callback("first");
    let mut pages = Vec::new();
    for _ in 0..3 {
        let answer = login.get(&target);
        assert_eq!(
            (answer.status, answer.header("Location")),
            (303, Some("/done"))
        );
        pages.push(login.get("/done").body);
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0], pages[2]);
    // Another code with the same state comes too late, and so does a refusal.
    assert_eq!(login.get(&login.callback("second")).status, 303);
    let state = login.parameter("state");
    assert_eq!(
        login
            .get(&format!("/callback?error=access_denied&state={state}"))
            .status,
        303
    );
    assert_eq!(login.get("/done").body, pages[0]);
    // And another login's is another login's still.
    assert_eq!(login.get("/callback?code=c&state=other").status, 400);
    let call = login
        .outcome
        .recv_timeout(GUARD)
        .expect("an outcome")
        .expect("a call");
    assert!(body(call).contains("\"code\":\"first\""));
    assert!(login.outcome.recv_timeout(GUARD).is_err(), "one outcome");
}

#[test]
fn of_callbacks_at_once_one_decides() {
    for round in 0..20 {
        let login = Running::new();
        let (all, go) = (std::sync::Barrier::new(8), login.at);
        let statuses: Vec<u16> = thread::scope(|scope| {
            let callers: Vec<_> = (0..8)
                .map(|caller| {
                    let (all, target) = (&all, login.callback(&format!("code_{caller}")));
                    scope.spawn(move || {
                        let mut stream = connect(go);
                        all.wait();
                        let text = format!("GET {target} HTTP/1.1\r\n\r\n");
                        stream.write_all(text.as_bytes()).expect("it is read");
                        read(stream).status
                    })
                })
                .collect();
            callers
                .into_iter()
                .map(|caller| caller.join().expect("an answer"))
                .collect()
        });
        assert_eq!(statuses, [303; 8], "round {round}");
        assert!(body(login.finish().expect("a call")).contains("\"code\":\"code_"));
    }
}

#[test]
fn a_refused_consent_is_told_to_both() {
    let login = Running::new();
    let state = login.parameter("state");
    let answer = login.get(&format!(
        "/callback?error=access_denied&error_description=no&state={state}"
    ));
    assert_eq!(
        (answer.status, answer.header("Location")),
        (303, Some("/done"))
    );
    let page = login.get("/done");
    assert!(
        page.status == 200
            && page.body.contains("You are not logged in")
            && page.body.contains("未登录")
    );
    let error = login
        .outcome
        .recv_timeout(GUARD)
        .expect("an outcome")
        .expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(
        error.to_string(),
        "the authorization was refused: access_denied: no; the person said no: start again only if they wish to"
    );
}

#[test]
fn a_callback_of_ours_with_neither_code_nor_error_ends_the_login() {
    let login = Running::new();
    let state = login.parameter("state");
    assert_eq!(login.get(&format!("/callback?state={state}")).status, 303);
    let error = login.finish().expect_err("no code");
    assert!(
        error
            .to_string()
            .starts_with("the callback has neither a code nor an error"),
        "{error}"
    );
}

#[test]
fn a_browser_says_that_a_tab_went_there() {
    let login = Running::new();
    let target = login.callback("c");
    let ask_with =
        |headers: &str| ask(login.at, &format!("GET {target} HTTP/1.1\r\n{headers}\r\n"));
    for part in [
        "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
        "sec-fetch-mode: cors\r\n",
        "Sec-Fetch-Dest: script\r\n",
    ] {
        let answer = ask_with(part);
        assert_eq!(answer.status, 400, "{part}");
        assert!(
            answer.body.contains("A login needs a tab of its own"),
            "{part}"
        );
    }
    login.waits();
    // From wherever: after a consent that was given before it is `none`.
    for site in ["none", "same-site", "cross-site", "same-origin"] {
        let headers = format!(
            "Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
        );
        assert_eq!(ask_with(&headers).status, 303, "{site}");
    }
    drop(login.finish().expect("a call"));
}

#[test]
fn the_time_is_over() {
    let login = Running::of(Running::login().within(Duration::from_millis(300)));
    let error = login
        .outcome
        .recv_timeout(GUARD)
        .expect("an outcome")
        .expect_err("nobody came");
    assert!(
        matches!(error, Error::NoCallback { waited, refused: None } if waited == Duration::from_millis(300))
    );
    assert_eq!(error.kind(), ErrorKind::LoginNeeded);
    assert_eq!(
        error.to_string(),
        "no callback of the login arrived in 0 s; it is over: log in again; a tab of it that is still open will say that it cannot connect, \
         and can be closed"
    );
    TcpStream::connect(login.at).expect_err("the port is free");
}

/// That nothing came would be false then, and would send the person after the wrong cause.
#[test]
fn what_came_and_was_refused_is_told_when_the_time_is_over() {
    let post = "POST TARGET HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let part = "GET TARGET HTTP/1.1\r\nSec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\n\r\n";
    let other = "GET /callback?code=c&state=other HTTP/1.1\r\n\r\n";
    let unreadable = "GET /callback?code=a&code=b HTTP/1.1\r\n\r\n";
    for (request, told) in [
        (post, Some("one that was not a GET")),
        (part, Some("one that a part of a page asked for")),
        (other, Some("one without the state of this login")),
        (unreadable, Some("one that cannot be read as a callback")),
        ("GET /favicon.ico HTTP/1.1\r\n\r\n", None),
    ] {
        let login = Running::of(Running::login().within(Duration::from_millis(600)));
        let answer = ask(
            login.at,
            &request.replace("TARGET", &login.callback("code_1")),
        );
        assert!(answer.status >= 400, "{request}");
        let error = login.outcome.recv_timeout(GUARD).expect("an outcome");
        let error = error.expect_err("none was taken");
        let Error::NoCallback { refused, .. } = &error else {
            panic!("{error}");
        };
        let is_as_told = refused.map(|refused| told.is_some_and(|told| refused.starts_with(told)));
        assert_eq!(is_as_told, told.map(|_| true), "{request}: {error}");
        let words = match told {
            Some(told) => format!("arrived in 0 s, but {told}"),
            None => "arrived in 0 s; it is over".to_owned(),
        };
        assert!(error.to_string().contains(&words), "{error}");
    }
}

#[test]
fn a_callback_that_is_late_is_answered() {
    let login = Running::of(Running::login().within(Duration::from_millis(300)));
    let mut late = connect(login.at);
    late.write_all(b"GET ").expect("it is read");
    login
        .outcome
        .recv_timeout(GUARD)
        .expect("an outcome")
        .expect_err("nobody came");
    late.write_all(format!("{} HTTP/1.1\r\n\r\n", login.callback("c")).as_bytes())
        .expect("it is read");
    let answer = read(late);
    assert!(answer.status == 410 && answer.body.contains("This login is over"));
}

#[test]
fn it_stays_until_the_page_was_asked_for_and_not_for_ever() {
    let login = Running::new();
    assert_eq!(login.get(&login.callback("c")).status, 303);
    // The browser has been told where to go, and has not gone yet.
    login
        .outcome
        .recv_timeout(Duration::from_millis(300))
        .expect_err("it stays");
    drop(login.finish().expect("a call"));

    let mut login = Running::login();
    login.limits.stay = Duration::from_millis(300);
    let login = Running::of(login);
    assert_eq!(login.get(&login.callback("c")).status, 303);
    drop(
        login
            .outcome
            .recv_timeout(GUARD / 2)
            .expect("it has waited enough")
            .expect("a call"),
    );
}

#[test]
fn after_the_page_it_stays_a_moment_more() {
    let mut login = Running::login();
    login.limits.after_page = Duration::from_millis(500);
    let login = Running::of(login);
    assert_eq!(login.get(&login.callback("c")).status, 303);
    // A restored tab was quicker than the one that was sent here.
    assert_eq!(login.get("/done").status, 200);
    assert_eq!(login.get("/done").status, 200);
    assert_eq!(login.get("/favicon.ico").status, 404);
    drop(
        login
            .outcome
            .recv_timeout(GUARD / 2)
            .expect("an outcome")
            .expect("a call"),
    );
}

#[test]
fn a_callback_at_the_page_s_own_path_is_led_to_another() {
    let mut login = Login::new(pkce(), &redirect("http://127.0.0.1/done"))
        .any_port()
        .without_browser();
    login.limits = LIMITS;
    let login = Running::of(login);
    let state = login.parameter("state");
    let answer = login.get(&format!("/done?code=c&state={state}"));
    assert_eq!(
        (answer.status, answer.header("Location")),
        (303, Some("/logged-in"))
    );
    assert_eq!(login.get("/logged-in").status, 200);
    drop(
        login
            .outcome
            .recv_timeout(GUARD)
            .expect("an outcome")
            .expect("a call"),
    );
}

#[test]
fn the_address_as_a_proxy_is_sent_it_is_read() {
    let login = Running::new();
    assert_eq!(
        login
            .get(&format!("http://127.0.0.1:80{}", login.callback("c")))
            .status,
        303
    );
    drop(login.finish().expect("a call"));
}

fn has_ipv6() -> bool {
    let there = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !there {
        println!("skipped: this machine has no [::1]");
    }
    there
}

#[test]
fn localhost_is_listened_to_in_both_families() {
    let mut login = Login::new(pkce(), &redirect("http://localhost/callback"))
        .any_port()
        .without_browser();
    login.limits = LIMITS;
    let login = Running::of(login);
    assert!(
        login.url.contains("http%3A%2F%2Flocalhost%3A"),
        "{}",
        login.url
    );
    assert_eq!(login.get("/").status, 404);
    if has_ipv6() {
        let sixth = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), login.at.port());
        assert_eq!(
            ask(
                sixth,
                &format!("GET {} HTTP/1.1\r\n\r\n", login.callback("c"))
            )
            .status,
            303
        );
    } else {
        assert_eq!(login.get(&login.callback("c")).status, 303);
    }
    drop(login.finish().expect("a call"));
}

#[test]
fn an_address_of_the_sixth_version_is_listened_to() {
    if !has_ipv6() {
        return;
    }
    let (told, addresses) = mpsc::channel();
    let mut login = Login::new(pkce(), &redirect("http://[::1]/callback"))
        .any_port()
        .without_browser();
    login.limits = LIMITS;
    let login = login.on_notice(move |notice| {
        if let Notice::Address { url, port, .. } = notice {
            told.send((url.as_str().to_owned(), *port)).expect("a test");
        }
    });
    let waiting = thread::spawn(|| login.wait_blocking());
    let (url, port) = addresses.recv_timeout(GUARD).expect("an address");
    assert!(
        url.contains(&format!("http%3A%2F%2F%5B%3A%3A1%5D%3A{port}")),
        "{url}"
    );
    let at = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
    log_in(at, &url);
    drop(waiting.join().expect("its thread").expect("a call"));
}

#[test]
fn a_port_that_another_program_has_is_told() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port();
    let uri = redirect(&format!("http://127.0.0.1:{port}/callback"));
    let login = Login::new(pkce(), &uri).on_notice(|notice| panic!("{notice}"));
    let error = login.wait_blocking().expect_err("the port is taken");
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(
        error.to_string(),
        format!(
            "the login cannot listen on 127.0.0.1:{port}, where its redirect URI leads: another program has that port; it may be an earlier \
             login that still waits: end it, or register a redirect URI with another port"
        )
    );
    // One family of `localhost` that another program has is enough: a browser may go there.
    if has_ipv6() {
        let other = TcpListener::bind("[::1]:0").expect("a port");
        let port = other.local_addr().expect("an address").port();
        let uri = redirect(&format!("http://localhost:{port}/callback"));
        let error = Login::new(pkce(), &uri)
            .within(Duration::ZERO)
            .wait_blocking()
            .expect_err("the port is taken");
        assert!(
            error.to_string().contains(&format!("[::1]:{port}")),
            "{error}"
        );
    }
}

#[test]
fn a_redirect_uri_that_leads_elsewhere_is_refused_before_anything() {
    for (uri, why) in [
        (
            "https://127.0.0.1:8414/callback",
            "redirect URI: is https, for which a program on this machine has no certificate",
        ),
        (
            "https://app.example/callback",
            "redirect URI: has a host that is not 127.0.0.1, [::1] or localhost",
        ),
        (
            "http://app.localhost:8414/callback",
            "redirect URI: has a host that is not 127.0.0.1, [::1] or localhost",
        ),
        (
            "http://0.0.0.0:8414/callback",
            "redirect URI: has a host that is not 127.0.0.1, [::1] or localhost",
        ),
        (
            "http://127.0.0.1:8414/#/callback",
            "redirect URI: has a #, and a browser sends nothing of what stands behind one",
        ),
        (
            "http://127.0.0.1:0/callback",
            "redirect URI: has the port 0, which no browser can reach",
        ),
    ] {
        let login = Login::new(pkce(), &redirect(uri)).on_notice(|notice| panic!("{notice}"));
        let error = login.wait_blocking().expect_err(uri);
        assert!(error.to_string().starts_with(why), "{uri}: {error}");
        assert_eq!(error.kind(), ErrorKind::Settings, "{uri}");
    }
}

/// A runtime of twelve lines: none is needed.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => {
                let began = Instant::now();
                thread::park_timeout(GUARD);
                assert!(began.elapsed() < GUARD, "nobody has woken it");
            }
        }
    }
}

#[test]
fn it_is_awaited_without_a_runtime() {
    let login = Running::login().on_notice(|notice| {
        if let Notice::Address { url, port, .. } = notice {
            let (url, at) = (
                url.as_str().to_owned(),
                SocketAddr::from(([127, 0, 0, 1], *port)),
            );
            thread::spawn(move || log_in(at, &url));
        }
    });
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let call = block_on(is_send(login.wait())).expect("a call");
    assert!(body(call).contains("\"code\":\"c\""));
}

#[test]
fn a_login_that_is_dropped_listens_no_longer() {
    let (told, ports) = mpsc::channel();
    let login = Running::login().on_notice(move |notice| {
        if let Notice::Address { port, .. } = notice {
            told.send(*port).expect("a test");
        }
    });
    let mut waiting = Box::pin(login.wait());
    let polled = waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let port = ports.recv_timeout(GUARD).expect("a port");
    connect(([127, 0, 0, 1], port).into());
    drop(waiting);
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(began.elapsed() < GUARD, "it still listens");
        thread::sleep(Duration::from_millis(5));
    }
}

/// So many things that the hook and the opener were given, in their order.
fn opened(
    events: usize,
    open: impl FnOnce(&AuthorizeUrl, &Sender<&'static str>) -> io::Result<()> + Send + 'static,
) -> (Vec<&'static str>, Vec<Notice>) {
    let (order, seen) = mpsc::channel();
    let in_hook = order.clone();
    let notices: Arc<Mutex<Vec<Notice>>> = Arc::default();
    let kept = notices.clone();
    let main = thread::current().id();
    let login = Running::login()
        .within(Duration::from_millis(500))
        .on_notice(move |notice| {
            let what = match notice {
                Notice::Address {
                    no_browser: None, ..
                } => "address",
                Notice::BrowserFailed { .. } => "failed",
                _ => "other",
            };
            kept.lock().unwrap().push(notice.clone());
            in_hook.send(what).expect("a test");
        })
        .open_with(move |url| {
            assert_ne!(thread::current().id(), main, "on a thread of its own");
            order.send("opened").expect("a test");
            open(url, &order)
        });
    login.wait_blocking().expect_err("nobody comes");
    let order = (0..events).map(|_| seen.recv_timeout(GUARD).expect("one more"));
    let order = order.collect();
    let notices = notices.lock().unwrap().clone();
    (order, notices)
}

#[test]
fn the_address_is_told_and_then_opened() {
    let (order, notices) = opened(2, |url, _| {
        assert!(url.as_str().contains("&state="));
        Ok(())
    });
    assert_eq!(order, ["address", "opened"]);
    let Notice::Address { url, .. } = &notices[0] else {
        panic!("{notices:?}")
    };
    assert_eq!(
        notices[0].to_string(),
        format!(
            "Log in at this address. It opens in your browser now; if it does not, open it there:\n\n    {url}\n"
        )
    );
}

#[test]
fn an_opener_that_fails_is_told_and_one_that_hangs_holds_nobody() {
    let (order, notices) = opened(3, |_, _| Err(io::Error::other("nothing to open it with")));
    assert_eq!(order, ["address", "opened", "failed"]);
    assert_eq!(
        notices[1].to_string(),
        "The browser did not open (nothing to open it with): open the address above yourself."
    );
    let began = Instant::now();
    let (order, _) = opened(2, |_, _| {
        thread::sleep(GUARD);
        Ok(())
    });
    assert_eq!(order, ["address", "opened"]);
    assert!(began.elapsed() < GUARD / 2);
}

#[test]
fn a_person_without_a_browser_is_told_why() {
    let login = Running::new();
    let text = login.notices()[0].to_string();
    assert!(text.starts_with("Open this address in a browser on this machine to log in (none is opened by itself):\n\n    http"), "{text}");
    let ssh = Notice::Address {
        url: match &login.notices()[0] {
            Notice::Address { url, .. } => url.clone(),
            other => panic!("{other}"),
        },
        port: 8414,
        no_browser: Some(NoBrowser::Ssh),
    };
    assert!(ssh.to_string().contains("since this is an SSH session"));
    assert!(ssh.to_string().contains("ssh -L 8414:127.0.0.1:8414"));
    assert!(ssh.to_string().contains("log in with a device code"));
}

#[test]
fn a_page_asks_for_nothing_else_and_is_in_both_languages() {
    let login = Running::new();
    let state = login.parameter("state");
    let pages = [
        login.get("/callback?code=SECRET&state=SECRET"),
        login.get("/SECRET"),
        login.get("/done"),
        login.get(&login.callback("SECRET")),
        login.get("/done"),
    ];
    drop(
        login
            .outcome
            .recv_timeout(GUARD)
            .expect("an outcome")
            .expect("a call"),
    );
    for page in pages {
        let policy = page.header("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.header("Referrer-Policy"), Some("no-referrer"));
        assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(
            page.header("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        let whole = format!("{}{}", page.head, page.body);
        for secret in [
            "SECRET", &state, "http://", "https://", "<script", "src=", "url(",
        ] {
            assert!(!whole.contains(secret), "{secret} in {whole}");
        }
        assert!(
            page.body.contains("<section lang=\"zh-CN\">")
                && page.body.contains("<html lang=\"en\">")
        );
    }
}
