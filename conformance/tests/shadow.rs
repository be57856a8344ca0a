//! Every flow of both adapters through the shadow of a second mock: nothing differs, whether the shadow knows the apps or not.

#[path = "common/browser.rs"]
mod browser;
#[path = "subjects/clocks.rs"]
mod clocks;
#[allow(dead_code, unused_imports)] // the transports of one's own are not needed
mod subjects;

use coze_auth_conformance::{Fixture, Subject};
use coze_auth_core::authorize::{AuthorizeUrl, Callback};
use coze_auth_core::config::Environment;
use coze_auth_core::jwt::{JwtApp, JwtGrant};
use coze_auth_core::{AccessToken, Endpoints, Region, whoami};
use coze_auth_mock::{Consent, Shadow, ShadowBuilder};
use tokio::runtime::Runtime;

use self::browser::redirect_of;

/// A fixture whose mock is the upstream of a shadow, which the clients use as their base.
struct Shadowed<S> {
    fixture: Fixture<S>,
    shadow: Shadow,
    _runtime: Runtime,
}

impl<S: Subject> Shadowed<S> {
    fn new(set: impl FnOnce(ShadowBuilder) -> ShadowBuilder) -> Self {
        let fixture = Fixture::with(|builder| builder.consent(Consent::Approve));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let builder = Shadow::builder(fixture.mock.base_url()).clock(fixture.clock.handle());
        let shadow = runtime.block_on(set(builder).start()).expect("a shadow");
        Self {
            fixture,
            shadow,
            _runtime: runtime,
        }
    }

    fn settings(&self) -> Environment<'_> {
        let (mock, shadow) = (&self.fixture.mock, self.shadow.base_url());
        Environment::new(Region::Cn, move |name| {
            let value = mock.variable(name)?;
            Some(value.replace(mock.base_url(), shadow))
        })
    }

    /// The person's browser, which the upstream sends back at once.
    fn browser(&self, url: &AuthorizeUrl) -> Callback {
        let to = redirect_of(url.as_str()).expect("it is sent back at once");
        Callback::parse(&to).expect("a callback")
    }

    fn prove(&self, token: &AccessToken) {
        let base = Endpoints::custom(self.shadow.base_url()).expect("loopback http is allowed");
        let user = self
            .fixture
            .run(whoami(&base, token))
            .expect("the token opens the API");
        assert_eq!(user.user_name, "alice");
    }

    fn all_flows(&self) {
        let fixture = &self.fixture;
        let settings = self.settings();
        self.prove(&fixture.token("pat"));
        let web = settings.web_app().expect("an app");
        let (url, pending) = web
            .authorize(&fixture.redirect(), fixture.entropy())
            .expect("a URL");
        let exchange = web
            .exchange(pending, &self.browser(&url))
            .expect("our state");
        let grant = fixture.run(exchange).expect("a grant");
        self.prove(&grant.access_token);
        let old = grant.refresh_token.expect("a refresh token");
        let grant = fixture.run(web.refresh(&old)).expect("a grant");
        self.prove(&grant.access_token);
        // A spent one is refused by both sides.
        fixture
            .run(web.refresh(&old))
            .expect_err("a spent refresh token");

        let pkce = settings.pkce_app().expect("an app");
        let (url, pending) = pkce
            .authorize(&fixture.redirect(), fixture.entropy())
            .expect("a URL");
        let exchange = pkce
            .exchange(pending, &self.browser(&url))
            .expect("our state");
        let grant = fixture.run(exchange).expect("a grant");
        let refresh = grant.refresh_token.expect("a refresh token");
        fixture.run(pkce.refresh(&refresh)).expect("a grant");

        let device = settings.device_app().expect("an app");
        let started = fixture.run(device.start()).expect("a device code");
        let grant = fixture.run(device.poll(&started)).expect("a grant");
        self.prove(&grant.access_token);

        let upstream = fixture.mock.base_url().trim_start_matches("http://");
        let app = || {
            let read = |path: &str| std::fs::read_to_string(path);
            let (issuer, key) = settings.jwt_issuer(read).expect("an app");
            (issuer, key.rsa_key().expect("a key"))
        };
        // Through the base, the audience has to be said.
        let (issuer, key) = app();
        let jwt = JwtApp::from_issuer(issuer, key);
        let refused = fixture.run(jwt.grant(&JwtGrant::new(), fixture.entropy()));
        let refused = refused
            .expect_err("an audience of the shadow's")
            .to_string();
        assert!(
            refused.contains("shadow_aud") && refused.contains(upstream),
            "{refused}"
        );
        let (issuer, key) = app();
        let issuer = issuer.with_audience(upstream).expect("an audience");
        let jwt = JwtApp::from_issuer(issuer, key);
        let grant = fixture
            .run(jwt.grant(&JwtGrant::new(), fixture.entropy()))
            .expect("a grant");
        self.prove(&grant.access_token);

        let workload = settings.workload_app().expect("an app");
        let token = fixture.run(workload.grant()).expect("a grant").access_token;
        let integration = workload
            .integration(&token, "integration-feishu-base")
            .expect("a name");
        fixture.run(integration).expect("a credential");
        let env = workload.project_env(&token).expect("an endpoint");
        assert_eq!(fixture.run(env).expect("variables").len(), 3);
    }
}

fn nothing_differs<S: Subject>() {
    let known = Shadowed::<S>::new(ShadowBuilder::mock_apps);
    known.all_flows();
    let unknown = Shadowed::<S>::new(|builder| builder);
    unknown.all_flows();
    for shadowed in [known, unknown] {
        let shadow = &shadowed.shadow;
        assert_eq!(shadow.differing(), [""; 0], "{}", shadow.report_text());
        let report = shadow.report();
        // All but the one that the shadow has refused.
        let requests = shadowed.fixture.mock.requests().len();
        assert_eq!(report["exchanges"], requests, "{}", shadow.report_text());
        assert_eq!(requests, 19);
        assert_eq!(report["refused_by_the_shadow"], 1);
        let rows = report["rules"].as_array().expect("rows");
        let row = rows
            .iter()
            .find(|row| row["rule"] == "refresh.rotate")
            .expect("a row");
        assert!(row["agrees"].as_u64() >= Some(3), "{row}");
    }
}

#[test]
fn nothing_differs_over_reqwest() {
    nothing_differs::<subjects::Reqwest>();
}

#[test]
fn nothing_differs_over_ureq() {
    nothing_differs::<subjects::Ureq>();
}
