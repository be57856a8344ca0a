//! The limits of the mock, in one table. The summary of a configuration and the OpenAPI document show them, too.

use std::time::Duration;

/// Maximum number of bytes of a body of the data plane that are looked at.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// Maximum number of bytes of an oversized body that are read and dropped, so that a client that is still sending
/// gets to see the answer.
pub(crate) const MAX_DRAINED_BODY: usize = 16 * 1024 * 1024;

/// Maximum number of bytes of a parameter that is kept until a user decides or a code is exchanged.
pub(crate) const MAX_PARAMETER: usize = 2_048;

/// Maximum number of bytes of a body of the control plane: a script has many faults, and a log that is searched for
/// secrets is long.
pub(crate) const MAX_CONTROL_BODY: usize = 2 * 1024 * 1024;

/// Maximum number of headers of a request that the journal keeps.
pub(crate) const MAX_HEADERS: usize = 64;

/// Number of requests that a journal keeps unless its settings say otherwise.
pub(crate) const DEFAULT_JOURNAL: usize = 2_000;

/// Maximum number of leaks that a world remembers.
pub(crate) const MAX_LEAKS: usize = 1_000;

/// Number of grants, codes and `jti` values of a kind that a world keeps unless its settings say otherwise.
pub(crate) const DEFAULT_GRANTS: usize = 100_000;

/// Maximum lifetime that a configuration can set: ten years, so that no sum of such times is too large for a clock.
pub(crate) const MAX_TTL_S: u64 = 3650 * 24 * 3600;

/// Maximum number of apps of a configuration.
pub(crate) const MAX_APPS: usize = 10_000;

/// Maximum lifetime of a token of the JWT grant (protocol §5).
pub(crate) const MAX_JWT_TOKEN_S: u64 = 86_399;

/// How much too early a device may poll: timers of clients are not exact.
pub(crate) const POLL_TOLERANCE: Duration = Duration::from_millis(250);

/// How long a consent page waits for its button.
pub(crate) const CONSENT_PAGE_S: u64 = 10 * 60;

/// Maximum number of consent pages that wait: each keeps what its request sent.
pub(crate) const MAX_CONSENT_PAGES: usize = 10_000;

/// Maximum number of faults, and of scripts, that the control plane sets in a world: nobody drops them.
pub(crate) const MAX_FAULTS: usize = 64;

/// Maximum number of bytes of the body that a fault sends.
pub(crate) const MAX_FAULT_BODY: usize = 64 * 1024;

/// Maximum real time for which a fault acts, except `hold`, which ends when it is removed.
pub(crate) const MAX_FAULT_TIME: Duration = Duration::from_secs(60);

/// Maximum number of steps of a script.
pub(crate) const MAX_SCRIPT_STEPS: usize = 1_000;

/// Maximum number of gates that the control plane sets in a world: nobody drops them.
pub(crate) const MAX_GATES: usize = 64;

/// Maximum number of bytes of a gate's name.
pub(crate) const MAX_GATE_NAME: usize = 64;

/// Maximum time for which a client of the control plane waits for a gate or a request.
pub(crate) const MAX_WAIT_MS: u64 = 60_000;

/// How long such a client waits unless it says otherwise.
pub(crate) const DEFAULT_WAIT_MS: u64 = 10_000;

/// Maximum number of clients that wait for requests of a world: each has a thread.
pub(crate) const MAX_WAITING_CLIENTS: usize = 64;

/// Maximum number of named worlds (the first is not counted). When there are more, the one that was used least
/// recently is evicted.
pub(crate) const MAX_WORLDS: usize = 1_000;

/// How long a world that nobody uses is kept, of the machine's time, unless it was said otherwise.
pub(crate) const UNUSED_WORLD: Duration = Duration::from_secs(60 * 60);

/// Maximum number of bytes of a world's name.
pub(crate) const MAX_WORLD_NAME: usize = 64;

/// Maximum number of worlds that have a port of their own: each is an open file, of which a process often has 1,024.
pub(crate) const MAX_WORLD_PORTS: usize = 256;
