//! Gives names and meanings to a tree of items, and looks into the byte strings that hold more of
//! them.

use teep::{DataItems, Numbers};
use teep_cose::cbor::{Limits, Problem, Reader};

use super::form::{self, Form};
use super::kind::{self, Element, Field, Kind};
use super::node::{self, Fault, MAX_LEVELS, Node, Shape};
use super::tables;

/// What was found beside names: signatures and faults.
#[derive(Debug, Default)]
pub(crate) struct Findings<'a> {
    /// Every COSE_Sign1 and COSE_Sign, the outermost first.
    pub(crate) signed: Vec<Signed<'a>>,
    /// What is wrong, the outermost first.
    pub(crate) faults: Vec<Fault>,
}

/// A signed structure.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    /// The structure without its tag.
    pub(crate) encoded: &'a [u8],
    /// Where it stands in the outermost input.
    pub(crate) offset: usize,
    /// What it signs, if that stands elsewhere (a SUIT_Digest).
    pub(crate) detached: Option<&'a [u8]>,
}

/// Reads and annotates one item.
pub(crate) fn read(bytes: &[u8]) -> (Node<'_>, Findings<'_>) {
    read_as(bytes, None)
}

/// Reads and annotates one item, which is taken for a `default` if it is nothing else that we know.
pub(crate) fn read_as<'a>(
    bytes: &'a [u8],
    default: Option<&'static Form>,
) -> (Node<'a>, Findings<'a>) {
    let mut annotator = Annotator {
        budget: MAX_ITEMS,
        embedded: 0,
        numbers: &Numbers::IANA,
        detached: None,
        default,
        findings: Findings::default(),
    };
    let node = annotator.parse(bytes, 0, None);
    (node, annotator.findings)
}

struct Annotator<'a> {
    budget: usize,
    /// How many byte strings we are inside of.
    embedded: usize,
    numbers: &'static Numbers,
    detached: Option<&'a [u8]>,
    default: Option<&'static Form>,
    findings: Findings<'a>,
}

impl<'a> Annotator<'a> {
    /// Reads what stands at `base`, and annotates it as `kind`, or as what it seems to be.
    fn parse(&mut self, bytes: &'a [u8], base: usize, kind: Option<&'static Kind>) -> Node<'a> {
        let (mut node, fault) = node::parse(bytes, base, &mut self.budget);
        let fault = fault.or_else(|| duplicate_key(bytes, base));
        self.findings.faults.extend(fault);
        let default = self.default.take();
        match (kind, form::recognise(&node).or(default)) {
            (Some(kind), _) => self.annotate(&mut node, kind),
            (None, Some(form)) => {
                // A tag names what is in it by itself.
                if !matches!(node.shape, Shape::Tag(..)) {
                    node.name = Some(form.name);
                }
                self.annotate(&mut node, form.kind);
            }
            (None, None) => self.annotate(&mut node, &Kind::Any),
        }
        node
    }

    fn annotate(&mut self, node: &mut Node<'a>, kind: &'static Kind) {
        let encoded = node.encoded;
        let offset = node.offset;
        match (kind, &mut node.shape) {
            (Kind::Secret, shape) => *shape = Shape::Hidden,
            (kind, Shape::Tag(tag, inner)) => match form::by_tag(*tag) {
                Some(form) => {
                    inner.name = Some(form.name);
                    self.annotate(inner, form.kind);
                }
                None => self.annotate(inner, kind),
            },
            (Kind::Either(kinds), _) => {
                let fitting = kinds.iter().find(|kind| kind.accepts(node));
                self.annotate(node, fitting.unwrap_or(&&Kind::Any));
            }
            (Kind::Number(names), Shape::Integer(number)) => {
                node.meaning = kind::name_of(names, *number).map(Into::into);
            }
            (Kind::LabelOf(fields), Shape::Integer(number)) => {
                node.meaning = kind::field_of(fields, *number).map(|field| field.1.into());
            }
            (Kind::ReportingPolicy, Shape::Integer(bits)) => {
                node.meaning = u8::try_from(*bits).ok().map(kind::reporting_policy);
            }
            (Kind::Bits(names), Shape::Integer(bits)) => {
                node.meaning = Some(kind::names_of_bits(names, *bits)).filter(|n| !n.is_empty());
            }
            (Kind::Time, Shape::Integer(seconds)) => node.meaning = utc(*seconds),
            (Kind::TeepErrorCode, Shape::Integer(number)) => {
                let code = u64::try_from(*number)
                    .ok()
                    .and_then(|n| self.numbers.error_code(n));
                node.meaning = code.map(|code| code.name().into());
            }
            (Kind::TeepDataItems, Shape::Integer(number)) => {
                node.meaning = u64::try_from(*number)
                    .ok()
                    .map(|bits| DataItems(bits).to_string());
            }
            (Kind::Uuid, Shape::Bytes(bytes)) => {
                node.meaning = uuid::Uuid::from_slice(bytes).ok().map(|id| id.to_string());
            }
            (Kind::Path, Shape::Array { items, .. }) => items.iter_mut().for_each(label),
            (Kind::Map(fields, others), Shape::Map { entries, .. }) => {
                entries
                    .iter_mut()
                    .for_each(|entry| self.entry(entry, fields, others));
            }
            (Kind::TeepOptions, Shape::Map { entries, .. }) => {
                entries.iter_mut().for_each(|entry| self.option(entry));
            }
            (Kind::MapTo(values), Shape::Map { entries, .. }) => {
                for (_, value) in entries {
                    value
                        .iter_mut()
                        .for_each(|value| self.annotate(value, values));
                }
            }
            (Kind::List(kind), Shape::Array { items, .. }) => {
                items.iter_mut().for_each(|item| self.annotate(item, kind));
            }
            (Kind::Tuple(elements, rest), Shape::Array { items, .. }) => {
                self.elements(items, elements, rest);
            }
            (Kind::Commands(commands), Shape::Array { items, .. }) => {
                let items = std::mem::take(items);
                node.shape = Shape::Commands(self.commands(items, commands));
            }
            (Kind::Embedded(kind), Shape::Bytes(_) | Shape::Cut(_)) => self.embed(node, kind),
            (Kind::Payload, Shape::Bytes(_)) => self.look_into(node),
            (Kind::Signed(kind), Shape::Array { .. }) => {
                let detached = self.detached;
                self.findings.signed.push(Signed {
                    encoded,
                    offset,
                    detached,
                });
                self.annotate(node, kind);
            }
            (Kind::Authentication, Shape::Array { items, .. }) => self.authentication(items),
            (Kind::TeepMessage, Shape::Array { .. }) => self.message(node),
            // Wherever a key may stand: its private part must not be shown.
            (Kind::Any, Shape::Map { entries, .. }) if form::is_key(entries) => {
                self.annotate(node, &tables::cose::KEY);
            }
            // Nothing known, or of another type than the texts have it: shown as it is.
            (_, Shape::Array { items, .. }) => {
                items
                    .iter_mut()
                    .for_each(|item| self.annotate(item, &Kind::Any));
            }
            (_, Shape::Map { entries, .. }) => {
                for (key, value) in entries {
                    self.annotate(key, &Kind::Any);
                    value
                        .iter_mut()
                        .for_each(|value| self.annotate(value, &Kind::Any));
                }
            }
            _ => {}
        }
    }

    fn entry(
        &mut self,
        (key, value): &mut (Node<'a>, Option<Node<'a>>),
        fields: &'static [Field],
        others: &'static Kind,
    ) {
        let field = match key.shape {
            Shape::Integer(label) => kind::field_of(fields, label),
            _ => None,
        };
        key.name = field.map(|field| field.1);
        self.annotate(key, &Kind::Path);
        let kind = field.map_or(others, |field| field.2);
        value
            .iter_mut()
            .for_each(|value| self.annotate(value, kind));
    }

    fn option(&mut self, (key, value): &mut (Node<'a>, Option<Node<'a>>)) {
        let label = match key.shape {
            Shape::Integer(label) => u64::try_from(label)
                .ok()
                .and_then(|n| self.numbers.label(n)),
            _ => None,
        };
        key.name = label.map(teep::Label::name);
        let kind = label.map_or(&Kind::Any, tables::teep::kind_of);
        value
            .iter_mut()
            .for_each(|value| self.annotate(value, kind));
    }

    fn elements(
        &mut self,
        items: &mut [Node<'a>],
        elements: &'static [Element],
        rest: &'static Kind,
    ) {
        for (index, item) in items.iter_mut().enumerate() {
            match elements.get(index) {
                Some(element) => {
                    item.name = Some(element.0);
                    self.annotate(item, element.1);
                }
                None => self.annotate(item, rest),
            }
        }
    }

    fn commands(
        &mut self,
        items: Vec<Node<'a>>,
        commands: &'static [Field],
    ) -> Vec<(Node<'a>, Option<Node<'a>>)> {
        let mut pairs = Vec::new();
        let mut items = items.into_iter();
        while let Some(command) = items.next() {
            let mut pair = (command, items.next());
            self.entry(&mut pair, commands, &Kind::Any);
            pairs.push(pair);
        }
        pairs
    }

    /// A byte string that must hold an item. An empty one is left alone: a COSE header without
    /// parameters is written so.
    fn embed(&mut self, node: &mut Node<'a>, kind: &'static Kind) {
        if let Shape::Bytes(bytes) | Shape::Cut(bytes) = node.shape
            && !bytes.is_empty()
            && self.embedded < MAX_EMBEDDED
        {
            let is_cut = matches!(node.shape, Shape::Cut(_));
            let known = self.findings.faults.len();
            self.embedded += 1;
            let base = node.offset + node.encoded.len() - bytes.len();
            let inner = self.parse(bytes, base, Some(kind));
            self.embedded -= 1;
            // That the inside of what ends too early does so too is no news.
            if is_cut {
                self.findings.faults.truncate(known);
            }
            node.shape = Shape::Embedded(Box::new(inner));
        }
    }

    /// A byte string that may hold something we know, or anything else.
    fn look_into(&mut self, node: &mut Node<'a>) {
        if let Shape::Bytes(bytes) = node.shape
            && self.embedded < MAX_EMBEDDED
        {
            let base = node.offset + node.encoded.len() - bytes.len();
            let (inner, fault) = node::parse(bytes, base, &mut self.budget);
            if fault.is_some() || form::recognise(&inner).is_none() {
                return;
            }
            drop(inner);
            self.embedded += 1;
            let inner = self.parse(bytes, base, None);
            self.embedded -= 1;
            node.shape = Shape::Embedded(Box::new(inner));
        }
    }

    fn authentication(&mut self, items: &mut [Node<'a>]) {
        let Some((digest, blocks)) = items.split_first_mut() else {
            return;
        };
        let before = self.detached;
        if let Shape::Bytes(bytes) = digest.shape {
            self.detached = Some(bytes);
        }
        self.embed(digest, &tables::suit::DIGEST);
        blocks
            .iter_mut()
            .for_each(|block| self.embed(block, &Kind::Any));
        self.detached = before;
    }

    fn message(&mut self, node: &mut Node<'a>) {
        let before = self.numbers;
        let recognised = teep::recognise(node.encoded, &Limits::MESSAGE);
        let Shape::Array { items, .. } = &mut node.shape else {
            return;
        };
        self.numbers = recognised.unwrap_or_else(|| likely_numbers(items));
        let number = match items.first().map(|first| &first.shape) {
            Some(Shape::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let message_type = number.and_then(|number| self.numbers.message_type(number));
        for (index, item) in items.iter_mut().enumerate() {
            match (index, message_type) {
                (0, _) => {
                    item.name = Some("type");
                    item.meaning = message_type.map(|known| self.message_name(known));
                }
                (1, _) => {
                    item.name = Some("options");
                    self.annotate(item, &Kind::TeepOptions);
                }
                (_, Some(known)) => {
                    let after = tables::teep::elements_after_options(known);
                    match after.get(index - 2) {
                        Some(element) => {
                            item.name = Some(element.0);
                            self.annotate(item, element.1);
                        }
                        None => self.annotate(item, &Kind::Any),
                    }
                }
                _ => self.annotate(item, &Kind::Any),
            }
        }
        self.numbers = before;
    }

    fn message_name(&self, message_type: teep::MessageType) -> String {
        let name = message_type.name();
        if *self.numbers == Numbers::IANA {
            name.into()
        } else {
            format!("{name}, numbers of {}", self.numbers.name)
        }
    }
}

/// Which number table a message that decodes under neither, or under both, was probably made by.
fn likely_numbers(items: &[Node<'_>]) -> &'static Numbers {
    let old_type = matches!(
        items.first().map(|item| &item.shape),
        Some(Shape::Integer(6))
    );
    let old_token = match items.get(1).map(|item| &item.shape) {
        Some(Shape::Map { entries, .. }) => entries.iter().any(|(key, value)| {
            matches!(key.shape, Shape::Integer(20))
                && matches!(
                    value.as_ref().map(|value| &value.shape),
                    Some(Shape::Bytes(_))
                )
        }),
        _ => false,
    };
    if old_type || old_token {
        &Numbers::PRE_26
    } else {
        &Numbers::IANA
    }
}

/// A map key that stands there twice: well-formed, but two readers could see two messages.
fn duplicate_key(bytes: &[u8], base: usize) -> Option<Fault> {
    let limits = Limits {
        bytes: usize::MAX,
        depth: MAX_LEVELS + 1,
        items: MAX_ITEMS,
    };
    let error = Reader::within(bytes, base, "input", &limits).err()?;
    (error.problem == Problem::DuplicateKey).then_some(Fault {
        offset: error.offset,
        problem: error.problem,
    })
}

/// Shows a segment of a component identifier as text, or with its UUID.
fn label(segment: &mut Node<'_>) {
    let Shape::Bytes(bytes) = segment.shape else {
        return;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') => {
            segment.shape = Shape::Label(text);
        }
        _ => segment.meaning = uuid::Uuid::from_slice(bytes).ok().map(|id| id.to_string()),
    }
}

/// A time in seconds since the epoch as a date; nothing for years that have not four digits.
pub(super) fn utc(seconds: i128) -> Option<String> {
    let seconds = i64::try_from(seconds)
        .ok()
        .filter(|s| (0..253_402_300_800).contains(s))?;
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Days to a date in the Gregorian calendar; years begin in March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC",
        second % 60
    ))
}

/// Against memory exhaustion: items of all levels together.
const MAX_ITEMS: usize = 200_000;
/// Against stack exhaustion: byte strings that hold items within each other.
const MAX_EMBEDDED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_dates() {
        assert_eq!(utc(0).as_deref(), Some("1970-01-01 00:00:00 UTC"));
        assert_eq!(utc(951_782_399).as_deref(), Some("2000-02-28 23:59:59 UTC"));
        assert_eq!(utc(951_782_400).as_deref(), Some("2000-02-29 00:00:00 UTC"));
        assert_eq!(
            utc(1_800_000_000).as_deref(),
            Some("2027-01-15 08:00:00 UTC")
        );
        assert_eq!(utc(-1), None);
        assert_eq!(utc(i128::MAX), None);
    }
}
