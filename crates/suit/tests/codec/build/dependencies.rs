//! Manifests that depend on others.

use super::{check_signed, fetched, id, integrated, scenario, section, shared};
use crate::vectors::{ed25519, published};
use suit::build::{BuildError, Component, Conditions, Dependency, Description, Source};
use suit::command::Directive;
use suit::{
    Command, ComponentIdentifier, Envelope, Limits, Manifest, Member, Parameter, Refusal, Section,
    SuitDigest,
};

/// The envelope that others depend on: a Trusted Component with its image.
fn library() -> Vec<u8> {
    let description = Description {
        validate: true,
        ..scenario(integrated())
    };
    description.build().unwrap().sign(&[&ed25519(9)])
}

fn library_id() -> ComponentIdentifier {
    id("TEEP-Device/library/suit")
}

fn on_library() -> Dependency {
    let source = Source::Uri("https://example.org/library.suit".into());
    Dependency::of_envelope(library_id(), &library(), source).unwrap()
}

fn application() -> Description<'static> {
    Description {
        sequence_number: 1,
        manifest_component_id: Some(id("TEEP-Device/application/suit")),
        components: vec![Component::inline(
            id("TEEP-Device/application/configuration"),
            b"{}".to_vec(),
        )],
        dependencies: vec![on_library()],
        validate: true,
        uninstall: true,
        ..Description::default()
    }
}

/// Proves: S-039, S-065, S-093, S-131, S-137, S-144
#[test]
fn a_set_of_two_has_exactly_these_commands() {
    let unsigned = application().build().unwrap();
    assert_eq!(shared(&unsigned), ["of 0", "set 3 14"]);
    let process = ["of 1", "set 3", "DependencyIntegrity", "ProcessDependency"];
    let with = |own: &[&'static str]| [&process[..], own].concat();
    let expected = [
        (
            Section::DependencyResolution,
            vec![
                "of 1",
                "set 3 14 21",
                "Fetch",
                "DependencyIntegrity",
                "ProcessDependency",
            ],
        ),
        (Section::PayloadFetch, vec![]),
        (Section::CandidateVerification, vec![]),
        (Section::Install, with(&["of 0", "set 18", "Write"])),
        (Section::Validate, with(&["of 0", "ImageMatch"])),
        (Section::Load, vec![]),
        (Section::Invoke, vec![]),
        (Section::Uninstall, vec!["of 0", "Unlink", "of 1", "Unlink"]),
    ];
    for (label, commands) in expected {
        assert_eq!(section(&unsigned, label), commands, "{label}");
    }
    check_signed(&unsigned);
    assert_eq!(unsigned, application().build().unwrap());
}

/// Proves: S-131
#[test]
fn the_index_of_a_dependency_is_one_into_the_components() {
    let unsigned = application().build().unwrap();
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    assert_eq!(manifest.common.components[1], library_id());
    let [dependency] = &manifest.common.dependencies[..] else {
        panic!("{manifest:?}");
    };
    assert_eq!((dependency.index, &dependency.prefix), (1, &None));

    let mut description = application();
    description.dependencies[0].prefix = Some(id("library"));
    let unsigned = description.build().unwrap();
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    assert_eq!(manifest.common.dependencies[0].prefix, Some(id("library")));
}

#[test]
fn the_digest_is_that_of_the_manifest_and_the_size_that_of_the_envelope() {
    let envelope = library();
    let unsigned = application().build().unwrap();
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    let Some(suit::Severable::Inline(resolution)) = manifest.dependency_resolution else {
        panic!("{manifest:?}");
    };
    let (_, set) = resolution.iter().nth(1).unwrap().unwrap();
    let Command::OverrideParameters(parameters) = set else {
        panic!("{set:?}");
    };
    let digest = Envelope::decode(&envelope, &Limits::DEFAULT)
        .unwrap()
        .digest()
        .clone();
    let expected = [
        Parameter::ImageDigest(digest),
        Parameter::ImageSize(envelope.len() as u64),
        Parameter::Uri("https://example.org/library.suit"),
    ];
    assert!(parameters.iter().eq(&expected), "{parameters:?}");
}

/// The manifest that scenario 3 of draft-ietf-teep-protocol Appendix E depends on is that of scenario 1.
#[test]
fn reads_the_draft_s_dependency() {
    let Some(bytes) = published("teep/cbor-26/suit_uri.hex.txt") else {
        return;
    };
    let source =
        Source::Uri("https://example.org/8d82573a-926d-4754-9353-32dc29997f74.suit".into());
    let dependency = Dependency::of_envelope(library_id(), &bytes, source).unwrap();
    assert!(
        dependency
            .digest
            .to_string()
            .starts_with("b39b52b0b747ea79")
    );
    // The draft says 389: it has the envelope stored with tag 107, which takes two bytes.
    assert_eq!(dependency.size + 2, 389);
    assert_eq!(dependency.sections, [Section::Install, Section::Uninstall]);
}

/// Proves: S-137
#[test]
fn every_section_that_the_dependency_has_is_there() {
    let mut description = Description {
        validate: false,
        uninstall: false,
        ..application()
    };
    description.dependencies[0].sections = Section::ALL.to_vec();
    let unsigned = description.build().unwrap();
    let process = ["of 1", "set 3", "DependencyIntegrity", "ProcessDependency"];
    for label in Section::ALL {
        let commands = section(&unsigned, label);
        match label {
            Section::Uninstall => assert_eq!(commands, ["of 1", "Unlink"]),
            Section::DependencyResolution => assert_eq!(commands.len(), 5),
            Section::Install => assert_eq!(commands[..4], process),
            _ => assert_eq!(commands, process, "{label}"),
        }
    }
    check_signed(&unsigned);
}

#[test]
fn a_manifest_may_do_nothing_but_depend() {
    let unsigned = Description {
        components: vec![],
        ..application()
    }
    .build()
    .unwrap();
    let expected = ["set 3", "DependencyIntegrity", "ProcessDependency"];
    assert_eq!(section(&unsigned, Section::Install), expected);
    assert_eq!(section(&unsigned, Section::Uninstall), ["Unlink"]);
    check_signed(&unsigned);
}

#[test]
fn an_integrated_dependency_goes_with_it() {
    let mut description = application();
    description.dependencies[0].source = Source::Integrated {
        name: "#library".into(),
        payload: library(),
    };
    let unsigned = description.build().unwrap();
    check_signed(&unsigned);
    let bytes = unsigned.sign(&[&ed25519(1)]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert_eq!(envelope.payload("#library"), Some(&library()[..]));
}

#[test]
fn conditions_come_before_dependencies_are_fetched() {
    let mut description = application();
    description.conditions = Conditions {
        use_before: Some(1_800_000_000),
        ..Conditions::default()
    };
    let resolution = section(&description.build().unwrap(), Section::DependencyResolution);
    assert_eq!(resolution[..4], ["of 0", "set 4", "UseBefore", "of 1"]);
}

/// Proves: S-013
#[test]
fn dependency_resolution_can_be_severed() {
    let mut description = application();
    description.sever = vec![Member::DependencyResolution, Member::Install];
    let unsigned = description.build().unwrap();
    check_signed(&unsigned);
    let bytes = unsigned.sign(&[&ed25519(1)]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let trusted = crate::vectors::trust(&[&ed25519(1)]);
    let authenticated = envelope.verify(&trusted).unwrap();
    let sequence = authenticated
        .section(Section::DependencyResolution)
        .unwrap()
        .unwrap();
    let fetch = sequence.iter().nth(2).unwrap().unwrap().1;
    assert!(matches!(fetch, Command::Directive(Directive::Fetch, _)));
}

/// Proves: S-025
#[test]
fn says_what_is_wrong_with_a_dependency() {
    let build = |change: fn(&mut Description<'static>)| {
        let mut description = application();
        change(&mut description);
        description.build().unwrap_err()
    };
    assert_eq!(
        build(|d| d.components[0].id = library_id()),
        BuildError::ComponentTwice(library_id())
    );
    assert_eq!(
        build(|d| d.dependencies[0].source = Source::Uri("#library".into())),
        BuildError::Name(library_id())
    );
    let name = || "#library".into();
    // Another envelope than the one described, and no envelope at all.
    let other = || scenario(fetched()).build().unwrap().sign(&[&ed25519(9)]);
    for payload in [other(), b"image".to_vec()] {
        let mut description = application();
        description.dependencies[0].source = Source::Integrated {
            name: name(),
            payload,
        };
        let error = description.build().unwrap_err();
        assert_eq!(error, BuildError::OtherPayload(library_id()));
    }

    let source = || Source::Uri("https://example.org/library.suit".into());
    let mut changed = library();
    let at = changed
        .windows(4)
        .rposition(|window| window == b"#tc\x54")
        .unwrap();
    // The image is not signed: the envelope is still one.
    changed[at + 4] ^= 1;
    assert!(Dependency::of_envelope(library_id(), &changed, source()).is_ok());
    let digest = SuitDigest::sha256(super::IMAGE).bytes;
    let at = changed
        .windows(32)
        .position(|window| window == digest)
        .unwrap();
    changed[at] ^= 1;
    let refusal = Dependency::of_envelope(library_id(), &changed, source()).unwrap_err();
    assert_eq!(refusal, Refusal::ManifestDigest);
    assert!(Dependency::of_envelope(library_id(), b"image", source()).is_err());
}
