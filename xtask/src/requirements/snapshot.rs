//! The committed snapshot: one line a requirement, so that a review shows what a change did to the coverage.

use super::{Requirement, State};
use std::collections::{BTreeMap, BTreeSet};

/// The snapshot's text.
pub(super) fn write(requirements: &[Requirement]) -> String {
    requirements
        .iter()
        .map(|requirement| {
            let state = requirement.state.name();
            let line = format!(
                "{:<6}{state:<15}{}",
                requirement.number,
                requirement.tests.join(", ")
            );
            line.trim_end().to_string() + "\n"
        })
        .collect()
}

/// What is different, one line each; empty where nothing is.
pub(super) fn changes(committed: &str, now: &str) -> Vec<String> {
    let (before, after) = (by_number(committed), by_number(now));
    let mut numbers: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .filter(|number| before.get(number) != after.get(number))
        .map(|number| {
            let line = |lines: &BTreeMap<&str, &str>| {
                lines
                    .get(number)
                    .map_or("(no line)", |line| *line)
                    .to_string()
            };
            format!("  {number}: {} -> {}", line(&before), line(&after))
        })
        .collect()
}

/// The numbers of what was tested when the snapshot was written.
pub(super) fn tested(snapshot: &str) -> BTreeSet<&str> {
    let lines = by_number(snapshot).into_iter();
    let tested = State::Tested.name();
    lines
        .filter(|(_, rest)| rest.split(' ').next() == Some(tested))
        .map(|(number, _)| number)
        .collect()
}

fn by_number(snapshot: &str) -> BTreeMap<&str, &str> {
    snapshot
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(number, rest)| (number, rest.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_name_the_requirement_and_both_states() {
        let before = write(&[
            requirement("T-001", State::Tested, &["a::b"]),
            requirement("T-002", State::Missing, &[]),
        ]);
        assert_eq!(before, "T-001 tested         a::b\nT-002 missing\n");
        let after = write(&[
            requirement("T-001", State::Missing, &[]),
            requirement("T-002", State::Missing, &[]),
        ]);
        assert_eq!(
            changes(&before, &after),
            ["  T-001: tested         a::b -> missing"]
        );
        assert!(changes(&after, &after).is_empty());
        assert_eq!(tested(&before), BTreeSet::from(["T-001"]));
    }

    fn requirement(number: &str, state: State, tests: &[&str]) -> Requirement {
        let tests = tests.iter().map(|test| test.to_string()).collect();
        Requirement {
            number: number.to_string(),
            gist: String::new(),
            state,
            tests,
        }
    }
}
