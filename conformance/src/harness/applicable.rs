//! Which cases and checks apply to a client, and to what its server records.

use super::Server;
use crate::case::{Case, Check};
use crate::client::{About, Client};
use crate::observe;
use crate::url_mode;

/// Why a case is not for a client, or not for the server.
pub(super) fn why_no_case(server: &Server, client: &dyn Client, case: &Case) -> Option<String> {
    if let Some(why) = missing(server, client.about(), &case.needs) {
        return Some(why);
    }
    if let Server::Live(service) = server {
        let sockets = ["network".to_owned()];
        let unmarked = (!case.live_safe).then(|| "it is not marked live_safe".to_owned());
        let why = unmarked.or_else(|| missing(server, client.about(), &sockets));
        if let Some(why) = why.or_else(|| service.missing(case)) {
            return Some(why);
        }
    }
    if !client.tells() {
        let applies = |check: &Check| why_no_check(server, client, case, check).is_none();
        return url_mode::why_not(case).or_else(|| {
            let nothing = !case.checks.iter().any(applies);
            nothing.then(|| "nothing of it is seen on the wire".to_owned())
        });
    }
    None
}

/// Why a check of a case that ran is not for a client.
pub(super) fn why_no_check(
    server: &Server,
    client: &dyn Client,
    case: &Case,
    check: &Check,
) -> Option<String> {
    if let Some(why) = missing(server, client.about(), &check.needs) {
        return Some(why);
    }
    if matches!(server, Server::Live(_)) {
        let mut paths = check
            .has
            .values()
            .flat_map(observe::holes)
            .chain([check.at.clone()]);
        if paths.any(|path| observe::is_of_server(&path)) {
            return Some("the requests to the real service are not recorded".to_owned());
        }
    }
    let untold = !client.tells() && !url_mode::is_on_the_wire(case, check);
    untold.then(|| "it is not seen on the wire".to_owned())
}

fn missing(server: &Server, about: &About, needs: &[String]) -> Option<String> {
    if matches!(server, Server::Live(_)) && needs.iter().any(|need| need == "clock") {
        return Some("the real service lives in real time".to_owned());
    }
    needs.iter().find_map(|need| match need.strip_prefix('!') {
        Some(other) => about.can(other).then(|| format!("it does {other} itself")),
        None => (!about.can(need)).then(|| format!("it has not declared {need}")),
    })
}
