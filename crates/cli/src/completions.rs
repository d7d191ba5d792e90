//! `teep completions`: what a shell needs to complete the command.

use clap::{Args, CommandFactory as _, ValueEnum};

use crate::exit::Failure;
use crate::{Cli, output};

/// Arguments of `teep completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  teep completions bash > ~/.local/share/bash-completion/completions/teep
  teep completions zsh > ~/.zfunc/_teep
  teep completions fish > ~/.config/fish/completions/teep.fish")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "teep", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
