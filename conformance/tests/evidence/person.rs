//! A person who does what is asked, by the mock's own calls.

use std::sync::Arc;

use coze_auth_conformance::SharedClock;
use coze_auth_conformance::evidence::{Person, Reply, Step, Visit, Visited};
use coze_auth_mock::{AppKind, CozeAuthMock, DeviceAction};
use serde_json::json;

use crate::service::Service;

pub(crate) struct Scripted {
    mock: Arc<CozeAuthMock>,
    /// What was heard, and each step.
    pub(crate) heard: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// What the person says to a step; yes if it is not set.
    pub(crate) reply: fn(&Step) -> Reply,
    /// The browser is led back by a refusal.
    pub(crate) is_led_back: bool,
    /// What the person does about device codes in the place of what the step says; as it says if it is not set.
    pub(crate) decision: Decision,
}

/// What a person does about a device code.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Decision {
    AsTold,
    /// Presses Enter without having decided.
    Never,
    /// The same at first, and decides when asked again.
    Late,
    Otherwise,
}

impl Scripted {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            mock: service.mock.clone(),
            heard: Vec::new(),
            steps: Vec::new(),
            reply: |_| Reply::Yes,
            is_led_back: true,
            decision: Decision::AsTold,
        }
    }
}

impl Person for Scripted {
    fn hears(&mut self, line: &str) {
        self.heard.push(line.to_owned());
    }

    fn says(&mut self, step: &Step) -> Reply {
        self.steps.push(step.clone());
        (self.reply)(step)
    }

    fn visits(&mut self, visit: &Visit, clock: &SharedClock) -> Visited {
        let mock = &self.mock;
        visit.by_hand(clock, |url| {
            // The page's own origin, and not the shadow's.
            assert!(url.starts_with(mock.base_url()), "{url}");
            let back = mock.authorize(url, visit.approve).expect("a page");
            (self.is_led_back || visit.approve).then_some(back)
        })
    }

    fn does(&mut self, what: &str) -> bool {
        self.heard.push(what.to_owned());
        let enables = |enabled: bool| {
            let named = |kind: &AppKind| {
                let name = crate::service::name(*kind);
                what.to_lowercase().contains(&format!("the {name} app"))
            };
            let kinds = [AppKind::Web, AppKind::Pkce, AppKind::Device, AppKind::Jwt];
            let kind = kinds.iter().find(|kind| named(kind)).expect("a kind");
            let app = self.mock.app(*kind).expect("an app");
            let path = format!("/apps/{}", app.client_id());
            Service::control(&self.mock, &path, json!({ "enabled": enabled }));
            true
        };
        let decides = |action| {
            let (_, rest) = what.split_once("type ").expect("a user code");
            let code = rest.split(' ').next().expect("a user code");
            self.mock.decide_device(code, action).expect("it waits");
            true
        };
        let is_again = what.starts_with("Nobody has decided");
        match what {
            _ if what.starts_with("No callback arrived") => true,
            _ if what.contains("type ") && self.decision == Decision::Never => true,
            _ if what.contains("type ") && self.decision == Decision::Late && !is_again => true,
            _ if what.contains("REFUSE") && self.decision == Decision::Otherwise => {
                decides(DeviceAction::Approve)
            }
            _ if what.contains("APPROVE") && self.decision == Decision::Otherwise => {
                decides(DeviceAction::Deny)
            }
            _ if what.starts_with("Deactivate") => enables(false),
            _ if what.starts_with("Activate") => enables(true),
            _ if what.contains("REFUSE") => decides(DeviceAction::Deny),
            _ if what.contains("APPROVE") => decides(DeviceAction::Approve),
            _ => panic!("{what}"),
        }
    }
}
