//! What makes the command fail: requirements that nothing proves.

use super::{Requirement, State};
use std::collections::BTreeSet;

/// The requirements that are neither tested nor listed as not applicable. Of the families that are still to be implemented,
/// only those that were `tested` before.
pub(super) fn unproved<'a>(
    requirements: &'a [Requirement],
    tested: &BTreeSet<&str>,
) -> Vec<&'a Requirement> {
    let counts = |requirement: &&Requirement| match requirement.state {
        State::Tested | State::NotApplicable => false,
        State::Implemented | State::Missing => {
            !is_to_come(requirement) || tested.contains(requirement.number.as_str())
        }
    };
    requirements.iter().filter(counts).collect()
}

/// Fails where anything is unproved.
pub(super) fn verdict(unproved: &[&Requirement]) -> Result<(), String> {
    if unproved.is_empty() {
        return Ok(());
    }
    Err(format!(
        "no test proves {}\na test says `/// Proves: {}`; docs/not-applicable.md is for those that bind somebody else, each with its reason",
        numbers(unproved),
        unproved[0].number
    ))
}

/// Fails where something was proved before and its family is still to be implemented: a snapshot written now would forget it.
pub(super) fn ratchet(unproved: &[&Requirement]) -> Result<(), String> {
    let lost: Vec<&Requirement> = unproved
        .iter()
        .copied()
        .filter(|requirement| is_to_come(requirement))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!(
        "no test proves {} any more; docs/requirements.txt was not written",
        numbers(&lost)
    ))
}

fn numbers(requirements: &[&Requirement]) -> String {
    let numbers: Vec<&str> = requirements
        .iter()
        .map(|requirement| requirement.number.as_str())
        .collect();
    numbers.join(", ")
}

fn is_to_come(requirement: &Requirement) -> bool {
    requirement.number.starts_with(TO_COME)
}

/// OTrP.
const TO_COME: [char; 1] = ['O'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_without_a_test_or_a_reason_fails() {
        let requirements = [
            requirement("A-01", State::Tested),
            requirement("H-01", State::NotApplicable),
            requirement("S-001", State::Implemented),
            requirement("T-001", State::Missing),
        ];
        let unproved = unproved(&requirements, &BTreeSet::new());
        assert_eq!(numbers(&unproved), "S-001, T-001");
        let failure = verdict(&unproved).unwrap_err();
        assert!(failure.contains("no test proves S-001, T-001"), "{failure}");
        assert!(ratchet(&unproved).is_ok());
        assert!(verdict(&[]).is_ok());
    }

    #[test]
    fn what_is_to_come_may_be_missing_but_not_be_lost() {
        let requirements = [
            requirement("O-001", State::Missing),
            requirement("O-002", State::Tested),
            requirement("O-003", State::Implemented),
        ];
        assert!(unproved(&requirements, &BTreeSet::from(["O-002"])).is_empty());
        let unproved = unproved(&requirements, &BTreeSet::from(["O-002", "O-003"]));
        assert_eq!(numbers(&unproved), "O-003");
        let failure = ratchet(&unproved).unwrap_err();
        assert!(
            failure.contains("no test proves O-003 any more"),
            "{failure}"
        );
    }

    fn requirement(number: &str, state: State) -> Requirement {
        Requirement {
            number: number.to_string(),
            gist: String::new(),
            state,
            tests: Vec::new(),
        }
    }
}
