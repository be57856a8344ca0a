//! Proxies of the environment: for the network, never for this machine.

use coze_auth_reqwest::Client;
use coze_auth_reqwest::core::{AccessToken, Endpoints, whoami};

use crate::support::{Listener, USER, exchange, http_answer, is_child, me, run_child, transport};

#[tokio::test]
async fn a_dead_proxy_does_not_matter_for_this_machine() {
    if is_child() {
        let base = std::env::var("TEST_BASE").unwrap();
        let port = base.rsplit(':').next().unwrap();
        let client = Client::new().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let base = format!("http://{host}:{port}");
            assert_eq!(client.run(me(&base)).await.unwrap().user_id, "7300");
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

#[tokio::test]
async fn a_proxy_is_used_for_the_network() {
    if is_child() {
        // Plain http, so that no CA certificates are wanted.
        let endpoints = Endpoints::custom_insecure("http://coze.invalid").unwrap();
        let token = AccessToken::new("pat").unwrap();
        // The network's client reads the operating system's certificates, and there are none.
        let make = || reqwest::Client::builder().tls_certs_only([]);
        let client = Client::with_builder(make).unwrap();
        let user = client.run(whoami(&endpoints, &token)).await.unwrap();
        assert_eq!(user.user_id, "7300");
        return;
    }
    let proxy = Listener::saying(http_answer("200 OK", USER));
    run_child(
        "proxies::a_proxy_is_used_for_the_network",
        &[("HTTP_PROXY", &proxy.base())],
    );
    let requests = proxy.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].starts_with("GET http://coze.invalid/v1/users/me HTTP/1.1\r\n"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_sent_nothing() {
    let proxy = Listener::saying(http_answer("403 Forbidden", "no"));
    let address = proxy.base();
    let client = Client::with_builder(move || {
        let proxy = reqwest::Proxy::all(&address).unwrap();
        reqwest::Client::builder().proxy(proxy).tls_certs_only([])
    });
    let (failure, _) = transport(
        client
            .unwrap()
            .run(exchange("https://api.coze.invalid"))
            .await,
    );
    assert_eq!(failure, coze_auth_reqwest::core::TransportFailure::NotSent);
    let requests = proxy.requests();
    assert!(
        requests[0].starts_with("CONNECT api.coze.invalid:443 "),
        "{requests:?}"
    );
}

/// What the builder says of proxies is what counts: one of its own, or none.
#[tokio::test]
async fn what_the_builder_sets_rules() {
    if is_child() {
        let of_its_own = std::env::var("TEST_PROXY").unwrap();
        let bare = || reqwest::Client::builder().tls_certs_only([]);
        let none = Client::with_builder(move || bare().no_proxy()).unwrap();
        let (_, text) = transport(none.run(exchange("https://api.coze.invalid")).await);
        assert!(!text.contains("tunnel"), "{text}");
        let own = move || bare().proxy(reqwest::Proxy::all(&of_its_own).unwrap());
        let own = Client::with_builder(own).unwrap();
        let (_, text) = transport(own.run(exchange("https://api.coze.invalid")).await);
        assert!(text.contains("leads no further"), "{text}");
        return;
    }
    let environment = Listener::saying(http_answer("403 Forbidden", "no"));
    let own = Listener::saying(http_answer("403 Forbidden", "no"));
    run_child(
        "proxies::what_the_builder_sets_rules",
        &[
            ("ALL_PROXY", &environment.base()),
            ("TEST_PROXY", &own.base()),
        ],
    );
    assert!(environment.requests().is_empty());
    assert_eq!(own.requests().len(), 1);
}
