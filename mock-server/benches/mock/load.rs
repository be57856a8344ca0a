//! Sixteen keep-alive connections that ask as fast as they are answered.

use std::time::{Duration, Instant};

use crate::http::{Connection, log_in, member, post, refresh};
use crate::process::{Kind, Process};

const CONNECTIONS: usize = 16;

pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// Bytes of a body.
    pub(crate) answer: usize,
    server: Process,
    clients: Vec<Client>,
}

struct Client {
    connection: Connection,
    next: Vec<u8>,
    /// A refresh token is used once.
    rotates: bool,
}

pub(crate) struct Run {
    requests: u32,
    took: Duration,
    processor: Duration,
}

impl Run {
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.requests) / self.took.as_secs_f64()
    }

    pub(crate) fn cost_us(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / f64::from(self.requests)
    }
}

impl Load {
    pub(crate) fn new(name: &'static str, kind: &Kind) -> Self {
        let server = Process::start(kind, Some(0));
        let mut clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| Client::new(&server, kind))
            .collect();
        clients[0].send();
        let answer = clients[0].receive();
        Self {
            name,
            answer,
            server,
            clients,
        }
    }

    /// One thread: it answers one connection while the requests of the others are under way, so that the server
    /// always has work and wakes nobody.
    pub(crate) fn run(&mut self, time: Duration) -> Run {
        let before = self.server.processor();
        let begun = Instant::now();
        for client in &mut self.clients {
            client.send();
        }
        let mut requests = 0;
        while begun.elapsed() < time {
            for client in &mut self.clients {
                client.receive();
                client.send();
                requests += 1;
            }
        }
        for client in &mut self.clients {
            client.receive();
            requests += 1;
        }
        Run {
            requests,
            took: begun.elapsed(),
            processor: self.server.processor() - before,
        }
    }
}

impl Client {
    fn new(server: &Process, kind: &Kind) -> Self {
        let mut connection = Connection::new(server.to).expect("a connection");
        let (next, rotates) = match kind.first {
            "/v1/users/me" => (refresh(&log_in(&mut connection)), true),
            "/" => (refresh(&"x".repeat(72)), false),
            _ => {
                let body = "grant_type=refresh_token&refresh_token=x&client_id=c&scope=s";
                (
                    post("/token", "none", "application/x-www-form-urlencoded", body),
                    false,
                )
            }
        };
        connection.stay_awake();
        Self {
            connection,
            next,
            rotates,
        }
    }

    fn send(&mut self) {
        self.connection.send(&self.next).expect("it is taken");
    }

    fn receive(&mut self) -> usize {
        let (head, body) = self.connection.receive().expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        if self.rotates {
            self.next = refresh(member(body, "refresh_token"));
        }
        body.len()
    }
}
