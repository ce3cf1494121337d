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
        ("Duration(ns)", "INTERVAL"),
        ("Duration(µs)", "INTERVAL"),
        ("Duration(ms)", "INTERVAL"),
        ("Duration(s)", "INTERVAL"),
        ("Decimal128", "DECIMAL"),
        ("Decimal256", "DECIMAL"),
    ];
    let named = names
        .iter()
        .fold(message.to_string(), |text, (theirs, sql)| text.replace(theirs, sql));
    lists(named)
}

/// `List(INT)` is `INT[]`.
fn lists(mut message: String) -> String {
    while let Some(start) = message.rfind("List(")
        && let Some(length) = message[start..].find(')')
    {
        let item = message[start + "List(".len()..start + length].to_string();
        message.replace_range(start..=start + length, &format!("{item}[]"));
    }
    message
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
    if let Some(said) = word(message) {
        return said;
    }
    let message = bare(message.lines().next().unwrap_or_default());
    match (value(message), message.strip_prefix("Overflow happened on: ")) {
        (Some((said, _)), _) => said,
        (None, Some(sum)) => format!("overflow: {sum} does not fit into its type"),
        (None, None) => overflow(message).unwrap_or_else(|| sql_types(message)),
    }
}

/// Of a time or a function whose result does not fit.
fn overflow(message: &str) -> Option<String> {
    if message == "Timestamp out of range" || message.starts_with("Date arithmetic overflow") {
        return Some("overflow: the time + or - the INTERVAL is out of range".to_string());
    }
    let (array, call) = message.split_once(" overflow on ")?;
    let to = sql_types(array.strip_suffix("Array")?);
    Some(format!("overflow: {call} does not fit into {to}"))
}

/// Parts of a time that can be taken from it.
const PARTS: &str = "year, quarter, month, week, day, hour, minute, second, millisecond, microsecond, nanosecond, dow, \
                     isodow, doy, epoch";

/// What is wrong with 02:30 on the day on which 03:00 follows 02:00.
pub const LEFT_OUT: &str = "there is no such local time in its time zone: the clocks are put forward over it";

/// What is wrong with a word that a function reads.
fn word(message: &str) -> Option<String> {
    if message.contains("regex parse error") || message.contains("Regular expression did not compile") {
        let reason = message
            .rsplit("error: ")
            .next()
            .and_then(|reason| reason.lines().next());
        return Some(format!("this is no regular expression: {}", reason.unwrap_or_default()));
    }
    if let Some((_, rest)) = message.split_once("Unsupported date_trunc granularity: ")
        && let Some((given, known)) = rest.split_once(". Supported values are: ")
    {
        let known = known.lines().next().unwrap_or_default();
        return Some(format!("a time is cut off at one of {known}, not at {given}"));
    }
    if let Some(given) = between(message, "Date part '", "' not supported") {
        return Some(format!("the part of a time is one of {PARTS}, not '{given}'"));
    }
    if let Some(given) = between(message, "Error parsing timestamp from '", "'") {
        return Some(format!("'{given}' is no time"));
    }
    if message.contains("Cannot cast timezone to different timezone") {
        return Some(LEFT_OUT.to_string());
    }
    if message.contains("Unable to cast to Date32") {
        return Some("the text is no DATE".to_string());
    }
    if let Some(given) = between(message, "Invalid timezone \"", "\"") {
        return Some(format!("there is no time zone '{given}'"));
    }
    None
}

/// The words of which a message says that one of them belongs there.
pub fn choices(message: &str) -> impl Iterator<Item = &str> {
    let starts = [" one of ", " encodings are: ", " algorithms are: "];
    let list = starts.iter().find_map(|start| message.split_once(start));
    let list = list.map_or("", |(_, list)| list.split(", not ").next().unwrap_or(list));
    list.split(", ").filter(|word| !word.is_empty())
}

/// The part of a message behind `start` and before `end`.
pub fn between<'a>(message: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &message[message.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}
