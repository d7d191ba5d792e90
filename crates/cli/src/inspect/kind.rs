//! What an item is, as data: the tables in [`super::tables`] are made of these.

use super::node::{Node, Shape};

/// What an item is by its place.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Nothing is known of it.
    Any,
    /// A number whose values have names.
    Number(&'static [(i64, &'static str)]),
    /// A number that is a label of this table.
    LabelOf(&'static [Field]),
    /// Seconds since the epoch.
    Time,
    /// A number whose bits have names.
    Bits(&'static [&'static str]),
    /// suit-reporting-policy-bits.
    ReportingPolicy,
    /// 16 bytes.
    Uuid,
    /// A component identifier.
    Path,
    /// A map with numbered entries; the values of all others are of the second kind.
    Map(&'static [Field], &'static Kind),
    /// A map from anything to this.
    MapTo(&'static Kind),
    /// An array of these.
    List(&'static Kind),
    /// An array whose elements have names, then any number of the second kind.
    Tuple(&'static [Element], &'static Kind),
    /// An array of command numbers and arguments in turn.
    Commands(&'static [Field]),
    /// A byte string that holds this.
    Embedded(&'static Kind),
    /// A byte string that may hold anything that we recognise.
    Payload,
    /// The array of a COSE_Sign1 or COSE_Sign.
    Signed(&'static Kind),
    /// SUIT_Authentication: a digest, and blocks that sign it.
    Authentication,
    /// A private or symmetric key: never shown.
    Secret,
    /// The first of these that the item can be.
    Either(&'static [&'static Kind]),
    /// The array of a TEEP message.
    TeepMessage,
    /// A map with labels of the TEEP registry.
    TeepOptions,
    /// A TEEP error code.
    TeepErrorCode,
    /// data-item-requested of TEEP.
    TeepDataItems,
}

/// An entry of a map: label, name, and what its value is.
#[derive(Debug)]
pub(crate) struct Field(
    pub(crate) i64,
    pub(crate) &'static str,
    pub(crate) &'static Kind,
);

/// An element of an array: its name and what it is.
#[derive(Debug)]
pub(crate) struct Element(pub(crate) &'static str, pub(crate) &'static Kind);

impl Kind {
    /// Whether an item of this type can be of this kind; for [`Kind::Either`].
    pub(crate) fn accepts(&self, node: &Node<'_>) -> bool {
        match self {
            Self::Any | Self::Secret => true,
            Self::Number(_)
            | Self::LabelOf(_)
            | Self::Time
            | Self::Bits(_)
            | Self::ReportingPolicy
            | Self::TeepErrorCode
            | Self::TeepDataItems => {
                matches!(node.shape, Shape::Integer(_))
            }
            Self::Uuid | Self::Embedded(_) | Self::Payload => {
                matches!(node.shape, Shape::Bytes(_) | Shape::Cut(_))
            }
            Self::Map(..) | Self::MapTo(_) | Self::TeepOptions => {
                matches!(node.shape, Shape::Map { .. })
            }
            Self::Path
            | Self::List(_)
            | Self::Tuple(..)
            | Self::Commands(_)
            | Self::Signed(_)
            | Self::Authentication
            | Self::TeepMessage => matches!(node.shape, Shape::Array { .. }),
            Self::Either(kinds) => kinds.iter().any(|kind| kind.accepts(node)),
        }
    }
}

/// The name of a number in a table.
pub(crate) fn name_of(table: &[(i64, &'static str)], number: i128) -> Option<&'static str> {
    table
        .iter()
        .find(|row| i128::from(row.0) == number)
        .map(|row| row.1)
}

/// The names of the bits that are set, lowest first.
pub(crate) fn names_of_bits(names: &[&str], bits: i128) -> String {
    let is_set = |(bit, _): &(usize, &&str)| bits >> bit & 1 == 1;
    let set = names.iter().enumerate().filter(is_set);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// A reporting policy (draft-ietf-suit-manifest section 8.4.7) in words: "reports failure".
pub(crate) fn reporting_policy(bits: u8) -> String {
    let when = |success: u8, failure: u8| match (bits & success != 0, bits & failure != 0) {
        (true, true) => Some("success and failure"),
        (true, false) => Some("success"),
        (false, true) => Some("failure"),
        (false, false) => None,
    };
    match (when(1, 2), when(4, 8)) {
        _ if bits > 15 => "not a reporting policy".into(),
        _ if bits == 15 => "reports everything".into(),
        (None, None) => "reports nothing".into(),
        (Some(record), None) => format!("reports {record}"),
        (None, Some(system)) => format!("reports the system's state on {system}"),
        (Some(record), Some(system)) => {
            format!("reports {record}, the system's state on {system}")
        }
    }
}

/// The field of a map with this label.
pub(crate) fn field_of(table: &'static [Field], label: i128) -> Option<&'static Field> {
    table.iter().find(|field| i128::from(field.0) == label)
}
