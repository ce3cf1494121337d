//! Which files a path means.

use super::bytes::KnownFile;
use crate::error::{Error, Result, nearest};
use std::path::{Path, PathBuf};

/// The files of a path, sorted by name: one file, all files of a directory and of its folders called `a=1`, or those that
/// a glob matches. Files that their writers hide, by a name that begins with `.` or `_`, are left out unless the path
/// asks for them.
///
/// Errors: there is none; the message names the nearest file.
pub fn find_files(path: &str) -> Result<Vec<KnownFile>> {
    let found = files_now(path)?;
    let as_path = Path::new(path);
    if found.is_empty() && !is_glob(path) && !as_path.is_dir() {
        return Err(no_such_file(as_path));
    }
    if found.is_empty() {
        let message = match Path::new(path).is_dir() {
            false if path.ends_with('/') => {
                format!("{path} matches directories and no file: write path = '{path}*' to read the files in them")
            }
            true => format!(
                "{path} holds no file. Folders below it are read when their names are as in `a=1`; to read others, write \
                 path = '{}/*/*'",
                path.trim_end_matches('/')
            ),
            false => format!("{path} matches no file"),
        };
        return Err(Error::connector(message));
    }
    Ok(found)
}

/// The same for a path that may gain files: a directory or glob may have none yet, and a file of that name may come.
///
/// Errors: there is no such directory.
pub fn files_now(path: &str) -> Result<Vec<KnownFile>> {
    let as_path = Path::new(path);
    let mut found = if as_path.is_dir() {
        files_of(as_path)?
    } else if as_path.exists() {
        vec![as_path.to_path_buf()]
    } else if is_glob(path) {
        matching(path)?
    } else if directory_of(as_path).is_dir() && !path.ends_with('/') {
        Vec::new()
    } else {
        return Err(no_such_file(as_path));
    };
    found.sort();
    found.iter().map(|path| KnownFile::find(path)).collect()
}

/// Whether a path that is no file matches some.
pub fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |e: std::io::Error| Error::connector(format!("{}: {e}", directory.display())).because(e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if is_hidden(&path) {
            continue;
        }
        // A link to a folder may lead in a circle.
        let is_folder = entry.file_type().map_err(unreadable)?.is_dir();
        if is_folder && entry.file_name().to_string_lossy().contains('=') {
            found.extend(files_of(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern).map_err(|e| Error::connector(format!("{pattern}: {}", e.msg)).because(e))?;
    let asked_for = is_hidden(Path::new(pattern));
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|e| Error::connector(e.to_string()).because(e))?;
        if path.is_file() && (asked_for || !is_hidden(&path)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Files of other programs' bookkeeping too: `_SUCCESS`, `_metadata`.
fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']))
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn no_such_file(path: &Path) -> Error {
    let shown = path.display();
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Error::connector(format!(
            "{shown} does not exist: there is no directory {}",
            directory.display()
        ));
    }
    let wrong = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    // What would be read: files, and directories that hold some.
    let is_read = |found: &PathBuf| match found.is_dir() {
        true => files_of(found).is_ok_and(|files| !files.is_empty()),
        false => found.is_file() && !is_hidden(found),
    };
    let listed = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let found = listed.map(|entry| entry.path()).filter(is_read);
    let names = found.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect();
    match nearest(&wrong, names.iter().map(String::as_str)).first() {
        Some(best) => {
            let better = path.with_file_name(best);
            Error::connector(format!("{shown} does not exist; did you mean `{}`?", better.display()))
        }
        None => Error::connector(format!("{shown} does not exist")),
    }
}
