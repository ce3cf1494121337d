//! DataFusion's planning messages in the words of SQL: what is wrong, and what to write instead.
//!
//! Each rule knows one message by a piece of its text. A message that no rule knows is shown as it is, with SQL's
//! names for types.

use crate::error::wording::{bare, between, sql_types, value};

/// A message in our words, and the word of the statement that it is about.
pub struct Reworded {
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
    pub word: Option<String>,
}

impl Reworded {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Reworded {
            code,
            message: message.into(),
            help: None,
            word: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn about(mut self, word: impl Into<String>) -> Self {
        self.word = Some(word.into());
        self
    }
}

/// The message in our words, if it is one that is known.
pub fn reword(message: &str) -> Option<Reworded> {
    let message = bare(message);
    if let Some((said, text)) = value(message) {
        return Some(Reworded::new("invalid_literal", said).about(text));
    }
    let message = sql_types(message);
    let rules: [fn(&str) -> Option<Reworded>; 4] = [grouping, functions, types, literals];
    rules.iter().find_map(|rule| rule(&message))
}

fn grouping(message: &str) -> Option<Reworded> {
    if message.contains("must appear in the GROUP BY clause") {
        let column = last_part(between(message, "column \"", "\"")?);
        let said = format!("`{column}` is neither in GROUP BY nor inside an aggregate function");
        let help = format!("add it to GROUP BY, or take one of its values: max({column})");
        return Some(Reworded::new("not_grouped", said).help(help).about(column));
    }
    if message.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        let said = "WHERE looks at one row at a time, so nothing can be aggregated there";
        return Some(
            Reworded::new("aggregate_in_where", said)
                .help("write it behind GROUP BY: HAVING …")
                .about("WHERE"),
        );
    }
    if let Some(outer) = between(message, "is nested inside '", "(") {
        let said = format!("`{outer}` cannot take an aggregate of the same rows");
        let help = "aggregate twice: SELECT sum(n) FROM (SELECT count(*) AS n FROM t GROUP BY k)";
        return Some(Reworded::new("nested_aggregate", said).help(help).about(outer));
    }
    if message.starts_with("Nested identifiers are not yet supported") {
        let column = last_part(message.rsplit(' ').next()?).replace('"', "");
        let said = format!("`{column}` belongs to the query around, and a subquery cannot look into it yet");
        let help = format!("give the field a name of its own first: FROM (SELECT {column}.field AS f, … FROM t)");
        return Some(Reworded::new("not_yet", said).help(help).about(column));
    }
    if message.starts_with("Projections require unique expression names") {
        let twice = between(message, "the expression \"", "\" at position")?;
        if let Some((_, name)) = twice.rsplit_once(" AS ") {
            let said = format!("two columns are called `{name}`");
            let help = "give one of them another name";
            return Some(Reworded::new("duplicate_column", said).help(help).about(name));
        }
        if twice.contains('(') {
            let said = "two columns of SELECT are the same expression";
            return Some(Reworded::new("duplicate_column", said).help("give one of them a name: … AS name"));
        }
        let column = last_part(twice);
        let help = format!("give one of them another name: {column} AS {column}2");
        let said = format!("two columns are called `{column}`");
        return Some(Reworded::new("duplicate_column", said).help(help).about(column));
    }
    if message.starts_with("unnest() can only be applied to") {
        let said = "unnest in SELECT takes a list or a struct";
        let help = "a map is unnested in FROM: FROM t CROSS JOIN UNNEST(t.map) AS u(key, value)";
        return Some(Reworded::new("not_a_list", said).help(help).about("unnest"));
    }
    if message.starts_with("LATERAL syntax is not supported") {
        let said = "UNNEST and LATERAL stand behind CROSS JOIN, JOIN or LEFT JOIN";
        let help = "write: FROM t LEFT JOIN UNNEST(t.list) AS u(x) ON TRUE";
        return Some(Reworded::new("unsupported", said).help(help).about("UNNEST"));
    }
    if message.starts_with("UNION queries have different number of columns") {
        let said = "the SELECTs of a UNION have different numbers of columns";
        return Some(Reworded::new("column_count", said).about("UNION"));
    }
    if message.starts_with("Inconsistent data length across values list") {
        let said = "the rows of VALUES have different numbers of values";
        return Some(Reworded::new("column_count", said).about("VALUES"));
    }
    if message.starts_with("Inconsistent data type across values list") {
        let (one, other) = message.rsplit_once("Was ")?.1.split_once(" but found ")?;
        let said = format!("the rows of VALUES have types that do not go together: {one} and {other}");
        let help = "write them alike, or convert them: CAST(… AS …)";
        return Some(Reworded::new("type_mismatch", said).help(help).about("VALUES"));
    }
    if message.starts_with("Too many columns! The subquery should only return one column") {
        return Some(Reworded::new("column_count", "a subquery behind IN gives one column"));
    }
    None
}

fn functions(message: &str) -> Option<Reworded> {
    if let Some(name) = between(message, "'", "' does not support zero arguments") {
        let said = format!("function `{name}` takes arguments");
        return Some(Reworded::new("function_arguments", said).about(name));
    }
    if let Some(name) = between(message, "to satisfy a call to '", "' function") {
        return arguments_of(name, between(message, "coercion from ", " to the signature")?);
    }
    let name = between(message, "Function '", "'")?;
    if let Some(counts) = between(message, &format!("Function '{name}' expects "), ".")
        && let Some((takes, given)) = counts.split_once(" arguments but received ")
    {
        let given = given.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(given);
        let arguments = if takes == "1" { "argument" } else { "arguments" };
        let said = format!("function `{name}` takes {takes} {arguments}, not {given}");
        return Some(Reworded::new("function_arguments", said).about(name));
    }
    let said = match between(message, "(DataType: ", ")") {
        Some(given) => format!("function `{name}` does not take {given}"),
        None => format!("function `{name}` does not take these arguments"),
    };
    let help = "convert the argument: CAST(… AS …)";
    Some(Reworded::new("function_arguments", said).help(help).about(name))
}

/// Arguments whose types do not fit the function.
fn arguments_of(name: &str, given: &str) -> Option<Reworded> {
    if name == "array_has" {
        let (list, value) = given.rsplit_once(", ")?;
        let said = format!("{value} is looked for in {list}: the types do not fit");
        let help = "convert one of them: CAST(… AS …)";
        return Some(Reworded::new("type_mismatch", said).help(help).about("ANY"));
    }
    let said = format!("function `{name}` does not take ({given})");
    let help = match name {
        "string_agg" => "it takes a text and what stands between two of them: string_agg(name, ', ')",
        _ => "convert the arguments: CAST(… AS …)",
    };
    Some(Reworded::new("function_arguments", said).help(help).about(name))
}

fn types(message: &str) -> Option<Reworded> {
    if let Some(place) = between(message, "Unexpected argument type to 'json_", ", expected") {
        let given = message.trim_end_matches('.').rsplit(' ').next().unwrap_or_default();
        let given = if given == "Null" { "NULL" } else { given };
        let said = match place.ends_with("position 1") {
            true => format!("JSON is read from text, not from {given}"),
            false => format!("a step into JSON is a name or a whole number, not {given}"),
        };
        let help = "write: column -> 'name', or column -> 0 for an element";
        return Some(Reworded::new("type_mismatch", said).help(help).about("->"));
    }
    if let Some(sum) = between(message, "Cannot coerce arithmetic expression ", " to valid types") {
        let said = format!("{sum} cannot be computed: the types do not fit");
        return Some(Reworded::new("type_mismatch", said).help("convert one side: CAST(… AS …)"));
    }
    if let Some(sides) = message.strip_prefix("Cannot infer common argument type for comparison operation ") {
        let said = format!("{sides} cannot be compared: the types do not fit");
        return Some(Reworded::new("type_mismatch", said).help("convert one side: CAST(… AS …)"));
    }
    if let Some(condition) = between(message, "Cannot create filter with non-boolean predicate '", "'") {
        let given = message.rsplit(' ').next().unwrap_or_default();
        if condition.contains('(') {
            let said = format!("a condition is true or false, and this one is {given}");
            return Some(
                Reworded::new("type_mismatch", said)
                    .help("compare it with something")
                    .about("WHERE"),
            );
        }
        let column = last_part(condition);
        let said = format!("a condition is true or false, and `{column}` is {given}");
        return Some(
            Reworded::new("type_mismatch", said)
                .help(format!("compare it: {column} > 0"))
                .about(column),
        );
    }
    if message.starts_with("Failed to coerce then (") {
        let (one, other) = (
            between(message, "then (", ") and")?,
            between(message, "else (", ") to")?,
        );
        let said = format!("the branches of CASE have types that do not fit: {one} and {other}");
        return Some(Reworded::new("type_mismatch", said).about("CASE"));
    }
    None
}

fn literals(message: &str) -> Option<Reworded> {
    if let Some(text) = between(message, "Invalid input syntax for type interval: \"", "\"") {
        let said = format!("'{text}' is no interval");
        return Some(
            Reworded::new("invalid_literal", said)
                .help("write one as: INTERVAL '10' SECOND")
                .about(text),
        );
    }
    if let Some(text) = between(message, "Error parsing timestamp from '", "'") {
        let help = "write one as: TIMESTAMP '2024-01-01 10:00:00'";
        return Some(
            Reworded::new("invalid_literal", format!("'{text}' is no time"))
                .help(help)
                .about(text),
        );
    }
    for word in ["LIMIT", "OFFSET"] {
        if message.starts_with(&format!("{word} must be >=")) {
            let given = between(message, ", '", "'")?;
            let said = format!("{word} takes a whole number from 0, not {given}");
            return Some(Reworded::new("invalid_literal", said).about(word));
        }
    }
    if message.starts_with("Unsupported interval argument") {
        let said = "an interval is text in single quotes, or a number";
        return Some(
            Reworded::new("invalid_literal", said)
                .help("write one as: INTERVAL '10' SECOND")
                .about("INTERVAL"),
        );
    }
    if message.starts_with("Unsupported Value ") {
        let said = "a literal of this kind is not known here";
        return Some(Reworded::new("invalid_literal", said).help("write text in single quotes: 'text'"));
    }
    None
}

/// `usr` of `clicks.usr`.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
