//! Faults of a configuration, in the form that the control plane takes.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use super::table::Table;
use crate::intercept::fault_spec::PlacedFaultSpec;
use crate::limits::MAX_FAULTS;
use crate::state::settings::Settings;

const KEYS: &[&str] = &["on", "fault", "at", "times", "skip", "probability"];

pub(super) fn read(reader: &mut Reader<'_>, top: &Table<'_, '_>, settings: &mut Settings) {
    let Some(tables) = reader.tables(top, "fault", "[[fault]]") else {
        return;
    };
    settings.faults.clear();
    for table in &tables {
        if table
            .entries
            .keys()
            .any(|key| !KEYS.contains(&&**key.get_ref()))
        {
            reader.keys(table, KEYS);
            continue;
        }
        let place = serde_json::from_value::<PlacedFaultSpec>(json_of_table(table.entries));
        let placed = place.map_err(|_| {
            "this is not a fault; expected on = { endpoint = \"token\" } and fault = { kind = \"reset\" }, with the members that the kind takes".to_owned()
        });
        match placed.and_then(PlacedFaultSpec::placed) {
            Ok(_) if settings.faults.len() == MAX_FAULTS => {
                reader.wrong(
                    table.at,
                    format!("more than {MAX_FAULTS} faults; remove this one"),
                );
                return;
            }
            Ok(fault) => settings.faults.push(fault),
            Err(problem) => reader.wrong(table.at, problem),
        }
    }
}

pub(super) fn json_of_table(table: &DeTable<'_>) -> Value {
    let members = table.iter();
    let members = members.map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref())));
    Value::Object(members.collect::<Map<_, _>>())
}

fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Integer(number) => {
            let (text, radix) = (number.as_str(), number.radix());
            let positive = u64::from_str_radix(text, radix).map(Value::from);
            let number = positive.or_else(|_| i64::from_str_radix(text, radix).map(Value::from));
            number.unwrap_or(Value::Null)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse::<f64>();
            number.map_or(Value::Null, Value::from)
        }
        DeValue::Boolean(is) => (*is).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(all) => all.iter().map(|value| json_of(value.get_ref())).collect(),
        DeValue::Table(table) => json_of_table(table),
    }
}
