//! `(s).a` and `list[1].a`: a field behind a parenthesis or a bracket, spelled as DataFusion reads it.

use datafusion::sql::sqlparser::ast::{self, AccessExpr, Expr, Value, VisitMut};
use std::ops::ControlFlow;

/// Names of fields as texts, wherever DataFusion takes no names: `(s).a` becomes `(s)['a']`.
pub fn by_name(node: &mut impl VisitMut) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(node, |expr| {
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            access_chain.iter_mut().for_each(named);
        }
        ControlFlow::Continue(())
    });
}

fn named(access: &mut AccessExpr) {
    if let AccessExpr::Dot(field) = access
        && let Expr::Identifier(ident) = field
    {
        // Bare names are lower case, as everywhere.
        let name = match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        };
        *field = Expr::Value(Value::SingleQuotedString(name).with_span(ident.span));
    }
}
