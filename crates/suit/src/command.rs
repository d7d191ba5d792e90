//! Commands: conditions and directives (draft-ietf-suit-manifest sections 8.4.9 to 8.4.11 and the drafts
//! beside it). A sequence of them is a [`CommandSequence`].

use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Kind, Malformed, Problem, Reader};

use crate::INFALLIBLE;
use crate::deterministic::MapEncoder;
use crate::parameter::Parameters;
use crate::sequence::CommandSequence;

/// One command with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// A condition; its argument is a reporting policy.
    Condition(Condition, ReportingPolicy),
    /// A directive whose argument is a reporting policy.
    Directive(Directive, ReportingPolicy),
    /// 12: which component the commands that follow work on.
    SetComponentIndex(ComponentIndex),
    /// 15: runs alternatives until one succeeds.
    TryEach(TryEach<'a>),
    /// 19: sets parameters that are not set yet.
    SetParameters(Parameters<'a>),
    /// 20: sets parameters.
    OverrideParameters(Parameters<'a>),
    /// 32: runs a sequence.
    RunSequence(CommandSequence<'a>),
    /// 34: sets parameters of several components.
    OverrideMultiple(Vec<(u64, Parameters<'a>)>),
    /// 35: copies parameters, by label, from other components.
    CopyParameters(Vec<(u64, Vec<i64>)>),
    /// Below -256: a custom command, which only those who agreed on it understand.
    Custom {
        /// The command's number.
        code: i64,
        /// The encoded argument: a byte string, text, an integer or null.
        argument: &'a [u8],
    },
    /// A number that no specification gives: the manifest must be refused.
    Unknown {
        /// The command's number.
        code: i64,
        /// The encoded argument.
        argument: &'a [u8],
    },
}

/// Declares an enumeration of commands by their numbers.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            /// Every one of them, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The command's number.
            #[must_use]
            pub const fn code(self) -> i64 {
                self as i64
            }

            /// The command with this number.
            #[must_use]
            pub const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

numbered! {
    /// Commands that check something and change nothing.
    Condition {
        /// The device or component is of this vendor.
        VendorIdentifier = 1,
        /// The device or component is of this class.
        ClassIdentifier = 2,
        /// The component has this digest (and size).
        ImageMatch = 3,
        /// The time given has not come yet.
        UseBefore = 4,
        /// The component is this slot.
        ComponentSlot = 5,
        /// The component has this content.
        CheckContent = 6,
        /// The dependency's manifest is authentic and the one that is meant.
        DependencyIntegrity = 7,
        /// The component is a dependency.
        IsDependency = 8,
        /// Always fails.
        Abort = 14,
        /// The device is this one.
        DeviceIdentifier = 24,
        /// The component has another digest.
        ImageNotMatch = 25,
        /// The battery has charge enough.
        MinimumBattery = 26,
        /// The device's user or application agrees.
        UpdateAuthorized = 27,
        /// The component's version compares as wanted.
        Version = 28,
    }
}

numbered! {
    /// Commands that do something, and whose argument is a reporting policy.
    Directive {
        /// Runs the same section of the dependency's manifest.
        ProcessDependency = 11,
        /// Writes the content parameter to the component.
        Write = 18,
        /// Fetches the component from the URI parameter.
        Fetch = 21,
        /// Copies the source component.
        Copy = 22,
        /// Gives control to the component.
        Invoke = 23,
        /// Waits for events.
        Wait = 29,
        /// Exchanges the component with the source component.
        Swap = 31,
        /// Gives up this manifest's hold on the component.
        Unlink = 33,
    }
}

/// When the author would like a record in the report: bits 0 (on success), 1 (on failure), 2 (system
/// information on success) and 3 (on failure). Hints only (section 8.4.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportingPolicy(pub u8);

impl ReportingPolicy {
    /// No record.
    pub const NOTHING: Self = Self(0);
    /// Everything, whatever happens.
    pub const EVERYTHING: Self = Self(15);
    /// A record on success.
    pub const RECORD_ON_SUCCESS: Self = Self(1);
    /// A record on failure.
    pub const RECORD_ON_FAILURE: Self = Self(2);
    /// System information on success.
    pub const SYSTEM_ON_SUCCESS: Self = Self(4);
    /// System information on failure.
    pub const SYSTEM_ON_FAILURE: Self = Self(8);

    /// Whether all bits of `wanted` are set.
    #[must_use]
    pub const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let fault = reader.fault(
            "reporting-policy",
            Problem::Expected("an integer from 0 to 15"),
        );
        match u8::try_from(reader.uint("reporting-policy")?) {
            Ok(bits) if bits <= Self::EVERYTHING.0 => Ok(Self(bits)),
            _ => Err(fault),
        }
    }
}

/// Which component commands work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentIndex {
    /// The component at this position.
    One(u64),
    /// Each component (and dependency) in turn.
    All,
    /// Each of these in turn; never empty.
    List(Vec<u64>),
}

impl ComponentIndex {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let fault = reader.fault(
            "component-index",
            Problem::Expected("an index, true, or an array of indices"),
        );
        match reader.kind("component-index")? {
            Kind::Integer => Ok(Self::One(reader.uint("component-index")?)),
            Kind::Bool => match reader.bool("component-index")? {
                true => Ok(Self::All),
                // S-079 false names no component.
                false => Err(fault),
            },
            Kind::Array => {
                let mut list = Vec::new();
                for _ in 0..reader.array("component-index")? {
                    list.push(reader.uint("component-index")?);
                }
                // S-079 nor does an empty list.
                if list.is_empty() {
                    Err(fault)
                } else {
                    Ok(Self::List(list))
                }
            }
            _ => Err(fault),
        }
    }
}

/// The argument of try-each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TryEach<'a> {
    /// The sequences in the order in which they are tried; two at least.
    pub alternatives: Vec<CommandSequence<'a>>,
    /// Whether, if all fail, doing nothing counts as success (a `nil` at the end).
    pub or_nothing: bool,
}

impl<'a> TryEach<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut alternatives = Vec::new();
        let mut or_nothing = false;
        let fault = reader.fault(
            "try-each",
            Problem::Expected("an array of two sequences at least, then nil or no more"),
        );
        for left in (0..reader.array("try-each")?).rev() {
            if left == 0 && reader.kind("try-each")? == Kind::Null {
                reader.null("try-each")?;
                or_nothing = true;
            } else {
                alternatives.push(CommandSequence::nested(reader, "try-each")?);
            }
        }
        // S-097 (8.4.10.2) two sequences at least.
        if alternatives.len() < 2 {
            Err(fault)
        } else {
            Ok(Self {
                alternatives,
                or_nothing,
            })
        }
    }
}

impl<'a> Command<'a> {
    /// The numbers of the commands that are neither a [`Condition`] nor a [`Directive`].
    pub const OTHER_CODES: [i64; 7] = [
        SET_COMPONENT_INDEX,
        TRY_EACH,
        SET_PARAMETERS,
        OVERRIDE_PARAMETERS,
        RUN_SEQUENCE,
        OVERRIDE_MULTIPLE,
        COPY_PARAMETERS,
    ];

    /// The command's number.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self {
            Self::Condition(condition, _) => condition.code(),
            Self::Directive(directive, _) => directive.code(),
            Self::SetComponentIndex(_) => SET_COMPONENT_INDEX,
            Self::TryEach(_) => TRY_EACH,
            Self::SetParameters(_) => SET_PARAMETERS,
            Self::OverrideParameters(_) => OVERRIDE_PARAMETERS,
            Self::RunSequence(_) => RUN_SEQUENCE,
            Self::OverrideMultiple(_) => OVERRIDE_MULTIPLE,
            Self::CopyParameters(_) => COPY_PARAMETERS,
            Self::Custom { code, .. } | Self::Unknown { code, .. } => *code,
        }
    }

    /// When its author would like a record of it; commands without such an argument never.
    #[must_use]
    pub const fn policy(&self) -> ReportingPolicy {
        match self {
            Self::Condition(_, policy) | Self::Directive(_, policy) => *policy,
            _ => ReportingPolicy::NOTHING,
        }
    }

    /// Whether the command may stand in a shared sequence: it changes nothing but parameters.
    ///
    /// set-parameters may, though the CDDL forbids it: draft-ietf-suit-trust-domains section 8.1 uses it
    /// so.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match self {
            Self::Condition(..)
            | Self::SetComponentIndex(_)
            | Self::TryEach(_)
            | Self::SetParameters(_)
            | Self::OverrideParameters(_)
            | Self::RunSequence(_) => true,
            Self::Directive(..)
            | Self::OverrideMultiple(_)
            | Self::CopyParameters(_)
            | Self::Custom { .. }
            | Self::Unknown { .. } => false,
        }
    }

    /// Reads a number and its argument.
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let fault = reader.fault("command", Problem::Expected("a command number"));
        let code = reader.int("command")?;
        if let Some(condition) = Condition::from_code(code) {
            return Ok(Self::Condition(condition, ReportingPolicy::decode(reader)?));
        }
        if let Some(directive) = Directive::from_code(code) {
            return Ok(Self::Directive(directive, ReportingPolicy::decode(reader)?));
        }
        Ok(match code {
            SET_COMPONENT_INDEX => Self::SetComponentIndex(ComponentIndex::decode(reader)?),
            TRY_EACH => Self::TryEach(TryEach::decode(reader)?),
            SET_PARAMETERS => Self::SetParameters(Parameters::decode(reader)?),
            OVERRIDE_PARAMETERS => Self::OverrideParameters(Parameters::decode(reader)?),
            RUN_SEQUENCE => Self::RunSequence(CommandSequence::nested(reader, "run-sequence")?),
            OVERRIDE_MULTIPLE => {
                let mut overrides = Vec::new();
                for _ in 0..non_empty(reader.map("override-multiple")?, fault)? {
                    let index = reader.uint("override-multiple")?;
                    overrides.push((index, Parameters::decode(reader)?));
                }
                Self::OverrideMultiple(overrides)
            }
            COPY_PARAMETERS => {
                let mut copies = Vec::new();
                for _ in 0..non_empty(reader.map("copy-params")?, fault)? {
                    let index = reader.uint("copy-params")?;
                    let count = non_empty(reader.array("copy-params")?, fault)?;
                    let labels = (0..count).map(|_| reader.int("copy-params"));
                    copies.push((index, labels.collect::<Result<_, _>>()?));
                }
                Self::CopyParameters(copies)
            }
            // S-001 (8.1) 0 means "unset"; S-124 (8.4.11) custom commands lie below -256.
            -256..=0 => return Err(fault),
            ..-256 => Self::Custom {
                code,
                argument: custom_argument(reader)?,
            },
            _ => Self::Unknown {
                code,
                argument: reader.raw("command argument")?,
            },
        })
    }

    /// Writes number and argument: two items of a sequence.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder.i64(self.code()).expect(INFALLIBLE);
        match self {
            Self::Condition(_, policy) | Self::Directive(_, policy) => {
                encoder.u8(policy.0).expect(INFALLIBLE);
            }
            Self::SetComponentIndex(ComponentIndex::One(index)) => {
                encoder.u64(*index).expect(INFALLIBLE);
            }
            Self::SetComponentIndex(ComponentIndex::All) => {
                encoder.bool(true).expect(INFALLIBLE);
            }
            Self::SetComponentIndex(ComponentIndex::List(list)) => {
                encoder.array(list.len() as u64).expect(INFALLIBLE);
                for index in list {
                    encoder.u64(*index).expect(INFALLIBLE);
                }
            }
            Self::TryEach(TryEach {
                alternatives,
                or_nothing,
            }) => {
                let length = alternatives.len() + usize::from(*or_nothing);
                encoder.array(length as u64).expect(INFALLIBLE);
                for sequence in alternatives {
                    encoder.bytes(sequence.bytes()).expect(INFALLIBLE);
                }
                if *or_nothing {
                    encoder.null().expect(INFALLIBLE);
                }
            }
            Self::SetParameters(parameters) | Self::OverrideParameters(parameters) => {
                parameters.encode(encoder);
            }
            Self::RunSequence(sequence) => {
                encoder.bytes(sequence.bytes()).expect(INFALLIBLE);
            }
            Self::OverrideMultiple(overrides) => {
                let mut map = MapEncoder::default();
                for (index, parameters) in overrides {
                    map.keyed(index_key(*index), |e| parameters.encode(e));
                }
                map.finish(encoder);
            }
            Self::CopyParameters(copies) => {
                let mut map = MapEncoder::default();
                for (index, labels) in copies {
                    map.keyed(index_key(*index), |e| {
                        e.array(labels.len() as u64).expect(INFALLIBLE);
                        labels.iter().for_each(|label| {
                            e.i64(*label).expect(INFALLIBLE);
                        });
                    });
                }
                map.finish(encoder);
            }
            Self::Custom { argument, .. } | Self::Unknown { argument, .. } => {
                encoder.writer_mut().extend(*argument);
            }
        }
    }
}

fn index_key(index: u64) -> Vec<u8> {
    crate::deterministic::encoded(|e| {
        e.u64(index).expect(INFALLIBLE);
    })
}

fn non_empty(length: u64, fault: Malformed) -> Result<u64, Malformed> {
    if length == 0 { Err(fault) } else { Ok(length) }
}

fn custom_argument<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    match reader.kind("custom command")? {
        Kind::Bytes | Kind::Text | Kind::Integer | Kind::Null => reader.raw("custom command"),
        _ => Err(reader.fault(
            "custom command",
            Problem::Expected("a byte string, text, an integer or null"),
        )),
    }
}

const SET_COMPONENT_INDEX: i64 = 12;
const TRY_EACH: i64 = 15;
const SET_PARAMETERS: i64 = 19;
const OVERRIDE_PARAMETERS: i64 = 20;
const RUN_SEQUENCE: i64 = 32;
const OVERRIDE_MULTIPLE: i64 = 34;
const COPY_PARAMETERS: i64 = 35;
