//! The same seed and the same requests: the same answers, byte by byte, in every start of the program.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::sockets::talk;
use crate::support::*;

struct Started {
    process: Child,
    to: SocketAddr,
    said: Vec<String>,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Started {
    fn new(seed: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_coze-auth-mock"))
            .args(["--listen", "127.0.0.1:0", "--print", "json", "--seed", seed])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let info: Value = serde_json::from_str(&line).expect("JSON");
        let url = info["base_url"].as_str().expect("an address");
        let to = url.strip_prefix("http://").expect("an http URL");
        let to = to.parse().expect("an address");
        let said = Vec::new();
        Self { process, to, said }
    }

    /// Always to the same name, whatever the port is. Gives the body, or where it leads.
    fn ask(&mut self, method: &str, target: &str, bearer: Option<&str>, body: &str) -> String {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost:9777\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        let kind = match body.starts_with('{') {
            true => "application/json",
            false => "application/x-www-form-urlencoded",
        };
        head += &format!("Content-Type: {kind}\r\n");
        if let Some(bearer) = bearer {
            head += &format!("Authorization: Bearer {bearer}\r\n");
        }
        let answer = talk(self.to, format!("{head}\r\n{body}").as_bytes());
        self.said.push(answer.clone());
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let location = head
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        location.unwrap_or(body).to_owned()
    }

    fn post(&mut self, path: &str, bearer: Option<&str>, body: &Value) -> Value {
        let answer = self.ask("POST", path, bearer, &body.to_string());
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Every flow and every endpoint, granted and refused.
    fn session(mut self, world: &str, assertions: &[String; 2]) -> Vec<String> {
        let token = &format!("{world}{TOKEN}");
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let control = |path: &str| format!("{world}/_mock/v1{path}");
        // The first moment is no part of the seed.
        self.post(&control("/clock"), None, &json!({ "mode": "frozen" }));
        self.post(&control("/clock"), None, &json!({ "set_ms": NOW * 1000 }));
        self.said.clear();

        let page = self.ask(
            "GET",
            &format!("{world}{}", target(&authorize_url(&[]))),
            None,
            "",
        );
        let page = page
            .strip_prefix("http://localhost:9777")
            .expect("a page")
            .to_owned();
        self.ask("GET", &page, None, "");
        let key = page.split("authorize_key=").nth(1).expect("a key");
        let form = format!("authorize_key={key}&action=approve");
        let back = self.ask("POST", &format!("{world}/oauth/consent"), None, &form);
        let code = query_value(&back, "code").expect("a code");
        let granted = self.post(token, Some(SECRET), &exchange(WEB, &code));
        self.post(token, Some(SECRET), &exchange(WEB, &code));

        let pkce = [
            ("client_id", PKCE),
            ("code_challenge", &s256("v".repeat(43).as_str())),
            ("code_challenge_method", "S256"),
        ];
        let url = authorize_url(&pkce);
        let back = self.post(
            &control("/authorize"),
            None,
            &json!({ "url": url, "action": "approve" }),
        );
        let code = query_value(&text(&back["redirect"]), "code").expect("a code");
        let mut body = exchange(PKCE, &code);
        body["code_verifier"] = json!("v".repeat(43));
        self.post(token, None, &body);

        let refresh_token = text(&granted["refresh_token"]);
        let again = self.post(token, Some(SECRET), &refresh(WEB, &refresh_token));
        self.post(token, Some(SECRET), &refresh(WEB, &refresh_token));
        self.ask(
            "GET",
            &format!("{world}/v1/users/me"),
            again["access_token"].as_str(),
            "",
        );

        let device = self.post(
            &format!("{world}{DEVICE_CODE}"),
            None,
            &json!({ "client_id": DEVICE }),
        );
        let poll = json!({ "grant_type": DEVICE_GRANT, "client_id": DEVICE, "device_code": device["device_code"] });
        self.post(token, None, &poll);
        self.post(token, None, &poll);
        self.ask("GET", &control("/device"), None, "");
        let entry = format!(
            "{world}/oauth/device-activation?user_code={}",
            text(&device["user_code"])
        );
        self.ask("GET", &entry, None, "");
        let decide = control(&format!("/device/{}", text(&device["user_code"])));
        self.post(&decide, None, &json!({ "action": "approve" }));
        self.post(&control("/clock"), None, &json!({ "advance_ms": 6000 }));
        self.post(token, None, &poll);

        for assertion in assertions {
            self.post(token, Some(assertion), &json!({ "grant_type": JWT_GRANT }));
        }
        self.post(
            token,
            Some(&assertions[0]),
            &json!({ "grant_type": JWT_GRANT }),
        );

        let fault = json!({ "on": { "endpoint": "users_me" }, "fault": { "kind": "status" }, "probability": 0.5 });
        self.post(&control("/faults"), None, &fault);
        for _ in 0..8 {
            self.ask(
                "GET",
                &format!("{world}/v1/users/me"),
                Some("pat_mock_alice"),
                "",
            );
        }
        for path in [
            "/tokens",
            "/leaks",
            "/metrics",
            "/fidelity",
            "/magic",
            "/faults",
            "/info",
        ] {
            self.ask("GET", &control(path), None, "");
        }
        std::mem::take(&mut self.said)
    }
}

#[test]
fn a_second_start_answers_byte_by_byte_as_the_first() {
    let assertions = [NOW, NOW].map(|now| assertion(now, |_, _| {}));
    for world in ["", "/t/w"] {
        let first = Started::new("7").session(world, &assertions);
        let second = Started::new("7").session(world, &assertions);
        assert_eq!(first.len(), 37);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first, second);
        }
        let granted = first
            .iter()
            .filter(|answer| answer.contains("\"access_token\":\""));
        assert_eq!(granted.count(), 6, "every flow was granted");
        assert!(
            first
                .iter()
                .all(|answer| answer.contains("\r\ndate: Sun, 15 Jun 2025 15:06:4"))
        );
        let other = Started::new("8").session(world, &assertions);
        assert_ne!(first[0], other[0]);
    }
}
