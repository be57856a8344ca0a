//! Thirty days of a device over a socket, on a clock that is moved.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use coze_auth_mock::{CozeAuthMock, DeviceAction};
use serde_json::{Value, json};

use crate::raw::{ask, connect};
use crate::sockets::address;
use crate::support::*;

/// Of an access token.
const LIFE_S: u64 = 15 * 60;
const DAYS: u64 = 30;
const DAY_S: u64 = 24 * 3600;
const TURNS: u64 = DAYS * DAY_S / LIFE_S;

struct Device {
    mock: CozeAuthMock,
    stream: TcpStream,
}

fn request(method: &str, path: &str, bearer: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Device {
    fn ask(&mut self, request: &[u8]) -> (u16, Value) {
        let seen = ask(&mut self.stream, request, true);
        let body = serde_json::from_slice(seen.body()).expect("JSON");
        (seen.status(), body)
    }

    fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(&request("POST", path, "", &body.to_string()))
    }

    fn pass(&self, seconds: u64) {
        self.mock.clock().advance(Duration::from_secs(seconds));
    }

    fn tokens(&mut self, body: &Value) -> (String, String) {
        let (status, tokens) = self.post(TOKEN, body);
        assert_eq!(status, 200, "{tokens}");
        let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        (text("access_token"), text("refresh_token"))
    }

    fn refused(&mut self, body: &Value, error: &str) {
        let (status, refusal) = self.post(TOKEN, body);
        assert!(
            status >= 400 && refusal["error_code"] == error,
            "{error}: {status} {refusal}"
        );
    }

    /// The poll, and the user code.
    fn start(&mut self) -> (Value, String) {
        let (status, started) = self.post(DEVICE_CODE, &json!({ "client_id": DEVICE }));
        assert_eq!(status, 200, "{started}");
        let poll = json!({
            "grant_type": DEVICE_GRANT,
            "client_id": DEVICE,
            "device_code": started["device_code"],
        });
        (
            poll,
            started["user_code"].as_str().expect("a code").to_owned(),
        )
    }

    fn log_in(&mut self) -> (String, String) {
        let (poll, user_code) = self.start();
        let decided = self.mock.decide_device(&user_code, DeviceAction::Approve);
        assert_eq!(decided, Ok(()));
        self.tokens(&poll)
    }

    /// Nobody comes to let it in, for the five minutes that its code lives.
    fn wait_in_vain(&mut self) {
        let (poll, _) = self.start();
        self.refused(&poll, "authorization_pending");
        self.refused(&poll, "slow_down");
        for _ in 0..3 {
            self.pass(99);
            self.refused(&poll, "authorization_pending");
        }
        self.pass(3);
        self.refused(&poll, "expired_token");
    }

    /// The access token works to its last second and is refused from the next on.
    fn use_up(&mut self, access: &str, passed_s: u64) {
        let me = request("GET", "/v1/users/me", access, "");
        self.pass(LIFE_S - 1 - passed_s);
        assert_eq!(self.ask(&me).0, 200);
        self.pass(1);
        let (status, refusal) = self.ask(&me);
        assert_eq!((status, &refusal["code"]), (401, &json!(4100)));
    }
}

#[test]
fn a_month_of_a_device() {
    let began = Instant::now();
    let (builder, clock) = builder();
    let mock = builder.start_blocking().expect("a mock");
    let stream = connect(address(&mock));
    stream.set_nodelay(true).expect("a socket");
    let mut device = Device { mock, stream };

    // Two that are put aside: one is used a second before its end.
    let (_, idle) = device.log_in();
    let (_, late) = device.log_in();
    let (mut access, mut newest) = device.log_in();
    for turn in 0..TURNS {
        let daily = turn % (DAY_S / LIFE_S) == 0;
        if daily {
            device.wait_in_vain();
        }
        if turn == TURNS - 1 {
            device.pass(LIFE_S - 1);
            device.tokens(&refresh(DEVICE, &idle));
            device.use_up(&access, LIFE_S - 1);
        } else {
            device.use_up(&access, if daily { 300 } else { 0 });
        }
        let spent = newest;
        (access, newest) = device.tokens(&refresh(DEVICE, &spent));
        if daily {
            device.refused(&refresh(DEVICE, &spent), "invalid_grant");
        }
    }
    assert_eq!(clock.unix().as_secs() - NOW, DAYS * DAY_S);
    device.refused(&refresh(DEVICE, &late), "invalid_grant");
    let entry = device.mock.requests().pop().expect("an entry");
    assert_eq!(entry.outcome.rule, Some("refresh.expiry"));
    println!(
        "{TURNS} refreshes, {} requests in {:.2} s",
        entry.seq,
        began.elapsed().as_secs_f64()
    );
}
