//! Faults in JSON, from the control plane or a configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::fault::Fault;
use super::fault_kind::{DELAY, DRIP};
use super::member::MemberChange;
use super::phase::At;
use super::selector::{On, SelectorSpec};
use crate::limits::{MAX_FAULT_BODY, MAX_FAULT_TIME};

const FAULT: &str = r#"{"kind":"status|delay|hold|reset|close_before_body|truncate|garbage|slow_drip|redirect|wrong_content_type|empty_200|dup_header|member|consent_policy|callback_307|callback_twice", and what the kind takes of "status":502,"ms":300,"at_byte":12,"body":"…","location":"…","header":{"name":"value"},"member":"expires_in","to":"absent|null|string|float|milliseconds|too_large|other_type","value":…}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    kind: String,
    status: Option<u16>,
    ms: Option<u64>,
    at_byte: Option<usize>,
    body: Option<String>,
    location: Option<String>,
    header: Option<BTreeMap<String, String>>,
    member: Option<String>,
    to: Option<String>,
    /// In a pair of options, since null is a value, too.
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl FaultSpec {
    pub(crate) fn fault(self, at: Option<&str>) -> Result<Fault, String> {
        let fault = self.of_its_kind()?;
        for (name, given) in [
            ("status", self.status.is_some()),
            ("ms", self.ms.is_some()),
            ("at_byte", self.at_byte.is_some()),
            ("location", self.location.is_some()),
            ("member", self.member.is_some()),
            ("to", self.to.is_some()),
            ("value", self.value.is_some()),
        ] {
            if given {
                fault.takes(name)?;
            }
        }
        let fault = match self.body {
            Some(body) if body.len() > MAX_FAULT_BODY => {
                return Err(format!("body has at most {MAX_FAULT_BODY} bytes"));
            }
            Some(body) => fault.try_body(body.into())?,
            None => fault,
        };
        let mut headers = self.header.unwrap_or_default().into_iter();
        let fault = headers.try_fold(fault, |fault, (name, value)| {
            fault.try_header(&name, &value)
        })?;
        match at {
            Some(at) => Ok(fault.at(At::named(at)?)),
            None => Ok(fault),
        }
    }

    fn of_its_kind(&self) -> Result<Fault, String> {
        let pause = |default: Duration| match self.ms.map(Duration::from_millis) {
            None => Ok(default),
            Some(ms) if (Duration::from_millis(1)..=MAX_FAULT_TIME).contains(&ms) => Ok(ms),
            Some(_) => Err(format!("ms is 1 to {}", MAX_FAULT_TIME.as_millis())),
        };
        Ok(match self.kind.as_str() {
            "status" => Fault::try_status(self.status.unwrap_or(502))?,
            "delay" => Fault::delay(pause(DELAY)?),
            "hold" => Fault::hold(),
            "reset" => Fault::reset(),
            "close_before_body" => Fault::close_before_body(),
            "truncate" => self
                .at_byte
                .map_or_else(Fault::truncate, Fault::truncate_at),
            "garbage" => Fault::garbage(),
            "slow_drip" => Fault::slow_drip(pause(DRIP)?),
            "redirect" => {
                let location = self.location.as_deref();
                let location = location.ok_or("redirect needs a location")?;
                let status = self.status.unwrap_or(302);
                Fault::try_redirect(status, location)?
            }
            "wrong_content_type" => Fault::wrong_content_type(),
            "empty_200" => Fault::empty_200(),
            "dup_header" => Fault::dup_header(),
            "member" => {
                let member = self.member.as_deref().ok_or("member needs a member")?;
                let change = match (&self.to, &self.value) {
                    (Some(to), None) => MemberChange::named(to)?,
                    (None, Some(value)) => MemberChange::Value(value.clone()),
                    _ => return Err("member needs one of to and value".to_owned()),
                };
                Fault::try_member(member, change)?
            }
            "consent_policy" => Fault::consent_policy(),
            "callback_307" => Fault::callback_307(),
            "callback_twice" => Fault::callback_twice(),
            _ => return Err(format!("expected a fault: {FAULT}")),
        })
    }
}

/// A fault with its selector.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlacedFaultSpec {
    on: SelectorSpec,
    fault: FaultSpec,
    at: Option<String>,
    times: Option<u64>,
    skip: Option<u64>,
    probability: Option<f64>,
}

impl PlacedFaultSpec {
    pub(crate) fn shape() -> String {
        format!(
            r#"{{"on":{{"endpoint":"token","grant":"refresh_token"?,"client_id":"…"?}},"fault":{FAULT},"times":2?,"skip":0?,"probability":1.0?,"at":"request"|"answer"?}}"#
        )
    }

    /// Makes the fault and its selector. The error says what is wrong.
    pub(crate) fn placed(self) -> Result<(On, Fault), String> {
        let on = self.on.on()?;
        let mut fault = self.fault.fault(self.at.as_deref())?;
        if fault.callback().is_some() && on.endpoint != "authorize" {
            let name = fault.name();
            return Err(format!(
                "the fault {name} acts on the endpoint authorize alone"
            ));
        }
        if let Some(times) = self.times {
            fault = fault.times(times);
        }
        fault = fault.skip(self.skip.unwrap_or(0));
        let fault = fault.try_probability(self.probability.unwrap_or(1.0))?;
        Ok((on, fault))
    }
}
