//! Where lines are remembered: the user's state directory, never the current one.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// The file, in a directory that only its user may enter; `None` when the user has no home. rustyline gives the file
/// itself mode 0600.
pub fn file() -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = directory("XDG_STATE_HOME").filter(|d| d.is_absolute());
    let state = state.or_else(|| directory("HOME").map(|home| home.join(".local/state")))?;
    let ours = state.join("waterwheel");
    DirBuilder::new().recursive(true).mode(0o700).create(&ours).ok()?;
    Some(ours.join("history"))
}
