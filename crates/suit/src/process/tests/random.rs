//! Random manifests, and altered ones: whatever comes, the processor ends within its limits, and nothing is
//! installed that nobody vouches for.

use alloc::collections::BTreeSet;
use alloc::vec;

use proptest::prelude::*;
use proptest::{collection, option, sample};

use super::dependencies::{
    DEPENDENCY_INTEGRITY, DEPENDENCY_RESOLUTION, DEPENDENCY_URI, OTHER, PROCESS_DEPENDENCY, ROOT,
    dependency, wanted,
};
use super::encryption::{encrypted, info};
use super::*;
use crate::command::{Command, Condition, Directive};
use teep_cose::encrypt::ContentAlgorithm;

proptest! {
    /// Proves: S-007, S-028, S-042, S-133, S-161, E-07
    #[test]
    fn supported_commands_end_and_install_only_what_is_vouched_for(case in case()) {
        let (result, device, records) = case.run(1000);
        prop_assert!(records <= case.limits.records);
        prop_assert!(device.appended <= case.limits.procedure_bytes);
        if result.is_ok() {
            prop_assert!(is_vouched_for(&device), "{device:?}");
        }
        // The size of the chunks changes nothing, except how much of a payload that fails was stored.
        let (again, slowly, _) = case.run(1);
        prop_assert_eq!(&again, &result);
        prop_assert!(again.is_err() || slowly == device);
    }

    /// Proves: S-007, S-020, S-021, S-042, S-133, S-161
    #[test]
    fn an_altered_envelope_installs_only_what_was_signed(
        alterations in collection::vec((0u8..5, any::<sample::Index>(), any::<sample::Index>(), 1usize..40), 1..3),
    ) {
        let mut bytes = complete();
        for (kind, one, other, length) in alterations {
            let (one, other) = (one.index(bytes.len().max(1)), other.index(bytes.len().max(1)));
            let end = (one + length).min(bytes.len());
            match kind {
                0 => bytes.truncate(one),
                1 => drop(bytes.splice(one..one, vec![other as u8; length % 4])),
                2 => drop(bytes.drain(one..end)),
                3 => drop(bytes.splice(one..one, bytes[one..end].to_vec())),
                _ => (0..length.min(bytes.len() - one.max(other)))
                    .for_each(|at| bytes.swap(one + at, other + at)),
            }
        }
        let (result, device) = receive(&bytes);
        prop_assert!(result.is_err() || is_vouched_for(&device), "{device:?}");
    }

    /// Proves: S-071
    #[test]
    fn any_command_is_refused_or_run(
        codes in collection::vec((-300i64..40, 0u8..4), 1..6),
        argument in collection::vec(any::<u8>(), 0..4),
    ) {
        let mut commands = vec![select(0)];
        let is_known = |code| {
            Condition::from_code(code).is_some()
                || Directive::from_code(code).is_some()
                || Command::OTHER_CODES.contains(&code)
        };
        let all_known = codes.iter().all(|(code, _)| is_known(*code));
        for (code, kind) in codes {
            let argument = match kind {
                0 => vec![2],
                1 => bytes(&argument),
                2 => vec![0xf5],
                _ => set(&[(code, bytes(&argument))]).1,
            };
            commands.push((code, argument));
        }
        let bytes = Draft::new(&[(INSTALL, sequence(&commands))]).envelope();
        let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
        if let Ok(authenticated) = envelope.verify(&trusted())
            && let Ok(authorized) = authenticated.authorize(&Memory::default(), &Options::default())
        {
            prop_assert!(all_known);
            let mut processor = Processor::new(authorized, Procedure::Update);
            let _ends = drive(&mut processor, &mut Memory::default(), &server(), 7);
        }
    }
}

/// Every bit of an envelope with everything in it.
/// Proves: S-007, S-020, S-021, S-042, S-133
#[test]
fn no_altered_bit_installs_anything_else() {
    let mut bytes = complete();
    let (result, device) = receive(&bytes);
    result.unwrap();
    assert_eq!(device.staged.len(), 3);
    assert!(is_vouched_for(&device));
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        let (result, device) = receive(&bytes);
        assert!(
            result.is_err() || is_vouched_for(&device),
            "byte {at}: {device:?}"
        );
        bytes[at] ^= 1 << (at % 8);
    }
}

/// The random cases do what they are for: each command is run in some that end well.
#[test]
fn every_command_succeeds_in_some_random_case() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let case = case();
    let (mut seen, mut good) = (BTreeSet::new(), 0);
    for _ in 0..500 {
        let case = case.new_tree(&mut runner).unwrap().current();
        let mut processor = case.processor();
        let (mut device, server) = (world(), case.server());
        let mut codes = BTreeSet::new();
        let mut result = Ok(None);
        while let Ok(None) = result {
            codes.extend(
                processor
                    .next_command()
                    .map(|(_, command, _)| command.code()),
            );
            result = processor
                .step(&mut device)
                .and_then(|progress| answer(&mut processor, progress, &mut device, &server));
        }
        if result.is_ok() {
            good += 1;
            seen.extend(codes);
        }
    }
    assert!(good > 50, "{good} of 500 end well");
    let conditions = Condition::ALL.iter().map(|condition| condition.code());
    let directives = Directive::ALL.iter().map(|directive| directive.code());
    let all: BTreeSet<_> = conditions
        .chain(directives)
        .chain(Command::OTHER_CODES)
        .collect();
    let missing: Vec<_> = all.difference(&seen).collect();
    assert!(
        missing.is_empty(),
        "never in {good} good cases: {missing:?}"
    );
}

/// Gives the processor what it stopped for; `Some` at the end.
fn answer(
    processor: &mut Processor,
    progress: Option<Progress>,
    device: &mut Memory,
    server: &Server,
) -> Result<Option<()>, Failure> {
    match progress {
        None | Some(Progress::Invoke { .. }) => {}
        Some(Progress::Done) => return Ok(Some(())),
        Some(Progress::Wait { .. }) => processor.happened()?,
        Some(Progress::Ask { .. }) => processor.consent(true)?,
        Some(Progress::Fetch { uri, .. }) => {
            processor.payload(&server[&uri], device)?;
            processor.payload_end(device)?;
        }
    }
    Ok(None)
}

/// A manifest, the procedure to run, and what a server sends.
#[derive(Debug, Clone)]
struct Case {
    draft: Draft,
    procedure: Procedure,
    limits: Limits,
    leniency: Leniency,
    /// Whether the server has the payload that was asked for, and whether the dependency.
    honest: [bool; 2],
}

impl Case {
    fn processor(&self) -> Processor {
        let options = Options {
            limits: self.limits,
            leniency: self.leniency,
        };
        let authorized = authorize_for(&world(), &self.draft.envelope(), &options).unwrap();
        Processor::new(authorized, self.procedure)
    }

    fn server(&self) -> Server {
        let [payload, dependency] = self.honest;
        let payload = if payload { IMAGE.to_vec() } else { vec![1; 20] };
        let dependency = if dependency { inner() } else { other() };
        let sent = [(URI, payload), (DEPENDENCY_URI, dependency.envelope())];
        sent.map(|(uri, payload)| (uri.to_string(), payload)).into()
    }

    fn run(&self, chunk: usize) -> (Result<Vec<Progress>, Failure>, Memory, usize) {
        let mut device = world();
        let mut processor = self.processor();
        let result = drive(&mut processor, &mut device, &self.server(), chunk);
        (result, device, processor.records().len())
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shared = option::weighted(0.3, commands(&SHARED));
    let fetch = commands(&[1, 3, 3, 6, 14, 18, 21, 21, 21, 22, 24, 25, 27, 29, 31, 33]);
    let install = commands(&[
        1, 3, 3, 4, 6, 14, 18, 18, 21, 22, 22, 25, 26, 28, 29, 31, 33,
    ]);
    let (load, uninstall) = (commands(&[3, 18, 21, 22]), commands(&[33, 33, 3, 6]));
    let validate = prop_oneof![commands(&[3, 3, 18]), Just(Vec::new())];
    let procedures = [
        Procedure::Update,
        Procedure::Update,
        Procedure::Update,
        Procedure::Invocation,
        Procedure::Uninstall,
    ];
    let settings = (
        sample::select(procedures.to_vec()),
        sample::select(vec![4096, 4096, 40]),
        sample::select(vec![1 << 30, 1 << 30, 900]),
        [0.6, 0.9].map(prop::bool::weighted),
        any::<bool>(),
    );
    let sections = (shared, fetch, install, load, uninstall, validate);
    (sections, settings).prop_map(
        |((shared, fetch, install, load, uninstall, validate), settings)| {
            let (procedure, steps, procedure_bytes, honest, lenient) = settings;
            let dependency = inner().envelope();
            let get = [
                select(3),
                wanted(&dependency),
                plain(FETCH),
                plain(DEPENDENCY_INTEGRITY),
            ];
            let process = |commands: &[Pair]| {
                sequence(&[&[select(3), plain(PROCESS_DEPENDENCY)], commands].concat())
            };
            let mut draft = Draft::new(&[
                (
                    VALIDATE,
                    match procedure {
                        Procedure::Update => process(&validate),
                        _ if validate.is_empty() => sequence(&[select(0)]),
                        _ => sequence(&validate),
                    },
                ),
                (LOAD, sequence(&load)),
                (INVOKE, sequence(&[select(0), plain(23)])),
                (DEPENDENCY_RESOLUTION, sequence(&get)),
                (PAYLOAD_FETCH, sequence(&fetch)),
                (INSTALL, process(&install)),
                (UNINSTALL, sequence(&uninstall)),
            ]);
            draft.components = vec![0, 1, 2, 9];
            draft.dependencies = vec![3];
            draft.shared = shared.map(|commands| sequence(&commands));
            draft.payloads = vec![("#ta", IMAGE.to_vec())];
            Case {
                draft,
                procedure,
                limits: Limits {
                    steps,
                    procedure_bytes,
                    ..Limits::default()
                },
                leniency: match lenient {
                    true => Leniency::PUBLISHED_EXAMPLES,
                    false => Leniency::default(),
                },
                honest,
            }
        },
    )
}

/// Commands of these codes for the components 0, 1 and 2, nested in any way, after parameters that let
/// most of them succeed.
fn commands(codes: &'static [i64]) -> impl Strategy<Value = Vec<Pair>> {
    let shared = codes == SHARED;
    let all = (12, vec![0x83, 0, 1, 2]);
    let (vendor, class, device) = (bytes(&VENDOR), bytes(&CLASS), bytes(&DEVICE));
    let version = bytes(&[0x82, 2, 0x81, 1]);
    let wait = bytes(&[0xa2, 1, 1, 3, 0]);
    let of_device = [
        (4, uint(11)),
        (5, uint(1)),
        (26, uint(9)),
        (27, uint(1)),
        (28, version),
        (29, wait),
    ];
    let ids = set(&[&[(1, vendor), (2, class), (24, device)][..], &of_device].concat());
    let image = set(&[digest_of(IMAGE), content(IMAGE), uri(URI), (22, uint(1))]);
    let sealed = encrypted(ContentAlgorithm::A128Gcm);
    let sealed = set(&[info(&sealed), content(&sealed.ciphertext)]);
    let (_, weak) = image.clone();
    let (_, x) = set(&[content(b"x")]);
    let multiple = (34, [&[0xa2, 0][..], &x, &[2], &image.1].concat());
    let copied = |from: u8| (35, vec![0xa1, from, 0x82, 3, 18]);
    // Whole tasks: an exchange and a copy of what is there from the beginning, a fetch that nothing checks,
    // and a grasp at the dependency, which is another signer's.
    let whole = [
        (31, vec![select(2), set(&[(22, uint(1))]), plain(31)]),
        (COPY, vec![select(0), set(&[(22, uint(2))]), plain(COPY)]),
        (FETCH, vec![select(0), plain(FETCH)]),
        (WRITE, vec![select(3), set(&[content(b"x")]), plain(WRITE)]),
    ];
    let whole = whole.into_iter().filter(|(code, _)| codes.contains(code));
    let mut whole: Vec<_> = whole
        .map(|(_, task)| run_sequence(&sequence(&task)))
        .collect();
    whole.push(all.clone());
    // Of all there are, the dependencies, and their checks.
    let ask = |code| sequence(&[plain(code)]);
    let dependencies = try_each(&[ask(8), ask(14)], true);
    let simple = prop_oneof![
        12 => sample::select(codes).prop_map(plain),
        1 => Just(set(&[uri("#ta")])),
        1 => Just(set(&[content(b"x"), size(20)])),
        1 => Just(set(&[digest_of(b"x")])),
        1 => Just(sealed),
        1 => Just((19, weak)),
        6 => sample::select(whole),
        // Neither has a place in a shared sequence.
        1 => Just(if shared { all.clone() } else { multiple }),
        1 => (0u8..3).prop_map(move |from| if shared { select(from) } else { copied(from) }),
        1 => (0u64..3).prop_map(|source| set(&[(22, uint(source))])),
        3 => (0u8..3).prop_map(select),
        2 => Just(all.clone()),
    ];
    let nested = simple.prop_recursive(4, 24, 4, |inner| {
        let list = collection::vec(inner, 1..4);
        let soft = option::of(any::<bool>());
        let run = (soft, list.clone()).prop_map(|(soft, mut commands)| {
            let value = |soft| set(&[(13, vec![if soft { 0xf5 } else { 0xf4 }])]);
            commands.splice(0..0, soft.map(value));
            run_sequence(&sequence(&commands))
        });
        let lists = collection::vec(list, 2..4);
        let choose = (lists, prop::bool::weighted(0.8)).prop_map(|(lists, or_nothing)| {
            let lists: Vec<_> = lists.iter().map(|commands| sequence(commands)).collect();
            try_each(&lists, or_nothing)
        });
        prop_oneof![run, choose]
    });
    (collection::vec(nested, 0..5), any::<bool>()).prop_map(
        move |(commands, about_dependencies)| {
            let last = about_dependencies.then(|| [select_all(), dependencies.clone()]);
            let first = [all.clone(), ids.clone(), image.clone()];
            let last = last.into_iter().flatten();
            first.into_iter().chain(commands).chain(last).collect()
        },
    )
}

/// What the root depends on: by another signer, it installs component 5.
fn inner() -> Draft {
    let mut inner = dependency();
    inner.sections.truncate(2);
    inner
}

/// Another manifest by the same signer.
fn other() -> Draft {
    let mut other = inner();
    other.sections[1].1 = sequence(&[set(&[content(b"another")]), plain(WRITE)]);
    other
}

/// A device that knows everything that is asked for, where each signer has a right to their own.
fn world() -> Memory {
    let name = manifest_id();
    let rights = [
        (ROOT, component(0)),
        (ROOT, component(1)),
        (ROOT, component(2)),
        (ROOT, name),
        (OTHER, component(5)),
        (OTHER, component(9)),
    ];
    let of_root = [component(0), component(1), component(2)];
    Memory {
        rights: rights
            .map(|(signer, prefix)| (key_of(signer), prefix))
            .into(),
        now: Some(10),
        battery: Some(9),
        slots: of_root.clone().map(|id| (id, 1)).into(),
        versions: of_root.map(|id| (id, vec![1])).into(),
        installed: [
            (component(2), IMAGE.to_vec()),
            (component(1), b"x".to_vec()),
        ]
        .into(),
        decryption_keys: super::encryption::device().decryption_keys,
        ..super::dependencies::device()
    }
}

/// Whether everything staged is what a signature or a digest under one vouches for: nothing that only a
/// server sent, and no envelope in the dependency's place but an authentic one of the manifest wanted.
fn is_vouched_for(device: &Memory) -> bool {
    let sealed = encrypted(ContentAlgorithm::A128Gcm).ciphertext;
    device.staged.iter().all(|(id, content)| {
        let content = &content[..];
        match id.segments()[0][0] {
            0..3 => [IMAGE, b"x", &sealed].contains(&content),
            5 => content == b"inner",
            9 => {
                let wanted = inner().envelope();
                let envelope = Envelope::decode(content, &crate::Limits::DEFAULT);
                let signer: TrustAnchors = [key_of(OTHER).public_key()].into_iter().collect();
                envelope.is_ok_and(|envelope| envelope.verify(&signer).is_ok())
                    && digest_of_manifest(content) == digest_of_manifest(&wanted)
            }
            _ => false,
        }
    })
}

/// An envelope with a severed section, a payload and a dependency, which installs 0, 5 and 9.
fn complete() -> Vec<u8> {
    let dependency = inner().envelope();
    let (_, digest_and_size) = wanted(&dependency);
    let install = sequence(&[
        select(1),
        (20, digest_and_size),
        set(&[uri("#dependency")]),
        plain(FETCH),
        plain(DEPENDENCY_INTEGRITY),
        plain(PROCESS_DEPENDENCY),
        select(0),
        set(&[uri("#ta"), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ]);
    let mut draft = Draft::new(&[(
        VALIDATE,
        sequence(&[
            select(1),
            plain(PROCESS_DEPENDENCY),
            select(0),
            plain(IMAGE_MATCH),
        ]),
    )]);
    draft.components = vec![0, 9];
    draft.dependencies = vec![1];
    let bytes = draft.envelope();
    let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
    let mut manifest = envelope.unverified_manifest().unwrap();
    manifest.install = Some(crate::Severable::Severed(crate::build::sever(&install)));
    let payloads = [("#ta", IMAGE.to_vec()), ("#dependency", dependency)];
    sign(&manifest.encode(), &[(20, &install)], &payloads)
}

/// Takes an envelope as it came, from decoding to the end of an update.
fn receive(bytes: &[u8]) -> (Result<(), ()>, Memory) {
    let mut device = world();
    let run = |device: &mut Memory| {
        let envelope = Envelope::decode(bytes, &crate::Limits::DEFAULT).ok()?;
        let authenticated = envelope.verify(device.authorities()).ok()?;
        let authorized = authenticated.authorize(device, &Options::default()).ok()?;
        let mut processor = Processor::new(authorized, Procedure::Update);
        let garbage = [(URI.to_string(), vec![1; 20])].into();
        drive(&mut processor, device, &garbage, 1000).ok()
    };
    let result = run(&mut device).map(drop).ok_or(());
    (result, device)
}

/// Conditions that a device can check before anything is there.
const SHARED: [i64; 8] = [1, 2, 4, 5, 24, 25, 26, 28];
