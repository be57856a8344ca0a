//! Proxies of the environment: for the network, never for this machine.

use std::io::Write as _;

use coze_auth_ureq::Client;
use coze_auth_ureq::core::{AccessToken, Endpoints, TransportFailure, whoami};
use ureq::{Agent, Proxy};

use crate::support::{
    Listener, TOKEN, USER, exchange, failed, http_answer, is_child, me, read_request, run_child,
    transport,
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

/// The proxy of the environment that ureq found for an agent is replaced by what our own agents would use. A proxy that
/// the application gave it stays, and so does none.
#[test]
fn what_the_application_set_rules() {
    if is_child() {
        let endpoints = Endpoints::custom_insecure("http://api.coze.invalid").unwrap();
        let token = AccessToken::new("pat").unwrap();
        let run = |agent: Agent| Client::with_agent(agent).run(whoami(&endpoints, &token));
        let of_its_own = std::env::var("TEST_PROXY").unwrap();
        // Spared by NO_PROXY, and so not resolved: ureq itself spares that name alone.
        let (_, text) = transport(run(Agent::new_with_defaults()));
        assert!(!text.contains("proxy"), "{text}");
        let none = Agent::config_builder().proxy(None).build().new_agent();
        let (_, text) = transport(run(none));
        assert!(!text.contains("proxy"), "{text}");
        let own = Some(Proxy::new(&of_its_own).unwrap());
        let own = Agent::config_builder().proxy(own).build().new_agent();
        let (_, text) = transport(run(own));
        assert!(text.contains("leads no further"), "{text}");
        return;
    }
    let environment = Listener::saying(http_answer("403 Forbidden", "no"));
    let own = Listener::saying(http_answer("403 Forbidden", "no"));
    run_child(
        "proxies::what_the_application_set_rules",
        &[
            ("ALL_PROXY", &environment.base()),
            ("NO_PROXY", "coze.invalid"),
            ("TEST_PROXY", &own.base()),
        ],
    );
    assert!(environment.requests().is_empty());
    assert_eq!(own.requests().len(), 1);
}

/// For http as for https: what the application left to the environment is read as for our own agents.
#[test]
fn an_agent_that_left_it_to_the_environment_goes_around_nothing() {
    if is_child() {
        let client = Client::with_agent(Agent::new_with_defaults());
        let error = failed(client.run(exchange("https://api.coze.invalid")));
        let text = error.to_string();
        assert!(text.starts_with("ALL_PROXY: is not a proxy"), "{text}");
        return;
    }
    let http = Listener::saying(http_answer("403 Forbidden", "no"));
    run_child(
        "proxies::an_agent_that_left_it_to_the_environment_goes_around_nothing",
        &[("ALL_PROXY", "foo://proxy:1"), ("HTTP_PROXY", &http.base())],
    );
    assert!(http.requests().is_empty());
}
