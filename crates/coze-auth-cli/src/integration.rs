//! `integration`: the credential of an integration of a workload's project.

use serde::Serialize;

use crate::Common;
use crate::credential::Credential;
use crate::failure::Failure;
use crate::output;

/// Print the credential of an integration of this project, and nothing else
///
/// It is for a profile of a workload: a project on Coze's coding platform (扣子编程). The credential is a token of the integration's
/// service, or JSON with its settings, as Coze sends it. How long it is good is not said, so it is asked for each time.
///
/// Example: coze-auth integration integration-feishu-base
#[derive(Debug, clap::Args)]
pub(crate) struct Integration {
    /// The integration, such as integration-feishu-base
    name: String,
}

#[derive(Serialize)]
struct Json<'a> {
    integration: &'a str,
    credential: &'a str,
    profile: Option<&'a str>,
}

impl Integration {
    pub(crate) fn run(&self, common: &Common) -> Result<(), Failure> {
        let credential = Credential::open(common.profile.as_ref())?;
        let answer = credential.integration(&self.name)?;
        match common.json {
            true => output::line(output::json(&Json {
                integration: &self.name,
                credential: answer.expose(),
                profile: credential.profile.as_ref().map(|name| name.as_str()),
            }))?,
            false => output::value(answer.expose())?,
        }
        credential.close()
    }
}
