//! Random sequences of every command, with every parameter.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::{collection, option, sample};
use suit::build::sequence;
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy, TryEach};
use suit::component_metadata::{Actor, FileType, Permissions};
use suit::parameter::VendorIdentifier;
use suit::sequence::Place;
use suit::version::Comparison;
use suit::{
    Command, CommandSequence, ComponentMetadata, Limits, Parameter, Parameters, SuitDigest,
    Version, WaitEvent, WaitInfo,
};

/// An encoded sequence of any commands, nested up to the limit; `shared` is one for the shared sequence.
pub(crate) fn commands(shared: bool) -> impl Strategy<Value = Vec<u8>> + Clone {
    let simple = collection::vec(command(shared, Just(Vec::new()).boxed()), 1..4);
    let simple = simple.prop_map(move |commands| encoded(&commands, shared));
    simple.prop_recursive(4, 12, 3, move |inner| {
        let some = collection::vec(command(shared, inner.boxed()), 1..4);
        some.prop_map(move |commands| encoded(&commands, shared))
    })
}

/// Encodes, and finds that the commands are read back as they were.
fn encoded(commands: &[Plan], shared: bool) -> Vec<u8> {
    let commands: Vec<_> = commands.iter().map(Plan::command).collect();
    let bytes = sequence(&commands);
    let read = CommandSequence::new(&bytes, &Limits::DEFAULT).unwrap();
    let place = if shared {
        Place::Shared
    } else {
        Place::Section
    };
    read.check(place, &Limits::DEFAULT).unwrap();
    let again: Vec<_> = read.iter().map(|command| command.unwrap().1).collect();
    assert_eq!(again, commands);
    bytes
}

/// A command with all that it borrows.
#[derive(Debug, Clone)]
enum Plan {
    Condition(Condition, u8),
    Directive(Directive, u8),
    Select(ComponentIndex),
    TryEach(Vec<Vec<u8>>, bool),
    Set(Vec<Value>),
    Override(Vec<Value>),
    Run(Vec<u8>),
    Multiple(BTreeMap<u64, Vec<Value>>),
    Copy(BTreeMap<u64, Vec<i64>>),
    Custom(i64, Vec<u8>),
}

fn command(shared: bool, inner: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Plan> {
    let policy = 0..16u8;
    let index = prop_oneof![
        any::<u64>().prop_map(ComponentIndex::One),
        Just(ComponentIndex::All),
        collection::vec(any::<u64>(), 1..4).prop_map(ComponentIndex::List),
    ];
    let any_values = || values(shared);
    // Where there is no sequence to nest, one that aborts.
    let inner = inner.prop_map(|bytes| {
        if bytes.is_empty() {
            vec![0x82, 14, 15]
        } else {
            bytes
        }
    });
    let alternatives = (collection::vec(inner.clone(), 2..4), any::<bool>());
    let pure = prop_oneof![
        (sample::select(Condition::ALL), policy.clone()).prop_map(|(c, p)| Plan::Condition(c, p)),
        index.prop_map(Plan::Select),
        any_values().prop_map(Plan::Set),
        any_values().prop_map(Plan::Override),
        inner.prop_map(Plan::Run),
        alternatives.prop_map(|(sequences, or_nothing)| Plan::TryEach(sequences, or_nothing)),
    ];
    if shared {
        return pure.boxed();
    }
    let labels = prop_oneof![1..31i64, -400..-256i64];
    let arguments = [&[0x41, 7][..], &[0x61, b'x'], &[0x20], &[0xf6]].map(<[u8]>::to_vec);
    prop_oneof![
        6 => pure,
        2 => (sample::select(Directive::ALL), policy).prop_map(|(d, p)| Plan::Directive(d, p)),
        1 => collection::btree_map(any::<u64>(), any_values(), 1..3).prop_map(Plan::Multiple),
        1 => collection::btree_map(any::<u64>(), collection::vec(labels, 1..4), 1..3)
            .prop_map(Plan::Copy),
        1 => (i64::MIN..-256, sample::select(arguments.to_vec()))
            .prop_map(|(code, argument)| Plan::Custom(code, argument)),
    ]
    .boxed()
}

impl Plan {
    fn command(&self) -> Command<'_> {
        fn read(bytes: &[u8]) -> CommandSequence<'_> {
            CommandSequence::new(bytes, &Limits::DEFAULT).unwrap()
        }
        fn set(values: &[Value]) -> Parameters<'_> {
            values.iter().map(Value::parameter).collect()
        }
        match self {
            Self::Condition(condition, policy) => {
                Command::Condition(*condition, ReportingPolicy(*policy))
            }
            Self::Directive(directive, policy) => {
                Command::Directive(*directive, ReportingPolicy(*policy))
            }
            Self::Select(index) => Command::SetComponentIndex(index.clone()),
            Self::TryEach(sequences, or_nothing) => Command::TryEach(TryEach {
                alternatives: sequences.iter().map(|bytes| read(bytes)).collect(),
                or_nothing: *or_nothing,
            }),
            Self::Set(values) => Command::SetParameters(set(values)),
            Self::Override(values) => Command::OverrideParameters(set(values)),
            Self::Run(bytes) => Command::RunSequence(read(bytes)),
            Self::Multiple(sets) => Command::OverrideMultiple(
                sets.iter()
                    .map(|(index, values)| (*index, set(values)))
                    .collect(),
            ),
            Self::Copy(copies) => Command::CopyParameters(copies.clone().into_iter().collect()),
            Self::Custom(code, argument) => Command::Custom {
                code: *code,
                argument,
            },
        }
    }
}

/// A parameter's label, and what its value is made of.
#[derive(Debug, Clone)]
struct Value {
    label: i64,
    number: u64,
    bytes: Vec<u8>,
    text: String,
    uuid: [u8; 16],
    version: Vec<i64>,
    /// An encoded number.
    custom: Vec<u8>,
}

/// Parameters of different labels, in the order of encoding; custom ones have no place in a shared
/// sequence.
fn values(shared: bool) -> impl Strategy<Value = Vec<Value>> {
    let custom = if shared { 0..1 } else { 0..3usize };
    let own = collection::btree_set(257..400i64, custom);
    let known = sample::subsequence(Parameter::LABELS.to_vec(), 1..5);
    let seeds = (
        any::<u64>(),
        collection::vec(any::<u8>(), 0..30),
        ".{0,20}",
        any::<[u8; 16]>(),
        version(),
    );
    (known, own, seeds).prop_map(|(known, own, (number, bytes, text, uuid, version))| {
        let labels = known.into_iter().chain(own.into_iter().map(|label| -label));
        labels
            .map(|label| Value {
                label,
                number,
                bytes: bytes.clone(),
                text: text.clone(),
                uuid,
                version: version.clone(),
                custom: vec![(number % 24) as u8],
            })
            .collect()
    })
}

impl Value {
    fn parameter(&self) -> Parameter<'_> {
        let (number, bytes, yes) = (self.number, &self.bytes[..], self.number.is_multiple_of(2));
        match self.label {
            1 if yes => Parameter::VendorIdentifier(VendorIdentifier::Uuid(&self.uuid)),
            1 => Parameter::VendorIdentifier(VendorIdentifier::EnterpriseNumber(bytes)),
            2 => Parameter::ClassIdentifier(&self.uuid),
            3 if yes => Parameter::ImageDigest(SuitDigest::sha256(bytes)),
            3 => Parameter::ImageDigest(SuitDigest {
                algorithm: -44,
                bytes: bytes.to_vec(),
            }),
            4 => Parameter::UseBefore(number),
            5 => Parameter::ComponentSlot(number),
            12 => Parameter::StrictOrder(yes),
            13 => Parameter::SoftFailure(yes),
            14 => Parameter::ImageSize(number),
            18 => Parameter::Content(bytes),
            19 => Parameter::EncryptionInfo(bytes),
            21 => Parameter::Uri(&self.text),
            22 => Parameter::SourceComponent(number),
            23 => Parameter::InvokeArguments(bytes),
            24 => Parameter::DeviceIdentifier(&self.uuid),
            25 => Parameter::FetchArguments(bytes),
            26 => Parameter::MinimumBattery(number),
            27 => Parameter::UpdatePriority(number.cast_signed()),
            28 => Parameter::Version(self.demand()),
            29 => Parameter::WaitInfo(self.wait_info()),
            30 => Parameter::ComponentMetadata(self.metadata()),
            label => Parameter::Other {
                label,
                value: &self.custom,
            },
        }
    }

    fn demand(&self) -> Version {
        Version {
            comparison: Comparison::ALL[(self.number % 5) as usize],
            version: self.version.clone(),
        }
    }

    /// Those events whose bits are set in the number, the last of them in any case.
    fn wait_info(&self) -> WaitInfo<'_> {
        let number = self.number.cast_signed();
        let mut events = vec![
            WaitEvent::Authorization(number),
            WaitEvent::Power(number),
            WaitEvent::Network(number),
            WaitEvent::OtherDeviceVersion {
                device: &self.bytes,
                versions: vec![self.demand(); 2],
            },
            WaitEvent::Time(self.number),
            WaitEvent::TimeOfDay(self.number % 86_400),
            WaitEvent::DayOfWeek(self.number % 7),
            WaitEvent::TimeOfDayUtc(self.number % 86_400),
        ];
        let mut bit = 0;
        events.retain(|_| {
            bit += 1;
            self.number >> bit & 1 == 1
        });
        events.push(WaitEvent::DayOfWeekUtc(self.number % 7));
        WaitInfo::new(events).unwrap()
    }

    fn metadata(&self) -> ComponentMetadata<'_> {
        let is = |bit: u64| self.number >> bit & 1 == 1;
        let permissions = Permissions(self.number as u16 & Permissions::ALL.0);
        let actors = [
            Actor::Number(-1),
            Actor::Bytes(&self.bytes),
            Actor::Name("root"),
            Actor::Uuid(&self.uuid),
        ];
        let some = |first: u64| {
            let actors = actors.into_iter().zip(first..).filter(|(_, bit)| is(*bit));
            actors.map(|(actor, _)| (actor, permissions)).collect()
        };
        ComponentMetadata {
            default_permissions: is(20).then_some(permissions),
            user_permissions: some(21),
            group_permissions: some(25),
            role_permissions: some(29),
            file_type: is(33).then_some(if is(34) {
                FileType::Directory
            } else {
                FileType::Symlink
            }),
            modification_time: is(35).then_some(self.number),
            creation_time: is(36).then_some(self.number),
            creator: is(37).then_some(actors[(self.number % 4) as usize]),
        }
    }
}

pub(crate) fn version() -> impl Strategy<Value = Vec<i64>> + Clone {
    let release = collection::vec(0..i64::MAX, 1..4);
    let pre_release = option::of((-3..0i64, collection::vec(0..9i64, 0..2)));
    (release, pre_release).prop_map(|(mut version, pre_release)| {
        if let Some((indicator, more)) = pre_release {
            version.push(indicator);
            version.extend(more);
        }
        version
    })
}

/// Every kind of what can be random is met: else the tests above would prove less than they say.
#[test]
fn every_command_and_parameter_is_met() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut codes, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2000 {
        let plan = command(false, Just(Vec::new()).boxed())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        if let Plan::Set(values) = &plan {
            labels.extend(values.iter().map(|value| value.label));
        }
        codes.insert(plan.command().code());
    }
    let conditions = Condition::ALL.iter().map(|condition| condition.code());
    let directives = Directive::ALL.iter().map(|directive| directive.code());
    let known = conditions.chain(directives).chain(Command::OTHER_CODES);
    assert!(codes.is_superset(&known.collect()), "{codes:?}");
    assert!(labels.is_superset(&Parameter::LABELS.into()), "{labels:?}");
    assert!(codes.first() < Some(&-256) && labels.first() < Some(&-256));
}
