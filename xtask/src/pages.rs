//! `cargo xtask pages`: runs the commands that the book shows, and compares what they print with what stands there.
//!
//! A page tells a story: its ```` ```console ```` blocks run from top to bottom in one shell, in an empty folder. What the reader
//! does between them stands in comments that mdBook does not show:
//!
//! | Comment, on a line of its own | Means |
//! |---|---|
//! | `<!-- after: PAGE -->` | the story goes on where that page's ended |
//! | `<!-- file: NAME -->` | the next fenced block is that file's content |
//! | `<!-- run: COMMAND -->` | done out of sight; it must succeed |
//! | `<!-- background -->` | the next block's command goes on while the others run |
//! | `<!-- not run: WHY -->` | the next block is left as it is |
//!
//! Keys and times differ from run to run, so lines are compared by their [shape]; `--write` puts what was printed
//! into the page.

mod page;
mod shape;
mod shell;

use crate::process::{cargo, run as run_program};
use crate::{root, target_folder};
use page::{Page, Shown, Step};
use shape::Renamed;
use shell::Shell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Instant;

/// Runs the pages that the arguments name, or all; with `--write`, their outputs are renewed.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let write = arguments.contains(&"--write");
    let named: Vec<&str> = arguments
        .iter()
        .filter(|word| !word.starts_with("--"))
        .copied()
        .collect();
    if let Some(unknown) = arguments
        .iter()
        .find(|word| word.starts_with("--") && **word != "--write")
    {
        return Err(format!("`cargo xtask pages` does not know `{unknown}`"));
    }
    run_program(cargo(&root()).args(["build", "--quiet", "--package", "teep-cli"]))?;
    tell(&named, write)
}

/// Runs all pages with the `teep` that was built last.
pub(crate) fn check() -> Result<(), String> {
    tell(&[], false)
}

fn tell(named: &[&str], write: bool) -> Result<(), String> {
    let mut book = Book::read()?;
    let mut faults = 0;
    for last in book.last_pages(named)? {
        faults += book.tell(&last, write)?;
    }
    match (faults, write) {
        (0, _) | (_, true) => Ok(()),
        (1, _) => Err(format!("one command of the book does not print {SHOWN}")),
        _ => Err(format!(
            "{faults} commands of the book do not print {SHOWN}"
        )),
    }
}

/// And what is to be done then.
const SHOWN: &str = "what its page shows; where that is as it should be, `cargo xtask pages --write` renews the pages";

/// The pages with commands to run.
struct Book {
    pages: BTreeMap<String, Page>,
    /// Those that ran in a story that another page goes on with.
    told: BTreeSet<String>,
}

impl Book {
    fn read() -> Result<Self, String> {
        let folder = root().join("docs");
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut pages = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let page = Page::read(&path)?;
                if page.commands() > 0 {
                    pages.insert(page.name(), page);
                }
            }
        }
        Ok(Self {
            pages,
            told: BTreeSet::new(),
        })
    }

    /// The named pages, or those of all with which a story ends.
    fn last_pages(&self, named: &[&str]) -> Result<Vec<String>, String> {
        if let Some(unknown) = named.iter().find(|name| !self.pages.contains_key(**name)) {
            return Err(format!("docs/{unknown} has no commands to run"));
        }
        let goes_on = |name: &str| self.pages.values().any(|page| page.after() == Some(name));
        let wanted = |name: &&String| match named {
            [] => !goes_on(name),
            named => named.contains(&name.as_str()),
        };
        Ok(self.pages.keys().filter(wanted).cloned().collect())
    }

    /// Runs the story that ends with this page; how many of its commands print something else than their pages say.
    fn tell(&mut self, last: &str, write: bool) -> Result<usize, String> {
        TcpListener::bind(TAM).map_err(|error| {
            format!("the book's TAM listens on {TAM}: {error}; stop what uses this address")
        })?;
        let mut shell = Shell::start(&scene(last)?, &target_folder()?.join("debug"))?;
        let mut renamed = Renamed::default();
        let mut faults = 0;
        for name in self.story(last)? {
            let start = Instant::now();
            let page = self
                .pages
                .get_mut(&name)
                .expect("a story is of pages that are there");
            let found = play(page, &mut shell, &mut renamed)?;
            let first_time = self.told.insert(name.clone());
            if !first_time {
                continue;
            }
            for fault in &found {
                eprintln!("{fault}");
            }
            faults += found.len();
            let mark = if found.is_empty() { "✓" } else { "✗" };
            println!(
                "{mark} {name:<32} {:>3} commands  {:>5.1} s",
                page.commands(),
                start.elapsed().as_secs_f32()
            );
            if write {
                page.write()?;
            }
        }
        Ok(faults)
    }

    /// The pages that lead to this one, and itself, from the first.
    fn story(&self, last: &str) -> Result<Vec<String>, String> {
        let mut names = vec![last.to_string()];
        while let Some(before) = self.pages.get(&names[0]).and_then(Page::after) {
            if names.iter().any(|name| name == before) || !self.pages.contains_key(before) {
                return Err(format!(
                    "{}: its story cannot go on after {before}",
                    names[0]
                ));
            }
            names.insert(0, before.to_string());
        }
        Ok(names)
    }
}

/// Runs a page's steps; a message for each command that prints what has another shape.
fn play(page: &mut Page, shell: &mut Shell, renamed: &mut Renamed) -> Result<Vec<String>, String> {
    let name = page.name();
    let mut faults = Vec::new();
    for step in page.steps_mut() {
        match step {
            Step::File { name, content } => shell.file(name, content)?,
            Step::Run { line, command } => {
                let (printed, code) = shell.run(command)?;
                if code != 0 {
                    return Err(format!(
                        "{name}:{line}: `{command}` failed ({code}):\n{}",
                        printed.join("\n")
                    ));
                }
            }
            Step::Command(shown) => {
                shown.command = renamed.apply(&shown.command);
                let printed = printed_by(shown, shell)?;
                let fitting = shape::elide(&shown.output, &printed);
                if fitting.is_none() {
                    faults.push(format!(
                        "{name}:{}: `{}` prints\n  | {}\nwhere the page has\n  | {}",
                        shown.line,
                        shown.command,
                        printed.join("\n  | "),
                        shown.output.join("\n  | ")
                    ));
                }
                let printed = fitting.unwrap_or(printed);
                renamed.learn(&shown.output, &printed);
                shown.output = printed;
            }
        }
    }
    Ok(faults)
}

/// What the command prints, as a page shows it.
fn printed_by(shown: &Shown, shell: &mut Shell) -> Result<Vec<String>, String> {
    if shown.background {
        return shell.start_in_background(&shown.command);
    }
    let (mut printed, code) = shell.run(&shown.command)?;
    if code != 0 {
        printed.push(format!("[exit code {code}]"));
    }
    Ok(printed)
}

/// An empty folder for a page's story.
fn scene(name: &str) -> Result<PathBuf, String> {
    let folder = target_folder()?
        .join("pages")
        .join(name.trim_end_matches(".md"));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Where `teep tam serve` listens if it is not told.
const TAM: &str = "127.0.0.1:8080";
