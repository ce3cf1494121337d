//! Settings from files, the environment and flags: which one wins, and how mistakes are told.

use crate::cli::{stderr, stdout};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder to run in, with `here` and `home` as the two `waterwheel.toml`, where they are given.
fn folder(here: Option<&str>, home: Option<&str>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    if let Some(text) = here {
        write(&folder.path().join("waterwheel.toml"), text);
    }
    if let Some(text) = home {
        write(&folder.path().join("home/.config/waterwheel/waterwheel.toml"), text);
    }
    folder
}

fn run(folder: &TempDir, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waterwheel"))
        .current_dir(folder.path())
        .env_remove("WATERWHEEL_SEED")
        .env_remove("WATERWHEEL_LONG")
        .env_remove("XDG_CONFIG_HOME")
        .env("HOME", folder.path().join("home"))
        .envs(variables.iter().copied())
        .args(arguments)
        .output()
        .expect("the program runs")
}

/// The value and the source of a setting, each time that the SQL shows it.
fn shown(folder: &TempDir, variables: &[(&str, &str)], flags: &[&str], sql: &str) -> Vec<String> {
    let arguments = [flags, &["--format", "csv", "--no-header", "-c", sql]].concat();
    let out = run(folder, variables, &arguments);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let line = |line: &str| line.split(',').skip(1).take(2).collect::<Vec<_>>().join(",");
    stdout(&out).lines().map(line).collect()
}

#[test]
fn the_nearest_one_wins_and_show_names_it() {
    let show = "SHOW interval";
    let nothing = folder(None, None);
    assert_eq!(shown(&nothing, &[], &[], show), ["10ms,default"]);
    let home = folder(None, Some("interval = \"40ms\"\n"));
    assert_eq!(shown(&home, &[], &[], show), ["40ms,waterwheel.toml"]);
    let both = folder(
        Some("interval = '30ms' # here\nkept_rows = 1_000\n"),
        Some("interval = \"40ms\"\n"),
    );
    assert_eq!(shown(&both, &[], &[], show), ["30ms,waterwheel.toml"]);
    assert_eq!(shown(&both, &[], &[], "SHOW kept_rows"), ["1000,waterwheel.toml"]);
    let variable = [("WATERWHEEL_INTERVAL", "20ms")];
    assert_eq!(shown(&both, &variable, &[], show), ["20ms,environment"]);
    assert_eq!(shown(&both, &variable, &["--interval", "15ms"], show), ["15ms,flag"]);
    assert_eq!(
        shown(&both, &variable, &["--set", "interval=16ms"], show),
        ["16ms,flag"]
    );
    assert_eq!(
        shown(
            &both,
            &variable,
            &[],
            "SET interval = '5ms'; SHOW interval; RESET interval; SHOW interval"
        ),
        ["5ms,SET", "20ms,environment"]
    );
    assert_eq!(
        shown(
            &both,
            &[],
            &[],
            "SET interval = '5ms'; SET seed = 7; RESET ALL; SHOW interval; SHOW seed"
        ),
        ["30ms,waterwheel.toml", "0,default"]
    );
}

#[test]
fn mistakes_of_the_configuration_have_their_place() {
    let told = |here: &str, variables: &[(&str, &str)]| {
        let out = run(&folder(Some(here), None), variables, &["-c", "SELECT 1"]);
        assert_eq!(
            (out.status.code(), stdout(&out).as_str()),
            (Some(2), ""),
            "{}",
            stderr(&out)
        );
        stderr(&out)
    };
    let unknown = told("# mine\nintervall = \"5ms\"\n", &[]);
    assert!(
        unknown.starts_with("waterwheel.toml:2:1: error[unknown_setting]: there is no setting `intervall`"),
        "{unknown}"
    );
    assert!(unknown.contains("help: did you mean `interval`?"), "{unknown}");
    let value = told("seed = 1\n\n  parallelism = \"many\"\n", &[]);
    assert!(
        value.starts_with("waterwheel.toml:3:3: error[setting_value]: `parallelism` takes"),
        "{value}"
    );
    let other = told("[engine]\ninterval = \"5ms\"\n", &[]);
    assert!(
        other.starts_with("waterwheel.toml:1:2: error[toml]: `engine` is neither text nor a whole number"),
        "{other}"
    );
    let twice = told("seed = 1\nseed = 2\n", &[]);
    assert!(
        twice.starts_with("waterwheel.toml:2:1: error[toml]: not TOML: duplicate key"),
        "{twice}"
    );
    let variable = told("", &[("WATERWHEEL_INTERVALL", "5ms")]);
    assert!(
        variable.starts_with("error[unknown_setting]: WATERWHEEL_INTERVALL: there is no setting"),
        "{variable}"
    );
    assert!(variable.contains("did you mean `interval`?"), "{variable}");
    let value = told("", &[("WATERWHEEL_INTERVAL", "soon")]);
    assert!(
        value.starts_with("error[setting_value]: WATERWHEEL_INTERVAL: `interval` takes a duration"),
        "{value}"
    );
}
