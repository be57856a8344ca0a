//! How long a fleet waits for one that died with the lease, where that has its usual length.

use std::thread::sleep;
use std::time::{Duration, Instant};

use coze_auth_mock::{At, On};

use crate::lives::{Engine, Fleet, PATIENCE, Plan};

/// The lease of an application that says nothing else.
const LEASE: Duration = Duration::from_secs(10);
pub(crate) const GOAL: Duration = Duration::from_secs(15);

/// From the death of a process that had just begun to renew, to the next one's token.
pub(crate) fn rest_of_a_lease() -> Duration {
    let plan = Plan {
        engine: Engine::Durable,
        lives: 1,
        seed: 1,
        fault: None,
    };
    let mut fleet = Fleet::new(&plan, 2, LEASE);
    let on = On::grant("refresh_token");
    let gate = fleet.mock.gate("refresh", on, At::Request);
    fleet.begin_life();
    fleet.tick(0);
    assert!(gate.arrived_blocking(1, PATIENCE), "no request came");
    fleet.processes[0].kill();
    fleet.processes.remove(0);
    let began = Instant::now();
    // The mock drops a request whose client is gone, so its refresh token is not spent.
    while gate.waiting() > 0 {
        assert!(began.elapsed() < PATIENCE, "the dead one's request is held");
        sleep(Duration::from_millis(1));
    }
    gate.open();
    fleet.tick(0);
    fleet.hear_until(|fleet| fleet.processes[0].done == 1);
    began.elapsed()
}
