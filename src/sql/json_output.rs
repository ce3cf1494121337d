//! `p -> 'a'` as a column of a result: JSON as text. Within an expression its type is left open, so that a cast or a
//! comparison decides it.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr,
    Ident, ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The function that gives a part of a JSON text as it is written there.
const AS_WRITTEN: &str = "json_get_json";

/// Makes text of JSON that is a column, a key of GROUP BY, or a key of ORDER BY.
pub fn as_text(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            keys.iter_mut().for_each(|key| text(&mut key.expr));
        }
        each(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn each(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => columns(select),
        SetExpr::SetOperation { left, right, .. } => {
            each(left);
            each(right);
        }
        _ => {}
    }
}

fn columns(select: &mut Select) {
    for item in &mut select.projection {
        match item {
            // The column is called as it was written.
            SelectItem::UnnamedExpr(expr) if is_access(expr) => {
                let alias = Ident::with_quote('"', expr.to_string());
                let mut expr = expr.clone();
                text(&mut expr);
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { expr, .. } => text(expr),
            _ => {}
        }
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.iter_mut().for_each(text);
    }
}

fn is_access(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_access(inner),
        Expr::BinaryOp { op, .. } => *op == BinaryOperator::Arrow,
        _ => false,
    }
}

fn text(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => text(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Arrow,
            right,
        } => {
            let arguments = [left.as_ref().clone(), right.as_ref().clone()];
            *expr = as_written(arguments);
        }
        _ => {}
    }
}

fn as_written(arguments: [Expr; 2]) -> Expr {
    let args = arguments.map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(AS_WRITTEN)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
