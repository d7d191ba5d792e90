//! The command `teep`: each subcommand is a module of the same name.

mod certificate;
mod completions;
mod demo;
mod device;
mod exit;
mod http;
mod inspect;
mod key;
mod output;
mod pki;
mod suit;
mod tam;
mod verifier;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{Failure, Fault};

/// Installs, updates, runs and removes Trusted Components over TEEP (RFC 9397)
#[derive(Debug, Parser)]
#[command(name = "teep", version, after_help = exit::EXIT_CODES)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole life of a Trusted Component, on loopback
    Demo(demo::Arguments),
    /// Run a TAM, and work on one that runs
    Tam(tam::Arguments),
    /// Tell the TAM's Verifier of devices
    Verifier(verifier::Arguments),
    /// Work on a device with a software TEE
    Device(Box<device::Arguments>),
    /// Show what TEEP, COSE, SUIT or EAT bytes hold
    Inspect(inspect::Arguments),
    /// Make and show keys
    Key(key::Arguments),
    /// Make certificates and revocation lists, with authorities of one's own
    Pki(pki::Arguments),
    /// Build, show, verify and try SUIT manifests
    Suit(suit::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A server's log is what its operator watches; other commands speak up when something is wrong.
    start_log(match cli.command {
        Command::Tam(_) => "warn,teep_server=info",
        _ => "warn",
    });
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.fault() != Fault::ReaderGone {
                let bad = output::BAD;
                output::note(&format!("{bad}error:{bad:#} {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Tam(args) => tam::run(args),
        Command::Verifier(args) => verifier::run(args),
        Command::Device(args) => device::run(*args),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Pki(arguments) => pki::run(&arguments),
        Command::Suit(arguments) => suit::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// Logs go to standard error; `TEEP_LOG` says which, in the notation of `tracing`: `TEEP_LOG=debug`.
fn start_log(default: &str) {
    let wanted = std::env::var("TEEP_LOG").unwrap_or_else(|_| default.into());
    let filter = wanted
        .parse::<tracing_subscriber::EnvFilter>()
        .unwrap_or_else(|error| {
            output::note(&format!("TEEP_LOG={wanted} is not understood: {error}"));
            default.parse().expect("our own filters are understood")
        });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
