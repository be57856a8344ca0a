//! One meaning of the environment's proxy variables in both adapters: each row in a process of its own, with two proxies
//! that write down what they are asked for. What each entry means, to the last comma, stands in the core's tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coze_auth_core::whoami::{User, whoami};
use coze_auth_core::{AccessToken, Call, Endpoints};
use coze_auth_tokens::Error;

struct Row {
    /// `{a}` and `{b}` are the proxies, as host and port.
    variables: &'static [(&'static str, &'static str)],
    base: &'static str,
    /// Which proxy was asked for what, and how.
    asked: &'static str,
    /// What the caller is told has this in it.
    told: &'static str,
}

const HTTPS: &str = "https://api.coze.test";
const HTTP: &str = "http://api.coze.test";
/// Of no machine (RFC 5737): a proxy that looks no name up is given an address.
const ADDRESS: &str = "http://192.0.2.7";
/// The proxy leads no further: it has been asked, and that is all there is to see of https.
const FAILED: &str =
    "through the proxy: https://api.coze.test: could not be reached, and nothing was sent";
/// Nobody was asked, and this name does not exist.
const DIRECT: &str = "directly";

const fn row(
    variables: &'static [(&'static str, &'static str)],
    base: &'static str,
    asked: &'static str,
    told: &'static str,
) -> Row {
    Row {
        variables,
        base,
        asked,
        told,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // By scheme.
    row(&[], HTTPS, "", DIRECT),
    row(&[("HTTPS_PROXY", "http://{a}")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("https_proxy", "http://{a}")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("HTTPS_PROXY", "{a}")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("HTTPS_PROXY", "http://{a}")], HTTP, "", DIRECT),
    row(&[("HTTP_PROXY", "http://{a}")], HTTPS, "", DIRECT),
    row(&[("HTTP_PROXY", "http://{a}")], HTTP, "a: http api.coze.test:80", "alice"),
    row(&[("ALL_PROXY", "http://{a}")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("all_proxy", "http://{a}")], HTTP, "a: http api.coze.test:80", "alice"),
    row(&[("ALL_PROXY", "http://{a}"), ("HTTP_PROXY", "http://{b}")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("HTTPS_PROXY", "http://{a}"), ("https_proxy", "http://{b}")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://{b}")], HTTPS, "b: http api.coze.test:443", FAILED),
    // SOCKS, which is not gone around.
    row(&[("ALL_PROXY", "socks5h://{a}")], HTTPS, "a: socks5 api.coze.test:443", FAILED),
    row(&[("ALL_PROXY", "socks5h://{a}")], HTTP, "a: socks5 api.coze.test:80", "alice"),
    row(&[("ALL_PROXY", "socks5://{a}")], ADDRESS, "a: socks5 192.0.2.7:80", "alice"),
    row(&[("ALL_PROXY", "socks5://{a}")], HTTPS, "", FAILED),
    row(&[("ALL_PROXY", "socks4://{a}")], ADDRESS, "a: socks4 192.0.2.7:80", "alice"),
    row(&[("ALL_PROXY", "socks4a://{a}")], HTTP, "a: socks4 api.coze.test:80", "alice"),
    row(&[("ALL_PROXY", "socks5://{a}"), ("HTTPS_PROXY", "http://{b}")], HTTPS, "b: http api.coze.test:443", FAILED),
    row(&[("ALL_PROXY", "socks5h://{a}"), ("HTTPS_PROXY", "http://{b}")], HTTP, "a: socks5 api.coze.test:80", "alice"),
    row(&[("ALL_PROXY", "http://{a}"), ("HTTPS_PROXY", "socks5h://{b}")], HTTPS, "b: socks5 api.coze.test:443", FAILED),
    // User and password.
    row(&[("HTTP_PROXY", "http://me:se%40cret+%2F@{a}")], HTTP, "a: http api.coze.test:80 for me:se@cret+/", "alice"),
    row(&[("HTTPS_PROXY", "http://me:se%40cret+%2F@{a}")], HTTPS, "a: http api.coze.test:443 for me:se@cret+/", FAILED),
    row(&[("ALL_PROXY", "socks5h://me:se%40cret@{a}")], HTTP, "a: socks5 api.coze.test:80 for me:se@cret", "alice"),
    // Spared.
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "coze.test")], HTTPS, "", DIRECT),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", ".coze.test")], HTTP, "", DIRECT),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "*.coze.test")], HTTPS, "", DIRECT),
    row(&[("ALL_PROXY", "http://{a}"), ("no_proxy", "x, .COZE.Test")], HTTPS, "", DIRECT),
    row(&[("ALL_PROXY", "socks5h://{a}"), ("NO_PROXY", "*")], HTTPS, "", DIRECT),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "coze.test:443")], HTTPS, "", DIRECT),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "coze.test:8443")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "oze.test")], HTTPS, "a: http api.coze.test:443", FAILED),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "192.0.2.0/29")], ADDRESS, "", DIRECT),
    row(&[("ALL_PROXY", "http://{a}"), ("NO_PROXY", "192.0.2.8/29")], ADDRESS, "a: http 192.0.2.7:80", "alice"),
    // Not understood: refused by name, if it decides.
    row(&[("ALL_PROXY", "foo://me:secret@{a}")], HTTPS, "", "ALL_PROXY: is not a proxy that can be used"),
    row(&[("ALL_PROXY", "socks://{a}")], HTTP, "", "ALL_PROXY: is not a proxy that can be used"),
    row(&[("https_proxy", "http://me:sec#ret@{a}")], HTTPS, "", "https_proxy: is not a proxy that can be used"),
    row(&[("HTTPS_PROXY", "foo://{a}"), ("ALL_PROXY", "http://{b}")], HTTPS, "", "HTTPS_PROXY: is not a proxy that can be used"),
    row(&[("ALL_PROXY", "foo://{a}"), ("HTTPS_PROXY", "http://{b}")], HTTPS, "b: http api.coze.test:443", FAILED),
    row(&[("ALL_PROXY", "foo://{a}"), ("NO_PROXY", "coze.test")], HTTPS, "", DIRECT),
    // In a CGI program whoever sends a request sets HTTP_PROXY.
    row(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://{a}")], HTTP, "", DIRECT),
    row(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://{a}"), ("http_proxy", "http://{b}")], HTTP, "b: http api.coze.test:80", "alice"),
    row(&[("REQUEST_METHOD", "GET"), ("HTTPS_PROXY", "http://{a}")], HTTPS, "a: http api.coze.test:443", FAILED),
];

const VARIABLES: &[&str] = &[
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];

/// A proxy of each kind in one: it answers for the host over http, and leads nowhere over https.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let asks = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Before it is answered, so that it stands there when the client has its answer.
                serve(&mut stream.expect("a connection"), &|asked| {
                    asks.lock().unwrap().push(format!("{name}: {asked}"));
                });
            }
        });
        Self { address, asked }
    }
}

fn bytes<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).expect("as many bytes");
    bytes
}

fn text(stream: &mut TcpStream, length: u8) -> String {
    let mut text = vec![0; length.into()];
    stream.read_exact(&mut text).expect("as many bytes");
    String::from_utf8(text).expect("text")
}

fn until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.extend(bytes::<1>(stream));
    }
    String::from_utf8(read).expect("text")
}

fn serve(stream: &mut TcpStream, asked: &dyn Fn(String)) {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let [first] = bytes(stream);
    match first {
        5 => socks5(stream, asked),
        4 => socks4(stream, asked),
        _ => http(stream, asked),
    }
}

/// RFC 1928, RFC 1929.
fn socks5(stream: &mut TcpStream, asked: &dyn Fn(String)) {
    let [methods] = bytes(stream);
    let methods = text(stream, methods);
    let mut user = String::new();
    if methods.contains('\u{2}') {
        stream.write_all(&[5, 2]).expect("it listens");
        let [_, length] = bytes(stream);
        let name = text(stream, length);
        let [length] = bytes(stream);
        user = format!(" for {name}:{}", text(stream, length));
        stream.write_all(&[1, 0]).expect("it listens");
    } else {
        stream.write_all(&[5, 0]).expect("it listens");
    }
    let [_, _, _, kind] = bytes(stream);
    let host = match kind {
        1 => bytes::<4>(stream).map(|byte| byte.to_string()).join("."),
        3 => {
            let [length] = bytes(stream);
            text(stream, length)
        }
        other => panic!("an address of kind {other}"),
    };
    let port = u16::from_be_bytes(bytes(stream));
    asked(format!("socks5 {host}:{port}{user}"));
    let refused = u8::from(port != 80);
    let reply = [5, refused, 0, 1, 0, 0, 0, 0, 0, 0];
    stream.write_all(&reply).expect("it listens");
    answer(stream, port);
}

fn socks4(stream: &mut TcpStream, asked: &dyn Fn(String)) {
    let [_] = bytes(stream);
    let port = u16::from_be_bytes(bytes(stream));
    let address: [u8; 4] = bytes(stream);
    until(stream, b"\0");
    let host = match address {
        [0, 0, 0, _] => until(stream, b"\0").trim_end_matches('\0').to_owned(),
        address => address.map(|byte| byte.to_string()).join("."),
    };
    asked(format!("socks4 {host}:{port}"));
    stream
        .write_all(&[0, 90, 0, 0, 0, 0, 0, 0])
        .expect("it listens");
    answer(stream, port);
}

/// `CONNECT`, or for http a request in full, as reqwest sends it.
fn http(stream: &mut TcpStream, asked: &dyn Fn(String)) {
    let head = until(stream, b"\r\n\r\n");
    let target = head.split(' ').nth(1).expect("a target").to_owned();
    let user = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": Basic ")?;
        let ours = name.eq_ignore_ascii_case("proxy-authorization");
        ours.then(|| STANDARD.decode(value).expect("base64"))
    });
    let user = user.map_or_else(String::new, |user| {
        format!(" for {}", String::from_utf8(user).expect("text"))
    });
    if let Some(url) = target.strip_prefix("http://") {
        let host = url.split('/').next().expect("a host");
        asked(format!("http {host}:80{user}"));
        return write_user(stream);
    }
    asked(format!("http {target}{user}"));
    let refused = !target.ends_with(":80");
    let status = if refused { "403 Forbidden" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\n\r\n").expect("it listens");
    if !refused {
        answer(stream, 80);
    }
}

fn answer(stream: &mut TcpStream, port: u16) {
    if port == 80 {
        until(stream, b"\r\n\r\n");
        write_user(stream);
    }
}

fn write_user(stream: &mut TcpStream) {
    let body = r#"{"code":0,"data":{"user_id":"1","user_name":"alice"}}"#;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("it listens");
}

const BASE: &str = "COZE_AUTH_TEST_BASE";

/// What the child process does: one request.
fn child(run: impl FnOnce(Call<User>) -> Result<User, Error>) {
    let base = std::env::var(BASE).expect("a base");
    let endpoints = Endpoints::custom_insecure(&base).expect("a base");
    let token = AccessToken::new("pat").expect("a token");
    match run(whoami(&endpoints, &token)) {
        Ok(user) => println!("told: {}", user.user_name),
        Err(Error::Core {
            error,
            cause: Some(cause),
        }) => {
            let way = match cause.proxy() {
                Some(_) => "through the proxy",
                None => "directly",
            };
            println!("told: {way}: {error}: {cause}");
        }
        Err(error) => println!("told: {error}"),
    }
}

fn over(test: &str, run: impl FnOnce(Call<User>) -> Result<User, Error>) {
    if std::env::var_os(BASE).is_some() {
        return child(run);
    }
    // reqwest reads the system's certificates for https, and there may be none.
    let mock = coze_auth_mock::CozeAuthMock::builder().tls();
    let mock = mock.start_blocking().expect("a mock");
    let certificates =
        std::env::temp_dir().join(format!("coze-auth-{test}-{}.pem", std::process::id()));
    std::fs::write(&certificates, mock.ca_pem().expect("a CA")).expect("a file");
    for row in ROWS {
        let proxies = ["a", "b"].map(Proxy::start);
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", test, "--nocapture"]);
        for name in VARIABLES {
            command.env_remove(name);
        }
        command
            .env(BASE, row.base)
            .env("SSL_CERT_FILE", &certificates);
        for (name, value) in row.variables {
            let value = value.replace("{a}", &proxies[0].address.to_string());
            command.env(name, value.replace("{b}", &proxies[1].address.to_string()));
        }
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let what = format!("{:?} for {}: {text}", row.variables, row.base);
        let told = text.split("told: ").nth(1);
        let told =
            told.unwrap_or_else(|| panic!("{what}{}", String::from_utf8_lossy(&output.stderr)));
        let told = told.lines().next().unwrap_or_default();
        // Within the process everything has ended: what was asked, was asked before.
        let asked = proxies.map(|proxy| proxy.asked.lock().unwrap().join(" "));
        assert_eq!(asked.join(""), row.asked, "{what}");
        assert!(told.contains(row.told), "{}: {what}", row.told);
        assert!(!told.contains("secret") && !told.contains("cret"), "{what}");
    }
    let _ = std::fs::remove_file(certificates);
}

/// Rows that fail by a name that is not there take no longer than this.
const TIMEOUT: Duration = Duration::from_secs(6);

#[test]
fn over_reqwest() {
    over("over_reqwest", |call| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let client = coze_auth_reqwest::Client::new()?.with_timeout(TIMEOUT);
        runtime.block_on(client.run(call))
    });
}

#[test]
fn over_ureq() {
    over("over_ureq", |call| {
        coze_auth_ureq::Client::new()?
            .with_timeout(TIMEOUT)
            .run(call)
    });
}
