//! A page of the book as what is to be done: files to write, commands to run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A page, cut into text and steps so that it can be written again.
pub(super) struct Page {
    path: PathBuf,
    after: Option<String>,
    pieces: Vec<Piece>,
}

/// What a page consists of.
enum Piece {
    /// Lines that stay as they are.
    Text(String),
    Step(Step),
    /// What stands in the page and is also a step (a file's content, a hidden command).
    Told(String, Step),
}

/// What is done.
pub(super) enum Step {
    /// A file of the reader's.
    File { name: String, content: String },
    /// A command out of sight.
    Run { line: usize, command: String },
    /// A command that the page shows.
    Command(Shown),
}

/// A command in a console block, and what it prints.
pub(super) struct Shown {
    /// Where it stands, for messages.
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) output: Vec<String>,
    pub(super) background: bool,
}

impl Page {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut page = Self {
            path: path.to_path_buf(),
            after: None,
            pieces: Vec::new(),
        };
        page.cut(&text)?;
        Ok(page)
    }

    pub(super) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// The page that this one goes on from.
    pub(super) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    pub(super) fn commands(&self) -> usize {
        let is_shown = |piece: &&Piece| matches!(piece, Piece::Step(Step::Command(_)));
        self.pieces.iter().filter(is_shown).count()
    }

    pub(super) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        self.pieces.iter_mut().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Step(step) | Piece::Told(_, step) => Some(step),
        })
    }

    /// Writes the page with the commands and outputs that its steps have now.
    pub(super) fn write(&self) -> Result<(), String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(lines) | Piece::Told(lines, _) => text.push_str(lines),
                Piece::Step(Step::Command(shown)) => {
                    writeln!(text, "$ {}", shown.command).expect("a string takes everything");
                    for line in &shown.output {
                        writeln!(text, "{line}").expect("a string takes everything");
                    }
                }
                Piece::Step(_) => {}
            }
        }
        fs::write(&self.path, text).map_err(|error| format!("{}: {error}", self.path.display()))
    }

    fn cut(&mut self, text: &str) -> Result<(), String> {
        let mut lines = text.lines().enumerate();
        let mut next = Next::Nothing;
        while let Some((index, line)) = lines.next() {
            self.text(line);
            if let Some(comment) = line
                .strip_prefix("<!-- ")
                .and_then(|rest| rest.strip_suffix(" -->"))
            {
                next = self.comment(comment, index + 1, next)?;
            } else if let Some(language) = line.strip_prefix("```") {
                let block: Vec<(usize, &str)> = lines
                    .by_ref()
                    .take_while(|(_, line)| *line != "```")
                    .collect();
                self.block(
                    language,
                    &block,
                    std::mem::replace(&mut next, Next::Nothing),
                );
                self.text("```");
            }
        }
        match next {
            Next::Nothing => Ok(()),
            _ => Err(format!(
                "{}: the last comment has no block after it",
                self.name()
            )),
        }
    }

    fn comment(&mut self, comment: &str, line: usize, next: Next) -> Result<Next, String> {
        let (word, rest) = comment.split_once(": ").unwrap_or((comment, ""));
        match word {
            "after" => self.after = Some(rest.to_string()),
            "run" => {
                let told = self.untold();
                self.pieces.push(Piece::Told(
                    told,
                    Step::Run {
                        line,
                        command: rest.to_string(),
                    },
                ));
            }
            "file" => return Ok(Next::File(rest.to_string())),
            "background" => return Ok(Next::Background),
            "not run" => return Ok(Next::Left),
            _ => {
                return Err(format!(
                    "{}:{line}: unknown direction `{comment}`",
                    self.name()
                ));
            }
        }
        Ok(next)
    }

    fn block(&mut self, language: &str, block: &[(usize, &str)], next: Next) {
        if language != "console" || matches!(next, Next::Left) {
            let content: String = block.iter().flat_map(|(_, line)| [*line, "\n"]).collect();
            match next {
                Next::File(name) => {
                    let told = self.untold() + &content;
                    self.pieces
                        .push(Piece::Told(told, Step::File { name, content }));
                }
                _ => self.pieces.push(Piece::Text(content)),
            }
            return;
        }
        for (index, line) in block {
            match (line.strip_prefix("$ "), self.pieces.last_mut()) {
                (Some(command), _) => self.pieces.push(Piece::Step(Step::Command(Shown {
                    line: index + 1,
                    command: command.to_string(),
                    output: Vec::new(),
                    background: matches!(next, Next::Background),
                }))),
                (None, Some(Piece::Step(Step::Command(shown)))) => {
                    shown.output.push((*line).to_string())
                }
                (None, _) => self.text(line),
            }
        }
    }

    fn text(&mut self, line: &str) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.push_str(line);
            text.push('\n');
        } else {
            self.pieces.push(Piece::Text(format!("{line}\n")));
        }
    }

    /// Takes the text that was added last, to stand with a step.
    fn untold(&mut self) -> String {
        match self.pieces.pop() {
            Some(Piece::Text(text)) => text,
            Some(other) => {
                self.pieces.push(other);
                String::new()
            }
            None => String::new(),
        }
    }
}

/// What a comment says of the next block.
enum Next {
    Nothing,
    File(String),
    Background,
    Left,
}

#[cfg(test)]
mod tests {
    use super::{Page, Step};
    use std::path::PathBuf;

    const TEXT: &str = "# A page\n\n<!-- after: first.md -->\n<!-- file: a.toml -->\n```toml\nx = 1\n```\n\n<!-- run: cp a.toml b.toml -->\n\n\
        ```console\n$ cat b.toml\nx = 1\n$ false\n[exit code 1]\n```\n\n<!-- not run: it would go on for ever -->\n```console\n$ yes\n```\n";

    fn page(text: &str) -> Page {
        let mut page = Page {
            path: PathBuf::from("page.md"),
            after: None,
            pieces: Vec::new(),
        };
        page.cut(text).unwrap();
        page
    }

    #[test]
    fn a_page_is_cut_into_its_steps() {
        let mut page = page(TEXT);
        assert_eq!(page.after(), Some("first.md"));
        assert_eq!(page.commands(), 2);
        let steps: Vec<String> = page
            .steps_mut()
            .map(|step| match step {
                Step::File { name, content } => format!("{name}: {content}"),
                Step::Run { command, .. } => format!("run {command}"),
                Step::Command(shown) => format!("{} -> {}", shown.command, shown.output.join("|")),
            })
            .collect();
        assert_eq!(
            steps,
            [
                "a.toml: x = 1\n",
                "run cp a.toml b.toml",
                "cat b.toml -> x = 1",
                "false -> [exit code 1]"
            ]
        );
    }

    #[test]
    fn a_page_is_written_as_it_was_read() {
        let folder = std::env::temp_dir().join(format!("teep-page-{}", std::process::id()));
        let mut page = page(TEXT);
        page.path = folder.clone();
        page.write().unwrap();
        let written = std::fs::read_to_string(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(written, TEXT);
    }
}
