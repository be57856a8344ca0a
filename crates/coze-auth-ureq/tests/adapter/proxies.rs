//! Proxies of the environment: for the network, never for this machine.

use std::io::Write as _;

use coze_auth_ureq::Client;
use coze_auth_ureq::core::{AccessToken, Endpoints, TransportFailure, whoami};
use ureq::{Agent, Proxy};

use crate::support::{
    Listener, TOKEN, USER, exchange, http_answer, is_child, me, read_request, run_child, transport,
};

#[test]
fn a_dead_proxy_does_not_matter_for_this_machine() {
    if is_child() {
        let base = std::env::var("TEST_BASE").unwrap();
        let port = base.rsplit(':').next().unwrap();
        let client = Client::new().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let base = format!("http://{host}:{port}");
            assert_eq!(client.run(me(&base)).unwrap().user_id, "7300");
        }
        return;
    }
    let server = Listener::saying(http_answer("200 OK", USER));
    run_child(
        "proxies::a_dead_proxy_does_not_matter_for_this_machine",
        &[
            ("TEST_BASE", &server.base()),
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
        ],
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_proxy_is_used_for_the_network() {
    if is_child() {
        // Plain http, so that no CA certificates are wanted.
        let endpoints = Endpoints::custom_insecure("http://api.coze.invalid").unwrap();
        let token = AccessToken::new("pat").unwrap();
        let client = Client::new().unwrap();
        let user = client.run(whoami(&endpoints, &token)).unwrap();
        assert_eq!(user.user_id, "7300");
        return;
    }
    let proxy = Listener::start(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let request = read_request(stream);
        assert!(request.starts_with("GET /v1/users/me "), "{request}");
        stream
            .write_all(http_answer("200 OK", USER).as_bytes())
            .unwrap();
    });
    run_child(
        "proxies::a_proxy_is_used_for_the_network",
        &[("HTTP_PROXY", &proxy.base())],
    );
    let requests = proxy.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].starts_with("CONNECT api.coze.invalid:80 "),
        "{requests:?}"
    );
}

/// An agent with a proxy of its own.
fn proxied(proxy: &str) -> Client {
    let config = Agent::config_builder().proxy(Some(Proxy::new(proxy).unwrap()));
    Client::with_agent(config.build().new_agent())
}

#[test]
fn a_proxy_that_refuses_the_tunnel_sent_nothing() {
    let proxy = Listener::saying(http_answer("403 Forbidden", "no"));
    let client = proxied(&proxy.base());
    let (failure, _) = transport(client.run(exchange("https://api.coze.invalid")));
    assert_eq!(failure, TransportFailure::NotSent);
    let requests = proxy.requests();
    assert!(
        requests[0].starts_with("CONNECT api.coze.invalid:443 "),
        "{requests:?}"
    );
}

#[test]
fn a_proxy_that_hangs_up_sent_nothing() {
    let proxy = Listener::saying("");
    let client = proxied(&proxy.base());
    let (failure, text) = transport(client.run(exchange("https://api.coze.invalid")));
    assert_eq!(failure, TransportFailure::NotSent, "{text}");
}

#[test]
fn an_agents_own_proxy_is_not_used_for_this_machine() {
    let server = Listener::saying(http_answer("200 OK", TOKEN));
    let client = proxied("http://127.0.0.1:9");
    client.run(exchange(&server.base())).unwrap();
}
