//! Reads the checklists: which requirements there are, and the gist of each.

use super::{Texts, numbers_in};
use std::fs;
use std::path::Path;

/// Every requirement of the checklists under `specification`, by number.
pub(super) fn read(specification: &Path) -> Result<Texts, String> {
    let mut gists = Texts::new();
    for (name, families) in [("teep", "THA"), ("suit", "SRE"), ("otrp", "O")] {
        let path = specification.join(name).join("checklist.md");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let found = gists_in(&text, families);
        if found.is_empty() {
            return Err(format!("{} holds no requirement", path.display()));
        }
        gists.extend(found);
    }
    Ok(gists)
}

/// List items define requirements: `- T-006 [MUST] …`, `- **O-001** …`. One item may go on to define the next
/// where a sentence begins with its number: `- H-05 … HTTPS. H-06 [MUST] …`.
fn gists_in(text: &str, families: &str) -> Texts {
    let mut gists = Texts::new();
    for item in text.lines().filter_map(|line| line.strip_prefix("- ")) {
        let item = item.replace("**", "");
        let mut starts: Vec<(usize, &str)> = Vec::new();
        for number in numbers_in(&item) {
            let at = number.as_ptr().addr() - item.as_ptr().addr();
            let after = item[at + number.len()..]
                .strip_prefix(' ')
                .unwrap_or_default();
            let defines =
                after.starts_with(|next: char| next.is_alphanumeric() || "[(".contains(next));
            let begins = at == 0
                || (!starts.is_empty()
                    && [". ", "; ", ") "]
                        .iter()
                        .any(|end| item[..at].ends_with(end)));
            if families.contains(&number[..1]) && begins && (at == 0 || defines) {
                starts.push((at, number));
            }
        }
        for (index, (at, number)) in starts.iter().enumerate() {
            let end = starts.get(index + 1).map_or(item.len(), |(next, _)| *next);
            let gist = item[at + number.len()..end].trim().to_string();
            gists.entry(number.to_string()).or_insert(gist);
        }
    }
    gists
}

#[cfg(test)]
mod tests {
    use super::gists_in;

    #[test]
    fn items_define_requirements_and_references_do_not() {
        let text = "\
- T-006 [MUST] s4.1.1 TAM: random token (see T-015).
| T-007 | a table |
- H-05 [RECOMMENDED] HTTPS. H-06 [MUST] verify, as for H-05. H-07 TLS.
- **O-001** (4.1; TAM) may choose
- P-14 CDDL demands T-046. T-049 says so.
";
        let gists = gists_in(text, "THO");
        let numbers: Vec<&str> = gists.keys().map(String::as_str).collect();
        assert_eq!(numbers, ["H-05", "H-06", "H-07", "O-001", "T-006"]);
        assert_eq!(gists["H-06"], "[MUST] verify, as for H-05.");
        assert_eq!(gists["O-001"], "(4.1; TAM) may choose");
    }
}
