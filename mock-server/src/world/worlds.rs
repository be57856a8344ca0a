//! The worlds of a mock: one at `/`, others at `/t/{name}`, made when they are first asked for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use axum::{Extension, Router};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;
use url::form_urlencoded;

use crate::control::worlds;
use crate::net::addressing::reachable;
use crate::net::socket::Line;
use crate::protocol::response;
use crate::server::router;
use crate::server::router::{NOWHERE, Shared, into_response};
use crate::state::World;
use crate::state::settings::Settings;

/// Where the worlds but the first are.
const PREFIX: &str = "/t/";

/// How many there are at most, beside the first; the one that was not used for the longest goes first.
pub(crate) const MOST: usize = 1_000;

/// How long one is kept that nobody uses, of the machine's time, if it was not said otherwise.
pub(crate) const UNUSED: Duration = Duration::from_secs(60 * 60);

/// Bytes of a name.
pub(crate) const LONGEST_NAME: usize = 64;

#[derive(Debug)]
pub(crate) struct Worlds {
    first: Arc<Shared>,
    /// Without the address: it is known when the mock listens.
    root_url: OnceLock<String>,
    named: Mutex<BTreeMap<String, Named>>,
    count: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Named {
    shared: Arc<Shared>,
    router: Router,
    used: Instant,
    kept: Duration,
    /// It does not follow those of the mock.
    own_settings: bool,
}

/// No world can have this name.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct NoWorld;

impl fmt::Display for NoWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the name of a world has 1 to {LONGEST_NAME} letters, digits, '-', '_' and '.', and begins with a letter or digit"
        )
    }
}

/// What `main` and `unwrap` print is read by people.
impl fmt::Debug for NoWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NoWorld {}

impl Worlds {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let count = Arc::new(AtomicUsize::new(1));
        let first = Shared::new(World::new(settings), String::new());
        first.worlds.get_or_init(|| count.clone());
        Arc::new(Self {
            first,
            root_url: OnceLock::new(),
            named: Mutex::default(),
            count,
        })
    }

    pub(crate) fn first(&self) -> Arc<Shared> {
        self.first.clone()
    }

    pub(crate) fn listen_at(&self, bound: SocketAddr) {
        let bound = reachable(bound);
        self.first
            .reach
            .bound
            .get_or_init(|| bound.ip().to_string());
        let url = format!("{}://{bound}", self.first.reach.scheme());
        self.first.base_url.get_or_init(|| url.clone());
        self.root_url.get_or_init(|| url);
    }

    /// All worlds that have no settings of their own take the new ones; see [`World::reload`].
    pub(crate) fn reload(&self, settings: &Settings) {
        self.first.reload(settings);
        for named in self.locked().values().filter(|named| !named.own_settings) {
            named.shared.reload(settings);
        }
    }

    pub(crate) fn let_go(&self) {
        self.each(Shared::let_go);
    }

    pub(crate) fn end(&self) {
        self.each(Shared::end);
    }

    fn each(&self, act: impl Fn(&Shared)) {
        act(&self.first);
        for named in self.locked().values() {
            act(&named.shared);
        }
    }

    /// The world of this name, made if it is not there.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<Shared>, NoWorld> {
        self.entered(name).map(|(shared, _)| shared)
    }

    /// Makes a world anew: one of that name is forgotten. `own`: it does not follow the mock's settings.
    pub(crate) fn make(
        &self,
        name: &str,
        settings: Settings,
        own: bool,
        kept: Duration,
    ) -> Result<Arc<Shared>, NoWorld> {
        check(name)?;
        self.remove(name);
        let reach = self.first.reach.clone();
        let mut made = self.fresh(name, Settings { reach, ..settings });
        (made.kept, made.own_settings) = (kept, own);
        Ok(self.put(&mut self.locked(), name, made).0)
    }

    /// Those of a world of this name if nothing else is said: the mock's, at its time, with a seed made of its seed and the name.
    pub(crate) fn settings(&self, name: &str) -> Settings {
        let mut settings = self.first.world().settings.clone();
        settings.clock = settings.clock.another();
        let seed = Sha256::new()
            .chain_update(settings.seed)
            .chain_update(name)
            .finalize();
        settings.seed = seed.into();
        settings
    }

    /// False: there is none of this name.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut named = self.locked();
        let removed = named.remove(name);
        self.recount(&named);
        drop(named);
        // Whoever is held in it would be held for ever.
        removed.map(|named| named.shared.end()).is_some()
    }

    pub(crate) fn all(&self) -> Vec<(String, Arc<Shared>)> {
        let named = self.locked();
        let all = named.iter();
        all.map(|(name, named)| (name.clone(), named.shared.clone()))
            .collect()
    }

    fn entered(&self, name: &str) -> Result<(Arc<Shared>, Router), NoWorld> {
        check(name)?;
        let mut named = self.locked();
        if let Some(found) = named.get_mut(name) {
            found.used = Instant::now();
            return Ok((found.shared.clone(), found.router.clone()));
        }
        let made = self.fresh(name, self.settings(name));
        Ok(self.put(&mut named, name, made))
    }

    fn put(
        &self,
        named: &mut BTreeMap<String, Named>,
        name: &str,
        made: Named,
    ) -> (Arc<Shared>, Router) {
        self.make_room(named);
        let entered = (made.shared.clone(), made.router.clone());
        named.insert(name.to_owned(), made);
        self.recount(named);
        entered
    }

    fn fresh(&self, name: &str, settings: Settings) -> Named {
        let mount = format!("{PREFIX}{name}");
        let shared = Shared::new(World::new(settings), mount.clone());
        shared.worlds.get_or_init(|| self.count.clone());
        let root = self.root_url.get().map_or(NOWHERE, String::as_str);
        shared.base_url.get_or_init(|| format!("{root}{mount}"));
        Named {
            router: router::router(shared.clone()),
            shared,
            used: Instant::now(),
            kept: UNUSED,
            own_settings: false,
        }
    }

    /// Forgets the worlds that nobody has used for as long as they were to be kept, and if that is not enough,
    /// the one that was not used for the longest. One that holds requests is in use.
    fn make_room(&self, named: &mut BTreeMap<String, Named>) {
        named.retain(|_, world| {
            let kept = world.used.elapsed() < world.kept || world.shared.holds();
            if !kept {
                world.shared.end();
            }
            kept
        });
        while named.len() >= MOST {
            let oldest = named.iter().min_by_key(|(_, world)| world.used);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            if let Some(world) = named.remove(&oldest) {
                world.shared.end();
            }
        }
    }

    fn recount(&self, named: &BTreeMap<String, Named>) {
        self.count.store(named.len() + 1, Ordering::Relaxed);
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(name: &str) -> Result<(), NoWorld> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    match starts && name.len() <= LONGEST_NAME && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(NoWorld),
    }
}

/// All worlds: by path, and for the control plane also by `?world=`.
pub(crate) fn router(worlds: Arc<Worlds>) -> Router {
    let first = router::router(worlds.first());
    Router::new()
        .merge(worlds::router(&worlds.first.reach))
        .fallback(move |State(worlds): State<Arc<Worlds>>, request: Request| {
            route(first.clone(), worlds, request)
        })
        // The dashboard links them.
        .layer(Extension(worlds.clone()))
        .with_state(worlds)
}

async fn route(first: Router, worlds: Arc<Worlds>, request: Request) -> Response {
    if let Some(name) = by_path(request.uri()) {
        return enter_by_path(&worlds, &name, request).await;
    }
    if router::is_data(request.uri().path()) {
        let line = Line::of(request.extensions());
        return answered(router::data(worlds.first(), request, line).await);
    }
    match by_query(request.uri()) {
        Some(name) => enter_by_query(&worlds, &name, request).await,
        None => answered(first.oneshot(request).await),
    }
}

/// Whether a path is one of the first world's data plane.
pub(crate) fn is_first_data(path: &str) -> bool {
    router::is_data(path) && !path.starts_with(PREFIX)
}

fn answered(response: Result<Response, Infallible>) -> Response {
    let Ok(response) = response;
    response
}

/// The name in `/t/{name}/…`.
fn by_path(uri: &Uri) -> Option<String> {
    let rest = uri.path().strip_prefix(PREFIX)?;
    Some(rest.split('/').next().unwrap_or(rest).to_owned())
}

async fn enter_by_path(worlds: &Worlds, name: &str, mut request: Request) -> Response {
    let Ok((shared, router)) = worlds.entered(name) else {
        return unknown(request.uri().path());
    };
    let below = &request.uri().path()[PREFIX.len() + name.len()..];
    let below = if below.is_empty() { "/" } else { below };
    let query = request.uri().query().map(|query| format!("?{query}"));
    let Some(uri) = with_path(
        request.uri(),
        &format!("{below}{}", query.unwrap_or_default()),
    ) else {
        return unknown(request.uri().path());
    };
    // The outer router has written the whole URI down, from which the world tells its mount.
    *request.uri_mut() = uri;
    if router::is_data(request.uri().path()) {
        let line = Line::of(request.extensions());
        return answered(router::data(shared, request, line).await);
    }
    answered(router.oneshot(request).await)
}

/// The name in `/_mock/v1/…?world=name`.
fn by_query(uri: &Uri) -> Option<String> {
    uri.path().strip_prefix("/_mock/v1/")?;
    let query = form_urlencoded::parse(uri.query()?.as_bytes());
    let found = query.into_iter().find(|(key, _)| key == "world");
    found.map(|(_, name)| name.into_owned())
}

async fn enter_by_query(worlds: &Worlds, name: &str, mut request: Request) -> Response {
    let Ok((_, router)) = worlds.entered(name) else {
        return into_response(response::json_reply(
            StatusCode::BAD_REQUEST,
            json!({ "error": NoWorld.to_string() }).to_string(),
        ));
    };
    let path = request.uri().path().to_owned();
    let rest = without_world(request.uri().query().unwrap_or_default());
    let original = request.extensions().get::<OriginalUri>();
    let original = original.map_or_else(|| request.uri().clone(), |original| original.0.clone());
    let above = original.path().strip_suffix(&*path).unwrap_or_default();
    let as_by_path = with_path(&original, &format!("{above}{PREFIX}{name}{path}"));
    let (Some(original), Some(uri)) = (
        as_by_path,
        with_path(request.uri(), &format!("{path}?{rest}")),
    ) else {
        return unknown(&path);
    };
    request.extensions_mut().insert(OriginalUri(original));
    *request.uri_mut() = uri;
    answered(router.oneshot(request).await)
}

/// The other parameters, which are the control's own.
fn without_world(query: &str) -> String {
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "world");
    let mut rest = form_urlencoded::Serializer::new(String::new());
    rest.extend_pairs(others).finish()
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

fn unknown(path: &str) -> Response {
    let text = format!("{}: {NoWorld}", crate::redact::scrub(path));
    into_response(response::json_reply(
        StatusCode::NOT_FOUND,
        json!({ "error": text }).to_string(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intercept::selector::{At, On};

    fn worlds() -> Arc<Worlds> {
        Worlds::new(Settings::standard([1; 32]))
    }

    fn names(worlds: &Worlds) -> Vec<String> {
        worlds.all().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_one_that_was_not_used_for_the_longest_goes_first() {
        let worlds = worlds();
        for number in 0..MOST {
            worlds.named(&number.to_string()).expect("a name");
        }
        worlds.named("0").expect("a name");
        worlds.named("one-more").expect("a name");
        let names = names(&worlds);
        assert_eq!(names.len(), MOST);
        let has = |name: &str| names.iter().any(|known| known == name);
        assert!(has("0") && has("one-more") && !has("1"));
    }

    #[test]
    fn one_that_nobody_uses_goes_in_time() {
        let worlds = worlds();
        let brief = |name| worlds.make(name, worlds.settings(name), false, Duration::ZERO);
        brief("brief").expect("a name");
        // In use: somebody would wait for ever.
        let held = brief("held").expect("a name");
        let _gate = held.gates.set("gate", On::token(), At::Request);
        worlds.named("other").expect("a name");
        assert_eq!(
            names(&worlds),
            ["other"],
            "a gate without a request holds nobody"
        );
    }
}
