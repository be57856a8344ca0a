//! The real service, or whatever else `COZE_API_BASE` names, with the credentials of the person who runs the suite.

use std::fmt;

use coze_auth_core::Endpoints;
use serde_json::{Value, json};

use crate::case::{Case, Step};
use crate::observe;
use crate::variables::{API_BASE, KEY_FILE, OF_APPS, TOKEN};

/// A service whose requests nobody records: only what a client told is judged, and only cases that are marked `live_safe` run.
pub struct Service {
    /// What steps may name of it.
    document: Value,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("base", &self.document["base"])
            .finish_non_exhaustive()
    }
}

impl Service {
    /// The service and the apps that these variables name. An empty variable counts as one that is not set.
    ///
    /// # Errors
    ///
    /// If `COZE_API_BASE` is not set, which is never guessed, or if all credentials are missing.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let base = variable(API_BASE).ok_or_else(|| {
            format!("{API_BASE} is not set: a credential of one region means nothing to another, so none is assumed")
        })?;
        let endpoints = Endpoints::custom(&base).map_err(|error| format!("{API_BASE}: {error}"))?;
        let mut document = json!({ "base": endpoints.api_base(), "app": {} });
        for (kind, member, name) in OF_APPS {
            let mut value = variable(name);
            if let (None, "private_key", Some(path)) = (&value, member, variable(KEY_FILE)) {
                let read = std::fs::read_to_string(&path);
                value = Some(read.map_err(|error| format!("{KEY_FILE}: {path}: {error}"))?);
            }
            if let Some(value) = value {
                document["app"][kind][member] = value.into();
            }
        }
        if let Some(token) = variable(TOKEN) {
            let kind = kind_of(&token).ok_or_else(|| {
                format!("{TOKEN} begins neither with pat_ nor with sat_: a login's token is not for this")
            })?;
            document[kind] = token.into();
        }
        let mut apps = document["app"].as_object().into_iter().flatten();
        // A lane alone, say, is not a credential.
        let has_app = apps.any(|(_, app)| !app["client_id"].is_null());
        let has_token = ["pat", "sat"].iter().any(|kind| !document[*kind].is_null());
        let none = !has_app && !has_token;
        match none {
            false => Ok(Self { document }),
            true => {
                let all = OF_APPS.map(|(.., name)| name).join(", ");
                Err(format!(
                    "no credential is set; there are {TOKEN}, {all}, {KEY_FILE}"
                ))
            }
        }
    }

    pub(crate) fn document(&self) -> Value {
        self.document.clone()
    }

    /// Where requests will go, and as whom; no secret.
    #[must_use]
    pub fn told(&self) -> String {
        let of = |path: &str| self.document.pointer(path).and_then(Value::as_str);
        let apps = ["web", "pkce", "device", "jwt"]
            .into_iter()
            .filter_map(|kind| {
                let id = of(&format!("/app/{kind}/client_id"))?;
                Some(format!("the {kind} app {id}"))
            });
        let tokens = [
            ("pat", "a personal access token"),
            ("sat", "a service access token"),
        ];
        let tokens = tokens
            .into_iter()
            .filter(|(kind, _)| self.document.get(kind).is_some());
        let workload = of("/app/workload/client_id").map(|id| {
            let at = |name: &str| of(&format!("/app/workload/{name}_endpoint"));
            let at = [at("identity"), at("access")].map(Option::unwrap_or_default);
            format!(
                "the workload {id}, whose requests go to {} and {}",
                at[0], at[1]
            )
        });
        let all: Vec<String> = apps
            .chain(workload)
            .chain(tokens.map(|(_, what)| what.to_owned()))
            .collect();
        format!(
            "live: requests go to {}, as {}",
            of("/base").unwrap_or_default(),
            all.join(", ")
        )
    }

    /// Which variable a case needs that is not set.
    pub(crate) fn missing(&self, case: &Case) -> Option<String> {
        let holes = |step: &Step| observe::holes(&step.with.clone().into());
        let paths: Vec<String> = case.steps.iter().flat_map(holes).collect();
        let takes = |wanted: &str| paths.iter().any(|path| path.starts_with(wanted));
        let mut apps = OF_APPS.iter().filter(|(kind, member, _)| {
            // The key is there in more than one form.
            takes(&format!("app.{kind}.{member}")) && self.document["app"][kind][member].is_null()
        });
        if let Some((.., name)) = apps.next() {
            return Some(format!("{name} is not set"));
        }
        let mut tokens = ["pat", "sat"].into_iter();
        let token = tokens
            .find(|kind| paths.iter().any(|path| path == kind) && self.document[*kind].is_null())?;
        Some(format!("{TOKEN} is not a {token}_… token, or not set"))
    }
}

fn kind_of(token: &str) -> Option<&'static str> {
    ["pat", "sat"].into_iter().find(|kind| {
        let rest = token.strip_prefix(kind);
        rest.is_some_and(|rest| rest.starts_with('_'))
    })
}
