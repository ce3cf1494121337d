//! Which files a table is made of, and how they are to be read.
//!
//! Owns: what the suffixes of several files mean together. Guarantees: no file is read in a format that its suffix
//! contradicts, unless the table names one. Does **not** guarantee: that suffixes tell the truth.

use super::bytes::KnownFile;
use super::paths::{files_now, find_files};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::formats::table::{format_of, suffix};
use crate::formats::{Compression, Format, Packing, bool_option, resolve_format};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The files of a table, and how they are written. Without a format of its own a table goes by the suffix of its first
/// file, with which the others must agree; when it is followed it may have none yet, and goes by what was declared.
///
/// Errors: there is no such file; their suffixes tell several formats, or none; an option has a value that it cannot
/// have.
pub fn locate(spec: &TableSpec) -> Result<(Vec<KnownFile>, Format, Packing)> {
    let path = path_of(spec)?;
    let files = match bool_option(spec, "follow", false)? {
        true => files_now(path)?,
        false => find_files(path)?,
    };
    agree(spec, &files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>())?;
    let first = files.first().map_or(path, |f| f.name.as_str());
    let format = resolve_format(&named(spec, first))?;
    let packing = match format {
        _ if format.is_binary() => Packing::All(Compression::None),
        _ => Packing::of(spec)?,
    };
    Ok((files, format, packing))
}

/// Errors: there is none, or it is an address.
pub fn path_of(spec: &TableSpec) -> Result<&str> {
    let missing = || Error::refused(format!("`{}`: connector 'file' needs a path", spec.name));
    let path = spec.options.get("path").map(String::as_str).ok_or_else(missing)?;
    let is_scheme = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match path.split_once("://") {
        Some(("file", path)) => Err(Error::refused(format!("file://{path}: write the path alone, '{path}'"))),
        Some((scheme, _)) if is_scheme(scheme) => Err(Error::refused(format!(
            "{path}: only files of this machine are read and written, and {scheme}:// is none: copy it, or mount it"
        ))),
        _ => Ok(path),
    }
}

/// The table as if it were this file alone.
fn named(spec: &TableSpec, file: &str) -> TableSpec {
    let mut named = spec.clone();
    named.options.insert("path".into(), file.to_string());
    named
}

/// Refuses files, given by their names, that are not all of one kind by their suffixes, where nothing else tells it. A CSV
/// with tabs is of another kind than one with commas.
pub fn agree(spec: &TableSpec, files: &[&str]) -> Result<()> {
    if spec.options.contains_key("format") {
        return Ok(());
    }
    let delimited = spec.options.contains_key("delimiter");
    let kind = |suffix: &str| match suffix {
        "tsv" if !delimited => Some("tsv"),
        _ => format_of(&BTreeMap::from([("path".to_string(), format!(".{suffix}"))])),
    };
    let suffixes: BTreeSet<&str> = files.iter().map(|name| suffix(name)).collect();
    let kinds: BTreeSet<Option<&str>> = suffixes.iter().map(|suffix| kind(suffix)).collect();
    if kinds.len() < 2 {
        return Ok(());
    }
    let path = path_of(spec)?;
    let shown = |suffix: &&str| match suffix.is_empty() {
        true => "no suffix".to_string(),
        false => format!(".{suffix}"),
    };
    let known = suffixes.iter().find(|suffix| kind(suffix).is_some());
    let directory = match Path::new(path).is_dir() {
        true => Some(Path::new(path)),
        false => Path::new(path).parent(),
    };
    let packed = files
        .iter()
        .any(|name| Packing::BySuffix.of_file(name) != Compression::None);
    let narrower = format!("*.{}{}", known.unwrap_or(&"csv"), if packed { "*" } else { "" });
    let narrower = directory.unwrap_or(Path::new("")).join(narrower);
    Err(Error::refused(format!(
        "{path} holds files that are not all of one format: {}. Set format to read them all alike, or read some of \
         them, as in path = '{}'",
        suffixes.iter().map(shown).collect::<Vec<_>>().join(", "),
        narrower.display()
    )))
}
