//! The loopback login: what it shows a browser, tells the person and fails with, after callbacks of every kind. What this browser sends is full of
//! secrets, in every place of a request.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use coze_auth::authorize::RedirectUri;
use coze_auth::loopback::{Login, Notice};

use crate::clients::web;
use crate::scenes::secret;
use crate::texts::{Name, Part, Texts};

const GUARD: Duration = Duration::from_secs(20);

const CALLBACK: &[&str] = &["client secret", "authorization code", "state"];

pub(crate) const PART: Part = Part {
    who: &["loopback login"],
    flows: &[("web: login in a browser", CALLBACK)],
    failures: &[
        "success",
        "refused, quoted",
        "a callback of another login",
        "two codes",
        "bytes that are not text",
        "a POST with the code",
        "another path",
        "a request too long",
        "a part of a page asks",
        "no HTTP",
        "no callback in time",
    ],
    places: &["Debug", "Display", "causes", "page"],
    cannot: &[
        (&[], &[], &["success"], &["causes"], "it does not fail"),
        (
            &[],
            &[],
            &["no callback in time"],
            &["page"],
            "no browser asks",
        ),
    ],
};

/// What the browser sends, of the login with this state.
fn request(failure: Name, state: &str) -> Option<Vec<u8>> {
    let code = secret("authorization code");
    let code: String = url::form_urlencoded::byte_serialize(code.as_bytes()).collect();
    let good = format!("/callback?code={code}&state={state}");
    let with = |method: &str, target: &str, more: &str, body: &str| {
        let length = body.len();
        let cookies =
            format!("Cookie: state={state}; code={code}\r\nReferer: http://127.0.0.1{good}");
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{cookies}\r\n{more}Content-Length: {length}\r\n\r\n{body}").into_bytes()
    };
    let get = |target: &str| with("GET", target, "", "");
    Some(match failure {
        "success" => get(&good),
        "refused, quoted" => get(&format!(
            "/callback?error={code}&error_description={code}+{state}&error_uri=https://{code}.example/&code={code}&state={state}"
        )),
        "a callback of another login" => get(&format!("/callback?code={code}&state=x{state}")),
        "two codes" => get(&format!("{good}&code={code}2")),
        "bytes that are not text" => get(&format!("{good}&code=%ff{code}")),
        "a POST with the code" => with("POST", &good, "", &good),
        "another path" => get(&format!("/{code}/{state}?{}", &good[10..])),
        "a request too long" => get(&format!("{good}&more={}", code.repeat(2_000))),
        "a part of a page asks" => with("GET", &good, "Sec-Fetch-Dest: image\r\n", ""),
        "no HTTP" => format!("{code} {state}\r\n\r\n").into_bytes(),
        _ => return None,
    })
}

fn ask(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(GUARD)).expect("a socket");
    // It may answer before it was sent all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn all(texts: &mut Texts) {
    let redirect = RedirectUri::new("http://127.0.0.1/callback").expect("a URI");
    for failure in PART.failures {
        texts.at(PART.who[0], PART.flows[0].0, failure);
        let (told, notices) = mpsc::channel();
        let within = if *failure == "no callback in time" {
            Duration::from_millis(50)
        } else {
            GUARD
        };
        let login = Login::new(web("http://127.0.0.1:9"), &redirect)
            .any_port()
            .without_browser()
            .within(within)
            .on_notice(move |notice| drop(told.send(notice.clone())));
        texts.debug(&login);
        let waits = std::thread::spawn(move || login.wait_blocking());
        let first = notices.recv_timeout(GUARD).expect("an address");
        texts.debug(&first);
        let Notice::Address { url, port, .. } = &first else {
            panic!("another notice first: {first:?}");
        };
        // The address itself is for this person: it has the state.
        texts.look("Display", first.to_string().replace(url.as_str(), ""));
        let query = url.as_str().split_once('?').expect("a query").1;
        let state = url::form_urlencoded::parse(query.as_bytes())
            .find_map(|(name, value)| (name == "state").then(|| value.into_owned()))
            .expect("a state");
        texts.needles.add("state", state.as_bytes());
        if let Some(request) = request(failure, &state) {
            let page = ask(*port, &request);
            assert!(
                page.starts_with("HTTP/1.1 ") || *failure == "no HTTP",
                "{failure}: {page}"
            );
            texts.look("page", page);
        }
        // One that decides, if this did not; and where it leads.
        if *failure != "no callback in time" {
            let denied = format!(
                "GET /callback?error=access_denied&state={state} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            );
            texts.look("page", ask(*port, denied.as_bytes()));
            texts.look(
                "page",
                ask(*port, b"GET /done HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            );
        }
        let outcome = waits.join().expect("it does not panic");
        texts.result(&outcome);
        for notice in notices {
            texts.debug(&notice);
            texts.look("Display", notice.to_string());
        }
    }
}
