//! Diagnostic notation (RFC 8949 section 8) with names and meanings as comments.

use anstyle::{AnsiColor, Style};

use super::node::{Node, Shape};

/// Writes a tree; byte strings of more than `shown` bytes are cut. Each of `marks` is written before
/// the item that stands at its offset.
pub(crate) fn write(node: &Node<'_>, shown: usize, marks: &[(usize, String)]) -> String {
    let mut writer = Writer {
        out: String::new(),
        shown,
        marks,
    };
    writer.item(node, 0);
    writer.out.push('\n');
    writer.out
}

/// Colours comments, for a terminal.
pub(crate) fn colour(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut inside: Option<char> = None;
    let mut escaped = false;
    for c in text.chars() {
        match inside {
            None if matches!(c, '/' | '"' | '\'' | '#') => {
                if matches!(c, '/' | '#') {
                    out.push_str(&COMMENT.render().to_string());
                }
                out.push(c);
                inside = Some(if c == '#' { '\n' } else { c });
            }
            Some(end) if c == end && !escaped => {
                if c == '\n' {
                    out.push_str(&COMMENT.render_reset().to_string());
                }
                out.push(c);
                if c == '/' {
                    out.push_str(&COMMENT.render_reset().to_string());
                }
                inside = None;
            }
            _ => out.push(c),
        }
        escaped = c == '\\' && !escaped && matches!(inside, Some('"' | '\''));
    }
    out
}

struct Writer<'m> {
    out: String,
    shown: usize,
    marks: &'m [(usize, String)],
}

impl Writer<'_> {
    fn item(&mut self, node: &Node<'_>, level: usize) {
        let here = self.marks.iter().find(|(offset, _)| *offset == node.offset);
        if let Some((offset, mark)) = here {
            let mark = mark.replace('/', "|");
            self.out
                .push_str(&format!("/ >>> at byte {offset}: {mark} <<< / "));
        }
        if let Some(name) = node.name {
            self.out.push_str(&format!("/ {name} / "));
        }
        self.value(node, level);
        if let Some(meaning) = &node.meaning {
            self.out.push_str(&format!(" / {meaning} /"));
        }
    }

    fn value(&mut self, node: &Node<'_>, level: usize) {
        match &node.shape {
            Shape::Integer(number) => self.out.push_str(&number.to_string()),
            Shape::Bytes(bytes) => self.bytes(bytes),
            Shape::Cut(bytes) => {
                self.bytes(bytes);
                self.out.push_str(" / broken off here /");
            }
            Shape::Label(text) => {
                let text = text.replace('\\', "\\\\").replace('\'', "\\'");
                self.out.push_str(&format!("'{text}'"));
            }
            Shape::Embedded(inner) => {
                self.out.push_str("<< ");
                self.item(inner, level);
                self.out.push_str(" >>");
            }
            Shape::Text(text) => self.text(text),
            Shape::Chunks(chunks) => {
                self.out.push_str("(_ ");
                for (index, chunk) in chunks.iter().enumerate() {
                    self.out.push_str(if index > 0 { ", " } else { "" });
                    self.item(chunk, level);
                }
                self.out.push(')');
            }
            Shape::Array { items, indefinite } => self.array(items, *indefinite, level),
            Shape::Commands(commands) => {
                self.out.push('[');
                for (index, (command, argument)) in commands.iter().enumerate() {
                    self.line(index, level + 1);
                    self.item(command, level + 1);
                    if let Some(argument) = argument {
                        self.out.push_str(", ");
                        self.item(argument, level + 1);
                    }
                }
                self.close(commands.is_empty(), ']', level);
            }
            Shape::Map {
                entries,
                indefinite,
            } => {
                self.out.push_str(if *indefinite { "{_" } else { "{" });
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.line(index, level + 1);
                    self.item(key, level + 1);
                    if let Some(value) = value {
                        self.out.push_str(": ");
                        self.item(value, level + 1);
                    }
                }
                self.close(entries.is_empty(), '}', level);
            }
            Shape::Tag(tag, inner) => {
                self.out.push_str(&format!("{tag}("));
                self.item(inner, level);
                self.out.push(')');
            }
            Shape::Float(number) => self.float(*number),
            Shape::Simple(20) => self.out.push_str("false"),
            Shape::Simple(21) => self.out.push_str("true"),
            Shape::Simple(22) => self.out.push_str("null"),
            Shape::Simple(23) => self.out.push_str("undefined"),
            Shape::Simple(number) => self.out.push_str(&format!("simple({number})")),
            Shape::Hidden => self.out.push_str("... / secret, not shown /"),
            Shape::Missing => self.out.push_str("... / broken off here /"),
        }
    }

    /// On one line if its items are simple and few, as most arrays in our messages are.
    fn array(&mut self, items: &[Node<'_>], indefinite: bool, level: usize) {
        self.out.push_str(if indefinite { "[_" } else { "[" });
        let start = self.out.len();
        if items.len() <= MAX_ON_LINE && items.iter().all(|item| item.is_simple(2)) {
            for (index, item) in items.iter().enumerate() {
                self.out.push_str(if index > 0 { ", " } else { "" });
                self.item(item, level);
            }
            if self.out.len() - start + level * INDENT.len() <= LINE {
                self.out.push(']');
                return;
            }
            self.out.truncate(start);
        }
        for (index, item) in items.iter().enumerate() {
            self.line(index, level + 1);
            self.item(item, level + 1);
        }
        self.close(items.is_empty(), ']', level);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let cut = bytes.len() > self.shown;
        let shown = if cut { &bytes[..self.shown] } else { bytes };
        self.out.push_str("h'");
        shown
            .iter()
            .for_each(|byte| self.out.push_str(&format!("{byte:02x}")));
        if cut {
            self.out
                .push_str(&format!("...' / {} bytes /", bytes.len()));
        } else {
            self.out.push('\'');
        }
    }

    /// Text as JSON has it, cut like bytes; characters that steer a terminal are escaped.
    fn text(&mut self, text: &str) {
        let limit = self.shown.saturating_mul(TEXT_FACTOR);
        let cut = text.char_indices().nth(limit).map(|(at, _)| at);
        self.out.push('"');
        for c in text[..cut.unwrap_or(text.len())].chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                c if c.is_control() || is_bidi_control(c) => {
                    let mut units = [0; 2];
                    let units = c.encode_utf16(&mut units);
                    units
                        .iter()
                        .for_each(|unit| self.out.push_str(&format!("\\u{unit:04x}")));
                }
                c => self.out.push(c),
            }
        }
        if cut.is_some() {
            self.out
                .push_str(&format!("...\" / {} bytes /", text.len()));
        } else {
            self.out.push('"');
        }
    }

    fn float(&mut self, number: f64) {
        if number.is_nan() {
            self.out.push_str("NaN");
        } else if number.is_infinite() {
            self.out.push_str(if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
        } else {
            self.out.push_str(&format!("{number:?}"));
        }
    }

    fn line(&mut self, index: usize, level: usize) {
        self.out.push_str(if index > 0 { ",\n" } else { "\n" });
        (0..level).for_each(|_| self.out.push_str(INDENT));
    }

    fn close(&mut self, empty: bool, bracket: char, level: usize) {
        if !empty {
            self.out.push('\n');
            (0..level).for_each(|_| self.out.push_str(INDENT));
        }
        self.out.push(bracket);
    }
}

impl Node<'_> {
    /// Whether it holds no other items, or only a few in so many levels, as a cipher suite does.
    fn is_simple(&self, levels: usize) -> bool {
        match &self.shape {
            Shape::Array { items, .. } => {
                let few = levels > 0 && items.len() <= 4;
                few && items.iter().all(|item| item.is_simple(levels - 1))
            }
            Shape::Embedded(_) | Shape::Chunks(_) | Shape::Commands(_) => false,
            Shape::Map { entries, .. } => entries.is_empty(),
            Shape::Tag(_, inner) => levels > 0 && inner.is_simple(levels - 1),
            _ => true,
        }
    }
}

/// Characters that make a terminal show text in another order than it has.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const COMMENT: Style = AnsiColor::Green.on_default();
const INDENT: &str = "  ";
const LINE: usize = 100;
const MAX_ON_LINE: usize = 8;
/// Text is easier to read than hexadecimal, so more of it is shown.
const TEXT_FACTOR: usize = 4;
