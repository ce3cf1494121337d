//! The SQL dialect: DataFusion's generic one, less what it would parse and then ignore, plus `TABLE t` as an argument.
//!
//! The clauses that only streams have (EMIT, ALLOWED LATENESS …) are not held back here: `query` cuts them off
//! before sqlparser sees the tokens, so that no alias rule of any clause can swallow them.

use datafusion::sql::sqlparser::ast::{
    DictionaryField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Select, SetExpr, TableAlias, TableFactor,
};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::any::TypeId;

/// The function that stands for `t PARTITION BY k` as an argument: the table, then the keys.
pub const PARTITION_BY: &str = "PARTITION BY";

/// How tightly `->` and `->>` bind, between `*` (40) and `::` (50): `p ->> 'a' = 'x'` compares the field.
const JSON_ACCESS: u8 = 45;

/// GenericDialect as sqlparser and DataFusion know it, with the changes that the module names.
#[derive(Debug, Clone, Copy, Default)]
pub struct WaterwheelDialect;

/// The switches that are on. They are those of `GenericDialect`, except for syntax that DataFusion parses and then
/// ignores or never plans (PREWHERE, SETTINGS, FORMAT, LIMIT BY, WITH FILL, INTERPOLATE, CONNECT BY,
/// MATCH_RECOGNIZE, ARRAY JOIN, optimizer hints in comments), and for switches of statements that are not ours.
macro_rules! on {
    ($($switch:ident)*) => { $(fn $switch(&self) -> bool { true })* };
}

impl Dialect for WaterwheelDialect {
    /// sqlparser asks for types in many places (`dialect_of!`): there we are the generic dialect.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    on! {
        supports_unicode_string_literal supports_partition_by_after_order_by supports_group_by_expr
        supports_group_by_with_modifier supports_left_associative_joins_without_parens supports_pipe_operator
        supports_window_function_null_treatment_arg supports_dictionary_syntax
        supports_window_clause_named_window_reference supports_select_wildcard_except support_map_literal_syntax
        allow_extract_custom allow_extract_single_quotes supports_extract_comma_syntax
        supports_parens_around_table_factor supports_values_as_table_factor supports_limit_comma
        supports_from_first_select supports_projection_trailing_commas supports_try_convert
        supports_bitwise_shift_operators supports_named_fn_args_with_assignment_operator supports_struct_literal
        supports_empty_projections supports_nested_comments supports_string_escape_constant
        supports_array_typedef_with_brackets supports_filter_during_aggregation supports_select_wildcard_exclude
        supports_data_type_signed_suffix supports_interval_options supports_quote_delimited_string
        supports_select_wildcard_replace supports_select_wildcard_rename
        supports_comma_separated_trim supports_select_item_multi_column_alias supports_numeric_literal_underscores
    }

    /// `bid PARTITION BY k` as an argument of a window function binds like an operator, looser than all others. `->` and
    /// `->>` bind tighter than all but `::`.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        if matches!(parser.peek_token_ref().token, Token::Arrow | Token::LongArrow) {
            return Some(Ok(JSON_ACCESS));
        }
        let by = matches!(&parser.peek_nth_token_ref(1).token, Token::Word(w) if w.keyword == Keyword::BY);
        (by && parser.peek_keyword(Keyword::PARTITION)).then_some(Ok(1))
    }

    /// `bid PARTITION BY k` and `bid PARTITION BY (k, l)`: a call of `PARTITION BY` with the table and the keys.
    ///
    /// `x IS DISTINCT FROM y OR z`: sqlparser takes all that follows for what x is compared with.
    fn parse_infix(&self, parser: &mut Parser, table: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        use Keyword::{DISTINCT, FROM, IS, NOT};
        let same = parser.parse_keywords(&[IS, NOT, DISTINCT, FROM]);
        if same || parser.parse_keywords(&[IS, DISTINCT, FROM]) {
            let (left, right) = (Box::new(table.clone()), parser.parse_subexpr(precedence));
            return Some(right.map(Box::new).map(|right| match same {
                true => Expr::IsNotDistinctFrom(left, right),
                false => Expr::IsDistinctFrom(left, right),
            }));
        }
        if !parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
            return None;
        }
        Some(partition_keys(parser).map(|keys| partitioned(table.clone(), keys)))
    }

    /// `TABLE bid` as an argument of a function: the name of the relation, as a column would be written.
    ///
    /// `{d: 1}`: sqlparser takes the names d, t and ts for the beginning of a date or time of ODBC.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let is_struct = parser.peek_token_ref().token == Token::LBrace
            && matches!(parser.peek_nth_token_ref(1).token, Token::Word(_))
            && parser.peek_nth_token_ref(2).token == Token::Colon;
        if is_struct {
            return Some(struct_literal(parser));
        }
        let argument = matches!(
            parser.get_current_token().token,
            Token::LParen | Token::Comma | Token::RArrow
        );
        let names_table =
            parser.peek_keyword(Keyword::TABLE) && matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
        (argument && names_table).then(|| {
            parser.advance_token();
            table_argument(parser)
        })
    }
}

fn struct_literal(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LBrace)?;
    let fields = parser.parse_comma_separated(|parser| {
        let key = parser.parse_identifier()?;
        parser.expect_token(&Token::Colon)?;
        let value = Box::new(parser.parse_expr()?);
        Ok(DictionaryField { key, value })
    })?;
    parser.expect_token(&Token::RBrace)?;
    Ok(Expr::Dictionary(fields))
}

fn partition_keys(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    Ok(match parser.parse_expr()? {
        Expr::Tuple(keys) => keys,
        Expr::Nested(key) => vec![*key],
        key => vec![key],
    })
}

/// The call that stands for `table PARTITION BY keys`.
pub fn partitioned(table: Expr, keys: Vec<Expr>) -> Expr {
    call(Ident::new(PARTITION_BY), std::iter::once(table).chain(keys))
}

/// A query that is one SELECT and nothing around it.
pub fn query_of(select: Select) -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// A query in FROM.
pub fn derived(query: Query, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias,
        sample: None,
    }
}

/// A plain call of a function.
pub fn call(function: Ident, arguments: impl IntoIterator<Item = Expr>) -> Expr {
    let arguments = arguments.into_iter();
    let args = arguments.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName::from(vec![function]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    let name = parser.parse_object_name(false)?;
    let mut parts = Vec::with_capacity(name.0.len());
    for part in name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(ident),
            ObjectNamePart::Function(_) => {
                return parser.expected_ref("the name of a table after TABLE", parser.peek_token_ref());
            }
        }
    }
    match <[_; 1]>::try_from(parts) {
        Ok([ident]) => Ok(Expr::Identifier(ident)),
        Err(parts) => Ok(Expr::CompoundIdentifier(parts)),
    }
}
