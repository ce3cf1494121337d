//! The names that statements with a mistake would have created.

use super::statement::Located;
use super::tokens::Script;
use datafusion::sql::sqlparser::tokenizer::Token;

/// Words that may stand between CREATE and the name.
const BETWEEN: &[&str] = &[
    "OR",
    "REPLACE",
    "EXTERNAL",
    "TEMPORARY",
    "TEMP",
    "TABLE",
    "SOURCE",
    "SINK",
    "VIEW",
    "MATERIALIZED",
    "IF",
    "NOT",
    "EXISTS",
];

/// Per CREATE of a text that is not among its parsed statements, the name and where the statement begins.
pub fn unparsed(text: &str, parsed: &[Located]) -> Vec<(String, usize)> {
    let script = Script::new(text);
    let name_of = |tokens: std::ops::Range<usize>| {
        let start = script.bytes_of(&tokens).start;
        if parsed.iter().any(|located| located.span.start == start) {
            return None;
        }
        let mut words = script.tokens[tokens].iter().map_while(|token| match &token.token {
            Token::Word(word) => Some(word),
            _ => None,
        });
        words
            .next()
            .filter(|first| first.value.eq_ignore_ascii_case("CREATE"))?;
        let is_name = |word: &&_| {
            let word: &datafusion::sql::sqlparser::tokenizer::Word = word;
            word.quote_style.is_some() || !BETWEEN.contains(&word.value.to_ascii_uppercase().as_str())
        };
        words.find(is_name).map(|word| (word.value.clone(), start))
    };
    script.statements().into_iter().filter_map(name_of).collect()
}
