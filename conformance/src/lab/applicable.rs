//! What of the suite is for a client, and for what watches it.

use crate::case::{Case, Check};
use crate::client::{About, Client};
use crate::url_mode;

/// Why a case is not for a client.
pub(super) fn why_no_case(client: &dyn Client, case: &Case) -> Option<String> {
    if let Some(why) = missing(client.about(), &case.needs) {
        return Some(why);
    }
    if !client.tells() {
        let seen = |check: &Check| why_no_check(client, case, check).is_none();
        return url_mode::why_not(case).or_else(|| {
            let nothing = !case.checks.iter().any(seen);
            nothing.then(|| "nothing of it is seen on the wire".to_owned())
        });
    }
    None
}

/// Why a check of a case that was played is not for a client.
pub(super) fn why_no_check(client: &dyn Client, case: &Case, check: &Check) -> Option<String> {
    if let Some(why) = missing(client.about(), &check.needs) {
        return Some(why);
    }
    let untold = !client.tells() && !url_mode::is_seen(case, check);
    untold.then(|| "it is not seen on the wire".to_owned())
}

fn missing(about: &About, needs: &[String]) -> Option<String> {
    needs.iter().find_map(|need| match need.strip_prefix('!') {
        Some(other) => about.can(other).then(|| format!("it does {other} itself")),
        None => (!about.can(need)).then(|| format!("it has not declared {need}")),
    })
}
