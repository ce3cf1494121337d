//! What a statement reads without having declared it: files in FROM, and the columns of data.

use super::planning::{Planned, Planning};
use crate::catalog::{Relation, Table};
use crate::dstream::table::{Column, TableSpec};
use crate::error::Diagnostic;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

impl Planning<'_> {
    /// `FROM 'dir/file.parquet'`: a file that is read without having been declared.
    pub(super) fn declare_files(&mut self, query: &ast::Query, statement: &Range<usize>) -> Planned<()> {
        let mut paths = Vec::new();
        let _: ControlFlow<()> = ast::visit_relations(query, |name| {
            if let [ast::ObjectNamePart::Identifier(ident)] = &name.0[..]
                && ident.quote_style == Some('\'')
            {
                paths.push(ident.value.clone());
            }
            ControlFlow::Continue(())
        });
        for path in paths {
            let definition = format!("CREATE TABLE \"{path}\" WITH (connector = 'file', path = '{path}')");
            // Its columns may have changed since an earlier statement read it.
            let read_before =
                |known: &Relation| matches!(known, Relation::Table(table) if table.spec.definition == definition);
            if self.state.catalog.get(&path).is_some_and(|known| !read_before(known)) {
                continue;
            }
            let mut spec = TableSpec {
                name: path.clone(),
                columns: Vec::new(),
                primary_key: Vec::new(),
                watermark: None,
                connector: Some("file".to_string()),
                options: [("path".to_string(), path.clone())].into(),
                is_static: false,
                definition,
            };
            let schema = self.columns_of_data(&spec).map_err(|d| {
                // The parser keeps no places of names in single quotes.
                let written = format!("'{}'", path.replace('\'', "''"));
                let at = self.text.get(statement.clone()).and_then(|text| text.find(&written));
                let at = at.map_or(statement.clone(), |at| {
                    let start = statement.start + at;
                    start..start + written.len()
                });
                vec![d.at(at)]
            })?;
            spec.columns = schema.fields().iter().map(|field| Column::physical(field)).collect();
            self.state.catalog.put(Relation::Table(Table {
                spec: Arc::new(spec),
                readable: true,
                bounded: true,
                replayable: true,
            }));
        }
        Ok(())
    }

    /// The columns of a table that declares none, from its data, which is to be there by now.
    pub(super) fn columns_of_data(&self, spec: &TableSpec) -> Result<SchemaRef, Diagnostic> {
        let Some(path) = spec.options.get("path").filter(|_| self.is_written(spec)) else {
            return infer(spec);
        };
        let message = format!(
            "'{path}' is written by a statement before, and columns that are not declared are taken from data that is \
             there before anything runs"
        );
        let refused = Diagnostic::error("cannot_infer", message);
        Err(refused.help(format!(
            "declare them: CREATE TABLE t (…) WITH (connector = 'file', path = '{path}'), and read t"
        )))
    }
}

/// The columns of a table, from its data.
fn infer(spec: &TableSpec) -> Result<SchemaRef, Diagnostic> {
    let infer = spec
        .connector
        .as_deref()
        .and_then(crate::connectors::find)
        .and_then(|c| c.infer);
    match infer {
        Some(infer) => infer(spec).map_err(|e| Diagnostic::error("cannot_infer", e.message)),
        None => Err(Diagnostic::error(
            "no_columns",
            format!("the columns of `{}` must be declared", spec.name),
        )),
    }
}
