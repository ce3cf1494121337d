//! Calls of functions with arguments that they do not take, in the words of SQL.

use super::reword::Reworded;
use crate::error::wording::between;
use std::collections::BTreeSet;

/// What is wrong with a call. `whole`: with the ways to call the function, each a line.
pub(super) fn functions(whole: &str, message: &str) -> Option<Reworded> {
    if let Some(name) = between(message, "'", "' does not support zero arguments") {
        let said = format!("function `{name}` takes arguments");
        return Some(Reworded::new("function_arguments", said).about(name));
    }
    if let Some((_, call)) = whole.split_once("the given name and argument types '")
        && let Some((name, rest)) = call.split_once('(')
    {
        return Some(arguments_of(name, within(rest), arities(whole, name)));
    }
    if let Some(name) = between(message, "to satisfy a call to '", "' function") {
        let given = between(message, "coercion from ", " to the signature")?;
        return Some(arguments_of(name, given, None));
    }
    let name = between(message, "Function '", "'")?;
    if let Some(counts) = between(message, &format!("Function '{name}' expects "), ".")
        && let Some((takes, given)) = counts.split_once(" arguments but received ")
    {
        let given = given.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(given);
        return Some(miscounted(name, takes, given));
    }
    let said = match message.split_once("(DataType: ") {
        Some((_, given)) => format!("function `{name}` does not take {}", within(given)),
        None => format!("function `{name}` does not take these arguments"),
    };
    let help = "convert the argument: CAST(… AS …)";
    Some(Reworded::new("function_arguments", said).help(help).about(name))
}

/// Arguments whose types, or number, do not fit the function.
fn arguments_of(name: &str, given: &str, arities: Option<BTreeSet<usize>>) -> Reworded {
    if name == "array_has"
        && let Some((list, value)) = given.rsplit_once(", ")
    {
        let said = format!("{value} is looked for in {list}: the types do not fit");
        let help = "convert one of them: CAST(… AS …)";
        return Reworded::new("type_mismatch", said).help(help).about("ANY");
    }
    if name == "array_element"
        && let Some((list, key)) = given.split_once(", ")
    {
        if list.ends_with("[]") {
            let said = format!("the elements of a list have whole numbers from 1, not {key}");
            return Reworded::new("type_mismatch", said).help("write: list[1]");
        }
        let said = format!("only lists, maps and structs have elements, and this value is {list}");
        return Reworded::new("type_mismatch", said).help("parts of JSON are read with -> 0 or ->> 'name'");
    }
    let count = split(given).len();
    if let Some(arities) = arities.filter(|arities| !arities.contains(&count)) {
        let takes: Vec<String> = arities.iter().map(ToString::to_string).collect();
        let miscounted = miscounted(name, &takes.join(" or "), &count.to_string());
        return match name {
            "string_agg" => {
                miscounted.help("it takes a text and what stands between two of them: string_agg(name, ', ')")
            }
            _ => miscounted,
        };
    }
    if given.is_empty() {
        return Reworded::new("function_arguments", format!("function `{name}` takes arguments")).about(name);
    }
    let (said, help) = match count {
        1 => (
            format!("function `{name}` does not take {given}"),
            "convert the argument: CAST(… AS …)",
        ),
        _ => (
            format!("function `{name}` does not take ({given})"),
            "convert the arguments: CAST(… AS …)",
        ),
    };
    Reworded::new("function_arguments", said).help(help).about(name)
}

fn miscounted(name: &str, takes: &str, given: &str) -> Reworded {
    let arguments = if takes == "1" { "argument" } else { "arguments" };
    let takes = if takes == "0" { "no" } else { takes };
    let said = format!("function `{name}` takes {takes} {arguments}, not {given}");
    Reworded::new("function_arguments", said).about(name)
}

/// How many arguments a function takes, as its ways to be called say; `None` when one of them does not say it.
fn arities(whole: &str, name: &str) -> Option<BTreeSet<usize>> {
    let (_, ways) = whole.split_once("Candidate functions:")?;
    let call = format!("{name}(");
    let ways = ways.lines().filter_map(|line| line.trim().strip_prefix(call.as_str()));
    let counts = ways.map(|way| {
        let arguments = within(way);
        let unsaid = ["..", "UserDefined", "array", "Array", "recursive"];
        if unsaid.iter().any(|word| arguments.contains(word)) {
            return None;
        }
        match arguments.split_once('(') {
            _ if arguments.starts_with("NullAry") => Some(0),
            Some(("Numeric" | "String" | "Comparable", count)) => within(count).parse().ok(),
            _ => Some(split(arguments).len()),
        }
    });
    let counts: BTreeSet<usize> = counts.collect::<Option<_>>()?;
    (!counts.is_empty()).then_some(counts)
}

/// The text before the bracket that closes it.
fn within(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return &text[..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    text
}

/// The parts of a list, each with its brackets.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), list);
    while !rest.is_empty() {
        let mut depth = 0_usize;
        let end = rest.find(|letter| {
            match letter {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            letter == ',' && depth == 0
        });
        let (part, behind) = end.map_or((rest, ""), |end| (&rest[..end], rest[end + 1..].trim_start()));
        parts.push(part);
        rest = behind;
    }
    parts
}
