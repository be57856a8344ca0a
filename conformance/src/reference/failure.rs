//! The errors of the core in the words of the protocol.

use coze_auth_core::Error;
use coze_auth_core::error::{CallbackError, ErrorCode, GrantType, Oddity};

use crate::client::{Failure, WorkloadGrant};
use coze_auth_core::TransportFailure;

/// What a caller can tell of it; the message is everything that it prints, `{:?}` included.
pub(super) fn of(error: &Error) -> Failure {
    let (kind, name) = kind(error);
    let (code, http_status) = match error {
        Error::Refused(refused) => (Some(refused.code().to_string()), Some(refused.status())),
        Error::Unexpected(odd) => (None, Some(odd.status())),
        Error::Callback(CallbackError::Refused { code, .. }) => (Some(code.to_string()), None),
        Error::DeviceExpired { .. } => (Some("expired_token".to_owned()), None),
        _ => (None, None),
    };
    Failure {
        code,
        http_status,
        logid: error.log_id().map(str::to_owned),
        name: Some(name.into()),
        grant_type: step(error),
        ..Failure::new(kind, format!("{error} — {error:?}"))
    }
}

/// Of a workload's two requests the one that failed.
fn step(error: &Error) -> Option<WorkloadGrant> {
    match error.grant_type()? {
        GrantType::ClientCredentials => Some(WorkloadGrant::ClientCredentials),
        GrantType::TokenExchange => Some(WorkloadGrant::TokenExchange),
        _ => None,
    }
}

fn kind(error: &Error) -> (&'static str, String) {
    match error {
        Error::Config(_) => ("config", "Config".to_owned()),
        Error::Callback(CallbackError::Refused { .. }) => ("oauth", "Callback".to_owned()),
        Error::Callback(_) => ("other", "Callback".to_owned()),
        Error::Refused(refused) => match refused.code() {
            ErrorCode::Number(_) => ("api", "Refused".to_owned()),
            _ => ("oauth", "Refused".to_owned()),
        },
        Error::Unexpected(odd) => {
            let name = format!("{:?}", odd.oddity());
            let is_answer = matches!(odd.oddity(), Oddity::Redirect | Oddity::Unexplained);
            let is_api = is_answer || !(200..300).contains(&odd.status());
            (if is_api { "api" } else { "parse" }, name)
        }
        Error::Transport { failure, .. } => {
            let kind = match failure {
                TransportFailure::Timeout => "timeout",
                TransportFailure::NotSent | TransportFailure::NoAnswer => "transport",
            };
            let name = match failure {
                TransportFailure::NotSent => "NotSent",
                TransportFailure::NoAnswer => "NoAnswer",
                TransportFailure::Timeout => "Timeout",
            };
            (kind, name.to_owned())
        }
        Error::DeviceExpired { .. } => ("oauth", "DeviceExpired".to_owned()),
        Error::Signing(_) => ("config", "Signing".to_owned()),
        _ => ("other", "Other".to_owned()),
    }
}
