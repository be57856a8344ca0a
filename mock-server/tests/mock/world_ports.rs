//! A world at the root of a port of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use coze_auth_mock::{At, CozeAuthMock, MockWorld, On, PortError};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::raw::{End, Received, Server, ask, connect, read, until};
use crate::support::*;
use crate::tls::secured;

/// Scheme, address and `host:port` of a world's port.
fn opened(world: &MockWorld) -> (String, SocketAddr) {
    let url = world.open_port(0).expect("a port");
    let (_, authority) = url.split_once("://").expect("a URL");
    let at = authority.parse().expect("an address");
    (url, at)
}

/// An answer on a connection of its own to `to`, of a client that calls the mock `host`.
fn send(server: &Server, to: SocketAddr, host: &str, call: &str, body: Option<&Value>) -> Received {
    let (call, bearer) = call.split_once(" as ").unwrap_or((call, ""));
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{call} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {bearer}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    match server.0.mock.ca_pem() {
        None => ask(&mut connect(to), request.as_bytes(), true),
        Some(pem) => ask(&mut secured(connect(to), pem), request.as_bytes(), true),
    }
}

fn json_of(received: &Received) -> Value {
    serde_json::from_slice(received.body()).expect("JSON")
}

/// For a client that knows host and port alone, everything is there, and nothing of another world.
#[test]
fn at_its_port_a_world_is_the_root() {
    for server in [Server::thread(), Server::task(), Server::tls()] {
        let m = &server.0;
        let alpha = m.mock.world("alpha").expect("a name");
        let (url, at) = opened(&alpha);
        assert!(url.starts_with(m.mock.base_url().split_once("127").expect("a URL").0));
        assert_ne!(at, server.address());
        let host = at.to_string();
        let send = |call: &str, body: Option<&Value>| send(&server, at, &host, call, body);
        let json_of = |call: &str| json_of(&send(call, None));

        // A login, with everything where the client finds it.
        let redirect = send(&format!("GET {}", target(&authorize_url(&[]))), None);
        let code = query_value(&redirect.header("location")[0], "code").expect("a code");
        let tokens = send(
            &format!("POST {TOKEN} as {SECRET}"),
            Some(&exchange(WEB, &code)),
        );
        assert_eq!(tokens.status(), 200);
        let tokens: Value = serde_json::from_slice(tokens.body()).expect("JSON");
        let access = tokens["access_token"].as_str().expect("a token");
        assert_eq!(
            send(&format!("GET /v1/users/me as {access}"), None).status(),
            200
        );
        assert_eq!(m.get("/t/alpha/v1/users/me", Some(access)).status, 200);
        assert_eq!(m.get("/v1/users/me", Some(access)).status, 401);
        let device = send(
            &format!("POST {DEVICE_CODE}"),
            Some(&json!({ "client_id": DEVICE })),
        );
        let device: Value = serde_json::from_slice(device.body()).expect("JSON");
        let activation = format!("{url}/oauth/device-activation");
        assert_eq!(device["verification_uri"], activation);
        assert_eq!(send("GET /oauth/device-activation", None).status(), 200);

        // Its control plane, its journal, its dashboard.
        let info = json_of("GET /_mock/v1/info");
        assert_eq!(
            (&info["base_url"], &info["port_url"]),
            (&json!(url), &json!(url))
        );
        assert_eq!(info["port"], at.port());
        let requests = json_of("GET /_mock/v1/requests");
        assert_eq!(requests["requests"].as_array().map(Vec::len), Some(5));
        assert_eq!(alpha.requests().len(), 5);
        let har = json_of("GET /_mock/v1/requests.har");
        let first = har["log"]["entries"][0]["request"]["url"].as_str();
        assert!(
            first.is_some_and(|first| first.starts_with(&url)),
            "{first:?}"
        );
        let logid = &alpha.requests()[1].outcome.logid;
        let explained = json_of(&format!("GET /_mock/v1/explain/{logid}"));
        assert!(explained["text"].is_string(), "{explained}");
        let dashboard = send("GET /_mock/", None);
        let page = String::from_utf8(dashboard.body().to_vec()).expect("text");
        assert_eq!(page.matches("data-testid=\"world\"").count(), 1, "{page}");
        assert!(page.contains("· alpha") && !page.contains("../"), "{page}");

        // No other world: its path is unknown, and none is made.
        let unknown = send("GET /t/beta/v1/users/me as pat_mock_alice", None);
        assert_eq!(unknown.status(), 404);
        assert_eq!(unknown.header("x-mock-rule"), ["path.known"]);
        assert_eq!(alpha.requests().len(), 6, "it is a request of this world");
        for call in [
            "GET /t/alpha/_mock/v1/info",
            "GET /_mock/v1/info?world=beta",
            "GET /_mock/v1/worlds",
            "DELETE /_mock/v1/worlds/alpha",
        ] {
            assert_eq!(send(call, None).status(), 404, "{call}");
        }
        let refused = json_of("GET /_mock/v1/worlds");
        let why = refused["error"].as_str().expect("a reason");
        assert!(why.contains("own port of the world alpha"), "{why}");
        let listed = m.get("/_mock/v1/worlds", None).json;
        assert_eq!(
            listed["worlds"].as_array().map(Vec::len),
            Some(1),
            "{listed}"
        );
        assert_eq!(listed["worlds"][0]["port"], at.port());
        assert!(
            m.mock
                .requests()
                .iter()
                .all(|entry| entry.path == "/v1/users/me")
        );
        m.mock.reset();
        alpha.reset();
        assert_eq!(alpha.port_url(), Some(url), "a reset leaves the address");
    }
}

/// What stands before the mock does not stand before a world's port.
#[test]
fn at_its_port_a_world_is_called_as_its_client_calls_it() {
    let (builder, clock) = builder();
    let mock = builder
        .public_url("https://dev.example/coze")
        .start_blocking();
    let mock = mock.expect("a mock");
    let server = Server(Mock { mock, clock }, None);
    let alpha = server.0.mock.world("alpha").expect("a name");
    let url = alpha.open_port(0).expect("a port");
    let port = url.rsplit_once(':').expect("a port").1;
    assert_eq!(url, format!("http://dev.example:{port}"));
    let to = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a number")));
    let base = |to, host: &str, path: &str| {
        json_of(&send(
            &server,
            to,
            host,
            &format!("GET {path}/_mock/v1/info"),
            None,
        ))["base_url"]
            .clone()
    };
    assert_eq!(
        base(to, &format!("mock:{port}"), ""),
        Value::Null,
        "a foreign name"
    );
    assert_eq!(
        base(to, &format!("localhost:{port}"), ""),
        format!("http://localhost:{port}")
    );
    // Whoever came by another way, such as a proxy, is sent where the world is, too.
    assert_eq!(
        base(to, "dev.example", ""),
        "https://dev.example/coze/t/alpha"
    );
    let main = SocketAddr::from((
        [127, 0, 0, 1],
        server
            .0
            .mock
            .banner()
            .lines()
            .find_map(|line| {
                line.rsplit_once("listening on http://127.0.0.1:")?
                    .1
                    .parse::<u16>()
                    .ok()
            })
            .expect("a port"),
    ));
    assert_eq!(
        base(main, "localhost", "/t/alpha"),
        "https://dev.example/coze/t/alpha"
    );
}

fn is_free(at: SocketAddr) -> bool {
    TcpStream::connect(at).is_err() && TcpListener::bind(at).is_ok()
}

#[test]
fn a_port_is_given_back() {
    for server in [Server::thread(), Server::task()] {
        let m = &server.0;
        let world = |name: &str| m.mock.world(name).expect("a name");
        let delete = |path: &str| {
            let request = Request::delete(format!("/_mock/v1{path}"));
            m.send(request.body(Bytes::new()).expect("a request"))
                .status
        };
        // By request, at once, whatever the name of who asks.
        let (_, at) = opened(&world("a"));
        assert_eq!(delete("/port?world=a"), 200);
        assert!(is_free(at));
        assert_eq!(delete("/port?world=a"), 404);
        assert!(!world("a").close_port() && world("a").port_url().is_none());
        // The same port for another world, and no other than that.
        let again = world("b").open_port(at.port()).expect("it is free");
        assert_eq!(world("b").open_port(0).expect("its own"), again);
        assert_eq!(world("b").open_port(at.port()).expect("its own"), again);
        let taken = world("a").open_port(at.port());
        assert!(matches!(taken, Err(PortError::Bind { port, .. }) if port == at.port()));
        // Another one for the same world.
        let free = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr();
        let other = free.expect("an address");
        world("b").open_port(other.port()).expect("a port");
        assert!(is_free(at) && !is_free(other));
        // With the world: removed, or made anew.
        let b = world("b");
        assert_eq!(delete("/worlds/b"), 200);
        assert!(is_free(other));
        assert!(matches!(b.open_port(0), Err(PortError::Ended)));
        let (_, at) = opened(&world("c"));
        m.control("/worlds", &json!({ "name": "c" }));
        assert!(is_free(at) && world("c").port_url().is_none());
        // With the mock.
        let (_, at) = opened(&world("d"));
        let d = world("d");
        let Server(Mock { mock, .. }, _runtime) = server;
        drop(mock);
        assert!(is_free(at));
        assert!(d.open_port(0).is_err());
    }
}

/// What runs is answered; what idles ends.
#[test]
fn requests_that_run_when_a_port_is_closed_are_answered() {
    for server in [Server::thread(), Server::task()] {
        let alpha = server.0.mock.world("alpha").expect("a name");
        let (_, at) = opened(&alpha);
        let me =
            b"GET /v1/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\n\r\n";
        let (mut idle, mut busy) = (connect(at), connect(at));
        assert_eq!(ask(&mut idle, me, true).end, End::Open);
        let gate = alpha.gate("g", On::endpoint("users_me"), At::Request);
        std::io::Write::write_all(&mut busy, me).expect("it is sent");
        until("it waits", || gate.waiting() == 1);
        assert!(alpha.close_port());
        assert_eq!(read(&mut idle, false).end, End::Fin);
        assert!(TcpStream::connect(at).is_err());
        gate.open();
        let answered = read(&mut busy, false);
        assert_eq!((answered.status(), answered.end), (200, End::Fin));
    }
}

#[test]
fn so_many_worlds_have_a_port_and_no_more() {
    let server = Server::thread();
    let m = &server.0;
    let world = |n: usize| m.mock.world(&format!("w{n}")).expect("a name");
    for n in 0..256 {
        world(n).open_port(0).expect("a port");
    }
    assert!(matches!(world(256).open_port(0), Err(PortError::TooMany)));
    let make = json!({ "name": "more", "port": 0 });
    let full = m.control("/worlds", &make);
    assert_eq!(full.status, 503, "{}", full.text);
    assert!(
        full.member("error")
            .contains("256 worlds of this mock have a port")
    );
    let listed = m.get("/_mock/v1/worlds", None).json;
    let names = listed["worlds"].as_array().expect("worlds").iter();
    assert!(
        names.clone().all(|world| world["name"] != "more"),
        "it was not made"
    );
    assert_eq!(names.clone().count(), 257);
    let metrics = m.get("/_mock/v1/metrics", None).text;
    assert!(
        metrics.contains("coze_auth_mock_world_ports 256\n"),
        "{metrics}"
    );
    assert!(world(7).close_port());
    let made = m.control("/worlds", &make);
    assert_eq!(made.status, 200, "{}", made.text);
    assert!(made.member("base_url").ends_with("/t/more"));
    assert!(
        made.member("port_url")
            .ends_with(&format!(":{}", made.json["port"]))
    );
    // Nobody who needs an address loses it to those who were there once.
    for n in 0..1_100 {
        m.mock.world(&format!("e{n}")).expect("a name");
    }
    assert!(m.mock.world("more").expect("a name").port_url().is_some());
}

#[test]
fn a_port_that_cannot_be_is_refused_with_the_reason() {
    let m = Mock::new();
    let world = m.mock.world("alpha").expect("a name");
    assert!(matches!(world.open_port(0), Err(PortError::NotListening)));
    let put = |m: &Mock, body: &Value| {
        let mut request = post("/_mock/v1/port?world=alpha", None, body);
        *request.method_mut() = http::Method::PUT;
        m.send(request)
    };
    let refused = put(&m, &json!({ "port": 0 }));
    assert_eq!(refused.status, 501);
    assert!(refused.member("error").contains("does not listen"));
    for body in [json!({}), json!({ "port": 65_536 }), json!({ "port": "0" })] {
        assert_eq!(put(&m, &body).status, 400, "{body}");
    }
    let server = Server::thread();
    let m = &server.0;
    let own = server.address().port();
    let refused = put(m, &json!({ "port": own }));
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let why = refused.member("error");
    assert!(
        why.contains(&own.to_string()) && why.contains("use port 0"),
        "{why}"
    );
    let made = m.control("/worlds", &json!({ "name": "beta", "port": own }));
    assert_eq!(made.status, StatusCode::CONFLICT);
    let listed = m.get("/_mock/v1/worlds", None).json;
    assert_eq!(
        listed["worlds"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
    let opened = put(m, &json!({ "port": 0 }));
    assert_eq!(opened.status, 200, "{}", opened.text);
    assert!(TcpStream::connect(("127.0.0.1", port_of(&opened))).is_ok());
}

fn port_of(reply: &Reply) -> u16 {
    let port = reply.json["port"].as_u64().expect("a number");
    port.try_into().expect("a port")
}

#[test]
fn a_mock_on_every_address_opens_ports_on_every_address() {
    let mock = CozeAuthMock::builder()
        .listen(([0, 0, 0, 0], 0).into())
        .allow_other_machines()
        .start_blocking()
        .expect("a mock");
    let url = mock.world("alpha").expect("a name").open_port(0);
    let url = url.expect("a port");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let port: u16 = url
        .rsplit_once(':')
        .expect("a port")
        .1
        .parse()
        .expect("a number");
    // Linux takes each of these addresses as this machine's.
    if cfg!(target_os = "linux") {
        assert!(TcpStream::connect(("127.0.0.2", port)).is_ok());
    }
    let mut stream = connect(([127, 0, 0, 1], port).into());
    let health = b"GET /_mock/v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(
        ask(&mut stream, health, true).status(),
        401,
        "the admin token counts"
    );
}
