//! What a caller asks for, and the library does otherwise.

use std::sync::LazyLock;

use coze_auth_conformance::client::{Failure, Outcome};
use coze_auth_core::jwt::RsaKey;
use coze_auth_mock::CozeAuthMock;
use serde_json::{Map, Value};

use crate::mutant::{Mutant, Way};

/// The key of the mock's ready-made JWT app.
static DEVELOPMENT_KEY: LazyLock<String> = LazyLock::new(|| {
    let mock = CozeAuthMock::builder().build().expect("a mock");
    let key = mock.variable("COZE_JWT_OAUTH_PRIVATE_KEY");
    key.expect("a JWT app")
});

pub(crate) fn all() -> Vec<Mutant> {
    let forgotten: [(&'static [&'static str], &str); 17] = [
        (&["client.new"], "www_base_url"),
        (&["pkce.authorize_url"], "method"),
        (&["pkce.authorize_url"], "workspace_id"),
        (&["web.authorize_url"], "workspace_id"),
        (&["device.start"], "workspace_id"),
        (&["jwt.token"], "ttl_s"),
        (&["jwt.token"], "session_name"),
        (&["jwt.token"], "session_context"),
        (&["jwt.token"], "scope"),
        (&["jwt.token"], "account_id"),
        (&["jwt.token"], "enterprise_id"),
        (&["provider.new"], "ttl_s"),
        (&["provider.new"], "session_name"),
        (&["provider.new"], "session_context"),
        (&["provider.new"], "scope"),
        (&["provider.new"], "account_id"),
        (&["provider.new"], "enterprise_id"),
    ];
    let mut all: Vec<Mutant> = forgotten
        .into_iter()
        .map(|(ops, name)| {
            let forget = move |asked: &str, args: &mut Map<String, Value>| {
                if ops.contains(&asked) {
                    args.remove(name);
                }
            };
            let name = format!("{}-without-{name}", ops[0]);
            Mutant::new(name, Way::Asks(Box::new(forget))).only(ops)
        })
        .collect();
    all.push(Mutant::new(
        "ttl-cut-to-a-day",
        Way::Asks(Box::new(|_, args| {
            if let Some(ttl) = args.get("ttl_s").and_then(Value::as_u64) {
                args.insert("ttl_s".to_owned(), ttl.min(86_399).into());
            }
        })),
    ));
    all.push(Mutant::new("key-not-looked-at", another_key()));
    all.push(
        Mutant::new("key-looked-at-late", another_key()).and(Way::Tells(Box::new(
            |told, outcome| {
                let key = told.recording.key.as_deref().unwrap_or_default();
                if told.op == "jwt.token" && RsaKey::from_pem(key).is_err() {
                    *outcome = Outcome::Err(Failure::new("config", "that is no key"));
                }
            },
        ))),
    );
    all.push(Mutant::new("state-not-compared", Way::Callback(any_state)));
    all.push(Mutant::new(
        "callback-last-of-two-counts",
        Way::Callback(|pairs, _| {
            pairs.reverse();
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            pairs.dedup_by(|one, other| one.0 == other.0);
        }),
    ));
    all.push(Mutant::new(
        "callback-first-of-two-counts",
        Way::Callback(|pairs, _| {
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            pairs.dedup_by(|one, other| one.0 == other.0);
        }),
    ));
    all.push(Mutant::new(
        "callback-without-code-is-exchanged",
        Way::Callback(|pairs, _| {
            let has = pairs
                .iter()
                .any(|(name, value)| name == "code" && !value.is_empty());
            if !has {
                pairs.retain(|(name, _)| name == "state");
                pairs.push(("code".to_owned(), "undefined".to_owned()));
            }
        }),
    ));
    all.push(Mutant::new(
        "callback-with-empty-error-is-refused",
        Way::Callback(|pairs, _| {
            for (name, value) in pairs {
                if name == "error" && value.is_empty() {
                    *value = "unknown".to_owned();
                }
            }
        }),
    ));
    all.push(Mutant::new(
        "callback-ends-at-the-first-sign",
        Way::Asks(Box::new(|_, args| {
            if let Some(Value::String(callback)) = args.get_mut("callback")
                && let Some((path, _)) = callback.split_once('?')
                && path.contains(['=', '&'])
            {
                *callback = path.to_owned();
            }
        })),
    ));
    all
}

/// Any state of a callback is taken for the right one.
pub(super) fn any_state(pairs: &mut Vec<(String, String)>, state: &str) {
    pairs.retain(|(name, _)| name != "state");
    pairs.push(("state".to_owned(), state.to_owned()));
}

/// Instead of a key that cannot be read.
fn another_key() -> Way {
    Way::Asks(Box::new(|_, args| {
        let config = args.get_mut("config").and_then(Value::as_object_mut);
        let args = match config {
            Some(config) => config,
            None => args,
        };
        if let Some(Value::String(key)) = args.get_mut("private_key")
            && RsaKey::from_pem(key).is_err()
        {
            key.clone_from(&DEVELOPMENT_KEY);
        }
    }))
}
