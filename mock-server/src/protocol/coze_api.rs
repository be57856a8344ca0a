//! The parts of Coze's API that the mock does not have, by the start of their paths.

use serde::Deserialize;

use super::tables::TABLES;

/// One row of `rules.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CozeApi {
    /// The first segments of the path.
    pub(crate) path: String,
    /// Where an SDK, or Coze's documentation, has it.
    pub(crate) reference: String,
}

/// The part of Coze's API to which this path belongs. A path with an empty segment belongs to none of them: a base URL with
/// a slash at its end makes one.
pub(crate) fn part_of(path: &str) -> Option<&'static CozeApi> {
    if path.contains("//") || path.ends_with('/') {
        return None;
    }
    TABLES.coze_api.iter().find(|row| {
        let rest = path.strip_prefix(&row.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::endpoint::Endpoint;

    #[test]
    fn each_part_has_a_source_and_is_found() {
        for row in TABLES.coze_api.iter() {
            assert!(!row.reference.is_empty(), "{}", row.path);
            let below = format!("{}/x", row.path);
            let found = part_of(&below).map(|row| &*row.path);
            assert_eq!(found, Some(&*row.path), "the first that fits is its own");
            assert_eq!(Endpoint::of(&below), Endpoint::Api, "{below}");
        }
        for path in [
            "/v1/botsx",
            "/v1/nonsense",
            "/v1/bots/",
            "/v1//bots",
            "//v3/chat",
        ] {
            assert!(part_of(path).is_none(), "{path}");
        }
    }
}
