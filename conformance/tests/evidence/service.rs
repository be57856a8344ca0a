//! A mock as the service, and a run beside it on one clock.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use coze_auth_conformance::SharedClock;
use coze_auth_conformance::evidence::{self, Finding, Findings, Settings};
use coze_auth_core::http::Request;
use coze_auth_mock::{AppKind, Builder, CozeAuthMock, Fault, FaultHandle, On};
use serde_json::{Value, json};

use crate::person::Scripted;

/// Secrets of the apps, of which nothing may show anything.
pub(crate) const APPS: &str = r#"
    [[app]]
    kind = "web"
    client_id = "71717171717171717171717171717171.app.coze"
    client_secret = "sentinel-secret-of-the-web-app"
    redirect_uris = ["http://localhost:*/*"]
    [[app]]
    kind = "pkce"
    client_id = "72727272727272727272727272727272.app.coze"
    redirect_uris = ["http://localhost:*/*"]
    [[app]]
    kind = "device"
    client_id = "73737373737373737373737373737373.app.coze"
    [[app]]
    kind = "jwt"
    client_id = "200000000002"
    keys = [{ kid = "sentinel-key-id", development = true }]
    [[app]]
    kind = "workload"
    client_id = "74747474747474747474747474747474"
    client_secret = "sentinel-secret-of-the-workload"
"#;

pub(crate) const REDIRECT: &str = "http://localhost:8080/callback";

/// A redirect URI of this machine whose port is free.
pub(crate) fn free_redirect() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|own| own.local_addr());
    format!("http://localhost:{}/callback", port.expect("a port").port())
}

/// A service, and what of it the run is given.
pub(crate) struct Service {
    pub(crate) mock: Arc<CozeAuthMock>,
    pub(crate) clock: SharedClock,
    kinds: Vec<AppKind>,
    folder: PathBuf,
    pub(crate) long: bool,
    /// `COZE_API_TOKEN`.
    pub(crate) token: Option<String>,
    pub(crate) beside: Option<Value>,
    /// A fault ends when it is dropped.
    faults: RefCell<Vec<FaultHandle>>,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A kind's name in a file.
pub(crate) fn name(kind: AppKind) -> &'static str {
    match kind {
        AppKind::Web => "web",
        AppKind::Pkce => "pkce",
        AppKind::Device => "device",
        AppKind::Jwt => "jwt",
        _ => "workload",
    }
}

impl Service {
    /// A mock with these settings, whose apps of these kinds the run has.
    pub(crate) fn new(kinds: &[AppKind], set: impl FnOnce(Builder) -> Builder) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let clock = SharedClock::new();
        let builder = CozeAuthMock::builder().clock(clock.handle());
        let builder = set(builder.toml(APPS).expect("a configuration"));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("coze-evidence-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self {
            mock: Arc::new(builder.start_blocking().expect("a mock")),
            clock,
            kinds: kinds.to_vec(),
            folder,
            long: false,
            token: None,
            beside: None,
            faults: RefCell::default(),
        }
    }

    pub(crate) fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// The files of the apps.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let logins = self.kinds.iter().filter(|kind| **kind != AppKind::Workload);
        let files = logins.map(|kind| {
            let path = self.folder.join(format!("{}.json", name(*kind)));
            std::fs::write(&path, app_file(&self.mock, *kind)).expect("a file");
            path
        });
        files.collect()
    }

    /// The variables of the workload, if the run has it.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let is_ours =
            |(name, _): &(String, String)| name.contains("WORKLOAD") || name.contains("OUTBOUND");
        match self.kinds.contains(&AppKind::Workload) {
            true => self.mock.variables().into_iter().filter(is_ours).collect(),
            false => Vec::new(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::of_this_machine(self.files());
        let mut variables = self.variables();
        variables.extend(
            self.token
                .clone()
                .map(|own| ("COZE_API_TOKEN".to_owned(), own)),
        );
        settings.base = Some(self.mock.base_url().to_owned());
        settings.redirect_uri = Some(REDIRECT.to_owned());
        settings.long = self.long;
        settings.beside = self.beside.clone();
        settings.clock = self.clock.clone();
        settings.variable = Box::new(move |name| {
            let mut all = variables.iter();
            all.find(|(own, _)| own == name)
                .map(|(_, value)| value.clone())
        });
        settings
    }

    pub(crate) fn run(&self) -> Findings {
        self.run_with(&mut Scripted::new(self))
    }

    pub(crate) fn run_with(&self, person: &mut Scripted) -> Findings {
        evidence::run(self.settings(), person).unwrap_or_else(|why| panic!("{why}"))
    }

    /// From now on the service answers so.
    pub(crate) fn fault(&self, on: On, fault: Fault) {
        let handle = self.mock.fault(on, fault);
        self.faults.borrow_mut().push(handle);
    }

    /// A call of the mock's control plane.
    pub(crate) fn control(mock: &CozeAuthMock, path: &str, body: Value) {
        let request = Request::post(format!("/_mock/v1{path}"))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()));
        let reply = mock.call_blocking(request.expect("a request"));
        assert!(reply.status().is_success(), "{path}: {reply:?}");
    }

    /// The requests of the run, without the pages that the person has decided on.
    pub(crate) fn reached(&self) -> usize {
        let all = self.mock.requests();
        all.iter()
            .filter(|entry| entry.headers.contains_key("user-agent"))
            .count()
    }
}

/// What was found about a question.
pub(crate) fn about(findings: &Findings, number: u8) -> &Finding {
    let found = findings.all.iter().find(|finding| finding.number == number);
    found.expect("a question")
}

/// A question must mean this.
#[track_caller]
pub(crate) fn means(findings: &Findings, number: u8, what: &str) {
    let found = about(findings, number);
    assert!(
        found.means.iter().any(|line| line == what),
        "question {number} does not mean {what:?}: {found:#?}"
    );
}

/// A question must ask for this change.
#[track_caller]
pub(crate) fn changes(findings: &Findings, number: u8, what: &str) {
    let found = about(findings, number);
    assert!(
        found.changes.iter().any(|line| line.starts_with(what)),
        "question {number} does not change {what:?}: {found:#?}"
    );
}

/// A question must not ask for a change of this.
#[track_caller]
pub(crate) fn keeps(findings: &Findings, number: u8, what: &str) {
    let found = about(findings, number);
    assert!(
        !found.changes.iter().any(|line| line.starts_with(what)),
        "question {number} changes {what:?}: {found:#?}"
    );
}

/// What `coze-auth-mock env --config` prints, which this package does not build.
pub(crate) fn app_file(mock: &CozeAuthMock, kind: AppKind) -> String {
    let app = mock.app(kind).expect("an app");
    let mut file = json!({
        "client_type": name(kind),
        "client_id": app.client_id(),
        "coze_api_base": mock.base_url(),
        "coze_www_base": mock.base_url(),
    });
    for (member, value) in [
        ("client_secret", app.client_secret()),
        ("public_key_id", app.key_id()),
        ("private_key", app.private_key()),
    ] {
        if let Some(value) = value {
            file[member] = value.into();
        }
    }
    file.to_string()
}
