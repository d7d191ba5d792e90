//! `cargo xtask requirements`: how far the code covers the specifications.
//!
//! | State | When |
//! |---|---|
//! | tested | a test's doc comment says `Proves: T-042` |
//! | implemented | a comment outside of tests cites the number, at the check |
//! | not applicable | `docs/not-applicable.md` gives a reason |
//! | missing | none of these |
//!
//! A requirement that is neither tested nor listed as not applicable is unproved, and a failure, but for those of the texts that
//! are still to be implemented: there, what was proved has to stay so.
//!
//! The numbers and what they ask for come from the checklists, which lie beside the project (or where `TEEP_SPEC` says).

mod checklist;
mod citations;
mod gate;
mod snapshot;
mod table;

use crate::root;
use citations::Citations;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Prints the table and writes the snapshot; with `--check` compares the snapshot, with `--missing` prints only what is unproved.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let mode = match arguments {
        [] => Mode::Write,
        ["--check"] => Mode::Check,
        ["--missing"] => Mode::Missing,
        other => {
            return Err(format!(
                "`cargo xtask requirements` does not know `{}`",
                other.join(" ")
            ));
        }
    };
    let specification =
        std::env::var_os("TEEP_SPEC").map_or_else(|| root().join("../shared/spec"), PathBuf::from);
    if !specification.is_dir() {
        println!(
            "requirements: SKIPPED, {} is not there (TEEP_SPEC may name another folder)",
            specification.display()
        );
        return Ok(());
    }

    let gists = checklist::read(&specification)?;
    let citations = citations::read(&root().join("crates"))?;
    let reasons = not_applicable(&root().join("docs/not-applicable.md"))?;
    let requirements = settle(&gists, &citations, &reasons)?;
    let path = root().join("docs/requirements.txt");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let now = snapshot::write(&requirements);
    let unproved = gate::unproved(&requirements, &snapshot::tested(&committed));

    match mode {
        Mode::Missing => {
            table::print_rows(&unproved);
            return gate::verdict(&unproved);
        }
        Mode::Check => {
            let changes = snapshot::changes(&committed, &now);
            if !changes.is_empty() {
                return Err(format!(
                    "docs/requirements.txt is out of date; `make requirements` writes it anew:\n{}",
                    changes.join("\n")
                ));
            }
        }
        Mode::Write => {
            table::print_rows(&requirements.iter().collect::<Vec<_>>());
            gate::ratchet(&unproved)?;
            fs::create_dir_all(root().join("docs"))
                .and_then(|()| fs::write(&path, now))
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        }
    }
    table::print_totals(&requirements);
    gate::verdict(&unproved)
}

enum Mode {
    Write,
    Check,
    Missing,
}

/// One requirement of a specification.
struct Requirement {
    number: String,
    gist: String,
    state: State,
    /// The tests that prove it, sorted.
    tests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Tested,
    Implemented,
    NotApplicable,
    Missing,
}

impl State {
    const ALL: [Self; 4] = [
        Self::Tested,
        Self::Implemented,
        Self::NotApplicable,
        Self::Missing,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Tested => "tested",
            Self::Implemented => "implemented",
            Self::NotApplicable => "not applicable",
            Self::Missing => "missing",
        }
    }
}

/// Number to gist, or to reason.
type Texts = BTreeMap<String, String>;

fn settle(
    gists: &Texts,
    citations: &Citations,
    reasons: &Texts,
) -> Result<Vec<Requirement>, String> {
    let mut faults = Vec::new();
    let cited: BTreeMap<&String, &String> = citations
        .implemented
        .iter()
        .chain(&citations.places)
        .collect();
    for (number, place) in &cited {
        if !gists.contains_key(*number) {
            faults.push(format!("{place}: there is no requirement {number}"));
        }
    }
    for number in reasons.keys() {
        if !gists.contains_key(number) {
            faults.push(format!(
                "docs/not-applicable.md: there is no requirement {number}"
            ));
        } else if let Some(place) = cited.get(number) {
            faults.push(format!(
                "docs/not-applicable.md lists {number}, but {place} covers it"
            ));
        }
    }
    if !faults.is_empty() {
        return Err(format!(
            "requirement numbers do not agree:\n  {}",
            faults.join("\n  ")
        ));
    }
    let requirement = |(number, gist): (&String, &String)| {
        let tests: BTreeSet<String> = citations.tests.get(number).cloned().unwrap_or_default();
        let state = if !tests.is_empty() {
            State::Tested
        } else if citations.implemented.contains_key(number) {
            State::Implemented
        } else if reasons.contains_key(number) {
            State::NotApplicable
        } else {
            State::Missing
        };
        let tests = tests.into_iter().collect();
        Requirement {
            number: number.clone(),
            gist: gist.clone(),
            state,
            tests,
        }
    };
    Ok(gists.iter().map(requirement).collect())
}

/// Lines of the form `- T-001, T-005: reason`.
fn not_applicable(path: &Path) -> Result<Texts, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let mut reasons = Texts::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("- ")) {
        let (numbers, reason) = line.split_once(": ").unwrap_or((line, ""));
        let numbers = numbers_in(numbers);
        if numbers.is_empty() || reason.trim().is_empty() {
            return Err(format!(
                "{}: neither number nor reason in `- {line}`",
                path.display()
            ));
        }
        for number in numbers {
            reasons.insert(number.to_string(), reason.trim().to_string());
        }
    }
    Ok(reasons)
}

/// The requirement numbers in a text: a family's letter, a hyphen, two or three digits.
fn numbers_in(text: &str) -> Vec<&str> {
    let part_of_word = |at: usize| {
        text.as_bytes()
            .get(at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    let mut numbers = Vec::new();
    for (hyphen, _) in text.match_indices('-') {
        let digits = text[hyphen + 1..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let end = hyphen + 1 + digits;
        let begins_word = hyphen >= 1 && (hyphen == 1 || !part_of_word(hyphen - 2));
        if begins_word
            && FAMILIES.contains(char::from(text.as_bytes()[hyphen - 1]))
            && (2..=3).contains(&digits)
            && !part_of_word(end)
        {
            numbers.push(&text[hyphen - 1..end]);
        }
    }
    numbers
}

/// TEEP, its HTTP transport and its architecture; SUIT, its reports and its encryption; OTrP.
const FAMILIES: &str = "THASREO";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_and_look_alikes_are_not() {
        assert_eq!(
            numbers_in("T-042, T-043/T-044 (4.3): S-001."),
            ["T-042", "T-043", "T-044", "S-001"]
        );
        assert_eq!(numbers_in("H-01"), ["H-01"]);
        assert!(
            numbers_in("SHA-256 RSA-2048 ESP-256 1E-10 P-14 T-4 T-0421 T-042a X-T-042 é-12")
                .is_empty()
        );
    }

    #[test]
    fn the_best_claim_decides_the_state() {
        let gists = texts(&[
            ("T-001", "a"),
            ("T-002", "b"),
            ("T-003", "c"),
            ("T-004", "d"),
        ]);
        let citations = Citations {
            implemented: texts(&[("T-001", "a.rs:1"), ("T-002", "a.rs:2")]),
            places: texts(&[("T-001", "a.rs:9")]),
            tests: BTreeMap::from([("T-001".into(), BTreeSet::from(["suit::x".into()]))]),
        };
        let requirements = settle(&gists, &citations, &texts(&[("T-003", "why")])).unwrap();
        let states: Vec<State> = requirements
            .iter()
            .map(|requirement| requirement.state)
            .collect();
        assert_eq!(states, State::ALL);
    }

    #[test]
    fn unknown_and_contradicting_numbers_are_refused() {
        let gists = texts(&[("T-001", "a")]);
        let citations = Citations {
            implemented: texts(&[("T-001", "a.rs:1"), ("T-999", "a.rs:2")]),
            ..Citations::default()
        };
        let reasons = texts(&[("T-001", "why"), ("T-998", "why")]);
        let refusal = settle(&gists, &citations, &reasons).err().unwrap();
        assert!(
            refusal.contains("a.rs:2: there is no requirement T-999"),
            "{refusal}"
        );
        assert!(
            refusal.contains("there is no requirement T-998"),
            "{refusal}"
        );
        assert!(
            refusal.contains("lists T-001, but a.rs:1 covers it"),
            "{refusal}"
        );
    }

    fn texts(pairs: &[(&str, &str)]) -> Texts {
        pairs
            .iter()
            .map(|(number, text)| (number.to_string(), text.to_string()))
            .collect()
    }
}
