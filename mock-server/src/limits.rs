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

/// Maximum number of bytes of the head of a request; 431 above it, and with more than 100 headers over HTTP/1.1.
pub(crate) const MAX_HEAD: usize = 32 * 1024;

/// Maximum number of connections of a mock, over all its ports. Above it, the one that has been silent for longest is
/// ended; while all have a request under way, a new one waits.
pub(crate) const MAX_CONNECTIONS: usize = 2_000;

/// Maximum time for the TLS handshake of a connection, unless the configuration says otherwise.
pub(crate) const MAX_HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Maximum time for the head of a request, unless the configuration says otherwise.
pub(crate) const MAX_HEAD_TIME: Duration = Duration::from_secs(30);

/// Maximum time for the body of a request, unless the configuration says otherwise.
pub(crate) const MAX_BODY_TIME: Duration = Duration::from_secs(60);

/// Maximum time for which a client takes nothing of an answer that is there for it, unless the configuration says otherwise.
pub(crate) const MAX_ANSWER_TIME: Duration = Duration::from_secs(60);

/// Maximum time between the requests of a connection, unless the configuration says otherwise. The pools of many clients
/// keep a connection for 90 seconds, and one that ends just when a request is sent fails that request.
pub(crate) const MAX_IDLE_TIME: Duration = Duration::from_secs(5 * 60);

/// Maximum number of bytes of all bodies that are waited for, with their heads: above it, the oldest is not waited for
/// any longer.
pub(crate) const MAX_BODIES: usize = 64 * 1024 * 1024;

/// Maximum number of bytes of all answers that their clients do not take: above it, the connections that take nothing for
/// longest end.
pub(crate) const MAX_UNTAKEN: usize = 64 * 1024 * 1024;

/// How long a client takes nothing of an answer before it counts for that.
pub(crate) const UNTAKEN: Duration = Duration::from_secs(1);

/// How long the mock waits for the client's end of a connection that a fault has ended, so that the client reads what was
/// sent before: a socket that is closed with unread bytes is reset.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// Maximum number of requests at once on a connection of HTTP/2; a client learns it from the settings.
pub(crate) const MAX_STREAMS: u32 = 100;

/// Maximum number of streams of a connection that the client has reset before the mock has begun with them (CVE-2023-44487);
/// above it, the connection ends.
pub(crate) const MAX_RESET_STREAMS: usize = 20;

/// Maximum number of streams of a connection that the mock has reset for the client's errors (RUSTSEC-2024-0003); above it,
/// the connection ends.
pub(crate) const MAX_ERROR_STREAMS: usize = 100;

/// Number of bytes that a client may send on a stream of HTTP/2, and on the whole connection, before the mock has read them.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;
/// See [`STREAM_WINDOW`].
pub(crate) const CONNECTION_WINDOW: u32 = 256 * 1024;

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

/// Maximum number of API calls of the user's own in a world.
pub(crate) const MAX_APIS: usize = 64;

/// Maximum number of bytes of the answer of one of them.
pub(crate) const MAX_API_BODY: usize = 64 * 1024;

/// Maximum number of events of one of them.
pub(crate) const MAX_API_EVENTS: usize = 1_000;

/// Maximum number of workspaces of a page of `GET /v1/workspaces` (protocol §10.1).
pub(crate) const MAX_PAGE: u64 = 50;

/// Maximum number of keys that a JWT app has while a mock runs.
pub(crate) const MAX_KEYS: usize = 16;

/// Maximum number of gates that the control plane sets in a world: nobody drops them.
pub(crate) const MAX_GATES: usize = 64;

/// Maximum number of bytes of a gate's name.
pub(crate) const MAX_GATE_NAME: usize = 64;

/// Maximum time for which a client of the control plane waits for a gate or a request.
pub(crate) const MAX_WAIT_MS: u64 = 60_000;

/// How long such a client waits unless it says otherwise.
pub(crate) const DEFAULT_WAIT_MS: u64 = 10_000;

/// Maximum number of clients of the control plane that wait, over all worlds: for requests, for events, at gates. Each may
/// have a thread.
pub(crate) const MAX_WAITING_CLIENTS: usize = 256;

/// Maximum number of named worlds (the first is not counted). When there are more, one that was used once is evicted, else
/// one that is not in use.
pub(crate) const MAX_WORLDS: usize = 1_000;

/// How long a world that nobody uses is kept, of the machine's time, unless it was said otherwise.
pub(crate) const UNUSED_WORLD: Duration = Duration::from_secs(60 * 60);

/// How long a world that was used more than once stays in use, of the machine's time. A minute would refuse fast tests that
/// remove none of their worlds.
pub(crate) const WORLD_IN_USE: Duration = Duration::from_secs(10);

/// Maximum number of bytes of a world's name.
pub(crate) const MAX_WORLD_NAME: usize = 64;

/// Maximum number of worlds that have a port of their own: each is an open file, of which a process often has 1,024.
pub(crate) const MAX_WORLD_PORTS: usize = 256;

/// Maximum number of names of ended worlds that a mock remembers, so that another world of that name has other log ids.
pub(crate) const MAX_ENDED_WORLDS: usize = 10_000;

/// Maximum number of bytes that all worlds together hold, unless the settings of the mock say otherwise. They are counted by
/// what was allocated.
pub(crate) const DEFAULT_MEMORY: usize = 256 * MEGABYTE;

/// The least that can be set for it: enough for the tables of one world that is used.
pub(crate) const MIN_MEMORY_MB: u64 = 16;

/// A million bytes.
pub(crate) const MEGABYTE: usize = 1_000_000;

/// Maximum number of bytes of a journal for each request that it may keep; a journal of few requests may have
/// [`MIN_JOURNAL_BYTES`].
pub(crate) const JOURNAL_BYTES_PER_REQUEST: usize = 4 * 1_024;

/// Number of bytes of the long texts of a journal that are moved into a place of their own together.
pub(crate) const PACK: usize = 64 * 1_024;

/// See [`JOURNAL_BYTES_PER_REQUEST`].
pub(crate) const MIN_JOURNAL_BYTES: usize = 8 * 1_024 * 1_024;

/// Maximum time for a connection of the shadow to its upstream, with the TLS handshake.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_CONNECT_TIME: Duration = Duration::from_secs(10);

/// Maximum time until the head of the upstream's answer, and between parts of its body.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_ANSWER_TIME: Duration = Duration::from_secs(120);

/// Maximum number of bytes of a request or an answer that the shadow holds, to judge it. An answer that is longer is passed on
/// while it arrives; a request to an OAuth endpoint that is longer is refused.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_BODY: usize = 1024 * 1024;

/// Maximum number of connections to the shadow, which has another one to the upstream for each: a process often has 1,024 files.
/// Above it, as with those of a mock.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_CONNECTIONS: usize = 480;

/// Maximum number of bytes of the head of an upstream's answer.
#[cfg(feature = "shadow")]
pub(crate) const MAX_ANSWER_HEAD: usize = 256 * 1024;

/// Maximum number of authorize requests whose codes the shadow has not seen yet.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_WAITING: usize = 1_000;

/// How far the clocks of the shadow and of the upstream may differ before a verdict that rests on a time is not given.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_TOLERANCE: Duration = Duration::from_secs(2);

/// Maximum number of exchanges of a record.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_RECORD: usize = 1_000;

/// Maximum number of bytes of the bodies of a record.
#[cfg(feature = "shadow")]
pub(crate) const SHADOW_RECORD_BYTES: usize = 32 * 1024 * 1024;
