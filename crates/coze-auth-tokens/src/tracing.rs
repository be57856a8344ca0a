//! An observer that logs with `tracing`.

use ::tracing::{Level, event, field};
use coze_auth_core::ErrorKind;

use crate::{Error, Event, EventKind};

/// Logs an event with `tracing`, under the target `coze_auth_tokens`: for [`observe`](crate::TokenSource::observe). Feature
/// `tracing`.
///
/// | level | what |
/// |---|---|
/// | `ERROR` | a renewal that failed or was refused, where the settings are wrong |
/// | `WARN` | any other, clocks that are apart, a shared token whose store cannot be used, and what a store has to tell |
/// | `INFO` | a renewal for which somebody has to log in first, a token that the API has refused, a session that was evicted with a fresh token |
/// | `DEBUG` | all that is as it should be |
///
/// The fields are those of [`Event`] and [`EventKind`]: times in Unix seconds, durations in seconds. Of an error they are `error`, and
/// `code` and `log_id` if Coze has refused. No field holds a secret; `subject` may be personal data.
pub fn trace(event: &Event<'_>) {
    macro_rules! log {
        ($level:ident, $message:literal $(, $field:ident = $value:expr)* $(,)?) => {
            event!(
                target: "coze_auth_tokens",
                Level::$level,
                client_id = event.client_id,
                grant_type = ?event.grant_type,
                subject = event.subject,
                renewal = event.renewal,
                $($field = $value,)*
                $message
            )
        };
    }
    match &event.kind {
        EventKind::Begun => log!(DEBUG, "renewal begun"),
        EventKind::Done {
            expires_at,
            took,
            requests,
        } => log!(
            DEBUG,
            "renewal done",
            expires_at = expires_at.as_secs(),
            took = took.as_secs_f64(),
            requests = requests,
        ),
        EventKind::Taken {
            expires_at,
            took,
            requests,
        } => log!(
            DEBUG,
            "token taken from the store",
            expires_at = expires_at.as_secs(),
            took = took.as_secs_f64(),
            requests = requests,
        ),
        EventKind::Failed {
            error,
            took,
            requests,
            next_try,
            expires_at,
        }
        | EventKind::Refused {
            error,
            took,
            requests,
            next_try,
            expires_at,
        } => {
            macro_rules! log_failure {
                ($level:ident, $message:literal) => {
                    log!(
                        $level,
                        $message,
                        error = field::display(error),
                        code = error.code().map(field::debug),
                        log_id = error.log_id(),
                        took = took.as_secs_f64(),
                        requests = requests,
                        next_try = next_try.map(|pause| pause.as_secs_f64()),
                        expires_at = expires_at.map(|end| end.as_secs()),
                    )
                };
            }
            let refused = matches!(event.kind, EventKind::Refused { .. });
            match (error, error.kind()) {
                (Error::LoginNeeded(_), _) => log_failure!(INFO, "renewal needs a login"),
                (_, ErrorKind::Settings) if refused => log_failure!(ERROR, "renewal refused"),
                (_, ErrorKind::Settings) => log_failure!(ERROR, "renewal failed"),
                _ if refused => log_failure!(WARN, "renewal refused"),
                _ => log_failure!(WARN, "renewal failed"),
            }
        }
        EventKind::NotShared { error } => {
            log!(WARN, "token not shared", error = field::display(error))
        }
        EventKind::Stored { took } => log!(DEBUG, "grant stored", took = took.as_secs_f64()),
        EventKind::MaybeSpent(doubt) => {
            log!(
                WARN,
                "refresh token may be spent",
                doubt = field::display(doubt)
            );
        }
        EventKind::Notice(notice) => log!(WARN, "notice of the store", notice = notice),
        EventKind::ClockSkew(skew) => log!(WARN, "clocks are apart", ahead = skew.as_secs()),
        EventKind::TokenRefused => log!(INFO, "token refused by the API"),
        EventKind::Evicted { was_fresh: true } => log!(INFO, "evicted with a fresh token"),
        EventKind::Evicted { was_fresh: false } => log!(DEBUG, "evicted"),
    }
}
