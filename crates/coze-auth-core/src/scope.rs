//! What a JWT grant may do. Coze heeds it for channel apps only; without it, a grant may do all that the
//! app may (protocol §6).

use serde::Serialize;

/// Limits of a JWT grant. Parts that are not named are not sent.
///
/// ```
/// # use coze_auth_core::scope::Scope;
/// let scope = Scope::bot_chat(["7300000000000000001"]).workspaces(["ws_a"], ["listWorkspace"]);
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Scope(Parts);

/// As it is sent. Apart from [`Scope`], so that serde is not in our API.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Serialize)]
pub(crate) struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_permission: Option<Permissions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute_constraint: Option<AttributeConstraint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_permission: Option<WorkspacePermission>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_permission: Option<WorkflowPermission>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
struct Permissions {
    permission_list: Vec<String>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
struct AttributeConstraint {
    connector_bot_chat_attribute: BotChatAttribute,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
struct BotChatAttribute {
    bot_id_list: Vec<String>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
struct WorkspacePermission {
    workspace_id_list: Vec<String>,
    permission_list: Vec<String>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
struct WorkflowPermission {
    workflow_id_list: Vec<String>,
    permission_list: Vec<String>,
}

/// Names and ids, in any collection of any kind of string.
fn texts(items: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

impl Scope {
    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    /// Each list in order and without repetitions, which mean nothing: a set has another order in each process.
    pub(crate) fn in_order(&self) -> Parts {
        let mut parts = self.0.clone();
        let Parts {
            account_permission,
            attribute_constraint,
            workspace_permission,
            workflow_permission,
        } = &mut parts;
        let account = account_permission
            .iter_mut()
            .map(|of| &mut of.permission_list);
        let bots = attribute_constraint
            .iter_mut()
            .map(|of| &mut of.connector_bot_chat_attribute.bot_id_list);
        let workspaces = workspace_permission
            .iter_mut()
            .flat_map(|of| [&mut of.workspace_id_list, &mut of.permission_list]);
        let workflows = workflow_permission
            .iter_mut()
            .flat_map(|of| [&mut of.workflow_id_list, &mut of.permission_list]);
        for list in account.chain(bots).chain(workspaces).chain(workflows) {
            list.sort_unstable();
            list.dedup();
        }
        parts
    }

    /// No limits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chat (`Connector.botChat`) with these bots only; with every bot if none is named.
    pub fn bot_chat(bot_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let scope = Self::new().account(["Connector.botChat"]);
        let bot_ids = texts(bot_ids);
        if bot_ids.is_empty() {
            scope
        } else {
            scope.bots(bot_ids)
        }
    }

    /// Permissions at account level, such as `Connector.botChat`.
    #[must_use]
    pub fn account(mut self, permissions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.account_permission = Some(Permissions {
            permission_list: texts(permissions),
        });
        self
    }

    /// The bots that chat is limited to.
    #[must_use]
    pub fn bots(mut self, bot_ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let connector_bot_chat_attribute = BotChatAttribute {
            bot_id_list: texts(bot_ids),
        };
        self.0.attribute_constraint = Some(AttributeConstraint {
            connector_bot_chat_attribute,
        });
        self
    }

    /// Permissions in these workspaces.
    #[must_use]
    pub fn workspaces(
        mut self,
        workspace_ids: impl IntoIterator<Item = impl Into<String>>,
        permissions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.0.workspace_permission = Some(WorkspacePermission {
            workspace_id_list: texts(workspace_ids),
            permission_list: texts(permissions),
        });
        self
    }

    /// Permissions on these workflows.
    #[must_use]
    pub fn workflows(
        mut self,
        workflow_ids: impl IntoIterator<Item = impl Into<String>>,
        permissions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.0.workflow_permission = Some(WorkflowPermission {
            workflow_id_list: texts(workflow_ids),
            permission_list: texts(permissions),
        });
        self
    }
}
