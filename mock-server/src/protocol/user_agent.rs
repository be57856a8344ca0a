//! What a `User-Agent` proves of a client, and how that client is made to send what Coze takes.

use serde::Deserialize;

use super::tables::TABLES;

/// One row of `rules.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    /// The names of the product that stands first in a `User-Agent`.
    agents: Vec<String>,
    /// What such a `User-Agent` proves.
    pub(crate) is: String,
    /// What makes the client send JSON and the secret as Bearer credential.
    pub(crate) setting: String,
    /// The evidence: a `User-Agent`, and the release that sent it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the table"))]
    seen: Vec<[String; 2]>,
}

/// The client with this `User-Agent`, if it gives one away. The first product of a `User-Agent` is the program itself, the
/// others are what it is built on (RFC 9110 §10.1.5): `coze-js/1.3.9 node/20` is not node's own `fetch`.
pub(crate) fn client_of(user_agent: &str) -> Option<&'static Client> {
    let name = user_agent.split(['/', ' ']).next()?;
    let of_it = |client: &&Client| client.agents.iter().any(|agent| agent == name);
    TABLES.client.iter().find(of_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_found_by_what_it_was_seen_to_send_and_by_nothing_near_it() {
        for client in &TABLES.client {
            assert!(!client.is.is_empty() && !client.setting.is_empty());
            assert!(!client.seen.is_empty(), "{}: no evidence", client.is);
            for [agent, of] in &client.seen {
                let found = client_of(agent).map(|found| &*found.is);
                assert_eq!(found, Some(&*client.is), "{agent}");
                assert!(of.contains(' '), "{agent}: which release sent it?");
            }
            for agent in &client.agents {
                let mut seen = client.seen.iter();
                assert!(
                    seen.any(|[whole, _]| whole.starts_with(agent)),
                    "{agent}: never seen"
                );
            }
        }
        for other in [
            "",
            "coze-js/1.3.9 node/20.20.2 linux/6.1",
            "Mozilla/5.0 (X11; Linux x86_64) Java/17",
            "nodemon",
            "/node",
            "cozego/0.1 go/1.26",
        ] {
            assert!(client_of(other).is_none(), "{other}");
        }
    }
}
