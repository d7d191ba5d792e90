//! Recognises what bytes are, by tag or by shape.

use super::kind::Kind;
use super::node::{Node, Shape};
use super::tables::{cose, eat, suit};

/// A structure that stands by itself.
#[derive(Debug)]
pub(crate) struct Form {
    /// Its name in the texts.
    pub(crate) name: &'static str,
    /// What it is made of.
    pub(crate) kind: &'static Kind,
}

/// What an item is, if it is something that we know.
pub(crate) fn recognise(node: &Node<'_>) -> Option<&'static Form> {
    match &node.shape {
        Shape::Tag(tag, _) => by_tag(*tag),
        Shape::Array { items, .. } => by_elements(items),
        Shape::Map { entries, .. } => by_entries(entries),
        _ => None,
    }
}

/// What a tag says of the item in it.
pub(crate) fn by_tag(tag: u64) -> Option<&'static Form> {
    Some(match tag {
        16 => &ENCRYPT0,
        17 => &MAC0,
        18 => &SIGN1,
        61 => &CWT,
        96 => &ENCRYPT,
        97 => &MAC,
        98 => &SIGN,
        107 => &ENVELOPE,
        1070 => &MANIFEST,
        _ => return None,
    })
}

/// Whether the entries of a map are those of a COSE_Key.
pub(crate) fn is_key(entries: &[(Node<'_>, Option<Node<'_>>)]) -> bool {
    by_entries(entries).is_some_and(|form| std::ptr::eq(form, &KEY))
}

fn by_elements(items: &[Node<'_>]) -> Option<&'static Form> {
    use Shape::{Array, Bytes, Integer, Map, Simple};
    let mut shapes = [const { &Shape::Missing }; 5];
    shapes
        .iter_mut()
        .zip(items)
        .for_each(|(shape, item)| *shape = &item.shape);
    match (items.len(), shapes) {
        (4, [Bytes(_), Map { .. }, Bytes(_) | Simple(NULL), Bytes(_), _]) => Some(&SIGN1),
        (
            4,
            [
                Bytes(_),
                Map { .. },
                Bytes(_) | Simple(NULL),
                Array { items, .. },
                _,
            ],
        ) => {
            // The signatures of a COSE_Sign and the recipients of a COSE_Encrypt are of the same
            // types; the latter has no payload that is an item, and is nowhere sent without its
            // tag.
            (!items.is_empty()).then_some(&SIGN)
        }
        (1..=5, [Integer(1..=6), Map { .. }, ..]) => Some(&TEEP),
        (2, [Integer(-50..=-16), Bytes(_), ..]) => Some(&DIGEST),
        _ => None,
    }
}

fn by_entries(entries: &[(Node<'_>, Option<Node<'_>>)]) -> Option<&'static Form> {
    let value = |label: i128| {
        let entry = entries
            .iter()
            .find(|(key, _)| matches!(key.shape, Shape::Integer(n) if n == label));
        entry
            .and_then(|(_, value)| value.as_ref())
            .map(|value| &value.shape)
    };
    match (value(1), value(2), value(3)) {
        (None | Some(Shape::Array { .. }), Some(Shape::Bytes(_)), Some(Shape::Bytes(_))) => {
            return Some(&ENVELOPE);
        }
        (Some(Shape::Integer(_)), Some(Shape::Integer(_)), Some(Shape::Bytes(_))) => {
            return Some(&MANIFEST);
        }
        (Some(Shape::Integer(1..=5)), ..) if value(-1).is_some() => return Some(&KEY),
        _ => {}
    }
    if value(99).is_some() && value(4).is_some() {
        return Some(&REPORT);
    }
    if matches!(value(0), Some(Shape::Array { .. })) {
        return Some(&PROPERTY_CLAIMS);
    }
    let is_claims = [8, 10, 256, 258, 265]
        .into_iter()
        .any(|label| value(label).is_some());
    is_claims.then_some(&CLAIMS)
}

const NULL: u8 = 22;

static TEEP: Form = Form {
    name: "TEEP message",
    kind: &Kind::TeepMessage,
};
static SIGN1: Form = Form {
    name: "COSE_Sign1",
    kind: &cose::SIGN1,
};
static SIGN: Form = Form {
    name: "COSE_Sign",
    kind: &cose::SIGN,
};
static MAC0: Form = Form {
    name: "COSE_Mac0",
    kind: &cose::MAC0,
};
static MAC: Form = Form {
    name: "COSE_Mac",
    kind: &cose::MAC,
};
static ENCRYPT0: Form = Form {
    name: "COSE_Encrypt0",
    kind: &cose::ENCRYPT0,
};
static ENCRYPT: Form = Form {
    name: "COSE_Encrypt",
    kind: &cose::ENCRYPT,
};
static KEY: Form = Form {
    name: "COSE_Key",
    kind: &cose::KEY,
};
static CWT: Form = Form {
    name: "CWT",
    kind: &cose::SIGN1,
};
/// SUIT_Envelope.
pub(crate) static ENVELOPE: Form = Form {
    name: "SUIT_Envelope",
    kind: &suit::ENVELOPE,
};
static MANIFEST: Form = Form {
    name: "SUIT_Manifest",
    kind: &suit::MANIFEST,
};
static DIGEST: Form = Form {
    name: "SUIT_Digest",
    kind: &suit::DIGEST,
};
static REPORT: Form = Form {
    name: "SUIT_Report",
    kind: &suit::REPORT,
};
static PROPERTY_CLAIMS: Form = Form {
    name: "system-property-claims",
    kind: &suit::PROPERTY_CLAIMS,
};
static CLAIMS: Form = Form {
    name: "EAT claims",
    kind: &eat::CLAIMS,
};
