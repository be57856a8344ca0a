//! The form of the dashboard that adds a fault: a field for each member that a kind takes.

use serde_json::{Map, Value, json};

use crate::html::form::Fields;
use crate::intercept::fault_kind::KINDS;
use crate::intercept::fault_spec::PlacedFaultSpec;

/// A field of the form.
pub(super) struct Field {
    /// Name of the member of a fault.
    pub(super) name: &'static str,
    /// A value, as the placeholder shows it.
    pub(super) example: &'static str,
}

/// One field for each member, in the order of the kinds.
pub(super) fn fields() -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for name in KINDS.iter().flat_map(|kind| kind.takes) {
        if fields.iter().all(|field| field.name != *name) {
            let example = example(name);
            fields.push(Field { name, example });
        }
    }
    fields
}

fn example(name: &str) -> &'static str {
    match name {
        "status" => "503",
        "ms" => "2000",
        "at_byte" => "20",
        "body" => "<h1>502</h1>",
        "header" => "retry-after: 3",
        "location" => "https://sso.example/",
        "member" => "expires_in",
        "to" => "milliseconds",
        "value" => "\"soon\"",
        _ => "",
    }
}

impl Field {
    /// A rule of CSS that hides the field unless a kind is chosen that takes it. A browser that does not know `:has` shows all.
    pub(super) fn hidden_unless_taken(&self) -> String {
        let taken: Vec<_> = KINDS
            .iter()
            .filter(|kind| kind.takes.contains(&self.name))
            .map(|kind| format!("[value=\"{}\"]:checked", kind.name))
            .collect();
        let name = self.name;
        format!(
            "#fault:not(:has({})) .takes-{name} {{ display: none; }}",
            taken.join(", ")
        )
    }
}

/// The fault that the form describes, for one request. A field that the kind does not take is not looked at, since the page hides
/// it. The error says what is wrong, in English, as the control plane does.
pub(super) fn fault(fields: &Fields) -> Result<PlacedFaultSpec, String> {
    let name = fields.get("kind");
    let kind = KINDS.iter().find(|kind| kind.name == name);
    let kind = kind.ok_or_else(|| format!("unknown kind {name}"))?;
    let mut fault = Map::new();
    fault.insert("kind".to_owned(), kind.name.into());
    for member in kind.takes {
        let text = fields.get(member);
        if !text.is_empty() {
            fault.insert((*member).to_owned(), value(member, text)?);
        }
    }
    let on = json!({ "endpoint": fields.get("endpoint") });
    let spec = json!({ "on": on, "fault": fault, "times": 1 });
    serde_json::from_value(spec).map_err(|error| error.to_string())
}

fn value(member: &str, text: &str) -> Result<Value, String> {
    match member {
        "status" | "ms" | "at_byte" => {
            let number: Result<u64, _> = text.trim().parse();
            number
                .map(Value::from)
                .map_err(|_| format!("{member} is a number"))
        }
        "header" => match text.split_once(':') {
            Some((name, value)) => Ok(json!({ (name.trim()): value.trim() })),
            None => Err("header is name: value".to_owned()),
        },
        "value" => serde_json::from_str(text).map_err(|_| "value is JSON".to_owned()),
        _ => Ok(text.into()),
    }
}
