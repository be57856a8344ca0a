//! Faults that make a request wait: who goes on, and what ends them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use coze_auth_mock::{At, CozeAuthMock, Fault, MockWorld, ScriptEnd, ScriptStep};
use serde_json::json;

use crate::raw::*;

/// What is held is in the journal as long as it is held, and once when it has gone on.
#[test]
fn a_held_request_is_answered_when_the_fault_is_removed() {
    for server in [Server::thread(), Server::task()] {
        let cases = ENDPOINTS.map(|endpoint| [(endpoint, At::Request), (endpoint, At::Answer)]);
        for (n, (endpoint, at)) in cases.into_iter().flatten().enumerate() {
            let (first, again) = without_fault(&server, endpoint);
            let (world, request) = server.world_with_request(&format!("hold-{n}"), endpoint);
            let before = world.requests().len();
            let fault = world.fault(on(endpoint), Fault::hold().at(at).times(1));
            let mut stream = connect(server.address());
            stream.write_all(&request).expect("it is taken");
            until("it is held", || {
                fault.fired() == 1 && world.requests().len() > before
            });
            let entry = world.requests().pop().expect("an entry");
            let status = if at == At::Request { 0 } else { first };
            assert_eq!(entry.outcome.status, status, "{endpoint} at the {at:?}");
            assert_eq!(entry.fault, Some("hold"));
            stream.set_nonblocking(true).expect("a socket");
            let nothing = stream.read(&mut [0]).expect_err("nothing has come");
            assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
            stream.set_nonblocking(false).expect("a socket");

            fault.remove();
            assert_eq!(read(&mut stream, true).status(), first, "{endpoint}");
            assert_eq!(world.requests().len(), before + 1);
            let entry = world.requests().pop().expect("an entry");
            assert_eq!((entry.outcome.status, entry.fault), (first, Some("hold")));
            let second = ask(&mut stream, &request, true);
            assert_eq!(second.status(), again, "{endpoint}");
        }
    }
}

#[test]
fn a_client_that_disconnects_before_the_mock_has_acted_spends_nothing() {
    let server = Server::thread();
    for (name, fault) in [
        ("hold", Fault::hold()),
        ("delay", Fault::delay(Duration::from_secs(60))),
    ] {
        for (at, status) in [(At::Request, 200), (At::Answer, 400)] {
            let world = format!("left-{name}-{at:?}");
            let (world, request) = server.world_with_request(&world, "refresh_token");
            let before = world.requests().len();
            let fault = world.fault(on("refresh_token"), fault.clone().at(at).times(1));
            let mut stream = connect(server.address());
            stream.write_all(&request).expect("it is taken");
            until("it waits", || world.requests().len() > before);
            drop(stream);
            let again = send(server.address(), &request, true);
            assert_eq!(again.status(), status, "{name} at the {at:?}");
            let entry = &world.requests()[before];
            assert_eq!(entry.fault, Some(name));
            assert_eq!(entry.outcome.status, if status == 200 { 0 } else { 200 });
            assert!(entry.presented.is_some(), "which token it was");
            drop(fault);
        }
    }
}

#[test]
fn the_end_of_a_fault_releases_what_it_holds() {
    let server = Server::task();
    type Ending = fn(&Server, &MockWorld, &str);
    let endings: [(&str, Ending); 3] = [
        ("reset", |_, world, _| world.reset()),
        ("another world", |server, _, name| {
            let made = server.0.control("/worlds", &json!({ "name": name }));
            assert_eq!(made.status, 200);
        }),
        ("DELETE", |server, _, name| {
            let delete = http::Request::delete(format!("/t/{name}/_mock/v1/faults"));
            let delete = delete.body(bytes::Bytes::new()).expect("a request");
            assert_eq!(server.0.send(delete).status, 200);
        }),
    ];
    for (n, (what, end)) in endings.into_iter().enumerate() {
        let long = Duration::from_secs(60);
        for (kind, fault) in [("hold", Fault::hold()), ("delay", Fault::delay(long))] {
            let name = format!("{kind}-{n}");
            let (world, request) = server.world_with_request(&name, "users_me");
            let handle = world.fault(on("users_me"), fault.at(At::Request));
            let mut stream = connect(server.address());
            stream.write_all(&request).expect("it is taken");
            until("it waits", || handle.fired() == 1);
            end(&server, &world, &name);
            assert_eq!(read(&mut stream, true).status(), 200, "{what}");
            std::mem::forget(handle);
        }
    }
}

#[test]
fn a_mock_that_ends_releases_what_a_fault_holds() {
    let endings: [fn(&tokio::runtime::Runtime, CozeAuthMock); 2] = [
        |_, mock| drop(mock),
        |runtime, mock| {
            let timer = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let _inside = runtime.enter();
            timer.expect("a runtime").block_on(mock.stop());
        },
    ];
    for end in endings {
        let server = Server::task();
        let to = server.address();
        let (world, request) = server.world_with_request("held", "users_me");
        let handle = world.fault(on("users_me"), Fault::hold());
        let mut stream = connect(to);
        stream.write_all(&request).expect("it is taken");
        until("it is held", || handle.fired() == 1);
        let Server(m, runtime) = server;
        let runtime = runtime.expect("a task's");
        end(&runtime, m.mock);
        assert_eq!(read(&mut stream, true).status(), 200);
    }
}

#[test]
fn a_world_in_which_somebody_waits_is_in_use() {
    let server = Server::task();
    for (n, script) in [false, true].into_iter().enumerate() {
        let name = format!("brief-{n}");
        let made = json!({ "name": name, "ttl_s": 0 });
        assert_eq!(server.0.control("/worlds", &made).status, 200);
        let (world, request) = server.world_with_request(&name, "users_me");
        let (fault, step) = if script {
            let step = ScriptStep::fault(Fault::hold());
            (
                None,
                Some(world.script(on("users_me"), [step], ScriptEnd::Last)),
            )
        } else {
            (Some(world.fault(on("users_me"), Fault::hold())), None)
        };
        let mut stream = connect(server.address());
        stream.write_all(&request).expect("it is taken");
        until("it is held", || !world.requests().is_empty());
        // Its handle would keep the world as well.
        drop(world);
        let is_there = || {
            // Room is made for another.
            let other = json!({ "name": "other" });
            assert_eq!(server.0.control("/worlds", &other).status, 200);
            let all = server.0.get("/_mock/v1/worlds", None).text;
            all.contains(&name)
        };
        assert!(is_there(), "somebody waits there");
        drop((fault, step));
        assert_eq!(read(&mut stream, true).status(), 200);
        until("it is forgotten", || !is_there());
    }
}
