//! DataFusion's errors in our words: code, place, nearest names.

use crate::error::wording::{bare, between, sql_types};
use crate::error::{Diagnostic, nearest};
use crate::plan::Refusal;
use crate::plan::reword::reword;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, SchemaError};
use std::ops::Range;

/// Functions that stand in FROM.
const TABLE_FUNCTIONS: &[&str] = &[
    "TUMBLE",
    "HOP",
    "CUMULATE",
    "SESSION",
    "UNNEST",
    "late_rows",
    "dead_letters",
];

/// Windows in GROUP BY, and how they are written there.
const GROUP_WINDOWS: &[(&str, &str)] = &[
    ("tumble", "INTERVAL '10' SECOND"),
    ("hop", "INTERVAL '2' SECOND, INTERVAL '10' SECOND"),
    ("cumulate", "INTERVAL '2' SECOND, INTERVAL '10' SECOND"),
    ("session", "INTERVAL '10' SECOND"),
];

/// What a diagnostic can point to and suggest from.
pub struct Context<'a> {
    /// The whole text, and the bytes of the statement in it.
    pub text: &'a str,
    pub statement: Range<usize>,
    /// Turns a place of the parser (line, column) into bytes of the text.
    pub byte_of: &'a dyn Fn(u64, u64) -> Option<usize>,
    pub tables: Vec<String>,
    /// Those of the tables that the statement names.
    pub columns: Vec<String>,
    /// Those of structs in these columns.
    pub fields: Vec<String>,
    pub functions: Vec<String>,
}

/// A planning error as diagnostics: all that it holds.
pub fn diagnose_all(error: &DataFusionError, context: &Context) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for error in parts(error) {
        let diagnostic = diagnose(error, context);
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
    found
}

/// The errors that one holds together.
fn parts(error: &DataFusionError) -> Vec<&DataFusionError> {
    match error {
        DataFusionError::Collection(all) => all.iter().flat_map(parts).collect(),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)
            if matches!(inner.as_ref(), DataFusionError::Collection(_)) =>
        {
            parts(inner)
        }
        other => vec![other],
    }
}

/// A planning error as a diagnostic.
pub fn diagnose(error: &DataFusionError, context: &Context) -> Diagnostic {
    if let Some(refusal) = find_refusal(error) {
        return refused(refusal, context);
    }
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => schema_error(schema, error, context),
        root => {
            let message = root.strip_backtrace();
            planned(message.trim_start_matches("Error during planning: "), error, context)
        }
    }
}

/// The column that an error does not find.
pub fn unknown_column(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(field.name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The name that an error finds twice among the columns of one SELECT.
pub fn named_twice(error: &DataFusionError) -> Option<String> {
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::AmbiguousReference { field } = schema.as_ref()
    {
        return Some(field.name.clone());
    }
    let message = error.find_root().strip_backtrace();
    let start = "Projections require unique expression names but the expression \"";
    let twice = between(&message, start, "\" at position")?;
    let name = twice.rsplit_once(" AS ").map_or(twice, |(_, name)| name);
    Some(name.rsplit('.').next().unwrap_or(name).to_string())
}

fn find_refusal(error: &DataFusionError) -> Option<&Refusal> {
    match error {
        DataFusionError::External(inner) => inner.downcast_ref::<Refusal>(),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => find_refusal(inner),
        DataFusionError::Shared(inner) => find_refusal(inner),
        DataFusionError::Collection(all) => all.iter().find_map(find_refusal),
        _ => None,
    }
}

fn refused(refusal: &Refusal, context: &Context) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(refusal.code, &refusal.message);
    diagnostic.help = refusal.help.clone();
    let span = refusal.span.and_then(|s| {
        let start = (context.byte_of)(s.start.line, s.start.column)?;
        let end = (context.byte_of)(s.end.line, s.end.column)?;
        Some(start..end.max(start + 1))
    });
    // Without a place of its own, it is about the first name that it quotes.
    let named = || find_word(refusal.message.split('`').nth(1)?, context);
    diagnostic.at(span.or_else(named).unwrap_or(context.statement.clone()))
}

fn schema_error(schema: &SchemaError, error: &DataFusionError, context: &Context) -> Diagnostic {
    match schema {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let at = place(error, &field.name, context);
            // An argument of UNNEST is looked for among no columns at all.
            if valid_fields.is_empty() && !context.columns.contains(&field.name) {
                return column_not_found(&field.name, &context.columns, at, context);
            }
            let names: Vec<String> = valid_fields.iter().map(|c| c.name.clone()).collect();
            let foreign = field.relation.as_ref();
            let foreign = foreign.filter(|r| !valid_fields.iter().any(|c| c.relation.as_ref() == Some(r)));
            if let Some(relation) = foreign {
                let relations: Vec<&str> = valid_fields
                    .iter()
                    .filter_map(|c| Some(c.relation.as_ref()?.table()))
                    .collect();
                return Diagnostic::error("unknown_table", format!("there is no table `{relation}` in FROM"))
                    .suggest(relation.table(), relations)
                    .at(at);
            }
            column_not_found(&field.name, &names, at, context)
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("`{}` is in more than one table of FROM", field.name);
            let at = place(error, &field.name, context);
            let help = match find_word(&format!(".{}", field.name), context) {
                None => format!("say which: t.{}", field.name),
                Some(_) => format!("where SELECT gives the name too, write another: … AS {}2", field.name),
            };
            Diagnostic::error("ambiguous_column", message).help(help).at(at)
        }
        SchemaError::DuplicateUnqualifiedField { name } | SchemaError::DuplicateQualifiedField { name, .. } => {
            let message = format!("two columns are called `{name}`");
            Diagnostic::error("duplicate_column", message)
                .help(format!("give one of them another name: … AS {name}2"))
                .at(place(error, name, context))
        }
    }
}

fn column_not_found(name: &str, names: &[String], at: Range<usize>, context: &Context) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("unknown_column", format!("column `{name}` not found"));
    diagnostic = diagnostic.suggest(name, names.iter().map(String::as_str));
    if !names.is_empty() && names.len() <= 40 {
        diagnostic = diagnostic.note(format!("the columns are: {}", names.join(", ")));
    }
    let other_case = names
        .iter()
        .find(|n| n.as_str() != name && n.eq_ignore_ascii_case(name));
    if let Some(exact) = other_case {
        diagnostic.help = vec![format!("write it as it was declared: \"{exact}\"")];
    }
    if name == "all" && diagnostic.help.is_empty() {
        diagnostic = diagnostic.help("ORDER BY takes columns, or their places: ORDER BY 1, 2");
    }
    let quoted = context.text.get(at.clone()).is_some_and(|text| text.starts_with('"'));
    let before = at
        .start
        .checked_sub(1)
        .and_then(|before| context.text.get(before..at.start));
    if diagnostic.help.is_empty() && (quoted || before == Some("\"")) {
        diagnostic = diagnostic.help(format!("\"{name}\" is a name; text stands in single quotes: '{name}'"));
    }
    diagnostic.at(at)
}

/// `whole`: the message, of which the first line says what is wrong.
fn planned(whole: &str, error: &DataFusionError, context: &Context) -> Diagnostic {
    let message = whole.lines().next().unwrap_or_default();
    if let Some(name) = quoted_after(message, "table function '") {
        return Diagnostic::error("unknown_function", format!("table function `{name}` not found"))
            .suggest(&name, TABLE_FUNCTIONS.iter().copied())
            .at(place(error, &name, context));
    }
    if let Some(name) = quoted_after(message, "table '") {
        let name = name.rsplit('.').next().unwrap_or(&name).to_string();
        let at = place(error, &name, context);
        let unknown = Diagnostic::error("unknown_table", format!("table `{name}` not found"));
        // `FROM "dir/file.csv"`: a point parts the names of schemas and tables.
        if let Some(path) = context.text.get(at.clone()).and_then(quoted_path) {
            let help = format!("a file is named in single quotes: FROM '{path}'");
            return unknown.help(help).at(at);
        }
        return unknown.suggest(&name, context.tables.iter().map(String::as_str)).at(at);
    }
    if let Some(name) = quoted_after(message, "Invalid function '") {
        return unknown_function(&name, place(error, &name, context), context);
    }
    if let Some(field) = between(message, "Field ", " not found in struct") {
        let known = &context.fields;
        let unknown = Diagnostic::error("unknown_column", format!("the struct has no field `{field}`"))
            .suggest(field, known.iter().map(String::as_str))
            .at(place(error, field, context));
        return match known.len() {
            1..=40 => unknown.note(format!("the fields of structs here are: {}", known.join(", "))),
            _ => unknown,
        };
    }
    if let Some(known) = reword(whole) {
        let word = known.word.and_then(|word| find_word(&word, context));
        let span = word
            .or_else(|| error_span(error, context))
            .unwrap_or(context.statement.clone());
        let diagnostic = Diagnostic::error(known.code, known.message).at(span);
        return known.help.into_iter().fold(diagnostic, Diagnostic::help);
    }
    let code = match error.find_root() {
        DataFusionError::NotImplemented(_) => "not_yet",
        _ => "invalid",
    };
    let span = error_span(error, context).unwrap_or(context.statement.clone());
    // A tree of syntax is nothing to read.
    let said = match ["Span(", " { ", "Location("]
        .iter()
        .any(|inside| message.contains(inside))
    {
        true => "this way to write it is not known here".to_string(),
        false => sql_types(bare(message)),
    };
    Diagnostic::error(code, said).at(span)
}

fn unknown_function(name: &str, at: Range<usize>, context: &Context) -> Diagnostic {
    let window = GROUP_WINDOWS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some((window, intervals)) = window {
        let message = format!("`{window}` stands in GROUP BY, with intervals only, or in FROM");
        let function = window.to_uppercase();
        return Diagnostic::error("window_arguments", message).at(at).help(format!(
            "write: GROUP BY {window}({intervals}), which takes the event time of FROM, or FROM {function}(t, ts, \
             {intervals})"
        ));
    }
    // A function that is known and not found is one of windows over rows, without them.
    if context.functions.iter().any(|known| known == name) {
        let message = format!("`{name}` is computed over other rows, and says of which with OVER");
        let help = format!("write: {name}(…) OVER (PARTITION BY … ORDER BY …)");
        return Diagnostic::error("window_arguments", message).at(at).help(help);
    }
    let windows = GROUP_WINDOWS.iter().map(|(name, _)| *name);
    Diagnostic::error("unknown_function", format!("function `{name}` not found"))
        .suggest(name, context.functions.iter().map(String::as_str).chain(windows))
        .at(at)
}

/// Where a name stands: as DataFusion says, else the first such word of the statement.
fn place(error: &DataFusionError, name: &str, context: &Context) -> Range<usize> {
    error_span(error, context)
        .or_else(|| find_word(name, context))
        .unwrap_or(context.statement.clone())
}

fn error_span(error: &DataFusionError, context: &Context) -> Option<Range<usize>> {
    let span = error.diagnostic()?.span?;
    let start = (context.byte_of)(span.start.line, span.start.column)?;
    let end = (context.byte_of)(span.end.line, span.end.column)?;
    Some(start..end.max(start + 1))
}

fn find_word(name: &str, context: &Context) -> Option<Range<usize>> {
    word_in(name, context.text, &context.statement)
}

/// The first place of a whole word in a part of a text, in any case.
pub fn word_in(name: &str, text: &str, part: &Range<usize>) -> Option<Range<usize>> {
    let statement = text.get(part.clone())?;
    let lower = statement.to_ascii_lowercase();
    let wanted = name.to_ascii_lowercase();
    if wanted.is_empty() {
        return None;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let (opens, closes) = (wanted.starts_with(is_part), wanted.ends_with(is_part));
    for (at, _) in lower.match_indices(&wanted) {
        let before = opens && lower[..at].chars().next_back().is_some_and(is_part);
        let after = closes && lower[at + wanted.len()..].chars().next().is_some_and(is_part);
        if !before && !after {
            let start = part.start + at;
            return Some(start..start + wanted.len());
        }
    }
    None
}

/// The names of all fields in a type.
pub fn fields_of(data_type: &DataType) -> Vec<String> {
    match data_type {
        DataType::Struct(fields) => {
            let inside = fields.iter().flat_map(|field| fields_of(field.data_type()));
            fields.iter().map(|field| field.name().clone()).chain(inside).collect()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            fields_of(item.data_type())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().flat_map(|field| fields_of(field.data_type())).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// What stands in double quotes and looks like a path.
fn quoted_path(text: &str) -> Option<&str> {
    let path = text.strip_prefix('"')?.strip_suffix('"')?;
    path.contains(['/', '.', '*']).then_some(path)
}

fn quoted_after(message: &str, start: &str) -> Option<String> {
    let rest = &message[message.find(start)? + start.len()..];
    rest.split('\'').next().map(str::to_string)
}

/// The nearest of some names, for messages made elsewhere.
pub fn nearest_name(wrong: &str, known: &[String]) -> Option<String> {
    nearest(wrong, known.iter().map(String::as_str)).into_iter().next()
}
