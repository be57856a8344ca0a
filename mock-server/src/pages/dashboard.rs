//! The dashboard at `/_mock/`: shows a world, and has forms that change it.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::fault_form::{self, Field};
use super::journal::{Row, clock_time};
use super::{actions, guard, journal};
use crate::html::form::Fields;
use crate::html::language;
use crate::html::page::page;
use crate::html::texts::Texts;
use crate::intercept::fault_kind::KINDS;
use crate::intercept::selector::On;
use crate::net::addressing::Addressing;
use crate::protocol::endpoint::ENDPOINTS;
use crate::state::token_table::{Moment, Shown};
use crate::state::{State, devices, token_table};
use crate::web::in_world::InWorld;
use crate::web::routes::into_response;
use crate::world::World;
use crate::world::worlds::Worlds;

/// Maximum number of codes and tokens that are shown, the newest ones.
const TOKENS: usize = 200;

pub(crate) fn router(addressing: &Arc<Addressing>) -> Router {
    Router::new()
        .route("/_mock", get(|| async { Redirect::permanent("_mock/") }))
        .route("/_mock/", get(dashboard))
        .route("/_mock/journal-start", get(journal::start))
        .route("/_mock/journal", get(journal::live))
        .route("/_mock/request", get(journal::request))
        .route("/_mock/act", post(actions::act))
        .layer(middleware::from_fn_with_state(
            addressing.clone(),
            guard::guard,
        ))
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard<'a> {
    t: &'static Texts,
    world: &'a str,
    now: String,
    frozen: bool,
    paused: bool,
    entries: Vec<Row>,
    devices: Vec<Waiting>,
    tokens: Vec<Node>,
    open_lists: usize,
    kinds: Vec<&'static str>,
    fields: Vec<Field>,
    endpoints: &'static [&'static str],
    panels: [Panel; 3],
    worlds: Vec<(String, String, bool)>,
}

struct Waiting {
    user_code: String,
    app: String,
    expires: String,
}

/// A code or token in the nested lists of the page.
struct Node {
    /// True if it is the first in its list.
    opens: bool,
    /// Number of lists that end before it.
    closes: usize,
    kind: &'static str,
    fingerprint: String,
    state: &'static str,
    class: &'static str,
    app: String,
    made: Option<Link>,
    spent: Option<Link>,
    expires: String,
}

struct Link {
    seq: u64,
    to: Option<String>,
}

struct Panel {
    /// The id of the section, which is also the action of its forms.
    id: &'static str,
    title: &'static str,
    none: &'static str,
    counts: [&'static str; 2],
    rows: Vec<PanelRow>,
}

struct PanelRow {
    id: String,
    kind: &'static str,
    on: String,
    counts: [u64; 2],
}

async fn dashboard(
    InWorld(world): InWorld,
    worlds: Option<Extension<Arc<Worlds>>>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let t = language::texts(&headers);
    let fields = Fields::of(uri.query().unwrap_or("").as_bytes());
    let paused = !fields.get("paused").is_empty();
    let entries = match paused {
        true => journal::newest(&world),
        false => Vec::new(),
    };
    let name = world.name().unwrap_or("");
    let links = links(t, name, worlds.as_deref());
    let panels = [faults(t, &world), scripts(t, &world), gates(t, &world)];
    let state = world.state();
    let (tokens, open_lists) = tree(t, &state);
    let clock = &state.settings.clock;
    let kinds = KINDS.iter().map(|kind| kind.name);
    let shown = Dashboard {
        t,
        world: name,
        now: clock_time(clock.unix_ms()),
        frozen: clock.is_frozen(),
        paused,
        entries,
        devices: devices(&state),
        tokens,
        open_lists,
        kinds: kinds.collect(),
        fields: fault_form::fields(),
        endpoints: &ENDPOINTS,
        panels,
        worlds: links,
    };
    let mut reply = page(StatusCode::OK, t, &shown);
    let own = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(own));
    into_response(reply)
}

fn devices(state: &State) -> Vec<Waiting> {
    let now = state.now_ms();
    let shown = devices::all_waiting(state, now).map(|device| Waiting {
        user_code: device.user_code.clone(),
        app: state.app(device.app).name.clone(),
        expires: clock_time(device.expires_ms),
    });
    shown.collect()
}

/// The codes and tokens, each below the one from which it was made; and the number of lists that are open at the end.
fn tree(t: &'static Texts, state: &State) -> (Vec<Node>, usize) {
    let all = token_table::list(state, TOKENS);
    let known: HashMap<&str, usize> = all
        .iter()
        .enumerate()
        .map(|(at, shown)| (&*shown.fingerprint, at))
        .collect();
    let mut below: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (at, shown) in all.iter().enumerate() {
        let parent = shown.from.as_deref().and_then(|from| known.get(from));
        below.entry(parent.copied()).or_default().push(at);
    }
    let mut nodes = Vec::with_capacity(all.len());
    let mut depth = 0;
    // The newest root first; below a root in order of time.
    let roots = below.remove(&None).unwrap_or_default();
    let mut rest: Vec<_> = roots.into_iter().map(|at| (at, 1)).collect();
    while let Some((at, deep)) = rest.pop() {
        let closes = depth.max(deep) - deep;
        nodes.push(node(t, state, &all[at], deep > depth, closes));
        depth = deep;
        let children = below.remove(&Some(at)).unwrap_or_default();
        rest.extend(children.into_iter().rev().map(|child| (child, deep + 1)));
    }
    (nodes, depth)
}

fn node(t: &'static Texts, state: &State, shown: &Shown, opens: bool, closes: usize) -> Node {
    let app = state
        .apps
        .iter()
        .find(|app| Some(&app.client_id) == shown.client_id.as_ref());
    let link = |moment: &Moment| Link {
        seq: moment.seq,
        to: moment.logid.clone(),
    };
    let (state, class) = match shown.state {
        "live" => (t.live, "good"),
        "spent" => (t.spent, ""),
        "revoked" => (t.revoked, "poor"),
        "denied" => (t.denied_state, "poor"),
        "expired" => (t.expired, "warm"),
        _ => (t.evicted, "warm"),
    };
    Node {
        opens,
        closes,
        kind: match shown.kind {
            Some("code") => t.authorization_code,
            Some("device_code") => t.device_code,
            Some("access_token") => t.access_token,
            Some("refresh_token") => t.refresh_token,
            Some("id_token") => t.id_token,
            _ => t.something,
        },
        fingerprint: shown.fingerprint.clone(),
        state,
        class,
        app: app.map(|app| app.name.clone()).unwrap_or_default(),
        made: shown.made.as_ref().map(link),
        spent: shown.spent.as_ref().map(link),
        expires: shown.expires_ms.map(clock_time).unwrap_or_default(),
    }
}

fn described(on: &On) -> String {
    let parts = [Some(on.endpoint), on.grant, on.client.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn faults(t: &Texts, world: &World) -> Panel {
    let all = world.faults.placed.all();
    let rows = all.iter().map(|registered| {
        let counts = registered.item.counts();
        PanelRow {
            id: registered.id.clone(),
            kind: registered.item.fault.name(),
            on: described(&registered.item.on),
            counts: [counts.matched, counts.fired],
        }
    });
    Panel {
        id: "fault_off",
        title: t.faults,
        none: t.no_faults,
        counts: [t.matched, t.fired],
        rows: rows.collect(),
    }
}

fn scripts(t: &Texts, world: &World) -> Panel {
    let all = world.faults.scripts.all();
    let rows = all.iter().map(|registered| {
        let matched = registered.item.matched();
        PanelRow {
            id: registered.id.clone(),
            kind: "",
            on: described(&registered.item.on),
            counts: [matched, matched],
        }
    });
    Panel {
        id: "script",
        title: t.scripts,
        none: t.no_scripts,
        counts: [t.matched, t.fired],
        rows: rows.collect(),
    }
}

fn gates(t: &Texts, world: &World) -> Panel {
    let names = world.gates.names();
    let all = names.iter().filter_map(|name| world.gates.named(name));
    let rows = all.map(|gate| {
        let (arrived, waiting) = gate.counts();
        let count = |n| u64::try_from(n).unwrap_or(u64::MAX);
        PanelRow {
            id: gate.name.clone(),
            kind: gate.at.name(),
            on: described(&gate.on),
            counts: [count(arrived), count(waiting)],
        }
    });
    Panel {
        id: "gate",
        title: t.gates,
        none: t.no_gates,
        counts: [t.matched, t.waiting],
        rows: rows.collect(),
    }
}

/// The worlds: name, address relative to this page, and whether it is the present one. At a world's own port there is only one.
fn links(t: &Texts, here: &str, worlds: Option<&Arc<Worlds>>) -> Vec<(String, String, bool)> {
    let Some(worlds) = worlds else {
        let name = if here.is_empty() { t.first_world } else { here };
        return vec![(name.to_owned(), "./".to_owned(), true)];
    };
    let (root, to) = match here {
        "" => ("./".to_owned(), "../t/"),
        _ => ("../../../_mock/".to_owned(), "../../"),
    };
    let mut links = vec![(t.first_world.to_owned(), root, here.is_empty())];
    links.extend(worlds.all().into_iter().map(|(name, _)| {
        let (to, same) = (format!("{to}{name}/_mock/"), name == here);
        (name, to, same)
    }));
    links
}
