//! DataFusion's planning messages in the words of SQL: what is wrong, and what to write instead.
//!
//! Each rule knows one message by a piece of its text. A message that no rule knows is shown as it is, with SQL's
//! names for types.

use super::reword_calls::functions;
use crate::error::wording::{bare, between, sql_types, value};

/// A message in our words, and the word of the statement that it is about.
pub struct Reworded {
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
    pub word: Option<String>,
}

impl Reworded {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Reworded {
            code,
            message: message.into(),
            help: None,
            word: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn about(mut self, word: impl Into<String>) -> Self {
        self.word = Some(word.into());
        self
    }
}

/// The message in our words, if it is one that is known. Its first line tells what is wrong.
pub fn reword(whole: &str) -> Option<Reworded> {
    let message = bare(whole.lines().next().unwrap_or_default());
    if let Some((said, text)) = value(message) {
        return Some(Reworded::new("invalid_literal", said).about(text));
    }
    let message = sql_types(message);
    let rules: [fn(&str) -> Option<Reworded>; 5] = [grouping, clauses, types, operands, literals];
    functions(&sql_types(bare(whole)), &message).or_else(|| rules.iter().find_map(|rule| rule(&message)))
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
    if let Some((word, _)) = message.split_once(" queries have different number of columns") {
        let said = format!("the SELECTs of {word} have different numbers of columns");
        return Some(Reworded::new("column_count", said).about(word));
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

fn clauses(message: &str) -> Option<Reworded> {
    if message.starts_with("HAVING clause references") {
        let said = "HAVING looks at groups: a column in it is a key of GROUP BY, or inside an aggregate function";
        let help = "conditions on rows stand in WHERE";
        return Some(Reworded::new("not_grouped", said).help(help).about("HAVING"));
    }
    if message.starts_with("Order by column out of bounds") || message.starts_with("Order by index starts at 1") {
        let said = "a number in ORDER BY is the place of a column of SELECT, from 1";
        return Some(Reworded::new("invalid_literal", said).about("ORDER"));
    }
    if message.starts_with("Cannot find column with position") {
        let said = "a number in GROUP BY is the place of a column of SELECT, from 1";
        return Some(Reworded::new("invalid_literal", said).about("GROUP"));
    }
    if let Some(key) = between(
        message,
        "For SELECT DISTINCT, ORDER BY expressions ",
        " must appear in select list",
    ) {
        let key = last_part(key);
        let said =
            format!("`{key}` is no column of SELECT, and behind DISTINCT or UNION rows are sorted by nothing else");
        let help = "write the name that the first SELECT gives, or its place: ORDER BY 1";
        return Some(Reworded::new("order_by", said).help(help).about("ORDER"));
    }
    if message.contains("subquery can only be used in ") {
        let said = "a subquery is not built yet in this place";
        let help = "make it a column of SELECT, or of a query in FROM";
        return Some(Reworded::new("not_yet", said).help(help));
    }
    if message.starts_with("QUALIFY clause requires window functions") {
        let said = "QUALIFY stands beside a function with OVER, in SELECT or in its condition";
        let help = "conditions on rows stand in WHERE";
        return Some(Reworded::new("window_misplaced", said).help(help).about("QUALIFY"));
    }
    if let Some(window) = between(message, "The window ", " is not defined!") {
        let said = format!("there is no window `{window}`");
        let help = format!("write behind FROM and WHERE: WINDOW {window} AS (PARTITION BY … ORDER BY …)");
        return Some(Reworded::new("unknown_window", said).help(help).about(window));
    }
    if message.starts_with("Aggregate ORDER BY is not implemented for window functions") {
        let said = "an aggregate with OVER has no order of its own";
        return Some(
            Reworded::new("not_yet", said)
                .help("write it into OVER (ORDER BY …)")
                .about("OVER"),
        );
    }
    if let Some(columns) = between(message, "Source table contains ", " columns but only ") {
        let given = between(message, " columns but only ", " names")?;
        let said = format!("{given} names for {columns} columns");
        return Some(Reworded::new("column_count", said).help("name each column, or none"));
    }
    if let Some(table) = message.strip_prefix("Invalid qualifier ") {
        let said = format!("there is no table `{table}` in FROM");
        return Some(Reworded::new("unknown_table", said).about(table));
    }
    if message.starts_with("Recursive CTE is not implemented") {
        let said = "a WITH that reads itself is not built yet";
        let help = "numbers come of FROM generate_series(1, 10)";
        return Some(Reworded::new("not_yet", said).help(help).about("RECURSIVE"));
    }
    if let Some(column) = between(message, "Argument ", " to grouping function is not in grouping columns") {
        let said = format!(
            "`grouping` takes a key of GROUP BY, and `{}` is none",
            last_part(column)
        );
        return Some(Reworded::new("not_grouped", said).about("grouping"));
    }
    None
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
    if let Some(sum) = between(message, "Cannot get result type for temporal operation ", ": ") {
        let said = format!("{sum} cannot be computed: the types do not fit");
        let help = "write the interval that is meant: INTERVAL '2' DAY";
        return Some(Reworded::new("type_mismatch", said).help(help).about("INTERVAL"));
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

/// Operators between values that they do not take.
fn operands(message: &str) -> Option<Reworded> {
    if let Some(given) = between(message, "There isn't a common type to coerce ", " in LIKE expression") {
        let said = format!("LIKE compares text with a pattern, not {given}");
        let help = "convert the value: CAST(… AS STRING)";
        return Some(Reworded::new("type_mismatch", said).help(help).about("LIKE"));
    }
    if let Some(sides) = message.strip_prefix("Cannot infer common argument type for logical boolean operation ") {
        let word = if sides.contains(" OR ") { "OR" } else { "AND" };
        let said = format!(
            "{word} takes conditions, not {}",
            sides.replace(&format!(" {word} "), " and ")
        );
        let help = "compare the values with something: a > 0";
        return Some(Reworded::new("type_mismatch", said).help(help).about(word));
    }
    if let Some(sides) = message.strip_prefix("Cannot infer common string type for string concat operation ") {
        let said = format!("{sides} cannot be put together: one of them must be text");
        let help = "convert one side: CAST(… AS STRING)";
        return Some(Reworded::new("type_mismatch", said).help(help).about("||"));
    }
    if let Some(given) = message.strip_prefix("Unary operator 'NOT' requires a boolean expression, got ") {
        let said = format!("NOT takes a condition, not {given}");
        return Some(Reworded::new("type_mismatch", said).help("compare it with something: a > 0"));
    }
    if let Some(given) = between(message, "Cannot access field at argument 1: type ", " is not Struct") {
        let said = format!("only structs, maps and lists have parts, and this value is {given}");
        return Some(Reworded::new("type_mismatch", said).help("parts of JSON are read with ->> 'name'"));
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
        if let Some(given) = message.strip_prefix(&format!("Expected {word} to be an integer or null, but got ")) {
            let said = format!("{word} takes a whole number from 0, not {given}");
            return Some(Reworded::new("invalid_literal", said).about(word));
        }
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
