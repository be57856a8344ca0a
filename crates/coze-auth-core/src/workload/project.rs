//! What a workload's access token opens: the credentials of integrations, and the project's variables (protocol §15.5).

use std::fmt;

use crate::envelope::Answer;
use crate::error::Error;
use crate::secret::Hidden;

/// The credential of an integration: a token of its service, or JSON with several of its settings. It is handed over as it
/// arrived, and never printed.
#[derive(Clone)]
pub struct IntegrationCredential(Hidden);

impl IntegrationCredential {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, Error> {
        let data = answer.data()?;
        Ok(Self(Hidden::new(&*data.text("credential")?)))
    }

    /// The credential itself. The only way to it: search for `expose` to see who looks.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for IntegrationCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrationCredential(***)")
    }
}

/// The variables of a project, in Coze's order. Passwords of databases and the workload's own secret are among them, so
/// `Debug` tells their number only.
///
/// ```
/// # use coze_auth_core::{*, workload::*};
/// # use std::time::Duration;
/// # fn main() -> Result<(), Error> {
/// # let now = Now { unix: UnixTime::from_secs(1_790_000_000), steady: SteadyTime::from_duration(Duration::ZERO) };
/// # let app = WorkloadApp::new(WorkloadEndpoints::cn(), "0123456789abcdef", ClientSecret::new("s")?)?;
/// # let mut call = app.project_env(&AccessToken::new("a")?)?;
/// # let Step::Send(_) = call.step(now) else { panic!() };
/// # let json = br#"{"code":0,"data":{"secrets":[{"key":"COZE_BUCKET_NAME","value":"bucket-1"}]}}"#;
/// # call.receive(Ok(Response::new(json.to_vec().into())), now);
/// # let Step::Done(variables) = call.step(now) else { panic!() };
/// let variables = variables?; // of `WorkloadApp::project_env`
/// let bucket = variables.get("COZE_BUCKET_NAME").map(ProjectVariable::expose);
/// assert_eq!(bucket, Some("bucket-1"));
/// assert_eq!(format!("{variables:?}"), "ProjectEnv(1 variables)");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ProjectEnv(Vec<ProjectVariable>);

impl ProjectEnv {
    pub(super) fn read(answer: Answer<'_>) -> Result<Self, Error> {
        let variables = answer.data()?.list("secrets")?;
        let variable = |variable: Answer<'_>| {
            Ok(ProjectVariable {
                name: variable.text("key")?.to_owned(),
                value: Hidden::new(&*variable.text_or_nothing("value")?),
            })
        };
        variables
            .into_iter()
            .map(variable)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The variable of this name; the first, if there are several.
    pub fn get(&self, name: &str) -> Option<&ProjectVariable> {
        self.iter().find(|variable| variable.name == name)
    }

    /// All of them, in Coze's order, those of one name as well.
    pub fn iter(&self) -> impl Iterator<Item = &ProjectVariable> {
        self.0.iter()
    }

    /// The number of variables.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ProjectEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectEnv({} variables)", self.len())
    }
}

/// A variable of a project. Its value is never printed.
#[derive(Clone)]
pub struct ProjectVariable {
    name: String,
    value: Hidden,
}

impl ProjectVariable {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, which may be empty. The only way to it: search for `expose` to see who looks.
    pub fn expose(&self) -> &str {
        self.value.expose()
    }
}

impl fmt::Debug for ProjectVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectVariable(***)")
    }
}
