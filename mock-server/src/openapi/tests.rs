use std::collections::BTreeSet;

use serde_json::Value;

use super::{controls, document, read};
use crate::intercept::fault_kind::KINDS;
use crate::journal::log_id::LogIds;
use crate::net::addressing::Addressing;
use crate::openapi;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::magic_values;
use crate::protocol::rules::{Rule, RuleSet};
use crate::state::State;
use crate::state::settings::Settings;
use crate::world::World;

fn whole(settings: Settings, mount: &str) -> Value {
    reached(settings, mount, Addressing::default())
}

fn reached(settings: Settings, mount: &str, addressing: Addressing) -> Value {
    let world = World::new(
        State::new(settings, LogIds::new("", 0)),
        mount.to_owned(),
        addressing.into(),
    );
    document(&world, "http://a/b")
}

fn standard() -> Value {
    whole(Settings::standard([1; 32]), "")
}

fn paths(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("an object");
    paths.keys().cloned().collect()
}

/// Of each; `http2.rs` of the tests has them as clients see them.
#[test]
fn it_says_what_a_fault_of_the_socket_is_over_http2() {
    let document = standard();
    let text = document["info"]["description"].as_str().expect("a text");
    let (_, text) = text
        .split_once("A fault of the socket (")
        .expect("it is named");
    let (named, text) = text
        .split_once(") is then one of the whole connection")
        .expect("whose it is");
    let kinds: Vec<_> = KINDS
        .iter()
        .filter(|kind| kind.socket)
        .map(|kind| kind.name)
        .collect();
    assert_eq!(named.replace('`', ""), kinds.join(", "));
    for kind in kinds {
        assert!(
            text.contains(&format!("`{kind}`")),
            "what others see of {kind}"
        );
    }
    assert!(text.contains("other streams"));
}

/// Its paths of the data plane are those of the protocol's tables, E1 to E9 and M1 to M5.
#[test]
fn the_protocol_has_the_same_endpoints() {
    let protocol = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let Ok(protocol) = std::fs::read_to_string(protocol) else {
        println!("skipped: docs/protocol.md is in the repository, not in the package");
        return;
    };
    let documented: BTreeSet<_> = protocol
        .lines()
        .filter(|line| line.starts_with("| E") || line.starts_with("| M"))
        .filter(|line| line.contains("| `"))
        .filter_map(|line| line.split('`').nth(1))
        .map(str::to_owned)
        .collect();
    let document = standard();
    let has: BTreeSet<_> = paths(&document)
        .iter()
        .filter(|path| Endpoint::of(path) != Endpoint::Unknown)
        .flat_map(|path| {
            let methods = document["paths"][path].as_object().expect("an object");
            methods
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(has, documented);
}

/// As `GET /requests.har`, `/requests.jsonl`: a path without a method has the one before it.
#[test]
fn the_readme_has_the_same_controls() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("\n## Control\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another");
    let mut documented = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).expect("a cell");
        let mut method = "";
        for call in cell.split('`').skip(1).step_by(2) {
            let (named, path) = call.split_once(' ').unwrap_or((method, call));
            method = named;
            documented.insert(format!("{method} {path}"));
        }
    }
    let there: BTreeSet<_> = controls().into_iter().collect();
    let missing: Vec<_> = there.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&there).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "the table under Control of mock-server/README.md lacks {missing:?}, and has {gone:?}, which openapi/control.json has not"
    );
}

/// A world has no worlds.
#[test]
fn a_world_has_what_is_below_it() {
    let of_world = whole(Settings::standard([1; 32]), "/t/w");
    assert_eq!(of_world["servers"][0]["url"], "http://a/b");
    let missing: Vec<_> = paths(&standard())
        .difference(&paths(&of_world))
        .cloned()
        .collect();
    assert_eq!(missing, ["/_mock/v1/worlds", "/_mock/v1/worlds/{name}"]);
    let text = of_world.to_string();
    assert!(
        !text.contains("#/components/parameters/World\""),
        "who is in a world names none"
    );
}

/// Each rule refuses at some path, and all named rules exist.
#[test]
fn every_rule_has_its_answer() {
    let (document, rules) = (standard(), RuleSet::standard());
    let mut named = BTreeSet::new();
    for methods in document["paths"].as_object().expect("an object").values() {
        for operation in methods.as_object().expect("an object").values() {
            let ids = operation["x-mock-rules"].as_array();
            for id in ids.into_iter().flatten().filter_map(Value::as_str) {
                let rule = Rule::ALL
                    .iter()
                    .find(|rule| rule.id() == id)
                    .expect("a rule");
                let (status, error) = rules.answer(*rule);
                let documented = &operation["responses"][status.to_string()]["description"];
                let documented = documented.as_str().expect("the answer");
                assert!(
                    documented.contains(&format!("`{error}`, `{id}`")),
                    "{id} in {documented}"
                );
                named.insert(id);
            }
        }
    }
    let all = Rule::ALL.iter().map(|rule| rule.id());
    // Those of CORS refuse nothing.
    let all: BTreeSet<_> = all.filter(|id| !id.starts_with("cors.")).collect();
    assert_eq!(named, all);
    for (file, ids) in [
        ("data_plane", read(openapi::DATA_PLANE)),
        ("control", read(openapi::CONTROL)),
    ] {
        for named in ids.to_string().split("\"x-mock-rules\":[").skip(1) {
            let (list, _) = named.split_once(']').expect("an end");
            for name in list.split(',').map(|name| name.trim_matches('"')) {
                let known = Rule::ALL.iter().any(|rule| {
                    rule.id() == name || name.ends_with('.') && rule.id().starts_with(name)
                });
                assert!(known, "{file} names {name}");
            }
        }
    }
}

#[test]
fn an_answer_that_was_changed_is_the_one_that_is_told() {
    let mut settings = Settings::standard([1; 32]);
    let rules = std::sync::Arc::make_mut(&mut settings.rules);
    rules
        .set_answer("token.permission", 200, None)
        .expect("an answer");
    rules
        .set_answer("refresh.rotate", 418, Some("tea"))
        .expect("an answer");
    let document = whole(settings, "");
    let me = &document["paths"]["/v1/users/me"]["get"]["responses"];
    assert!(me.get("403").is_none());
    let schemas = &me["200"]["content"]["application/json"]["schema"]["anyOf"];
    assert_eq!(
        [&schemas[0]["$ref"], &schemas[1]["$ref"]],
        [
            "#/components/schemas/UserMe",
            "#/components/schemas/ResourceError"
        ]
    );
    let token = &document["paths"]["/api/permission/oauth2/token"]["post"]["responses"];
    let documented = token["418"]["description"].as_str().expect("the answer");
    assert!(
        documented.contains("`tea`, `refresh.rotate`"),
        "{documented}"
    );
}

#[test]
fn who_has_to_bring_the_token_is_told() {
    let clock = |document: &Value| document["paths"]["/_mock/v1/clock"]["get"]["security"].clone();
    assert_eq!(clock(&standard()).to_string(), r#"[{"adminToken":[]},{}]"#);
    let addressing = Addressing {
        admin_token: Some("hush-hush".to_owned()),
        ..Addressing::default()
    };
    let document = reached(Settings::standard([1; 32]), "", addressing);
    assert_eq!(clock(&document).to_string(), r#"[{"adminToken":[]}]"#);
    assert_eq!(
        document["paths"]["/_mock/v1/health"]["get"]["security"].to_string(),
        "[{}]"
    );
    assert!(
        !document.to_string().contains("hush-hush"),
        "it does not tell the token"
    );
}

/// An example that uses one would otherwise say nothing when its row goes.
#[test]
fn the_magic_values_of_examples_are_magic() {
    let table = magic_values::table(&RuleSet::standard());
    let token = read(openapi::DATA_PLANE);
    let token = &token["/api/permission/oauth2/token"]["post"]["requestBody"]["content"];
    let examples = token["application/json"]["examples"]
        .as_object()
        .expect("examples");
    let mut found = 0;
    for (name, example) in examples {
        let Some((_, answer)) = example["summary"]
            .as_str()
            .and_then(|text| text.split_once("A magic value: "))
        else {
            continue;
        };
        let rows = table["magic"].as_array().expect("rows");
        let row = rows.iter().find(|row| {
            let place = row["place"].as_str().unwrap_or_default();
            example["value"][place] == row["value"]
        });
        let row = row.unwrap_or_else(|| panic!("{name} has no magic value"));
        let error = row["error"].as_str().unwrap_or_default();
        assert_eq!(answer, format!("{} {error}", row["status"]), "{name}");
        found += 1;
    }
    assert_eq!(found, 3);
}
