//! The shell.
use crate::cli::Exit;
use crate::cli::print::Style;
use crate::cli::report::Reporter;
use waterwheel::Engine;
use waterwheel::error::Error;

pub fn main(_engine: Engine, _style: Style, _reporter: Reporter) -> Result<Exit, Error> {
    Err(Error::refused("the shell is not built yet"))
}
