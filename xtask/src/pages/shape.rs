//! What stays the same of an output from run to run.

use std::collections::BTreeMap;

/// The output as the page would show it: where the page leaves lines out by a line `…`, so does this. None where its
/// lines have other shapes than those of the page.
pub(super) fn elide(page: &[String], printed: &[String]) -> Option<Vec<String>> {
    let mut shown = Vec::new();
    let mut at = 0;
    let segments: Vec<&[String]> = page.split(|line| line == ELISION).collect();
    let last = segments.len() - 1;
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            shown.push(ELISION.to_string());
            at = if index == last {
                // What stands after the last omission is the end.
                printed
                    .len()
                    .checked_sub(segment.len())
                    .filter(|end| *end >= at)?
            } else {
                let fits =
                    |start: &usize| same(segment, printed.get(*start..*start + segment.len()));
                (at..printed.len()).find(fits)?
            };
        }
        let lines = printed.get(at..at + segment.len());
        if !same(segment, lines) {
            return None;
        }
        shown.extend_from_slice(lines?);
        at += segment.len();
    }
    (at == printed.len()).then_some(shown)
}

fn same(page: &[String], printed: Option<&[String]>) -> bool {
    printed.is_some_and(|printed| {
        page.len() == printed.len()
            && page
                .iter()
                .zip(printed)
                .all(|(page, printed)| of(page) == of(printed))
    })
}

/// A line without numbers, hexadecimal digits and the widths of columns.
fn of(line: &str) -> String {
    let mut shape = String::new();
    for word in words(line) {
        if is_hexadecimal(word) {
            shape.push('#');
        } else if word.trim().is_empty() {
            shape.push(' ');
        } else {
            let mut digits = false;
            for character in word.chars() {
                if !character.is_ascii_digit() {
                    shape.push(character);
                } else if !digits {
                    shape.push('#');
                }
                digits = character.is_ascii_digit();
            }
        }
    }
    shape.trim_end().to_string()
}

/// What keys, digests and the like were called when the page was written, and are called now.
#[derive(Default)]
pub(super) struct Renamed(BTreeMap<String, String>);

impl Renamed {
    /// Notes what stands where the page has something else.
    pub(super) fn learn(&mut self, page: &[String], printed: &[String]) {
        for (page, printed) in page.iter().zip(printed) {
            for (old, new) in words(page).into_iter().zip(words(printed)) {
                let names = old.len() == new.len() && old.len() >= MIN_NAME;
                if old != new && names && is_hexadecimal(old) && is_hexadecimal(new) {
                    self.0.insert(old.to_string(), new.to_string());
                }
            }
        }
    }

    /// The command with the names of now.
    pub(super) fn apply(&self, command: &str) -> String {
        let new = |word| self.0.get(word).map_or(word, String::as_str);
        words(command).into_iter().map(new).collect()
    }
}

/// Runs of letters and digits, runs of spaces, and every other character by itself; together they are the line.
fn words(line: &str) -> Vec<&str> {
    let class = |character: char| match character {
        ' ' => 1,
        other if other.is_alphanumeric() => 2,
        _ => 3,
    };
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = 0;
    for (index, character) in line.char_indices() {
        let now = class(character);
        if index > 0 && (now != before || now == 3) {
            words.push(&line[start..index]);
            start = index;
        }
        before = now;
    }
    words.push(&line[start..]);
    words
}

/// Digits, or digits and letters to f, or so many letters to f that it is no word of the language.
fn is_hexadecimal(word: &str) -> bool {
    let all = word
        .chars()
        .all(|character| matches!(character, '0'..='9' | 'a'..='f'));
    !word.is_empty()
        && all
        && (word.len() >= MIN_NAME || word.chars().any(|character| character.is_ascii_digit()))
}

const ELISION: &str = "…";

/// Shorter runs of hexadecimal letters may be words.
const MIN_NAME: usize = 8;

#[cfg(test)]
mod tests {
    use super::{Renamed, elide, of};

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_string).collect()
    }

    #[test]
    fn keys_numbers_and_widths_have_no_shape() {
        assert_eq!(
            of("key  ec4fdd838618…, 14267 bytes "),
            of("key abababab…, 1 bytes")
        );
        assert_ne!(of("key ec4fdd838618…"), of("name ec4fdd838618…"));
        assert_ne!(of("installed"), of("updated"));
    }

    #[test]
    fn what_the_page_leaves_out_stays_out() {
        let page = lines("a 1\n…\nc\n…\nz 2");
        let printed = lines("a 7\nb\nc\nd\ne\nz 9");
        assert_eq!(elide(&page, &printed), Some(lines("a 7\n…\nc\n…\nz 9")));
        assert_eq!(elide(&page, &lines("a 7\nb\nd\ne\nz 9")), None);
        assert_eq!(elide(&lines("a"), &lines("a\nb")), None);
        assert_eq!(elide(&lines("…\nb"), &lines("a\nb")), Some(lines("…\nb")));
    }

    #[test]
    fn a_command_names_the_key_of_now() {
        let mut renamed = Renamed::default();
        renamed.learn(&lines("key  0123456789ab"), &lines("key  ba9876543210"));
        assert_eq!(
            renamed.apply("teep show 0123456789ab --n 1"),
            "teep show ba9876543210 --n 1"
        );
    }
}
