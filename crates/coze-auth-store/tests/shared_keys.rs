//! Under which key a shared token rests: whatever decides whose it is, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use coze_auth_store::GrantKey;
use coze_auth_store::core::endpoint::{AccountId, EnterpriseId};
use coze_auth_store::core::jwt::{JwtGrant, JwtIssuer, SessionContext};
use coze_auth_store::core::scope::Scope;
use coze_auth_store::core::workload::{Lane, WorkloadApp, WorkloadEndpoints};
use coze_auth_store::core::{ClientSecret, Endpoints};

fn issuer(base: &str, id: &str) -> JwtIssuer {
    JwtIssuer::new(Endpoints::custom(base).unwrap(), id, "key-1").unwrap()
}

fn key(grant: JwtGrant) -> GrantKey {
    GrantKey::jwt(&issuer("https://api.coze.cn", "1"), &grant)
}

fn new() -> JwtGrant {
    JwtGrant::new()
}

fn session(name: &str) -> JwtGrant {
    new().session_name(name).unwrap()
}

fn ttl(secs: u64) -> JwtGrant {
    new().ttl(Duration::from_secs(secs)).unwrap()
}

fn workload(id: &str) -> WorkloadApp {
    let endpoints = WorkloadEndpoints::custom("https://p.example/id", "https://p.example/access");
    of_workload(endpoints.unwrap(), id)
}

fn of_workload(endpoints: WorkloadEndpoints, id: &str) -> WorkloadApp {
    WorkloadApp::new(endpoints, id, ClientSecret::new("secret").unwrap()).unwrap()
}

/// Each says another thing of whose token it is, or of what that may do.
#[test]
fn no_two_identities_have_one_key() {
    let (account, enterprise) = (
        |id| AccountId::new(id).unwrap(),
        |id| EnterpriseId::new(id).unwrap(),
    );
    let context = |context| new().session_context(context).unwrap();
    let elsewhere = |base, id| GrantKey::jwt(&issuer(base, id), &new());
    let gateway = issuer("https://api.coze.cn", "1").with_audience("api.coze.com");
    let platform = |identity: &str, access: &str| {
        GrantKey::workload(&of_workload(
            WorkloadEndpoints::custom(identity, access).unwrap(),
            "1",
        ))
    };
    let id = "https://p.example/id";
    let outbound = WorkloadEndpoints::custom(id, "https://p.example/access").unwrap();
    let outbound = outbound.with_outbound("https://out.example").unwrap();
    let on_lane = |lane| workload("1").with_lane(Lane::new(lane).unwrap());
    let keys = [
        ("nothing", key(new())),
        ("another base", elsewhere("https://api.coze.com", "1")),
        (
            "a base with a path",
            elsewhere("https://gateway.example/t/a", "1"),
        ),
        ("another app", elsewhere("https://api.coze.cn", "2")),
        ("another audience", GrantKey::jwt(&gateway.unwrap(), &new())),
        ("an account", key(new().account(account("7")))),
        ("another account", key(new().account(account("8")))),
        ("an enterprise", key(new().enterprise(enterprise("7")))),
        ("a session", key(session("alice"))),
        ("another session", key(session("Alice"))),
        (
            "a session that looks like a member",
            key(session(r#"alice","scope":{}"#)),
        ),
        (
            "a device",
            key(context(SessionContext::Device("alice".into()))),
        ),
        (
            "a consumer",
            key(context(SessionContext::Consumer("alice".into()))),
        ),
        ("an empty scope", key(new().scope(Scope::new()))),
        (
            "a permission",
            key(new().scope(Scope::new().account(["a"]))),
        ),
        (
            "two permissions",
            key(new().scope(Scope::new().account(["a", "b"]))),
        ),
        (
            "one of both names",
            key(new().scope(Scope::new().account(["a,b"]))),
        ),
        ("a bot", key(new().scope(Scope::new().bots(["a"])))),
        (
            "a workspace",
            key(new().scope(Scope::new().workspaces(["a"], ["b"]))),
        ),
        (
            "a workspace the other way",
            key(new().scope(Scope::new().workspaces(["b"], ["a"]))),
        ),
        (
            "a workflow",
            key(new().scope(Scope::new().workflows(["a"], ["b"]))),
        ),
        ("a life", key(ttl(900))),
        ("another life", key(ttl(901))),
        (
            "both",
            key(session("alice").ttl(Duration::from_secs(900)).unwrap()),
        ),
        ("a workload", GrantKey::workload(&workload("1"))),
        ("another workload", GrantKey::workload(&workload("2"))),
        (
            "another identity endpoint",
            platform("https://q.example/id", "https://p.example/access"),
        ),
        (
            "another access endpoint",
            platform(id, "https://q.example/access"),
        ),
        (
            "both at one",
            platform("https://p.example/access", "https://p.example/access"),
        ),
        (
            "an outbound endpoint",
            GrantKey::workload(&of_workload(outbound, "1")),
        ),
        ("a lane", GrantKey::workload(&on_lane("ppe_a"))),
        ("another lane", GrantKey::workload(&on_lane("PPE_a"))),
    ];
    let (mut ids, mut subjects) = (BTreeMap::new(), BTreeMap::new());
    for (what, key) in &keys {
        assert_eq!(ids.insert(key.id(), what), None, "{what}");
        assert_eq!(
            subjects.insert(key.subject().to_owned(), what),
            None,
            "{what}"
        );
    }
}

/// The fleet goes on with one token while its key is replaced, and a set has another order in each process.
#[test]
fn what_does_not_decide_whose_token_it_is_does_not_count() {
    let alice = key(session("alice"));
    let issuer = issuer("https://api.coze.cn/", "1")
        .with_key_id("key-2")
        .unwrap();
    let issuer = issuer
        .with_assertion_lifetime(Duration::from_secs(60))
        .unwrap();
    assert_eq!(GrantKey::jwt(&issuer, &session("alice")), alice);

    let scope = |bots: [&str; 3], spaces: [&str; 2], flows: [&str; 2]| {
        let scope = Scope::bot_chat(bots).account(spaces);
        key(new().scope(scope.workspaces(spaces, flows).workflows(flows, spaces)))
    };
    let one = scope(["1", "2", "2"], ["a", "b"], ["x", "y"]);
    assert_eq!(scope(["2", "1", "1"], ["b", "a"], ["y", "x"]), one);
    // Both are asked for at the account's URL (protocol §2.1).
    let of_account = |grant: JwtGrant| key(grant.account(AccountId::new("7").unwrap()));
    let enterprise = new().enterprise(EnterpriseId::new("8").unwrap());
    assert_eq!(of_account(enterprise), of_account(new()));

    let endpoints = WorkloadEndpoints::custom("https://p.example/id", "https://p.example/access");
    let secret = ClientSecret::new("another").unwrap();
    let renewed = WorkloadApp::new(endpoints.unwrap(), "1", secret).unwrap();
    assert_eq!(
        GrantKey::workload(&renewed),
        GrantKey::workload(&workload("1"))
    );
}

/// Processes of two releases share, too: whoever changes the form has to see it here.
#[test]
fn a_key_is_the_same_in_each_release() {
    assert_eq!(
        key(session("alice")).id(),
        "99401ae5fd71b7bfbac4460555b6ce22"
    );
    assert_eq!(
        GrantKey::workload(&workload("1")).id(),
        "b2b02b46bb5e870950b37b8e30b0278c"
    );
}

/// Nobody can name a login so: a subject has no white space around it.
#[test]
fn no_login_has_the_key_of_a_shared_token() {
    let shared = key(new());
    let endpoints = Endpoints::custom(shared.api_base()).unwrap();
    let login = |subject: &str| GrantKey::of(&endpoints, shared.client_id(), subject);
    assert!(login(shared.subject()).is_err());
    assert_ne!(login(shared.subject().trim()).unwrap().id(), shared.id());
}
