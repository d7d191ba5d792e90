//! The table for people.

use super::{FAMILIES, Requirement, State};
use std::io::IsTerminal;

/// Each requirement with its state and gist, and below it the tests that prove it.
pub(super) fn print_rows(requirements: &[&Requirement]) {
    for requirement in requirements {
        let gist: String = requirement.gist.chars().take(GIST_WIDTH).collect();
        println!(
            "{:<6}{}  {gist}",
            requirement.number,
            coloured(
                requirement.state,
                &format!("{:<14}", requirement.state.name())
            )
        );
        for test in &requirement.tests {
            println!("{:<22}{test}", "");
        }
    }
    println!();
}

/// One line a family, and the sum.
pub(super) fn print_totals(requirements: &[Requirement]) {
    println!(
        "{:<26}{:>6}{:>8}{:>13}{:>16}{:>9}",
        "", "all", "tested", "implemented", "not applicable", "missing"
    );
    for family in FAMILIES.chars() {
        let name = match family {
            'T' => "T  TEEP protocol",
            'H' => "H  TEEP over HTTP",
            'A' => "A  TEEP architecture",
            'S' => "S  SUIT manifests",
            'R' => "R  SUIT reports",
            'E' => "E  SUIT encryption",
            _ => "O  OTrP",
        };
        let of_family: Vec<&Requirement> = requirements
            .iter()
            .filter(|requirement| requirement.number.starts_with(family))
            .collect();
        print_total(name, &of_family);
    }
    print_total("   together", &requirements.iter().collect::<Vec<_>>());
}

fn print_total(name: &str, requirements: &[&Requirement]) {
    let mut line = format!("{name:<26}{:>6}", requirements.len());
    for (state, width) in State::ALL.into_iter().zip([8, 13, 16, 9]) {
        let count = requirements
            .iter()
            .filter(|requirement| requirement.state == state)
            .count();
        line += &coloured(state, &format!("{count:>width$}"));
    }
    println!("{line}");
}

/// Green for tested, yellow for implemented, red for missing; plain where nobody watches.
fn coloured(state: State, text: &str) -> String {
    let colour = match state {
        State::Tested => "32",
        State::Implemented => "33",
        State::NotApplicable => "2",
        State::Missing => "31",
    };
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if plain {
        text.to_string()
    } else {
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

const GIST_WIDTH: usize = 90;
