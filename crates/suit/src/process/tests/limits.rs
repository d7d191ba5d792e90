//! Every limit of [`Limits`](super::super::Limits): what is exactly at it runs, one more does not.

use teep_cose::encrypt::ContentAlgorithm;

use super::dependencies::{self, DEPENDENCY_URI, UNLINK};
use super::dependency_chain::chain;
use super::*;

/// Runs an update with the default limits but for one.
fn update(draft: &Draft, limit: impl Fn(&mut Limits)) -> Result<Processor, Failure> {
    let mut limits = Limits::default();
    limit(&mut limits);
    let authorized = authorize(&draft.envelope(), &limits)?;
    let mut processor = Processor::new(authorized, Procedure::Update);
    drive(&mut processor, &mut Memory::default(), &server(), 7)?;
    Ok(processor)
}

fn install(commands: &[Pair]) -> Draft {
    Draft::new(&[(INSTALL, sequence(commands))])
}

/// Proves: S-161
#[test]
fn steps() {
    let three = install(&[set(&[content(b"x")]), plain(WRITE), plain(WRITE)]);
    update(&three, |limits| limits.steps = 3).unwrap();
    let failure = update(&three, |limits| limits.steps = 2).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("executed commands"));
}

/// Proves: S-161
#[test]
fn uri_bytes() {
    let named = install(&[set(&[uri(URI)])]);
    let nested = install(&[run_sequence(&sequence(&[set(&[uri(URI)])]))]);
    let multiple = (34, [&[0xa1, 0][..], &set(&[uri(URI)]).1].concat());
    for draft in [named, nested, install(&[multiple])] {
        update(&draft, |limits| limits.uri_bytes = URI.len()).unwrap();
        let failure = update(&draft, |limits| limits.uri_bytes = URI.len() - 1).unwrap_err();
        assert_eq!(failure.fault, Fault::OverLimit("bytes of a URI"));
    }
}

/// Proves: S-161
#[test]
fn content_bytes() {
    let written = install(&[set(&[content(IMAGE)]), plain(WRITE)]);
    update(&written, |limits| limits.content_bytes = IMAGE.len()).unwrap();
    let failure = update(&written, |limits| limits.content_bytes = IMAGE.len() - 1).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("bytes of content"));
}

/// Proves: S-161, S-162
#[test]
fn payload_bytes() {
    let image = [uri(URI), digest_of(IMAGE)];
    let fetched = install(&[set(&image), plain(FETCH), plain(IMAGE_MATCH)]);
    let written = install(&[set(&[content(IMAGE)]), plain(WRITE)]);
    let fits = IMAGE.len() as u64;
    for draft in [fetched, written] {
        update(&draft, |limits| limits.payload_bytes = fits).unwrap();
        let failure = update(&draft, |limits| limits.payload_bytes = fits - 1).unwrap_err();
        assert_eq!(failure.fault, Fault::TooLong(fits - 1));
    }
}

/// Proves: S-161
#[test]
fn procedure_bytes() {
    let twice = install(&[set(&[content(IMAGE)]), plain(WRITE), plain(WRITE)]);
    let fits = 2 * IMAGE.len() as u64;
    update(&twice, |limits| limits.procedure_bytes = fits).unwrap();
    let failure = update(&twice, |limits| limits.procedure_bytes = fits - 1).unwrap_err();
    assert_eq!(failure.fault, Fault::TooLong(fits / 2 - 1));
}

/// What is read counts as well as what is stored, each time: else two commands of a few bytes, over and over,
/// make the device read a component of any size.
///
/// Proves: S-161
#[test]
fn procedure_bytes_read() {
    let image = alloc::vec![7; 4096];
    let mut commands = alloc::vec![set(&[digest_of(&image)])];
    commands.extend(alloc::vec![[plain(UNLINK), plain(IMAGE_MATCH)]; 20].concat());
    let draft = install(&commands);
    let run = |procedure_bytes| {
        let limits = Limits {
            procedure_bytes,
            ..Limits::default()
        };
        let mut device = Memory {
            installed: [(component(0), image.clone())].into(),
            ..Memory::default()
        };
        let authorized = authorize(&draft.envelope(), &limits).unwrap();
        Processor::new(authorized, Procedure::Update).run(&mut device)
    };
    let fits = 20 * 4096;
    assert_eq!(run(fits), Ok(Progress::Done));
    let over = Fault::OverLimit("bytes read and stored");
    assert_eq!(run(fits - 1).unwrap_err().fault, over);
}

/// Proves: S-150, S-161
#[test]
fn records() {
    let check = (1, alloc::vec![1]);
    let three = install(&[
        set(&[(1, bytes(&VENDOR))]),
        check.clone(),
        check.clone(),
        check,
    ]);
    for (limit, kept) in [(4, 3), (3, 3), (2, 2), (0, 0)] {
        let processor = update(&three, |limits| limits.records = limit).unwrap();
        assert_eq!(processor.records().len(), kept, "of at most {limit}");
    }
}

/// A manifest that depends on one that depends on another: with these limits, the fault if any.
fn chained(limit: impl Fn(&mut Limits)) -> Option<Fault> {
    let (outer, _, inner) = chain();
    let mut options = Options::default();
    limit(&mut options.limits);
    let device = &mut dependencies::device();
    let run = dependencies::run(&outer, &inner, Procedure::Update, device, &options);
    run.err().map(|failure| failure.fault)
}

/// Proves: S-161
#[test]
fn dependencies() {
    assert_eq!(chained(|limits| limits.dependencies = 2), None);
    let over = Some(Fault::OverLimit("dependencies"));
    assert_eq!(chained(|limits| limits.dependencies = 1), over);
    assert_eq!(chained(|limits| limits.dependencies = 0), over);
}

/// Proves: S-139, S-161
#[test]
fn dependency_depth() {
    assert_eq!(chained(|limits| limits.dependency_depth = 2), None);
    let over = Some(Fault::OverLimit("levels of dependencies"));
    assert_eq!(chained(|limits| limits.dependency_depth = 1), over);
    assert_eq!(chained(|limits| limits.dependency_depth = 0), over);
}

/// Proves: S-161
#[test]
fn dependency_bytes() {
    let (_, middle, inner) = chain();
    let both = middle.len() + inner.len();
    assert_eq!(chained(|limits| limits.dependency_bytes = both), None);
    let over = Some(Fault::OverLimit("bytes of dependencies"));
    assert_eq!(chained(|limits| limits.dependency_bytes = both - 1), over);
    // One that is too long by itself is not read to its end.
    let endless = alloc::vec![0; 10_000];
    let root = dependencies::root(&inner);
    let get = [
        select(1),
        dependencies::wanted(&inner),
        set(&[size(endless.len())]),
        plain(FETCH),
        plain(dependencies::DEPENDENCY_INTEGRITY),
    ];
    let root = dependencies::with(root, dependencies::DEPENDENCY_RESOLUTION, &get);
    let mut device = dependencies::device();
    let mut options = Options::default();
    options.limits.dependency_bytes = 2048;
    let authorized = authorize_for(&device, &root.envelope(), &options).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    let server = [(DEPENDENCY_URI.to_string(), endless)].into();
    let failure = drive(&mut processor, &mut device, &server, 500).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("bytes of dependencies"));
    assert!(device.reads < 8, "{} reads", device.reads);
}

/// Each check of a dependency costs signature checks, also of one that was checked before.
///
/// Proves: S-161
#[test]
fn key_operations() {
    assert_eq!(chained(|limits| limits.key_operations = 2), None);
    let over = Fault::OverLimit("work with keys");
    assert_eq!(
        chained(|limits| limits.key_operations = 1),
        Some(over.clone())
    );
    let inner = dependencies::dependency().envelope();
    let again = [
        select(1),
        dependencies::wanted(&inner),
        set(&[content(&inner)]),
        plain(WRITE),
        plain(dependencies::DEPENDENCY_INTEGRITY),
    ];
    let draft = dependencies::with(
        dependencies::root(&inner),
        dependencies::DEPENDENCY_RESOLUTION,
        &alloc::vec![again; 5].concat(),
    );
    let run = |key_operations| {
        let mut options = Options::default();
        options.limits.key_operations = key_operations;
        let device = &mut dependencies::device();
        dependencies::run(&draft, &inner, Procedure::Update, device, &options)
    };
    run(5).unwrap();
    assert_eq!(run(4).unwrap_err().fault, over);
}

/// Each decryption costs a key agreement.
///
/// Proves: S-161
#[test]
fn key_operations_of_decryptions() {
    let made = encryption::encrypted(ContentAlgorithm::A128Ctr);
    let write = [
        set(&[content(&made.ciphertext), encryption::info(&made)]),
        plain(WRITE),
    ];
    let draft = install(&alloc::vec![write; 5].concat());
    let run = |key_operations| {
        let mut device = encryption::device();
        let mut options = Options::default();
        options.limits.key_operations = key_operations;
        let authorized = authorize_for(&device, &draft.envelope(), &options).unwrap();
        Processor::new(authorized, Procedure::Update).run(&mut device)
    };
    assert_eq!(run(5), Ok(Progress::Done));
    let over = Fault::OverLimit("work with keys");
    assert_eq!(run(4).unwrap_err().fault, over);
}
