//! The operations of the protocol, one by one.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use coze_auth_core::authorize::{Callback, RedirectUri};
use coze_auth_core::endpoint::WorkspaceId;
use coze_auth_core::jwt::JwtCall;
use coze_auth_core::{AccessToken, Call, Endpoints, Error, Flow, RefreshToken, TokenGrant, whoami};
use serde_json::{Map, Value, json};

use super::apps::{self, App};
use super::guarded::Guarded;
use super::{Done, Draws, Halt, Underway, broken, failure, optional, text};
use crate::client::Failure;
use crate::subject::{Provider, Renewed, Stop, Subject};

impl<S: Subject> Underway<S> {
    pub(super) fn call(&mut self, op: &str, args: &Map<String, Value>, draws: &mut Draws) -> Done {
        match op {
            "client.new" => self.client(args),
            "config.load" => self.config(args),
            "web.authorize_url" | "pkce.authorize_url" => self.authorize(args, draws),
            "web.token" | "pkce.token" => self.exchange(args),
            "device.start" => self.start(args),
            "device.poll" => self.poll(args),
            "jwt.token" => {
                let call = self.jwt(args, draws)?;
                self.run(call).map(|grant| granted(&grant))
            }
            "workload.token" => self.workload_token(args),
            "workload.integration" => self.integration(args),
            "workload.project_env" => self.project_env(args),
            "refresh" => {
                let call = self.refresh(args)?;
                self.run(call).map(|grant| granted(&grant))
            }
            "client.parallel" => self.at_once(args, draws),
            "provider.new" => self.provide(args),
            "provider.token" => self
                .provider(args)?
                .token()
                .map(provided)
                .map_err(Halt::from),
            "provider.parallel" => self.parallel(args),
            "api.call" => self.whoami(args),
            _ => Err(Halt::Unsupported("unknown operation".to_owned())),
        }
    }

    /// What `{:?}` prints of a thing, where a case wants all that there is.
    fn log(&mut self, thing: &dyn Debug) {
        if self.opening.log {
            self.logs.push(format!("{thing:?}"));
        }
    }

    fn run<F: Flow<Output: Send + Debug> + Debug + Send + 'static>(
        &mut self,
        flow: F,
    ) -> Result<F::Output, Halt> {
        self.log(&flow);
        let clock = self.context.clock.clone();
        let result = self
            .subject
            .run_until(Guarded::new(flow, clock.clone()), Stop::of(clock));
        let Some(result) = result else {
            return Err(Failure::new("cancelled", "nobody wants the result any more").into());
        };
        self.log(&result);
        Ok(result?)
    }

    fn endpoints(&self, args: &Map<String, Value>) -> Result<Endpoints, Halt> {
        let base = optional(args, "base_url").unwrap_or(&self.opening.base_url);
        let endpoints = Endpoints::custom(base)?;
        Ok(match optional(args, "www_base_url") {
            Some(www) => endpoints.with_www(www)?,
            None => endpoints,
        })
    }

    fn client(&mut self, args: &Map<String, Value>) -> Done {
        let app = match optional(args, "kind") {
            Some("workload") => App::workload(args)?,
            _ => App::new(self.endpoints(args)?, args)?,
        };
        if let Some(ms) = args.get("timeout_ms").and_then(Value::as_u64) {
            let fresh = S::new(&self.context);
            self.subject = fresh.with_timeout(Duration::from_millis(ms));
        }
        self.log(&app);
        self.apps.insert(text(args, "as")?.to_owned(), app);
        Ok(json!({}))
    }

    fn config(&mut self, args: &Map<String, Value>) -> Done {
        let config = args.get("config").map(Value::to_string);
        let app = App::from_config(&config.unwrap_or_default())?;
        self.log(&app);
        let kind = app.kind();
        self.apps.insert(text(args, "as")?.to_owned(), app);
        Ok(json!({ "kind": kind }))
    }

    fn app(&self, name: &str) -> Result<&App, Halt> {
        known(&self.apps, name)
    }

    fn authorize(&mut self, args: &Map<String, Value>, draws: &mut Draws) -> Done {
        let client = text(args, "client")?;
        let redirect = RedirectUri::new(text(args, "redirect_uri")?)?;
        let workspace = workspace(args)?;
        let plain = optional(args, "method") == Some("plain");
        let app = self.app(client)?;
        let entropy = draws.next()?;
        let (url, pending) = app.authorize(workspace.as_ref(), &redirect, plain, entropy)?;
        let saved: Value = serde_json::from_str(pending.to_secret_json().expose())
            .map_err(|error| broken(error.to_string()))?;
        let mut result = json!({ "url": url.as_str(), "state": pending.state().expose() });
        if let Some(verifier) = saved.get("code_verifier") {
            result["code_verifier"] = verifier.clone();
        }
        self.log(&pending);
        self.attempts
            .insert(text(args, "as")?.to_owned(), (client.to_owned(), pending));
        Ok(result)
    }

    fn exchange(&mut self, args: &Map<String, Value>) -> Done {
        let (client, pending) = known(&self.attempts, text(args, "attempt")?)?.clone();
        let callback = Callback::parse(text(args, "callback")?).map_err(Error::from)?;
        self.log(&callback);
        // The attempt stays, as with a caller that keeps it in a session: a second exchange is the server's to refuse.
        let call = self.app(&client)?.exchange(pending, &callback)?;
        let grant = self.run(call)?;
        Ok(granted(&grant))
    }

    fn start(&mut self, args: &Map<String, Value>) -> Done {
        let client = text(args, "client")?;
        let call = self.app(client)?.device()?;
        let call = match workspace(args)? {
            Some(workspace) => call.start_in(&workspace),
            None => call.start(),
        };
        let started = self.run(call)?;
        let result = json!({
            "user_code": started.user_code,
            "verification_uri": started.verification_uri,
            "verification_uri_complete": started.verification_uri_complete,
            "interval_s": started.interval.as_secs(),
            "expires_in_s": started.expires_in.as_secs(),
        });
        self.devices
            .insert(text(args, "as")?.to_owned(), (client.to_owned(), started));
        Ok(result)
    }

    fn poll(&mut self, args: &Map<String, Value>) -> Done {
        let (client, started) = known(&self.devices, text(args, "device")?)?;
        let poll = self.app(client)?.device()?.poll(started);
        let grant = self.run(poll)?;
        Ok(granted(&grant))
    }

    fn jwt(&self, args: &Map<String, Value>, draws: &mut Draws) -> Result<JwtCall, Halt> {
        let request = apps::jwt_grant(args)?;
        let app = self.app(text(args, "client")?)?.jwt()?;
        Ok(app.grant(&request, draws.next()?))
    }

    fn workload_token(&mut self, args: &Map<String, Value>) -> Done {
        let call = self.app(text(args, "client")?)?.as_workload()?.grant();
        let grant = self.run(call)?;
        let ends = grant.expires_at.as_secs();
        Ok(json!({ "access_token": grant.access_token.expose(), "expires_at": ends }))
    }

    fn integration(&mut self, args: &Map<String, Value>) -> Done {
        let credential = self.provider(args)?.integration(text(args, "name")?)?;
        self.log(&credential);
        Ok(json!({ "credential": credential.expose() }))
    }

    fn project_env(&mut self, args: &Map<String, Value>) -> Done {
        let variables = self.provider(args)?.project_env()?;
        self.log(&variables);
        let all = variables
            .iter()
            .map(|one| json!({ "name": one.name(), "value": one.expose() }));
        Ok(json!({ "variables": all.collect::<Vec<_>>() }))
    }

    fn refresh(&self, args: &Map<String, Value>) -> Result<Call<TokenGrant>, Halt> {
        let token = RefreshToken::new(text(args, "refresh_token")?)?;
        self.app(text(args, "client")?)?.refresh(&token)
    }

    fn at_once(&self, args: &Map<String, Value>, draws: &mut Draws) -> Done {
        let each = args.get("each").and_then(Value::as_array);
        let each = each.into_iter().flatten().filter_map(Value::as_object);
        match text(args, "call")? {
            "jwt.token" => {
                let flows = each.map(|args| self.jwt(args, draws));
                Ok(self.run_all(flows.collect::<Result<_, _>>()?))
            }
            "refresh" => {
                let flows = each.map(|args| self.refresh(args));
                Ok(self.run_all(flows.collect::<Result<_, _>>()?))
            }
            other => Err(broken(format!("{other} is not for many callers at once"))),
        }
    }

    fn run_all<F: Flow<Output = TokenGrant> + Send + 'static>(&self, flows: Vec<F>) -> Value {
        let clock = &self.context.clock;
        let flows = flows
            .into_iter()
            .map(|flow| Guarded::new(flow, clock.clone()));
        let results = self.subject.run_all(flows.collect()).into_iter();
        let results = results.map(|result| match result {
            Ok(grant) => json!({ "ok": granted(&grant) }),
            Err(error) => json!({ "err": failure(&error) }),
        });
        json!({ "results": results.collect::<Vec<_>>() })
    }

    fn provide(&mut self, args: &Map<String, Value>) -> Done {
        let app = self.app(text(args, "client")?)?;
        let renewed = match (app, args.get("grant")) {
            (App::Jwt(app), None) => Renewed::Jwt(Box::new((app.clone(), apps::jwt_grant(args)?))),
            (App::Workload(app), None) => Renewed::Workload(Box::new(app.clone())),
            (app, Some(grant)) => app.renewed(apps::grant(grant)?)?,
            _ => return Err(broken("a grant is for a login".to_owned())),
        };
        let provider = self.subject.provider(&self.context, renewed);
        let provider =
            provider.ok_or_else(|| Halt::Unsupported("it keeps no tokens".to_owned()))?;
        self.providers
            .insert(text(args, "as")?.to_owned(), provider);
        Ok(json!({}))
    }

    fn provider(&self, args: &Map<String, Value>) -> Result<&dyn Provider, Halt> {
        known(&self.providers, text(args, "provider")?).map(AsRef::as_ref)
    }

    fn parallel(&self, args: &Map<String, Value>) -> Done {
        let provider = self.provider(args)?;
        let callers = args.get("callers").and_then(Value::as_u64).unwrap_or(2);
        let results: Vec<Value> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..callers)
                .map(|_| scope.spawn(|| provider.token()))
                .collect();
            let results = callers.into_iter().map(|caller| match caller.join() {
                Ok(Ok(token)) => json!({ "ok": provided(token) }),
                Ok(Err(failure)) => json!({ "err": failure }),
                Err(_) => json!({ "err": Failure::new("other", "the caller panicked") }),
            });
            results.collect()
        });
        Ok(json!({ "results": results }))
    }

    fn whoami(&mut self, args: &Map<String, Value>) -> Done {
        let endpoints = self.endpoints(&Map::new())?;
        if args.contains_key("token") {
            let token = AccessToken::new(text(args, "token")?)?;
            let user = self.run(whoami(&endpoints, &token))?;
            return Ok(json!({ "user_id": user.user_id, "user_name": user.user_name.as_raw() }));
        }
        let url = format!("{}/v1/users/me", endpoints.api_base());
        let (status, body) = self.provider(args)?.get(&url)?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        match body["data"]["user_id"].as_str() {
            Some(user_id) => Ok(json!({ "user_id": user_id })),
            None => Err(Failure {
                code: body["code"].as_i64().map(|code| code.to_string()),
                http_status: Some(status),
                ..Failure::new("api", "the API refused")
            }
            .into()),
        }
    }
}

fn known<'a, T>(all: &'a HashMap<String, T>, name: &str) -> Result<&'a T, Halt> {
    all.get(name)
        .ok_or_else(|| broken(format!("nothing has the handle {name}")))
}

fn workspace(args: &Map<String, Value>) -> Result<Option<WorkspaceId>, Halt> {
    let id = optional(args, "workspace_id");
    Ok(id.map(WorkspaceId::new).transpose()?)
}

fn granted(grant: &TokenGrant) -> Value {
    json!({
        "access_token": grant.access_token.expose(),
        "expires_at": grant.expires_at.as_secs(),
        "refresh_token": grant.refresh_token.as_ref().map(|token| token.expose()),
    })
}

#[allow(clippy::needless_pass_by_value)] // the last use of it
fn provided(token: AccessToken) -> Value {
    json!({ "access_token": token.expose() })
}
