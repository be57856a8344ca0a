//! The key of a JWT app is replaced under a thousand callers, and none of them is refused.

use std::sync::LazyLock;
use std::thread::JoinHandle;

use coze_auth_conformance::Fixture;
use coze_auth_core::jwt::{JwtApp, JwtGrant, RsaKey};
use coze_auth_mock::{At, Builder, CozeAuthMock, On};
use coze_auth_tokens::JwtKeys;

use crate::over_each;
use crate::support::{LIFE, PATIENCE, RawSocket};
use crate::transports::Tokens;

const CALLERS: usize = 1_000;
/// How many renewals of one app run at once, unless the application says otherwise.
const AT_ONCE: usize = 64;
const APP: &str = "100000000001";

/// A key of the app, by the id that the console gives it.
struct Key {
    id: &'static str,
    pair: rcgen::KeyPair,
}

static KEYS: LazyLock<[Key; 3]> = LazyLock::new(|| {
    ["first", "second", "third"].map(|id| Key {
        id,
        pair: rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key"),
    })
});

/// Coze, whose console has these keys of the app.
fn console(builder: Builder, keys: &[&Key]) -> Builder {
    let keys = keys.iter().map(|key| {
        let pem = key.pair.public_key_pem();
        format!("{{ kid = \"{}\", public_pem = \"\"\"{pem}\"\"\" }}", key.id)
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let app = format!("[[app]]\nkind = \"jwt\"\nclient_id = \"{APP}\"\nkeys = [{keys}]");
    builder.toml(&app).expect("settings")
}

/// A source with a session for each caller.
struct World<T> {
    fixture: Fixture<RawSocket>,
    keys: JwtKeys,
    sessions: Vec<T>,
}

impl<T: Tokens> World<T> {
    fn new(key: &Key) -> Self {
        let fixture = Fixture::with(|builder| console(builder.journal_capacity(20_000), &[key]));
        let keys = JwtKeys::new(app(&fixture, key));
        let tokens = T::jwt(&fixture.clock, &keys, JwtGrant::new());
        let session = |number| {
            tokens
                .session(&format!("user-{number}"))
                .expect("a session")
        };
        Self {
            sessions: (0..CALLERS).map(session).collect(),
            fixture,
            keys,
        }
    }

    fn console_has(&self, keys: &[&Key]) {
        let builder = console(CozeAuthMock::builder(), keys);
        self.fixture.mock.reload(builder).expect("settings");
    }

    fn program_has(&self, key: &Key) {
        self.keys.replace(app(&self.fixture, key)).expect("its app");
    }

    /// All tokens end, all callers ask for one, and in the midst of it, when `AT_ONCE` requests are under way, something
    /// happens. All have a token then; gives how many requests were refused, and each of those was made up for by one.
    fn renews(&self, meanwhile: impl FnOnce()) -> usize {
        self.fixture.clock.advance(LIFE);
        let before = self.token_requests();
        let gate = self.fixture.mock.gate("midst", On::token(), At::Request);
        let callers: Vec<JoinHandle<_>> = self.sessions.iter().map(asking).collect();
        assert!(gate.arrived_blocking(AT_ONCE, PATIENCE));
        meanwhile();
        gate.open();
        for caller in callers {
            caller.join().expect("it ends").expect("a token");
        }
        let (all, refused) = self.token_requests();
        let (all, refused) = (all - before.0, refused - before.1);
        assert_eq!(all, CALLERS + refused);
        refused
    }

    /// All, and those that were refused, each for a key that the console does not have.
    fn token_requests(&self) -> (usize, usize) {
        let entries = self.fixture.mock.requests();
        let outcomes = entries
            .iter()
            .filter(|entry| entry.endpoint == "token")
            .map(|entry| &entry.outcome);
        let (mut all, mut refused) = (0, 0);
        for outcome in outcomes {
            all += 1;
            if outcome.status != 200 {
                assert_eq!(outcome.rule, Some("jwt.kid"));
                refused += 1;
            }
        }
        (all, refused)
    }
}

fn asking<T: Tokens>(session: &T) -> JoinHandle<Result<(), String>> {
    let session = session.clone();
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    let ask = move || match session.token() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    thread.spawn(ask).expect("a thread")
}

fn app(fixture: &Fixture<RawSocket>, key: &Key) -> JwtApp {
    let rsa = RsaKey::from_pem(&key.pair.serialize_pem()).expect("a key");
    JwtApp::new(fixture.endpoints(), APP, key.id, rsa).expect("an app")
}

fn a_key_is_replaced_under_a_thousand_callers_and_none_is_refused<T: Tokens>() {
    let [first, second, third] = &*KEYS;
    let world = World::<T>::new(first);
    // As it should be done: the console, the program, and the console again. Nothing is refused at all.
    world.console_has(&[first, second]);
    assert_eq!(world.renews(|| world.program_has(second)), 0);
    world.console_has(&[second]);
    // The program comes first: those who find out are made up for, and the others spared it.
    world.program_has(third);
    let refused = world.renews(|| ());
    assert!((1..=AT_ONCE).contains(&refused), "{refused}");
    assert_eq!(world.keys.key_id(), second.id);
    // The console has the new one alone, in the midst of it.
    let refused = world.renews(|| world.console_has(&[third]));
    assert!((1..=AT_ONCE).contains(&refused), "{refused}");
    assert_eq!(world.keys.key_id(), third.id);
}

over_each! {
    a_key_is_replaced_under_a_thousand_callers_and_none_is_refused,
}
