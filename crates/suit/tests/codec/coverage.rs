//! The tables of the crate's documentation list what the code knows, and tests that there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use suit::command::{Condition, Directive};
use suit::report::{Reason, Record, Reference, ReportOutcome};
use suit::{CapabilityReport, Command, Parameter, Report, SuitDigest};
use teep_cose::cbor::{Limits, Reader};

const TABLES: &str = include_str!("../../src/coverage.md");

/// A row: its number, its name, and its test.
type Row<'t> = (i64, &'t str, &'t str);

/// The tables by their headings.
fn tables() -> BTreeMap<&'static str, Vec<Row<'static>>> {
    let sections = TABLES.split("\n# ").skip(1);
    let rows = |text: &'static str| -> Vec<Row<'static>> {
        let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
        rows.map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [number, name, _, test] = cells[..] else {
                panic!("{row}")
            };
            (number.parse().unwrap(), name, test.trim_matches('`'))
        })
        .collect()
    };
    sections
        .map(|text| (text.lines().next().unwrap(), rows(text)))
        .collect()
}

#[test]
fn every_command_parameter_and_member_is_listed() {
    let tables = tables();
    let capabilities = CapabilityReport::of_this_processor([]);
    let conditions = Condition::ALL.iter().map(|condition| condition.code());
    let directives = Directive::ALL.iter().map(|directive| directive.code());
    let mut commands: Vec<_> = conditions
        .chain(directives)
        .chain(Command::OTHER_CODES)
        .collect();
    commands.sort_unstable();
    let (report, result) = report_labels();
    let sorted = |set: &std::collections::BTreeSet<i64>| set.iter().copied().collect::<Vec<_>>();
    let known = [
        ("Commands", commands),
        ("Parameters", Parameter::LABELS.to_vec()),
        ("Envelope", sorted(&capabilities.envelope_members)),
        ("Manifest", sorted(&capabilities.manifest_members)),
        ("Common", sorted(&capabilities.common_members)),
        ("Dependency", sorted(&capabilities.dependency_members)),
        ("Text", sorted(&capabilities.texts)),
        ("Text of a component", sorted(&capabilities.component_texts)),
        ("Report", report),
        ("Result of a report", result),
    ];
    assert_eq!(tables.len(), known.len());
    for (heading, numbers) in known {
        let listed: Vec<_> = tables[heading].iter().map(|(number, ..)| *number).collect();
        assert_eq!(listed, numbers, "{heading}");
    }
    // Members have the names that the code gives them.
    for (number, name, _) in &tables["Manifest"] {
        let section = suit::Section::from_label(*number).map(suit::Section::name);
        let member = suit::Member::from_label(*number).map(suit::Member::name);
        if let Some(known) = section.or(member) {
            assert_eq!(known, format!("suit-{name}"));
        }
    }
}

#[test]
fn every_test_that_is_listed_exists() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        read(&crate_folder.join(folder), &mut sources);
    }
    let named = tables().into_values().flatten().map(|(_, _, test)| test);
    let in_text = TABLES.split('`').skip(1).step_by(2);
    for test in named.chain(in_text) {
        let declared = format!("\nfn {test}(");
        let declared = [declared.clone(), declared.replace('\n', "\n    ")];
        let at = declared
            .iter()
            .find_map(|declaration| sources.find(declaration));
        let at = at.unwrap_or_else(|| panic!("there is no function {test}"));
        let before = sources[..at].lines().next_back().unwrap();
        assert_eq!(before.trim(), "#[test]", "{test}");
    }
}

fn read(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// The labels of a report with everything in it, and those of its result.
fn report_labels() -> (Vec<i64>, Vec<i64>) {
    let digest = SuitDigest::sha256(b"");
    let (uri, reason) = (String::new(), Reason::ConditionFailed);
    let record = Record::default();
    let report = Report {
        reference: Reference { uri, digest },
        nonce: Some(vec![]),
        records: vec![],
        outcome: ReportOutcome::Failure {
            code: 0,
            record,
            reason,
        },
        capability_report: Some(CapabilityReport::of_this_processor([])),
    };
    let bytes = report.encode();
    let mut reader = Reader::new(&bytes, "report", &Limits::MESSAGE).unwrap();
    let (mut labels, mut result) = (Vec::new(), Vec::new());
    for _ in 0..reader.map("report").unwrap() {
        let label = reader.int("report").unwrap();
        labels.push(label);
        if label == 4 {
            for _ in 0..reader.map("result").unwrap() {
                result.push(reader.int("result").unwrap());
                reader.raw("result").unwrap();
            }
        } else {
            reader.raw("report").unwrap();
        }
    }
    (labels, result)
}
