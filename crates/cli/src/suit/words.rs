//! Command sequences in words: what each command does, to which component, with which parameters.
//!
//! Parameters are followed as far as they can be known without a device, so that a line says "fetch
//! component 0 from "https://…"" wherever the URI was set. After a try-each whose alternatives set
//! different values it says so.

use std::collections::BTreeMap;

use suit::command::{ComponentIndex, Condition, Directive, TryEach};
use suit::manifest::Common;
use suit::{Command, CommandSequence, Parameter, Parameters};

use super::values;
use crate::inspect::{parameter_name, reporting_policy};
use crate::output::{hex, table};

/// Tells what sequences do.
#[derive(Debug, Clone)]
pub(crate) struct Narrator<'m> {
    file: &'m [u8],
    common: &'m Common<'m>,
    current: Current,
    /// Parameters in words, by component and label; `None` where alternatives set different ones.
    known: BTreeMap<(u64, i64), Option<String>>,
    /// Whether a parameter that is not known is not set, for all parameters are known.
    is_running: bool,
}

/// Which component commands work on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Current {
    These(Vec<u64>),
    All,
}

impl<'m> Narrator<'m> {
    /// A narrator of sequences of the manifest with this `common`, in which all components are
    /// without parameters. `file` is what the manifest was read from.
    pub(crate) fn new(common: &'m Common<'m>, file: &'m [u8]) -> Self {
        Self {
            file,
            common,
            current: Current::These(vec![0]),
            known: BTreeMap::new(),
            is_running: false,
        }
    }

    /// What a command does that is executed for one component, whose parameters are all known, by label.
    pub(crate) fn executed(
        common: &'m Common<'m>,
        file: &'m [u8],
        command: &Command<'_>,
        index: u64,
        parameters: impl Iterator<Item = (i64, String)>,
    ) -> String {
        let narrator = Self {
            current: Current::These(vec![index]),
            known: parameters
                .map(|(label, value)| ((index, label), Some(value)))
                .collect(),
            is_running: true,
            ..Self::new(common, file)
        };
        match command {
            Command::Condition(condition, _) => narrator.condition(*condition),
            Command::Directive(directive, _) => narrator.directive(*directive),
            Command::SetParameters(parameters) => format!(
                "set, where not set, for {}: {}",
                narrator.name(index),
                names(parameters)
            ),
            Command::OverrideParameters(parameters) => {
                format!("set for {}: {}", narrator.name(index), names(parameters))
            }
            Command::OverrideMultiple(overrides) => {
                let each = overrides.iter().map(|(index, parameters)| {
                    format!("{} ({})", narrator.name(*index), names(parameters))
                });
                format!("set for {}", list_of(each))
            }
            Command::TryEach(_) => "try, until one succeeds".into(),
            Command::RunSequence(_) => "run".into(),
            other => {
                let mut lines = Vec::new();
                narrator.clone().tell_command(other, &mut lines);
                let told = lines.join("; ");
                told.trim_end_matches(':').into()
            }
        }
    }

    /// A line for each command, indented by two spaces for each level; what it sets is remembered.
    pub(crate) fn tell(&mut self, sequence: &CommandSequence<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for command in sequence.iter() {
            match command {
                Ok((_, command)) => self.tell_command(&command, &mut lines),
                Err(error) => lines.push(format!("cannot be read: {error}")),
            }
        }
        lines
    }

    fn tell_command(&mut self, command: &Command<'_>, lines: &mut Vec<String>) {
        match command {
            Command::Condition(condition, policy) => {
                let check = self.condition(*condition);
                lines.push(format!("{check}  [{}]", reporting_policy(policy.0)));
            }
            Command::Directive(directive, policy) => {
                let step = self.directive(*directive);
                lines.push(format!("{step}  [{}]", reporting_policy(policy.0)));
            }
            Command::SetComponentIndex(index) => {
                self.current = match index {
                    ComponentIndex::One(index) => Current::These(vec![*index]),
                    ComponentIndex::List(list) => Current::These(list.clone()),
                    ComponentIndex::All => Current::All,
                };
                lines.push(format!("with {}:", self.current_with_names()));
            }
            Command::TryEach(try_each) => self.tell_alternatives(try_each, lines),
            // The sequence was checked as a whole before, its levels too, so this comes to an end.
            Command::RunSequence(sequence) => {
                lines.push("run:".into());
                add_indented(lines, self.tell(sequence));
            }
            Command::SetParameters(parameters) => {
                lines.push(format!("set, where not set, for {}:", self.subject()));
                self.set(&self.selected(), parameters, false, lines);
            }
            Command::OverrideParameters(parameters) => {
                lines.push(format!("set for {}:", self.subject()));
                self.set(&self.selected(), parameters, true, lines);
            }
            Command::OverrideMultiple(overrides) => {
                for (index, parameters) in overrides {
                    lines.push(format!("set for {}:", self.with_name(*index)));
                    self.set(&[*index], parameters, true, lines);
                }
            }
            Command::CopyParameters(copies) => {
                for (source, labels) in copies {
                    self.copy(*source, labels);
                    let labels: Vec<_> = labels.iter().map(|l| parameter_name(*l)).collect();
                    lines.push(format!(
                        "set for {} as for {}: {}",
                        self.subject(),
                        self.name(*source),
                        labels.join(", ")
                    ));
                }
            }
            Command::Custom { code, argument } => {
                lines.push(format!("custom command {code}, h'{}'", hex(argument)));
            }
            Command::Unknown { code, argument } => {
                lines.push(format!("unknown command {code}, h'{}'", hex(argument)));
            }
        }
    }

    fn tell_alternatives(&mut self, try_each: &TryEach<'_>, lines: &mut Vec<String>) {
        lines.push("try, until one succeeds:".into());
        let mut outcomes = Vec::new();
        for (index, alternative) in try_each.alternatives.iter().enumerate() {
            let mut branch = self.clone();
            lines.push(format!("  alternative {}:", index + 1));
            let told = branch.tell(alternative);
            lines.extend(told.into_iter().map(|line| format!("    {line}")));
            outcomes.push(branch);
        }
        if try_each.or_nothing {
            lines.push("  or nothing, which is a success".into());
            outcomes.push(self.clone());
        }
        let keys: Vec<_> = outcomes
            .iter()
            .flat_map(|branch| branch.known.keys().copied())
            .collect();
        for key in keys {
            let mut values = outcomes.iter().map(|branch| branch.known.get(&key));
            let first = values.next().flatten();
            let value = first.filter(|first| values.all(|other| other == Some(first)));
            self.known.insert(key, value.cloned().flatten());
        }
        if let Some(first) = outcomes.first()
            && outcomes
                .iter()
                .all(|branch| branch.current == first.current)
        {
            self.current = first.current.clone();
        }
    }

    /// Tells and remembers parameters; those that are set already are only `overridden` if told so.
    fn set(
        &mut self,
        indices: &[u64],
        parameters: &Parameters<'_>,
        overridden: bool,
        lines: &mut Vec<String>,
    ) {
        let mut rows = Vec::new();
        for parameter in parameters.iter() {
            let value = values::value(parameter, self.file)
                .unwrap_or_else(|error| format!("cannot be read: {error}"));
            let brief = brief(parameter, &value);
            for index in indices {
                if self.known.len() >= MAX_KNOWN {
                    break;
                }
                let entry = self.known.entry((*index, parameter.label()));
                if overridden {
                    entry.insert_entry(Some(brief.clone()));
                } else {
                    entry.or_insert(Some(brief.clone()));
                }
            }
            rows.push(vec![parameter_name(parameter.label()), value]);
        }
        add_indented(lines, table(&rows).lines().map(Into::into));
    }

    fn copy(&mut self, source: u64, labels: &[i64]) {
        for index in self.selected() {
            for label in labels {
                match self.known.get(&(source, *label)).cloned() {
                    Some(value) => self.known.insert((index, *label), value),
                    None => self.known.remove(&(index, *label)),
                };
            }
        }
    }

    fn condition(&self, condition: Condition) -> String {
        let it = self.subject();
        match condition {
            Condition::VendorIdentifier => format!("check the vendor of {it}: {}", self.known(1)),
            Condition::ClassIdentifier => format!("check the class of {it}: {}", self.known(2)),
            Condition::DeviceIdentifier => format!("check the device of {it}: {}", self.known(24)),
            Condition::ImageMatch => format!("check the image of {it}: {}", self.image()),
            Condition::ImageNotMatch => {
                format!(
                    "check that the image of {it} is another than {}",
                    self.image()
                )
            }
            Condition::UseBefore => format!("check that it is before {}", self.known(4)),
            Condition::ComponentSlot => format!("check the slot of {it}: {}", self.known(5)),
            Condition::CheckContent => format!("check the content of {it}: {}", self.known(18)),
            Condition::DependencyIntegrity => format!(
                "check that {it} is authentic, its manifest's digest {}",
                self.known(3)
            ),
            Condition::IsDependency => format!("check that {it} is a dependency"),
            Condition::Abort => "fail".into(),
            Condition::MinimumBattery => {
                format!(
                    "check the charge of the battery: {} at least",
                    self.known(26)
                )
            }
            Condition::UpdateAuthorized => {
                format!(
                    "check that the update is authorized, its priority {}",
                    self.known(27)
                )
            }
            Condition::Version => format!("check the version of {it}: {}", self.known(28)),
        }
    }

    fn directive(&self, directive: Directive) -> String {
        let it = self.subject();
        let step = match directive {
            Directive::ProcessDependency => {
                return format!("process {it}: run the same section of its manifest");
            }
            Directive::Unlink => return format!("unlink {it}"),
            Directive::Wait => return format!("wait for {}", self.known(29)),
            Directive::Swap => return format!("swap {it} with {}", self.known(22)),
            Directive::Invoke => {
                let arguments = self.optional(23, "arguments");
                return format!("invoke {it}{arguments}");
            }
            Directive::Write => format!("write to {it}: {}", self.known(18)),
            Directive::Fetch => {
                let arguments = self.optional(25, "arguments");
                format!("fetch {it} from {}{arguments}", self.known(21))
            }
            Directive::Copy => format!("copy to {it} from {}", self.known(22)),
        };
        let decrypted = self.is_known(19).then_some(", decrypted");
        let metadata = self.optional(30, "metadata");
        format!("{step}{}{metadata}", decrypted.unwrap_or_default())
    }

    /// Digest and, if it is set, size.
    fn image(&self) -> String {
        let digest = self.known(3);
        match self.is_known(14) {
            true => format!("{digest}, {}", self.known(14)),
            false => digest,
        }
    }

    fn optional(&self, label: i64, name: &str) -> String {
        match self.is_known(label) {
            true => format!(", {name} {}", self.known(label)),
            false => String::new(),
        }
    }

    fn is_known(&self, label: i64) -> bool {
        let selected = self.selected();
        let is_set = |index: &u64| self.known.contains_key(&(*index, label));
        selected.iter().any(is_set)
    }

    /// What a parameter of the current component is.
    fn known(&self, label: i64) -> String {
        let name = parameter_name(label);
        let values = self.selected().into_iter();
        let mut values = values.map(|index| self.known.get(&(index, label)));
        let first = values.next().flatten();
        match first {
            _ if !values.all(|other| other == first) => format!("each its own {name}"),
            Some(Some(value)) => value.clone(),
            Some(None) => format!("the {name} that one of the alternatives sets"),
            None if self.is_running => format!("the {name}, which is not set"),
            None => format!("the {name} that is set elsewhere"),
        }
    }

    /// The indices that the current command works on.
    fn selected(&self) -> Vec<u64> {
        match &self.current {
            Current::These(list) => list.clone(),
            Current::All => {
                let components = 0..self.common.components.len() as u64;
                let dependencies = self.common.dependencies.iter().map(|d| d.index);
                components.chain(dependencies).collect()
            }
        }
    }

    fn subject(&self) -> String {
        match &self.current {
            Current::All => "each component".into(),
            Current::These(list) => list_of(list.iter().map(|index| self.name(*index))),
        }
    }

    fn current_with_names(&self) -> String {
        match &self.current {
            Current::All => "each component in turn".into(),
            Current::These(list) => list_of(list.iter().map(|index| self.with_name(*index))),
        }
    }

    /// "component 0" or "dependency 1".
    fn name(&self, index: u64) -> String {
        let is_dependency = self.common.dependencies.iter().any(|d| d.index == index);
        let what = if is_dependency {
            "dependency"
        } else {
            "component"
        };
        format!("{what} {index}")
    }

    /// "component 0 (TEEP-Device/ta)".
    fn with_name(&self, index: u64) -> String {
        let at = usize::try_from(index).ok();
        let component = at.and_then(|index| self.common.components.get(index));
        let mut dependencies = self.common.dependencies.iter();
        let name = match (dependencies.find(|d| d.index == index), component) {
            (_, Some(component)) => component.to_string(),
            (Some(dependency), None) => match &dependency.prefix {
                Some(prefix) => prefix.to_string(),
                None => "without a name".into(),
            },
            (None, None) => "which the manifest does not list".into(),
        };
        format!("{} ({})", self.name(index), shortened(&name))
    }
}

fn list_of(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MAX_NAMES);
    let mut list = names.take(MAX_NAMES).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(" and {more} more"));
    }
    list
}

/// A parameter as a step shows it that uses it, from its value in words.
pub(crate) fn brief(parameter: &Parameter<'_>, value: &str) -> String {
    match parameter {
        Parameter::ImageDigest(digest) => values::brief_digest(digest),
        _ => shortened(value),
    }
}

/// "uri, image-size".
fn names(parameters: &Parameters<'_>) -> String {
    let names = parameters.iter().map(|p| parameter_name(p.label()));
    names.collect::<Vec<_>>().join(", ")
}

/// As much as a step needs: where it is set, or in the table of components, it stands whole.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

fn add_indented(lines: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    lines.extend(more.into_iter().map(|line| format!("  {line}")));
}

// Against memory exhaustion: a short manifest can name a long thing many times.
/// Characters of a value or name within a step.
const MAX_CHARACTERS: usize = 200;
/// Components that a step names.
const MAX_NAMES: usize = 8;
/// Parameters of components that are remembered.
const MAX_KNOWN: usize = 4096;
