//! Reads the code: which requirements comments cite, and which tests prove them.

use super::{Texts, numbers_in};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What the code says about requirements.
#[derive(Default)]
pub(super) struct Citations {
    /// Number to the first place outside of tests that cites it, `file:line`.
    pub(super) implemented: Texts,
    /// Number to the first place that claims to prove it, `file:line`.
    pub(super) places: Texts,
    /// Number to the names of the tests that prove it.
    pub(super) tests: BTreeMap<String, BTreeSet<String>>,
}

/// Reads every Rust file of every crate in `crates`.
pub(super) fn read(crates: &Path) -> Result<Citations, String> {
    let mut citations = Citations::default();
    read_folder(crates, crates, &mut citations)?;
    Ok(citations)
}

fn read_folder(crates: &Path, folder: &Path, citations: &mut Citations) -> Result<(), String> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_folder(crates, &path, citations)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            let name = path.strip_prefix(crates).unwrap_or(&path).to_string_lossy();
            read_file(&name, &text, citations)?;
        }
    }
    Ok(())
}

/// `name` is the path below `crates`, as in `suit/src/process/mod.rs`.
fn read_file(name: &str, text: &str, citations: &mut Citations) -> Result<(), String> {
    let all_tests = name.ends_with("/tests.rs")
        || ["/tests/", "/benches/"]
            .iter()
            .any(|part| name.contains(part));
    // The line that closes the test module, once inside it: rustfmt indents it as its attribute.
    let mut test_module_end: Option<String> = None;
    let mut claim: Option<Claim> = None;
    // An attribute that has a test ignored may stand above its doc comment.
    let mut is_ignored = false;
    for (index, line) in text.lines().enumerate() {
        let place = format!("crates/{name}:{}", index + 1);
        if test_module_end.is_none() && line.trim() == "#[cfg(test)]" {
            test_module_end = Some(line.replace("#[cfg(test)]", "}"));
        } else if test_module_end.as_deref() == Some(line) || is_other_file(&test_module_end, line)
        {
            test_module_end = None;
        }

        let comment = comment_of(line).trim();
        let is_attribute = line.trim_start().starts_with("#[");
        is_ignored = match is_attribute {
            true => is_ignored || line.contains("ignore"),
            false => is_ignored && line.trim_start().starts_with("//"),
        };
        if let Some(numbers) = comment.strip_prefix("Proves:") {
            if let Some(open) = claim.replace(Claim::at(&place)) {
                return Err(open.without_test());
            }
            claim.iter_mut().try_for_each(|claim| claim.add(numbers))?;
        } else if let Some(open) = &mut claim {
            if open.continues {
                open.add(comment)?;
            } else if is_ignored || line.contains("fn ") && line.trim_end().ends_with("{}") {
                return Err(format!(
                    "{}: a test that is ignored or empty proves nothing",
                    open.place
                ));
            } else if is_attribute && (line.contains("test]") || line.contains("::test(")) {
                open.is_test = true;
            } else if let Some(function) = function_name(line) {
                if !open.is_test {
                    return Err(open.without_test());
                }
                let test = format!("{}::{function}", module_path(name));
                for number in &open.numbers {
                    citations
                        .places
                        .entry(number.clone())
                        .or_insert(open.place.clone());
                    citations
                        .tests
                        .entry(number.clone())
                        .or_default()
                        .insert(test.clone());
                }
                claim = None;
            }
        } else if !all_tests && test_module_end.is_none() {
            for number in numbers_in(comment) {
                citations
                    .implemented
                    .entry(number.to_string())
                    .or_insert(place.clone());
            }
        }
    }
    claim.map_or(Ok(()), |open| Err(open.without_test()))
}

/// A `Proves:` line whose test function has not been reached yet.
struct Claim {
    place: String,
    numbers: Vec<String>,
    /// The list ended in a comma: the next line goes on with it.
    continues: bool,
    /// An attribute such as `#[test]` was seen.
    is_test: bool,
}

impl Claim {
    fn at(place: &str) -> Self {
        Self {
            place: place.to_string(),
            numbers: Vec::new(),
            continues: false,
            is_test: false,
        }
    }

    fn add(&mut self, list: &str) -> Result<(), String> {
        let list = list.trim();
        self.continues = list.ends_with(',');
        for number in list.trim_end_matches(',').split(',').map(str::trim) {
            if numbers_in(number) != [number] {
                return Err(format!(
                    "{}: `{number}` after `Proves:` is no requirement number such as T-042",
                    self.place
                ));
            }
            self.numbers.push(number.to_string());
        }
        Ok(())
    }

    fn without_test(&self) -> String {
        format!(
            "{}: `Proves:` belongs into the doc comment of a function with #[test]",
            self.place
        )
    }
}

/// `#[cfg(test)]` stood before `mod tests;`: the tests are in a file of that name.
fn is_other_file(test_module_end: &Option<String>, line: &str) -> bool {
    let line = line.trim();
    test_module_end.is_some() && line.starts_with("mod ") && line.ends_with(';')
}

/// What follows `//`, `///` or `//!` on this line, outside of string literals; empty where nothing does.
fn comment_of(line: &str) -> &str {
    let mut in_string = false;
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if in_string => drop(characters.next()),
            '"' if !line[..at].ends_with('\'') => in_string = !in_string,
            '/' if !in_string && line[at..].starts_with("//") => {
                return line[at..].trim_start_matches(['/', '!']);
            }
            _ => {}
        }
    }
    ""
}

fn function_name(line: &str) -> Option<&str> {
    let declaration = line
        .trim_start()
        .trim_start_matches("pub ")
        .trim_start_matches("async ");
    let name = declaration.strip_prefix("fn ")?;
    Some(&name[..name.find(['(', '<'])?])
}

/// `suit/src/process/mod.rs` is the module `suit::process`.
fn module_path(name: &str) -> String {
    let parts = name.trim_end_matches(".rs").split('/');
    let parts: Vec<&str> = parts
        .filter(|part| !["src", "mod", "lib", "main", "tests"].contains(part))
        .collect();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_implement_and_tests_prove() {
        let text = r#"
// T-042 (4.3) token echoed: else an old answer could be replayed. T-043/T-044 too.
const URI: &str = "http://x"; // S-001
const NOT: &str = "// S-002";

#[cfg(test)]
mod tests {
    // T-050 is only mentioned.
    /// An old token is refused.
    /// Proves: T-042,
    /// T-043
    #[test]
    fn an_old_token_is_refused() {
    }
}

// S-003 after the tests
"#;
        let citations = read_text("suit/src/process/mod.rs", text).unwrap();
        let implemented: Vec<&str> = citations.implemented.keys().map(String::as_str).collect();
        assert_eq!(implemented, ["S-001", "S-003", "T-042", "T-043", "T-044"]);
        assert_eq!(
            citations.implemented["T-042"],
            "crates/suit/src/process/mod.rs:2"
        );
        let proven: Vec<&str> = citations.tests.keys().map(String::as_str).collect();
        assert_eq!(proven, ["T-042", "T-043"]);
        assert!(citations.tests["T-042"].contains("suit::process::an_old_token_is_refused"));
    }

    #[test]
    fn test_files_implement_nothing() {
        for name in ["lab/tests/stories.rs", "suit/src/process/tests.rs"] {
            assert!(
                read_text(name, "// T-042\n")
                    .unwrap()
                    .implemented
                    .is_empty(),
                "{name}"
            );
        }
        let text = "#[cfg(test)]\nmod tests;\n// T-042 after it\n";
        assert_eq!(
            read_text("suit/src/lib.rs", text)
                .unwrap()
                .implemented
                .len(),
            1
        );
    }

    #[test]
    fn a_claim_without_a_test_is_refused() {
        let no_attribute = "/// Proves: T-042\nfn helper() {}\n";
        let no_function = "/// Proves: T-042\n#[test]\n";
        let twice = "/// Proves: T-042\n/// Proves: T-043\n#[test]\nfn a() {}\n";
        let ignored = "/// Proves: T-042\n#[ignore]\n#[test]\nfn a() {}\n";
        let ignored_above = "#[ignore]\n/// Proves: T-042\n#[test]\nfn a() {\n";
        let ignored_where = "/// Proves: T-042\n#[cfg_attr(unix, ignore)]\n#[test]\nfn a() {\n";
        let without_body = "/// Proves: T-042\n#[test]\nfn a() {}\n";
        let misspelt = "/// Proves: T-042, T43\n#[test]\nfn a() {}\n";
        let empty = "/// Proves:\n#[test]\nfn a() {}\n";
        let all = [
            no_attribute,
            no_function,
            twice,
            ignored,
            ignored_above,
            ignored_where,
            without_body,
            misspelt,
            empty,
        ];
        for text in all {
            let refusal = read_text("suit/src/lib.rs", text).err().unwrap();
            let first = 1 + usize::from(text.starts_with("#[ignore]"));
            assert!(
                refusal.starts_with(&format!("crates/suit/src/lib.rs:{first}:")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn asynchronous_tests_count() {
        let text = "/// Proves: H-01\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn no_redirects() {\n";
        assert!(
            read_text("server/tests/http.rs", text).unwrap().tests["H-01"]
                .contains("server::http::no_redirects")
        );
    }

    fn read_text(name: &str, text: &str) -> Result<Citations, String> {
        let mut citations = Citations::default();
        read_file(name, text, &mut citations)?;
        Ok(citations)
    }
}
