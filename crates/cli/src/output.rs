//! Results to standard output, everything else to standard error.
//!
//! Colour appears on a terminal only (`anstream` takes it out elsewhere and follows `NO_COLOR`). A
//! reader that goes away, as `head` does, ends the command without a word.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::exit::Failure;

/// For errors.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// For names and headings.
pub(crate) const STRONG: Style = Style::new().bold();

/// Writes a result to standard output; a line break is added where it has none at its end.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    written(write!(out, "{text}{end}").and_then(|()| out.flush()))
}

/// Writes a result that is no text to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Writes a result as JSON to standard output, for `--json`.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}"))
}

/// Writes something for a person to standard error: progress, a remark, an error.
pub(crate) fn note(text: &str) {
    // If standard error is closed there is nobody to tell.
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// Lines in columns, each as wide as its widest cell: `[["kid", "ca9e…"], ["algorithm",
/// "ESP256"]]`.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::own(format!("cannot write to standard output: {error}")),
    })
}

/// Reads a file, or standard input for `-`, up to `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let name = if path == Path::new("-") {
        Path::new("standard input")
    } else {
        path
    };
    let failed =
        |error: io::Error| Failure::usage(format!("cannot read {}: {error}", name.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin()
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    if bytes.len() as u64 > limit {
        return Err(Failure::usage(format!(
            "{} has more than {limit} bytes",
            name.display()
        )));
    }
    Ok(bytes)
}

/// Writes a new file, never over an old one; `secret` makes it readable by its owner only.
pub(crate) fn create(path: &Path, content: &[u8], secret: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "{} exists already: remove it or choose another name",
            path.display()
        )),
        _ => Failure::own(format!("cannot create {}: {error}", path.display())),
    })?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure::own(format!("cannot write {}: {error}", path.display())))
}

/// Replaces a file that others may read, whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    let write = || {
        let mut file = std::fs::File::create(unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(unfinished, path)
    };
    write().map_err(|error| Failure::own(format!("cannot write {}: {error}", path.display())))
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from hexadecimal, two digits each; `None` if it is anything else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    // `from_str_radix` takes a sign, too.
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hexadecimal || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["kid".into(), "ca9e".into()],
            vec!["algorithm".into(), String::new()],
        ];
        assert_eq!(table(&rows), "kid        ca9e\nalgorithm\n");
    }

    #[test]
    fn hexadecimal_is_two_digits_for_each_byte() {
        assert_eq!(unhex(&hex(&[0, 0xa5, 0xff])), Some(vec![0, 0xa5, 0xff]));
        assert_eq!(unhex("A5"), Some(vec![0xa5]));
        for wrong in ["a", "+5", "-5", " 5", "0x", "g0", "\u{e9}"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_old_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        create(&path, b"first", true).unwrap();
        assert_eq!(create(&path, b"second", true).unwrap_err().exit_code(), 2);
        assert_eq!(read(&path, 10).unwrap(), b"first");
        assert_eq!(read(&path, 4).unwrap_err().exit_code(), 2);
    }
}
