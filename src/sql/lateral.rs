//! Spellings of UNNEST in FROM: `LATERAL UNNEST(list)`, as every UNNEST sees the tables before it, and `range(3)` or
//! `generate_series(1, 3)`, which unnest the list that the function of that name makes.

use super::dialect::call;
use super::group_window::normal;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, TableAlias, TableAliasColumnDef, TableFactor,
    VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Functions of lists that stand in FROM.
const LISTS: [&str; 2] = ["range", "generate_series"];

/// Writes them as UNNEST, wherever they stand. The parser reads LATERAL UNNEST as any function of that name.
pub fn as_unnest(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Relations);
}

struct Relations;

impl VisitorMut for Relations {
    type Break = ();

    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> ControlFlow<()> {
        if let Some(unnest) = list(relation) {
            *relation = unnest;
        }
        if let TableFactor::Function {
            lateral: true,
            name,
            args,
            with_ordinality,
            alias,
        } = relation
            && word(name).is_some_and(|word| word == "unnest")
            && let Some(array_exprs) = args.iter().map(value).collect()
        {
            *relation = TableFactor::UNNEST {
                alias: alias.take(),
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
        ControlFlow::Continue(())
    }
}

/// `range(3) AS r(n)` as UNNEST. Without a name for its column, that is called as the relation is.
fn list(relation: &TableFactor) -> Option<TableFactor> {
    let (name, args, alias, with_ordinality) = match relation {
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            with_ordinality,
            ..
        } => (name, &args.args, alias, with_ordinality),
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } => (name, args, alias, with_ordinality),
        _ => return None,
    };
    let function = word(name).filter(|word| LISTS.contains(&word.as_str()))?;
    let args = args.iter().map(value).collect::<Option<Vec<Expr>>>()?;
    let mut alias = alias.clone().unwrap_or(TableAlias {
        explicit: true,
        name: Ident::new(&function),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        let number = with_ordinality.then(|| Ident::new("ordinality"));
        let names = std::iter::once(alias.name.clone()).chain(number);
        let columns = names.map(|name| TableAliasColumnDef { name, data_type: None });
        alias.columns = columns.collect();
    }
    Some(TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![call(Ident::new(function), args)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    })
}

/// A name of one word, as it counts.
fn word(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(normal),
        _ => None,
    }
}

fn value(arg: &FunctionArg) -> Option<Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}
