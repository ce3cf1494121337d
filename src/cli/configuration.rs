//! Settings from outside: the user's `waterwheel.toml`, that of the folder, `WATERWHEEL_…`, then flags.

use super::report::Reporter;
use super::text::Text;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use waterwheel::EngineBuilder;
use waterwheel::config::Origin;
use waterwheel::error::{Diagnostic, Error, Kind};

const FILE: &str = "waterwheel.toml";
const PREFIX: &str = "WATERWHEEL_";

/// A mistake of the configuration, and the text in which it stands.
pub struct Misconfigured {
    error: Error,
    text: Text,
}

impl Misconfigured {
    pub fn tell(&self, reporter: &Reporter) {
        reporter.error(&self.error, &self.text);
    }
}

impl From<Error> for Misconfigured {
    fn from(error: Error) -> Misconfigured {
        Misconfigured {
            error,
            text: Text::named("", String::new()),
        }
    }
}

/// Puts in what the files and the environment say.
///
/// Errors: a setting that does not exist or a value that it cannot have, with its place; a file that cannot be read.
pub fn configured(mut engine: EngineBuilder) -> Result<EngineBuilder, Misconfigured> {
    for path in users_file().into_iter().chain([PathBuf::from(FILE)]) {
        if let Some(text) = contents(&path)? {
            engine = of_file(engine, &path.display().to_string(), text)?;
        }
    }
    let mut variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    variables.sort();
    for (variable, value) in variables {
        let Some(name) = variable.to_str().and_then(|v| v.strip_prefix(PREFIX)) else {
            continue;
        };
        let variable = format!("{PREFIX}{name}");
        let value = value.into_string();
        let value = value.map_err(|_| Error::refused(format!("{variable}: its value is not text in UTF-8")))?;
        let set = engine.configure(&name.to_lowercase(), &value, Origin::Environment);
        engine = set.map_err(|error| {
            let mut diagnostics = error.diagnostics;
            diagnostics
                .iter_mut()
                .for_each(|d| d.message = format!("{variable}: {}", d.message));
            Error::from_diagnostics(error.kind, diagnostics)
        })?;
    }
    Ok(engine)
}

/// In the folder where programs keep what users configure.
fn users_file() -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let config = directory("XDG_CONFIG_HOME").filter(|d| d.is_absolute());
    let config = config.or_else(|| directory("HOME").map(|home| home.join(".config")))?;
    Some(config.join("waterwheel").join(FILE))
}

/// `None`: there is no such file.
fn contents(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        _ => super::text::read(&path.display().to_string()).map(Some),
    }
}

fn of_file(mut engine: EngineBuilder, name: &str, toml: String) -> Result<EngineBuilder, Misconfigured> {
    let wrong = |mut diagnostics: Vec<Diagnostic>, place: Option<Range<usize>>| {
        diagnostics
            .iter_mut()
            .for_each(|d| d.span = d.span.take().or(place.clone()));
        Misconfigured {
            error: Error::from_diagnostics(Kind::Refused, diagnostics),
            text: Text::named(name, toml.clone()),
        }
    };
    for entry in entries(&toml).map_err(|diagnostic| wrong(vec![diagnostic], None))? {
        let set = engine.configure(&entry.name, &entry.value, Origin::File);
        engine = set.map_err(|error| wrong(error.diagnostics, Some(entry.place)))?;
    }
    Ok(engine)
}

/// A setting in a file.
struct Entry {
    name: String,
    value: String,
    /// The bytes of its name.
    place: Range<usize>,
}

/// The settings of a file, from top to bottom.
///
/// Errors: it is no TOML; a value of a kind that no setting has.
fn entries(toml: &str) -> Result<Vec<Entry>, Diagnostic> {
    let table = DeTable::parse(toml).map_err(|error| {
        // The whole text has no place of its own to show.
        let place = error.span().filter(|span| span.len() < toml.len());
        Diagnostic::error("toml", format!("not TOML: {}", error.message())).maybe_at(place)
    })?;
    let mut entries = Vec::new();
    for (name, value) in table.get_ref() {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            _ => {
                let message = format!("`{}` is neither text nor a whole number", name.get_ref());
                let wrong = Diagnostic::error("toml", message).at(name.span());
                return Err(wrong.help("write a setting as:  interval = \"20ms\""));
            }
        };
        entries.push(Entry {
            name: name.get_ref().to_string(),
            value: text,
            place: name.span(),
        });
    }
    entries.sort_by_key(|entry| entry.place.start);
    Ok(entries)
}
