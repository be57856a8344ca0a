//! The mock on a real socket: what only a socket can show.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use coze_auth_mock::CozeAuthMock;

pub(crate) fn address(mock: &CozeAuthMock) -> SocketAddr {
    crate::logs::catch();
    let (_, host) = mock.base_url().split_once("://").expect("a URL");
    host.parse().expect("an address")
}

pub(crate) fn talk(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream
        .write_all(request)
        .expect("the whole request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_thread_of_its_own_serves_plain_tests_and_ends_with_the_mock() {
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let to = address(&mock);
    assert!(to.ip().is_loopback() && to.port() != 0);
    let answer = talk(
        to,
        b"GET /v1/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer pat_mock_alice\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(mock.requests()[0].client, None);
    // A connection that says nothing does not keep the mock alive.
    let idle = TcpStream::connect(to).expect("a connection");
    drop(mock);
    TcpListener::bind(to).expect("the port is free again");
    drop(idle);
}

#[test]
fn a_task_of_the_callers_runtime_ends_with_the_mock() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let mock = CozeAuthMock::builder().start().await.expect("a mock");
        let to = address(&mock);
        let stream = tokio::net::TcpStream::connect(to).await;
        drop(stream.expect("it listens"));
        mock.stop().await;
        assert!(
            tokio::net::TcpStream::connect(to).await.is_err(),
            "it listens no more"
        );

        let mock = CozeAuthMock::builder().start().await.expect("a mock");
        let to = address(&mock);
        drop(mock);
        while tokio::net::TcpStream::connect(to).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn an_oversized_body_still_gets_to_see_its_answer() {
    let mock = CozeAuthMock::builder().start_blocking().expect("a mock");
    let length = 4 * 1024 * 1024;
    let mut request = format!(
        "POST /api/permission/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    request.resize(request.len() + length, b' ');
    let answer = talk(address(&mock), &request);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("x-tt-logid: ") && answer.contains("\"error_code\":\"invalid_request\"")
    );
    assert_eq!(mock.requests()[0].outcome.rule, Some("body.limit"));
}

#[test]
fn a_taken_port_is_a_named_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let error = CozeAuthMock::builder()
        .listen(address)
        .start_blocking()
        .err();
    let error = error.expect("a refusal").to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("port 0"),
        "{error}"
    );
}
