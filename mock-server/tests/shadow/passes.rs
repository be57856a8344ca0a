//! What the shadow passes on, and what it refuses by name.

use std::time::Duration;

use bytes::Bytes;
use coze_auth_mock::{CozeAuthMock, Shadow};
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

const TOKEN: &str = "/api/permission/oauth2/token";

async fn shadow(upstream: &str) -> Shadow {
    Shadow::builder(upstream).start().await.expect("a shadow")
}

/// The shadow's own refusal, by its name.
fn refused(reply: &Reply) -> String {
    let name = reply.header("x-mock-shadow").to_owned();
    assert_eq!(
        reply.json["error_code"],
        format!("shadow_{name}"),
        "{}",
        reply.text
    );
    name
}

#[tokio::test]
async fn requests_and_answers_are_passed_on_byte_by_byte() {
    let answer = "HTTP/1.1 418 Of Its Own\r\nX-Tt-Logid: 2025\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 5\r\n\r\n{\"a\" ";
    let upstream = Recorder::start(vec![answer, answer]).await;
    let shadow = shadow(&upstream.base).await;
    let own = authority(shadow.base_url());
    for path in [TOKEN, "/v3/chat?b=%20&a=+x"] {
        let sent = format!(
            "POST {path} HTTP/1.1\r\nHost: {own}\r\nUser-Agent: a Program/1\r\nX-ODD-Case: 1\r\nx-odd-case: 2\r\nAccept-Encoding: gzip, br\r\n\
             Authorization: Bearer a  b\r\nContent-Length: 7\r\n\r\n{{ \"a\":1"
        );
        let arrived = raw(shadow.base_url(), &sent, "{\"a\" ").await;
        assert_eq!(arrived, answer);
        let passed = upstream.requests().pop().expect("a request");
        assert_eq!(passed, sent.replace(own, authority(&upstream.base)));
    }
    assert_eq!(upstream.requests().len(), 2);
}

/// The authorize page is on the www host, integrations and variables are on a third one (protocol §2.1, §15.1).
#[tokio::test]
async fn each_request_through_the_base_goes_to_its_host() {
    let fine = "HTTP/1.1 200 OK\r\nx-then: close\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Recorder::start(vec![fine; 7]).await;
    let port = upstream.base.rsplit(':').next().expect("a port");
    let shadow = shadow(&format!("http://api.coze.localhost:{port}")).await;
    for (request, host) in [
        (post(TOKEN, None, &json!({})), "api"),
        (get("/api/permission/oauth2/authorize", None), "www"),
        (post("/.well-known/token", None, &json!({})), "api"),
        (
            post("/api/v1/secret/integration", None, &json!({})),
            "integration",
        ),
        (get("/api/v1/secret/env", None), "integration"),
        (get("/v1/users/me", None), "api"),
        (get("/v3/chat", None), "api"),
    ] {
        let path = request.uri().path().to_owned();
        let reply = send(shadow.base_url(), request).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let passed = upstream.requests().pop().expect("a request");
        let named = format!("host: {host}.coze.localhost:{port}\r\n");
        assert!(passed.contains(&named), "{path}: {passed}");
    }
}

#[tokio::test]
async fn what_belongs_to_a_connection_stays_there() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-hop\r\nkeep-alive: timeout=1\r\nx-hop: 1\r\nproxy-authenticate: Basic\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Recorder::start(vec![answer]).await;
    let shadow = shadow(&upstream.base).await;
    let own = authority(shadow.base_url());
    let sent = format!(
        "POST {TOKEN} HTTP/1.1\r\nhost: {own}\r\nconnection: x-mine, keep-alive\r\nx-mine: 1\r\nproxy-authorization: Basic c2VjcmV0\r\nte: trailers\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let arrived = raw(shadow.base_url(), &sent, "{}").await;
    assert_eq!(arrived, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let passed = &upstream.requests()[0];
    let host = authority(&upstream.base);
    assert_eq!(
        *passed,
        format!("POST {TOKEN} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n{{}}")
    );
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let fine = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let last = "HTTP/1.1 200 OK\r\nx-then: close\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Recorder::start(vec!["", last, fine, ""]).await;
    let shadow = shadow(&upstream.base).await;
    let own = authority(shadow.base_url());
    let sent = format!("POST {TOKEN} HTTP/1.1\r\nhost: {own}\r\ncontent-length: 2\r\n\r\n{{}}");
    // The upstream ends the connection when it has the whole request.
    let lost = send(shadow.base_url(), post(TOKEN, None, &json!({}))).await;
    assert_eq!((lost.status, &*refused(&lost)), (502, "no_answer"));
    assert!(lost.text.contains("may have acted"), "{}", lost.text);
    assert_eq!(upstream.requests().len(), 1);
    // A connection that the upstream has ended between two requests has taken nothing of the second.
    let mut stream = TcpStream::connect(own).await.expect("the shadow");
    let mut answer = vec![0; 512];
    for (n, status) in [(2, "200"), (3, "200"), (4, "502")] {
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let read = stream.read(&mut answer).await.expect("an answer");
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{n}: {text}"
        );
        assert_eq!(upstream.requests().len(), n);
        // So that the end of the connection has arrived.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A program sends anew what has no beginning of an answer, and then its refresh token is used twice.
#[tokio::test]
async fn an_answer_that_breaks_off_is_passed_on_as_far_as_it_came() {
    let answer = "HTTP/1.1 200 OK\r\nx-then: close\r\ncontent-length: 99\r\n\r\n{\"a\"";
    let upstream = Recorder::start(vec![answer, answer]).await;
    let shadow = shadow(&upstream.base).await;
    let own = authority(shadow.base_url());
    for path in [TOKEN, "/v3/chat"] {
        let sent = format!("POST {path} HTTP/1.1\r\nhost: {own}\r\ncontent-length: 2\r\n\r\n{{}}");
        let arrived = raw(shadow.base_url(), &sent, "}").await;
        assert_eq!(arrived, answer, "{path}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

/// A page of another site may lead to the authorize page by a link, and have nothing else.
#[tokio::test]
async fn a_page_of_another_site_leads_to_the_authorize_page_alone() {
    let fine = "HTTP/1.1 200 OK\r\nx-then: close\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Recorder::start(vec![fine]).await;
    let shadow = shadow(&upstream.base).await;
    let authorize = "/api/permission/oauth2/authorize?client_id=1";
    for (path, mode, dest, status) in [
        (authorize, "navigate", "document", 200),
        (authorize, "navigate", "iframe", 403),
        (authorize, "no-cors", "image", 403),
        ("/v1/users/me", "navigate", "document", 403),
        ("/v1/users/me", "no-cors", "script", 403),
    ] {
        let mut request = get(path, None);
        for (name, value) in [("site", "cross-site"), ("mode", mode), ("dest", dest)] {
            let name: http::HeaderName = format!("sec-fetch-{name}").parse().expect("a name");
            request
                .headers_mut()
                .insert(name, value.parse().expect("a header"));
        }
        let reply = send(shadow.base_url(), request).await;
        assert_eq!(reply.status, status, "{path} {mode} {dest}: {}", reply.text);
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let shadow = shadow(&base).await;
    let reply = send(shadow.base_url(), post(TOKEN, None, &json!({}))).await;
    assert_eq!((reply.status, &*refused(&reply)), (502, "unreachable"));
    assert!(reply.text.contains("nothing was sent"), "{}", reply.text);
}

/// The answer of a chat arrives in parts, for which nobody waits until they are whole.
#[tokio::test]
async fn answers_are_passed_on_while_they_arrive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let shadow = shadow(&base).await;
    let own = authority(shadow.base_url()).to_owned();
    let mut client = TcpStream::connect(&own).await.expect("the shadow");
    let request = format!("GET /v3/chat HTTP/1.1\r\nhost: {own}\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("sent");
    let (mut server, _) = listener.accept().await.expect("a connection");
    let mut buffer = vec![0; 1024];
    let _ = server.read(&mut buffer).await.expect("a request");
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    server.write_all(head.as_bytes()).await.expect("sent");
    let mut seen = String::new();
    for part in ["data: 1\n\n", "data: 2\n\n"] {
        let chunk = format!("{:x}\r\n{part}\r\n", part.len());
        server.write_all(chunk.as_bytes()).await.expect("sent");
        while !seen.contains(part) {
            let read = tokio::time::timeout(GUARD, client.read(&mut buffer)).await;
            let read = read.expect("in time").expect("a part");
            assert!(read > 0, "{seen}");
            seen += &String::from_utf8_lossy(&buffer[..read]);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused_by_name() {
    let upstream = Recorder::start(vec![]).await;
    let shadow = shadow(&upstream.base).await;
    let base = shadow.base_url();
    let with = |name: &str, value: &str| {
        let mut request = get("/v1/users/me", None);
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        request
            .headers_mut()
            .append(name, value.parse().expect("a header"));
        request
    };
    let long = post(TOKEN, None, &json!({ "a": "a".repeat(1024 * 1024) }));
    let twice = {
        let mut request = with("host", "127.0.0.1");
        request
            .headers_mut()
            .append("host", "127.0.0.1".parse().expect("a header"));
        request
    };
    for (name, status, request) in [
        ("host", 403, with("host", "evil.example")),
        ("host", 403, with("host", "api.coze.cn")),
        ("host", 403, twice),
        ("origin", 403, with("origin", "https://evil.example")),
        ("origin", 403, with("origin", "null")),
        ("origin", 403, with("sec-fetch-site", "cross-site")),
        ("upgrade", 501, with("upgrade", "websocket")),
        ("body_too_long", 413, long),
    ] {
        let reply = send(base, request).await;
        assert_eq!(
            (&*refused(&reply), reply.status),
            (name, status),
            "{}",
            reply.text
        );
        assert!(reply.text.contains("nothing was sent"), "{}", reply.text);
    }
    let whole = "GET http://api.coze.cn/v1/users/me HTTP/1.1\r\nhost: api.coze.cn\r\nconnection: close\r\n\r\n";
    let reply = raw(base, whole, "}").await;
    assert!(
        reply.starts_with("HTTP/1.1 400 ") && reply.contains("shadow_whole_url"),
        "{reply}"
    );
    let cut = format!(
        "POST {TOKEN} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    );
    let reply = raw(base, &cut, "}").await;
    assert!(reply.contains("shadow_body"), "{reply}");
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

fn assertion(aud: &Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
    let claims = json!({ "iss": "1", "aud": aud, "jti": "a", "iat": 1, "exp": 2 });
    format!("{}.{}.c2ln", part(&header), part(&claims))
}

const JWT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

#[tokio::test]
async fn an_assertion_that_is_not_for_the_upstream_is_refused_at_the_base() {
    let fine = "HTTP/1.1 200 OK\r\nx-then: close\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Recorder::start(vec![fine; 6]).await;
    let shadow = shadow(&upstream.base).await;
    let (own, host) = (authority(shadow.base_url()), authority(&upstream.base));
    let body = json!({ "grant_type": JWT });
    let ask = |path: &str, aud: Value| {
        let request = post(path, Some(&assertion(&aud)), &body);
        async { send(shadow.base_url(), request).await }
    };
    for path in [TOKEN, "/api/permission/oauth2/account/1/token"] {
        for aud in [json!(own), json!(["api.coze.cn"]), json!(7), Value::Null] {
            let reply = ask(path, aud).await;
            assert_eq!((&*refused(&reply), reply.status), ("aud", 400));
            assert!(reply.text.contains(host), "{}", reply.text);
        }
    }
    assert_eq!(upstream.requests().len(), 0);
    for aud in [json!(host), json!("127.0.0.1"), json!([own, host])] {
        assert_eq!(ask(TOKEN, aud).await.status, 200);
    }
    // What is not an assertion is the upstream's to refuse, and no other grant has one.
    let request = post(TOKEN, Some("not.a.jwt"), &body);
    assert_eq!(send(shadow.base_url(), request).await.status, 200);
    let other = json!({ "grant_type": "refresh_token" });
    let request = post(TOKEN, Some(&assertion(&json!(own))), &other);
    assert_eq!(send(shadow.base_url(), request).await.status, 200);
}

/// A mock with TLS as the upstream, by a name for which its certificate is.
async fn secure() -> (CozeAuthMock, String, File) {
    let mock = CozeAuthMock::builder().tls().start().await.expect("a mock");
    let port = mock
        .base_url()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    let ca = File::new("ca.pem", mock.ca_pem().expect("a CA"));
    (mock, format!("api.coze.localhost:{port}"), ca)
}

#[tokio::test]
async fn a_program_keeps_its_base_and_uses_the_shadow_as_its_proxy() {
    let (mock, host, ca) = secure().await;
    let shadow = Shadow::builder(&format!("https://{host}"))
        .upstream_ca(&ca.0)
        .start()
        .await
        .expect("a shadow");
    let www = host.replace("api.", "www.");
    let integration = host.replace("api.", "integration.");
    assert_eq!(
        shadow.upstream(),
        [&host, &www, &integration].map(|host| format!("https://{host}"))
    );
    for to in [&host, &www, &integration] {
        let request = get("/v1/users/me", Some("pat_mock_alice"));
        let reply = through(shadow.base_url(), shadow.ca_pem(), to, request).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    // The name of another host in a tunnel is not passed on.
    let mut request = get("/v1/users/me", None);
    request
        .headers_mut()
        .insert("host", "api.coze.com".parse().expect("a header"));
    let reply = through(shadow.base_url(), shadow.ca_pem(), &host, request).await;
    assert_eq!(refused(&reply), "host");
    // The base that the client sees is the upstream's, so its audience fits.
    assert_eq!(mock.requests().len(), 3);
    let seen = mock.requests()[0]
        .headers
        .iter()
        .any(|(name, value)| name == "host" && *value == host);
    assert!(seen, "{:?}", mock.requests()[0]);
}

#[tokio::test]
async fn tunnels_lead_to_the_upstreams_hosts_alone() {
    let (mock, host, ca) = secure().await;
    let shadow = Shadow::builder(&format!("https://{host}"))
        .upstream_ca(&ca.0)
        .start()
        .await
        .expect("a shadow");
    let (name, port) = host.split_once(':').expect("a port");
    let other_port = format!("{name}:{}", port.parse::<u16>().expect("a port") ^ 1);
    for to in [
        "api.coze.cn:443",
        "evil.example:443",
        "127.0.0.1:1",
        &format!("localhost:{port}"),
        &format!("evil.{host}"),
        &other_port,
    ] {
        let (_, head) = connect(shadow.base_url(), to).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{to}: {head}");
        assert!(head.contains("x-mock-shadow: tunnel"), "{to}: {head}");
    }
    assert_eq!(mock.requests().len(), 0);
    // To a plain upstream there is no tunnel: a program has no https base for it.
    let plain = Recorder::start(vec![]).await;
    let shadow = self::shadow(&plain.base).await;
    let (_, head) = connect(shadow.base_url(), authority(&plain.base)).await;
    assert!(head.contains("x-mock-shadow: tunnel"), "{head}");
}

#[tokio::test]
async fn the_certificates_of_the_upstream_are_always_checked() {
    let (mock, host, ca) = secure().await;
    let port = host.rsplit(':').next().expect("a port").to_owned();
    let send = |shadow: Shadow| async move {
        let request = get("/v1/users/me", Some("pat_mock_alice"));
        send(shadow.base_url(), request).await
    };
    let ask = |builder: coze_auth_mock::ShadowBuilder| async move {
        send(builder.start().await.expect("a shadow")).await
    };
    // The system does not know the CA; a CA that is known has not vouched for this name; and this is another CA.
    let unknown = match Shadow::builder(&format!("https://{host}")).start().await {
        Ok(shadow) => Some(send(shadow).await),
        // A machine without CA certificates.
        Err(error) => {
            assert!(error.to_string().contains("cannot be checked"), "{error}");
            None
        }
    };
    let named = format!("https://another.name.localhost:{port}");
    let other_name = ask(Shadow::builder(&named).upstream_ca(&ca.0)).await;
    let (_other, _, other_ca) = secure().await;
    let other_ca = ask(Shadow::builder(&format!("https://{host}")).upstream_ca(&other_ca.0)).await;
    for reply in unknown.into_iter().chain([other_name, other_ca]) {
        assert_eq!(
            (reply.status, &*refused(&reply)),
            (502, "unreachable"),
            "{}",
            reply.text
        );
        assert!(reply.text.contains("certificate"), "{}", reply.text);
    }
    assert_eq!(mock.requests().len(), 0);
    let right = ask(Shadow::builder(&format!("https://{host}")).upstream_ca(&ca.0)).await;
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn the_shadow_listens_on_this_machine_alone() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = Shadow::builder("http://127.0.0.1:9")
            .listen_on(address)
            .start()
            .await;
        let error = refused.expect_err("not loopback").to_string();
        assert!(error.contains("other machines"), "{error}");
    }
    let refused = Shadow::builder("http://api.coze.cn").start().await;
    let error = refused.expect_err("plain http").to_string();
    assert!(error.contains("plain http"), "{error}");
}

#[tokio::test]
async fn the_shadow_ends_when_it_is_dropped() {
    let upstream = Recorder::start(vec![]).await;
    let shadow = shadow(&upstream.base).await;
    let own = authority(shadow.base_url()).to_owned();
    let mut open = TcpStream::connect(&own).await.expect("the shadow");
    drop(shadow);
    let mut byte = [0; 1];
    let read = tokio::time::timeout(GUARD, open.read(&mut byte)).await;
    assert!(matches!(read.expect("in time"), Ok(0) | Err(_)));
    let request: Request<Bytes> = get("/", None);
    drop(request);
    let again = tokio::time::timeout(GUARD, async {
        while TcpStream::connect(&own).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    again.await.expect("the port is free");
}
