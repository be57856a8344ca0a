//! `project-env`: the variables of a workload's project.

use coze_auth::workload::ProjectVariable;
use serde::Serialize;

use crate::Common;
use crate::credential::Credential;
use crate::failure::{Failure, Kind};
use crate::output;

/// Print the value of a variable of this project; without a name, the names of all
///
/// It is for a profile of a workload: a project on Coze's coding platform (扣子编程). Passwords of databases are among the values, and
/// the workload's own secret, so none is printed but the one that is asked for. Of several variables with one name the first counts.
///
/// Example: DATABASE=$(coze-auth project-env PGDATABASE_URL)
#[derive(Debug, clap::Args)]
pub(crate) struct ProjectEnv {
    /// The variable
    name: Option<String>,
}

#[derive(Serialize)]
struct Names<'a> {
    names: Vec<&'a str>,
    profile: Option<&'a str>,
}

#[derive(Serialize)]
struct Value<'a> {
    name: &'a str,
    value: &'a str,
    profile: Option<&'a str>,
}

impl ProjectEnv {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let credential = Credential::open(common.profile.as_ref())?;
        let variables = credential.project_env()?;
        let profile = credential.profile.as_ref().map(|name| name.as_str());
        let names = || variables.iter().map(ProjectVariable::name);
        match (&self.name, common.json) {
            (None, true) => {
                let names = names().collect();
                output::line(output::json(&Names { names, profile }))?;
            }
            (None, false) => {
                for name in names() {
                    output::line(name)?;
                }
            }
            (Some(name), is_json) => {
                let variable = variables.get(name).ok_or_else(none)?;
                match is_json {
                    true => output::line(output::json(&Value {
                        name: variable.name(),
                        value: variable.expose(),
                        profile,
                    }))?,
                    false => output::value(variable.expose())?,
                }
            }
        }
        credential.close()
    }
}

/// The name is not repeated: a value may stand there by mistake.
fn none() -> Failure {
    Failure::new(
        Kind::Other,
        "the project has no variable of this name: coze-auth project-env lists those that it has",
    )
}
