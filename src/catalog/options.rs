//! `WITH (…)` against the option table of its connector: unknown keys and wrong values, each with its place.

use crate::dstream::table::{ConnectorSpec, OptionKind, is_text_list};
use crate::error::{Diagnostic, nearest};
use crate::sql::statement::OptionDef;
use chrono::format::{Item, Numeric, StrftimeItems};
use std::collections::BTreeMap;

/// The connector named in WITH, and the other options by name.
pub struct Checked<'a> {
    pub connector: Option<&'a ConnectorSpec>,
    pub options: BTreeMap<String, String>,
}

/// Checks the options of one statement. All mistakes are found.
pub fn check<'a>(
    defs: &[OptionDef],
    connectors: &[&'a ConnectorSpec],
    default: Option<&str>,
) -> Result<Checked<'a>, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let named = defs.iter().find(|d| d.key.value == "connector");
    let name = named.map(|d| d.value.as_str()).or(default);
    let connector = name.and_then(|name| connectors.iter().find(|c| c.name == name).copied());
    if let (Some(def), None) = (named, connector) {
        let known: Vec<&str> = connectors.iter().map(|c| c.name).collect();
        wrong.push(
            Diagnostic::error("unknown_connector", format!("there is no connector `{}`", def.value))
                .at(def.value_span.clone())
                .note(format!("the connectors are: {}", known.join(", ")))
                .suggest(&def.value, known.iter().copied()),
        );
        return Err(wrong);
    }
    if connector.is_none()
        && let Some(misspelt) = defs
            .iter()
            .find(|d| nearest(&d.key.value, ["connector"]) == ["connector"])
    {
        // Without a connector the other options mean nothing yet.
        let message = format!("unknown option `{}`", misspelt.key.value);
        let unknown = Diagnostic::error("unknown_option", message).at(misspelt.key.span.clone());
        return Err(vec![unknown.suggest(&misspelt.key.value, ["connector"])]);
    }
    let known: Vec<&str> = match connector {
        Some(spec) => std::iter::once("connector")
            .chain(spec.all_options().map(|o| o.name))
            .collect(),
        None => {
            let all = connectors.iter().flat_map(|c| c.all_options().map(|o| o.name));
            std::iter::once("connector").chain(all).collect()
        }
    };
    let mut options = BTreeMap::new();
    for def in defs.iter().filter(|d| d.key.value != "connector") {
        let spec = connector.and_then(|c| c.all_options().find(|o| o.takes(&def.key.value)));
        match (connector, spec) {
            (Some(_), Some(spec)) => wrong.extend(value_mistake(def, spec.kind)),
            (None, _) if owner(&def.key.value, connectors).is_some() => wrong.push(homeless(def, connectors)),
            _ => wrong.push(unknown(def, connector, &known)),
        }
        if options.insert(def.key.value.clone(), def.value.clone()).is_some() {
            let message = format!("the option `{}` is given twice", def.key.value);
            wrong.push(Diagnostic::error("duplicate_option", message).at(def.key.span.clone()));
        }
    }
    wrong.extend(connector.iter().flat_map(|spec| misplaced(defs, spec, &options)));
    let missing = connector.iter().flat_map(|c| c.all_options());
    let missing = missing.filter(|o| o.kind == OptionKind::Path && !options.contains_key(o.name));
    for option in missing {
        let message = format!("connector `{}` needs `{}`", name.unwrap_or_default(), option.name);
        let wanted = Diagnostic::error("missing_option", message).maybe_at(named.map(|d| d.value_span.clone()));
        wrong.push(wanted.help(format!("add: {} = '…'", option.name)));
    }
    if wrong.is_empty() {
        Ok(Checked { connector, options })
    } else {
        Err(wrong)
    }
}

/// An option of a connector, and no connector.
fn homeless(def: &OptionDef, connectors: &[&ConnectorSpec]) -> Diagnostic {
    let key = &def.key.value;
    let message = format!("`{key}` is an option of a connector, and none is named");
    let diagnostic = Diagnostic::error("no_connector", message).at(def.key.span.clone());
    match owner(key, connectors) {
        Some(owner) => diagnostic.help(format!("say which one: connector = '{}'", owner.name)),
        None => diagnostic,
    }
}

/// The first connector that has such an option.
fn owner<'a>(key: &str, connectors: &[&'a ConnectorSpec]) -> Option<&'a ConnectorSpec> {
    let has = |c: &&&ConnectorSpec| c.all_options().any(|o| o.takes(key));
    connectors.iter().find(has).copied()
}

/// Options that mean nothing for the format that the table has, as far as its options tell that.
fn misplaced(defs: &[OptionDef], spec: &ConnectorSpec, options: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let Some(format) = (spec.format_of)(options) else {
        return Vec::new();
    };
    let stranger = |def: &OptionDef| {
        let option = spec.all_options().find(|o| o.takes(&def.key.value))?;
        let fits = option.of.is_empty() || option.of.contains(&format);
        let message = format!(
            "the option `{}` is for {}, and the format here is {format}",
            option.name,
            option.of.join(" and ")
        );
        (!fits).then(|| Diagnostic::error("misplaced_option", message).at(def.key.span.clone()))
    };
    defs.iter().filter_map(stranger).collect()
}

/// Options of a sink that mean something only to who reads.
pub fn only_read(defs: &[OptionDef], spec: &ConnectorSpec) -> Vec<Diagnostic> {
    let reads = |def: &&OptionDef| spec.all_options().any(|o| o.reading && o.takes(&def.key.value));
    let refuse = |def: &OptionDef| {
        let message = format!(
            "the option `{}` is for reading, and a sink is only written to",
            def.key.value
        );
        Diagnostic::error("misplaced_option", message)
            .at(def.key.span.clone())
            .help("leave it out here, and set it where the rows are read: CREATE SOURCE … WITH (…)")
    };
    defs.iter().filter(reads).map(refuse).collect()
}

fn unknown(def: &OptionDef, connector: Option<&ConnectorSpec>, known: &[&str]) -> Diagnostic {
    let key = &def.key.value;
    let of = connector.map_or(String::new(), |c| format!(" of connector `{}`", c.name));
    let mut diagnostic =
        Diagnostic::error("unknown_option", format!("unknown option `{key}`{of}")).at(def.key.span.clone());
    if connector.is_some() {
        diagnostic = diagnostic.note(format!("the options are: {}", known.join(", ")));
    }
    let elsewhere = connector.and_then(|c| c.all_options().find(|o| o.elsewhere.contains(&key.as_str())));
    if let Some(option) = elsewhere {
        diagnostic.candidates = vec![option.name.to_string()];
        return diagnostic.help(format!("here it is called `{}`: {}", option.name, option.doc));
    }
    // The option of a column is suggested for the column that was meant.
    let column = key.split('.').nth(1).unwrap_or("NAME");
    let near: Vec<String> = known.iter().map(|name| name.replace("NAME", column)).collect();
    diagnostic.suggest(key, near.iter().map(String::as_str))
}

fn value_mistake(def: &OptionDef, kind: OptionKind) -> Option<Diagnostic> {
    let value = def.value.as_str();
    let wants = match kind {
        kind if is_text_list(value) && kind != OptionKind::Texts => {
            let message = format!("the option `{}` takes one value, not a list", def.key.value);
            return Some(Diagnostic::error("option_value", message).at(def.value_span.clone()));
        }
        OptionKind::Text | OptionKind::Texts => return None,
        OptionKind::Path if value.is_empty() => "a path".to_string(),
        OptionKind::Path => return None,
        OptionKind::Bool if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") => return None,
        OptionKind::Bool => "true or false".to_string(),
        OptionKind::Count if value.parse::<u64>().is_ok() => return None,
        OptionKind::Count => "a whole number".to_string(),
        OptionKind::Duration if crate::config::parse_duration_ns(value).is_some() => return None,
        OptionKind::Duration => "a duration such as 5ms or 10 seconds".to_string(),
        OptionKind::Size if crate::config::parse_size(value).is_some_and(|size| size > 0) => return None,
        OptionKind::Size => "a size such as 128MB".to_string(),
        OptionKind::Time => return None,
        OptionKind::CharOrNone if value.is_empty() => return None,
        OptionKind::Char | OptionKind::CharOrNone if is_char(value) => return None,
        OptionKind::Char => "one ASCII character".to_string(),
        OptionKind::CharOrNone => "one ASCII character, or '' for none".to_string(),
        OptionKind::TimeFormat if is_time_format(value) => return None,
        OptionKind::TimeFormat => "a format such as '%d/%m/%Y %H:%M:%S'".to_string(),
        OptionKind::OneOf(all) if all.contains(&value) => return None,
        OptionKind::OneOf(all) => format!("one of {}", all.join(", ")),
    };
    let message = format!("the option `{}` takes {wants}, not `{value}`", def.key.value);
    let diagnostic = Diagnostic::error("option_value", message).at(def.value_span.clone());
    Some(match kind {
        OptionKind::OneOf(all) => diagnostic.suggest(value, all.iter().copied()),
        OptionKind::Duration if has_no_length(value) => {
            diagnostic.help("months and years have no fixed length: count weeks and longer in days, as in 365 days")
        }
        OptionKind::TimeFormat if counts_nanoseconds(value) => diagnostic.help(
            "%f counts nanoseconds, so that .5 would be 5 of them: write %.f for a fraction, in which the point is included",
        ),
        _ => diagnostic,
    })
}

/// Whether a value tells something of a time, in letters that mean something, and fractions of seconds as such.
fn is_time_format(value: &str) -> bool {
    let mut items = StrftimeItems::new(value);
    let known = !items.clone().any(|item| item == Item::Error) && !counts_nanoseconds(value);
    known && items.any(|item| matches!(item, Item::Numeric(..) | Item::Fixed(_)))
}

fn counts_nanoseconds(value: &str) -> bool {
    StrftimeItems::new(value).any(|item| matches!(item, Item::Numeric(Numeric::Nanosecond, _)))
}

/// Whether a duration was meant, in units that it cannot have.
fn has_no_length(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    ["week", "month", "year"].iter().any(|unit| value.contains(unit))
}

fn is_char(value: &str) -> bool {
    let one = matches!(value.as_bytes(), [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r'));
    one || value == "\\t"
}
