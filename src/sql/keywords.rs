//! The words of the language, for suggestions.

/// Words that begin a statement which is accepted.
pub(super) const STATEMENTS: &[&str] = &[
    "COPY", "CREATE", "DESC", "DESCRIBE", "DROP", "EXPLAIN", "FROM", "INSERT", "RESET", "SELECT", "SET", "SHOW",
    "VALUES", "WITH",
];

/// What EXPLAIN may be asked for. Which of them can be answered is for the planner to say.
pub(super) const EXPLAIN_KINDS: &[&str] = &[
    "ANALYZE",
    "CHANGELOG",
    "DSTREAM",
    "LINEAGE",
    "LOGICAL",
    "PHYSICAL",
    "STATE",
    "UPGRADE",
];

/// The words that people mistype inside statements.
const KEYWORDS: &[&str] = &[
    "ALLOWED",
    "AND",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CHANGES",
    "CLOSE",
    "CREATE",
    "CROSS",
    "CUMULATE",
    "DESC",
    "DESCRIBE",
    "DESCRIPTOR",
    "DISTINCT",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "EVERY",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXTERNAL",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IDLE",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "JOIN",
    "LATE",
    "LATENESS",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCATION",
    "NULL",
    "OFFSET",
    "OPTIONS",
    "ORDER",
    "ORDINALITY",
    "OVER",
    "PARTITION",
    "PRIMARY",
    "REPLACE",
    "RESET",
    "RIGHT",
    "ROWS",
    "SECOND",
    "SELECT",
    "SESSION",
    "SHOW",
    "SINK",
    "SOURCE",
    "STORED",
    "TABLE",
    "TABLES",
    "THEN",
    "TIMEOUT",
    "TUMBLE",
    "UNION",
    "USING",
    "VALUES",
    "VIEW",
    "WATERMARK",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// The keyword that `word` was probably meant to be; `None` when it is one already, or is near to none.
pub fn suggest_keyword(word: &str) -> Option<&'static str> {
    // `INT` is near to `INTO`, and `DATE` to `LATE`.
    let is_type = super::types::TYPE_NAMES
        .iter()
        .any(|name| name.eq_ignore_ascii_case(word));
    if is_type { None } else { closest(word, KEYWORDS) }
}

/// The nearest of `known` within one edit (two from five letters on). Stricter than the ranking of names: this is
/// asked about identifiers that may well be right, so a shared beginning (`order_id`) is not enough.
pub(super) fn closest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let upper = word.to_uppercase();
    let letters = upper.chars().count();
    let longest_word = 12;
    if letters < 3 || letters > longest_word || known.contains(&upper.as_str()) {
        return None;
    }
    let limit = if letters < 5 { 1 } else { 2 };
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&upper, k), *k))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, keyword)| keyword)
}
