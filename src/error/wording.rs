//! What DataFusion and Arrow say, in the words of SQL: their names of parts and types taken out, values that do not fit.

/// The message without the names of the parts of DataFusion that it went through.
pub fn bare(message: &str) -> &str {
    let parts = [
        "Error during planning: ",
        "Internal error: ",
        "Execution error: ",
        "Arrow error: ",
        "Parser error: ",
        "Cast error: ",
        "Invalid argument error: ",
        "Schema error: ",
        "This feature is not implemented: ",
    ];
    let shorter = parts.iter().find_map(|part| message.strip_prefix(part));
    shorter.map_or(message, bare)
}

/// SQL's names for the types that a message quotes.
pub fn sql_types(message: &str) -> String {
    let names = [
        ("Utf8View", "VARCHAR"),
        ("LargeUtf8", "VARCHAR"),
        ("Utf8", "VARCHAR"),
        ("UInt64", "BIGINT UNSIGNED"),
        ("UInt32", "INT UNSIGNED"),
        ("UInt16", "SMALLINT UNSIGNED"),
        ("UInt8", "TINYINT UNSIGNED"),
        ("Int64", "BIGINT"),
        ("Int32", "INT"),
        ("Int16", "SMALLINT"),
        ("Int8", "TINYINT"),
        ("Float64", "DOUBLE"),
        ("Float32", "FLOAT"),
        ("Date32", "DATE"),
        ("Boolean", "BOOLEAN"),
        ("Timestamp(ns)", "TIMESTAMP"),
        ("Timestamp(µs)", "TIMESTAMP(6)"),
        ("Timestamp(ms)", "TIMESTAMP(3)"),
        ("Timestamp(s)", "TIMESTAMP(0)"),
        ("Time64(ns)", "TIME"),
        ("Time64(µs)", "TIME(6)"),
        ("Time32(ms)", "TIME(3)"),
        ("Time32(s)", "TIME(0)"),
        ("Interval(MonthDayNano)", "INTERVAL"),
        ("Decimal128", "DECIMAL"),
        ("Decimal256", "DECIMAL"),
    ];
    names
        .iter()
        .fold(message.to_string(), |text, (theirs, sql)| text.replace(theirs, sql))
}

/// What is wrong with a value, and the value, if that is what a message says.
pub fn value(message: &str) -> Option<(String, &str)> {
    let text = between(message, "Cannot cast string '", "'").or_else(|| between(message, "Cannot cast value '", "'"));
    if let Some(text) = text {
        let wanted = between(message, "to value of ", " type").map_or("such value".to_string(), sql_types);
        return Some((format!("'{text}' is no {wanted}"), text));
    }
    let bounds = [("large", "Max", "most"), ("small", "Min", "least")];
    for (too, bound, last) in bounds {
        if let Some((number, rest)) = message.split_once(&format!(" is too {too} to store in a "))
            && let Some((_, bound)) = rest.split_once(&format!(" {bound} is "))
        {
            return Some((format!("{number} does not fit: the {last} is {bound}"), number));
        }
    }
    let number = between(message, "Can't cast value ", " to type ")?;
    let wanted = message.rsplit(" to type ").next().map(sql_types)?;
    Some((format!("{number} does not fit into {wanted}"), number))
}

/// A message about values in the words of SQL.
pub fn plain(message: &str) -> String {
    let message = bare(message);
    match (value(message), message.strip_prefix("Overflow happened on: ")) {
        (Some((said, _)), _) => said,
        (None, Some(sum)) => format!("the result of {sum} does not fit into its type"),
        (None, None) => sql_types(message),
    }
}

/// The part of a message behind `start` and before `end`.
pub fn between<'a>(message: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &message[message.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}
