//! `map[key]`, `list[n]` and `struct['name']`: what stands in the brackets fits what is before them.
//!
//! Owns: [`ElementAccess`], which refuses what cannot fit, and plans computed keys of maps.
//! Does **not** own: names of fields, which the type of the struct judges.

use crate::error::wording::sql_types;
use crate::plan::Refusal;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::functions_nested::expr_fn::{array_element, map_extract};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, cast, lit};

/// Plans brackets behind a value.
#[derive(Debug)]
pub struct ElementAccess;

impl ExprPlanner for ElementAccess {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let Ok(of) = access.expr.get_type(schema) else {
            return Ok(PlannerResult::Original(access));
        };
        let key = match &access.field_access {
            GetFieldAccess::NamedStructField { .. } => DataType::Utf8,
            GetFieldAccess::ListIndex { key } => key.get_type(schema)?,
            GetFieldAccess::ListRange { .. } => return Ok(PlannerResult::Original(access)),
        };
        let name = called(&access.expr);
        match of {
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Ok(PlannerResult::Original(access));
                };
                let of = fields[0].data_type();
                if !fits(&key, of) {
                    let (of, key) = (sql_types(&of.to_string()), sql_types(&key.to_string()));
                    let message = format!("the keys of {name} are {of}, and this one is {key}");
                    let refusal = Refusal::new("type_mismatch", message);
                    return Err(refusal.help(format!("convert it: CAST(… AS {of})")).into());
                }
                match access.field_access {
                    // DataFusion's own way to a value takes texts that are known.
                    GetFieldAccess::ListIndex { key } => {
                        let values = map_extract(access.expr, cast(*key, of.clone()));
                        Ok(PlannerResult::Planned(array_element(values, lit(1_i64))))
                    }
                    _ => Ok(PlannerResult::Original(access)),
                }
            }
            DataType::Struct(_) if key != DataType::Utf8 => {
                let message = format!("{name} is a struct: its fields have names, not numbers");
                let refusal = Refusal::new("type_mismatch", message);
                Err(refusal.help("write the name of a field: s.name, or s['name']").into())
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
                if !key.is_integer() && !key.is_null() =>
            {
                let given = sql_types(&key.to_string());
                let message = format!("{name} is a list: its elements have whole numbers from 1, not {given}");
                Err(Refusal::new("type_mismatch", message).help("write: list[1]").into())
            }
            _ => Ok(PlannerResult::Original(access)),
        }
    }
}

/// Whether a key of one type can be a key of another: texts are not numbers.
fn fits(key: &DataType, of: &DataType) -> bool {
    let both = |is: fn(&DataType) -> bool| is(key) && is(of);
    key.is_null() || key == of || both(DataType::is_string) || both(DataType::is_integer)
}

fn called(value: &Expr) -> String {
    match value {
        Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => format!("`{}`", column.name),
        _ => "this value".to_string(),
    }
}
