//! API calls of the user's own in JSON, from the control plane or a configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::protocol::api::{Api, Event, Wrong};

/// The members of a call.
pub(crate) const MEMBERS: &[&str] = &[
    "method", "path", "json", "text", "events", "status", "header", "pause_ms",
];

pub(crate) const SHAPE: &str = r#"{"method":"GET","path":"/v1/bots/{bot_id}", one of "json":{…}, "text":"…" and "events":[{"event":"done"?,"id":"1"?,"data":"…"}], "status":200?,"header":{"name":"value"}?,"pause_ms":10?}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiSpec {
    method: String,
    path: String,
    #[serde(default, deserialize_with = "present")]
    json: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    events: Option<Vec<EventSpec>>,
    status: Option<u16>,
    header: Option<BTreeMap<String, String>>,
    pause_ms: Option<u64>,
}

/// Null is a value here: JSON's as `json`, and else of another type.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    reader: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(reader).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventSpec {
    event: Option<String>,
    id: Option<String>,
    /// A text, or JSON that is written as one.
    data: Value,
}

impl ApiSpec {
    /// Makes the call. The error names the member that is wrong.
    pub(crate) fn api(self) -> Result<Api, Wrong> {
        let api = Api::try_new(&self.method, &self.path)?;
        let api = match (self.json, self.text, self.events) {
            (Some(json), None, None) => api.try_json(&json)?,
            (None, Some(text), None) => api.try_text(text)?,
            (None, None, Some(events)) => {
                let events: Vec<_> = events.into_iter().map(EventSpec::event).collect();
                api.try_events(&events)?
            }
            _ => {
                let text = "the answer is one of json, text and events; expected one of them";
                return Err(("method", text.to_owned()));
            }
        };
        let api = match self.status {
            Some(status) => api.try_status(status)?,
            None => api,
        };
        let api = match self.pause_ms {
            Some(ms) => api.try_pause(Duration::from_millis(ms))?,
            None => api,
        };
        let mut headers = self.header.unwrap_or_default().into_iter();
        headers.try_fold(api, |api, (name, value)| api.try_header(&name, &value))
    }
}

impl EventSpec {
    fn event(self) -> Event {
        Event {
            id: self.id,
            name: self.event,
            data: match self.data {
                Value::String(text) => text,
                json => json.to_string(),
            },
        }
    }
}
