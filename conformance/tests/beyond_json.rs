//! What a case in JSON cannot say: signatures that are none, audiences of others, answers without end, heads cut short.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coze_auth_conformance::{Fixture, Subject};
use coze_auth_core::error::{Oddity, SigningError};
use coze_auth_core::jwt::{JwtApp, JwtGrant, JwtIssuer, Signer};
use coze_auth_core::pkce::PkceApp;
use coze_auth_core::{Body, Endpoints, Error, RefreshToken, Retry, TokenGrant, TransportFailure};
use coze_auth_mock::{Consent, Fault, MemberChange, On, fingerprint};

#[path = "subjects/clocks.rs"]
mod clocks;
#[allow(dead_code, unused_imports)] // one of them can lose nothing on the way
mod subjects;

const APP: &str = "100000000001";
const KEY_ID: &str = "mock-jwt-key-1";

/// A signature that is not the key's.
#[test]
fn a_wrong_key_is_refused() {
    struct Noise;
    impl Signer for Noise {
        fn sign_rs256(&self, _: &[u8]) -> Result<Vec<u8>, SigningError> {
            Ok(vec![7; 256])
        }
    }
    let fixture = Fixture::<subjects::RawSocket>::new();
    let app = JwtApp::new(fixture.endpoints(), APP, KEY_ID, Noise).expect("an app");
    let result = fixture.run(app.grant(&JwtGrant::new(), fixture.entropy()));
    fixture.refused(result, "invalid_client", "jwt.signature");
}

/// An assertion that is meant for another host.
#[test]
fn another_audience_is_refused() {
    let fixture = Fixture::<subjects::RawSocket>::new();
    let issuer = JwtIssuer::new(fixture.endpoints(), APP, KEY_ID).expect("an issuer");
    let issuer = issuer.with_audience("api.example.com").expect("a host");
    let app = JwtApp::from_issuer(issuer, fixture.key());
    let result = fixture.run(app.grant(&JwtGrant::new(), fixture.entropy()));
    fixture.refused(result, "invalid_client", "jwt.aud");
}

/// A server of one answer: what it sends is all it says, to everyone. It counts who came.
struct Listener {
    base: String,
    came: Arc<AtomicUsize>,
}

impl Listener {
    fn start(answer: impl Into<Vec<u8>>) -> Self {
        let (answer, came) = (answer.into(), Arc::new(AtomicUsize::new(0)));
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", socket.local_addr().expect("an address"));
        let counter = Arc::clone(&came);
        // The thread ends with the process: nothing tells a listener that nobody will come any more.
        std::thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = serve(stream, &answer);
            }
        });
        Self { base, came }
    }

    fn refresh<S: Subject>(&self) -> Error {
        let endpoints = Endpoints::custom(&self.base).expect("a base");
        let app = PkceApp::new(endpoints, "id").expect("an app");
        let token = RefreshToken::new("spent-by-now").expect("a token");
        let result = Fixture::<S>::new().run(app.refresh(&token));
        let error = result.expect_err("this answer is an error");
        let came = self.came.load(Ordering::SeqCst);
        assert_eq!(
            came, 1,
            "a request with a credential must not be sent twice"
        );
        error
    }
}

/// Reads the whole request first: a server that hangs up on unread bytes resets the connection.
fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    stream.write_all(answer)
}

/// An answer without an end is not read to its end.
fn endless_answer<S: Subject>() {
    let body = " ".repeat(4 * Body::READ_AT_MOST);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let error = Listener::start(head + &body).refresh::<S>();
    assert!(
        matches!(&error, Error::Unexpected(odd) if odd.oddity() == Oddity::TooLong),
        "{error:?}"
    );
}

/// The server takes the request and hangs up within the head: it may have acted, so what was sent may be spent.
fn cut_within_the_head<S: Subject>() {
    for said in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let error = Listener::start(said).refresh::<S>();
        let failure = TransportFailure::NoAnswer;
        assert!(
            matches!(&error, Error::Transport { failure: came, .. } if *came == failure),
            "after {said:?}: {error:?}"
        );
        assert!(
            matches!(error.retry(), Retry::MaybeSpent(_)),
            "after {said:?}"
        );
    }
}

/// Each member of each good answer, changed in each way. A client must not misread one: what it returns is what the server said,
/// or it is an error that a person can act on.
fn changed_members<S: Subject>() {
    const CHANGES: [(&str, MemberChange); 7] = [
        ("absent", MemberChange::Absent),
        ("null", MemberChange::Null),
        ("string", MemberChange::String),
        ("float", MemberChange::Float),
        ("milliseconds", MemberChange::Milliseconds),
        ("too_large", MemberChange::TooLarge),
        ("other_type", MemberChange::OtherType),
    ];
    let fixture = Fixture::<S>::with(|builder| builder.consent(Consent::Approve));
    let tried = std::cell::Cell::new(0);
    // `refused` are errors; `literal` are read as they stand, since nothing shows that they are wrong, or to the safe side.
    let each = |on: On, member: &str, refused: &[&str], literal: &[&str], read: &Read<'_>| {
        let meant = read().expect("a good answer");
        for (name, change) in CHANGES {
            let fault = Fault::member(member, change).times(1);
            let fault = fixture.mock.fault(on.clone(), fault);
            let result = read();
            let what = format!("{member}: {name}");
            if fault.fired() == 0 {
                assert_eq!(result.expect(&what), meant, "{what} changes nothing");
                continue;
            }
            tried.set(tried.get() + 1);
            match result {
                Err(Error::Unexpected(_)) => assert!(refused.contains(&name), "{what} is refused"),
                // A code that is not 0 is a refusal under any status (protocol §4.1).
                Err(Error::Refused(_)) if member == "code" => assert!(refused.contains(&name)),
                Err(other) => panic!("{what}: {other:?}"),
                Ok(read) => {
                    assert!(!refused.contains(&name), "{what} is taken for {read}");
                    let same = read == meant;
                    assert_eq!(same, !literal.contains(&name), "{what} is read as {read}");
                }
            }
        }
    };
    let tells = |token: &str, issued: Option<&str>| match Some(&*fingerprint(token)) == issued {
        true => "issued",
        false if token == "x".repeat(100_000) => "as long as it was sent",
        false => "of nobody",
    };
    let token = |result: Result<TokenGrant, Error>| {
        let grant = result?;
        let issued = fixture.last().issued.expect("tokens were issued");
        let access = tells(grant.access_token.expose(), Some(&issued.access));
        let refresh = grant.refresh_token.as_ref();
        let refresh = refresh.map(|token| tells(token.expose(), issued.refresh.as_deref()));
        assert!(access != "of nobody" && refresh != Some("of nobody"));
        let until = grant.expires_at.as_secs();
        Ok(format!("{access} until {until}, {refresh:?}"))
    };
    let jwt = || token(fixture.run(fixture.jwt().grant(&JwtGrant::new(), fixture.entropy())));
    let login = || {
        let app = fixture.web();
        let started = app.authorize(&fixture.redirect(), fixture.entropy());
        let (url, pending) = started.expect("a URL");
        let callback = fixture.browser(&url, true);
        token(fixture.run(app.exchange(pending, &callback).expect("our state")))
    };
    let device = || {
        let started = fixture.run(fixture.device().start())?;
        let (expires, every) = (started.expires_in.as_secs(), started.interval.as_secs());
        Ok(format!(
            "{expires} s, every {every} s, at {}",
            started.verification_uri
        ))
    };
    let me = || Ok(fixture.whoami(&fixture.token("pat"))?.user_id);
    let no_text = ["absent", "null", "float", "other_type"];
    let no_moment = ["absent", "null", "milliseconds", "too_large", "other_type"];
    for (grant, read) in [
        ("jwt_bearer", &jwt as &Read<'_>),
        ("authorization_code", &login),
    ] {
        let on = || On::grant(grant);
        each(on(), "access_token", &no_text, &["too_large"], read);
        each(on(), "expires_in", &no_moment, &[], read);
        each(on(), "token_type", &[], &[], read);
    }
    let on = || On::grant("authorization_code");
    let none_or_long = ["absent", "null", "too_large"];
    each(
        on(),
        "refresh_token",
        &["float", "other_type"],
        &none_or_long,
        &login,
    );
    let on = || On::endpoint("device_code");
    each(on(), "device_code", &no_text, &[], &device);
    each(on(), "user_code", &no_text, &[], &device);
    let no_page = ["absent", "null", "float", "too_large", "other_type"];
    each(on(), "verification_uri", &no_page, &[], &device);
    let no_time = ["absent", "null", "too_large", "other_type"];
    each(on(), "expires_in", &no_time, &["milliseconds"], &device);
    each(
        on(),
        "interval",
        &["too_large", "other_type"],
        &["float", "milliseconds"],
        &device,
    );
    let on = || On::endpoint("users_me");
    each(on(), "data.user_id", &no_text, &["too_large"], &me);
    each(
        on(),
        "data",
        &["absent", "null", "string", "float", "other_type"],
        &[],
        &me,
    );
    each(
        on(),
        "code",
        &["float", "too_large", "other_type"],
        &[],
        &me,
    );
    for other in [
        "msg",
        "data.user_name",
        "data.nick_name",
        "data.avatar_url",
        "detail.logid",
    ] {
        each(on(), other, &[], &[], &me);
    }
    assert!(tried.get() > 90, "{} changes", tried.get());
}

type Read<'a> = dyn Fn() -> Result<String, Error> + 'a;

macro_rules! over {
    ($($name:ident: $subject:ty,)+) => {
        $(mod $name {
            #[test]
            fn endless_answer() {
                super::endless_answer::<$subject>();
            }
            #[test]
            fn changed_members() {
                super::changed_members::<$subject>();
            }
            #[test]
            fn cut_within_the_head() {
                super::cut_within_the_head::<$subject>();
            }
        })+
    };
}

over! {
    over_reqwest: crate::subjects::Reqwest,
    over_ureq: crate::subjects::Ureq,
    over_raw_socket: crate::subjects::RawSocket,
}
