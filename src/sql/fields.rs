//! `(s).a`, `list[1].a` and `t.list[1]`: names before and behind a parenthesis or a bracket, spelled as DataFusion reads
//! them.

use datafusion::sql::sqlparser::ast::{self, AccessExpr, Expr, Value, VisitMut};
use std::ops::ControlFlow;

/// Names of fields as texts, wherever DataFusion takes no names: `(s).a` becomes `(s)['a']`. Names before the first bracket
/// are one name, of a column and perhaps of its table: so they stay.
pub fn by_name(node: &mut impl VisitMut) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(node, |expr| {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr {
            qualified(root, access_chain);
            access_chain.iter_mut().for_each(named);
        }
        ControlFlow::Continue(())
    });
}

/// Moves the names that follow a name into one with it.
fn qualified(root: &mut Expr, chain: &mut Vec<AccessExpr>) {
    let Expr::Identifier(first) = root else {
        return;
    };
    let mut names = vec![first.clone()];
    let follow = chain.iter().map_while(|access| match access {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    });
    names.extend(follow);
    chain.drain(..names.len() - 1);
    if names.len() > 1 {
        *root = Expr::CompoundIdentifier(names);
    }
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
