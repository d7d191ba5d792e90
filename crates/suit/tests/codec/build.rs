//! What the builder makes is what the draft shows, and what a device takes.

mod components;
mod dependencies;
mod encrypted;

use crate::vectors::{ed25519, p256, published, trust};
use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use suit::build::{
    Authentication, BuildError, Component, Description, Image, Source, Unsigned, authenticate_too,
};
use suit::command::ComponentIndex;
use suit::text::{LanguageText, Text, key};
use suit::{
    Command, CommandSequence, ComponentIdentifier, Envelope, Limits, Manifest, Member, Section,
    Severable, Signer,
};
use teep_cose::key::HssLmsPublicKey;
use teep_cose::mac::{MacKey, ReceivedMac0};
use teep_cose::{Algorithm, PublicKey, Sign1, SignedMessage, SigningKey, cbor};

const DEVICE: &str = "TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74";
const IMAGE: &[u8] = b"Hello, Secure World!";

pub(crate) fn id(text: &str) -> ComponentIdentifier {
    text.parse().unwrap()
}

/// What scenarios 1 and 2 of draft-ietf-teep-protocol Appendix E have in common.
pub(crate) fn scenario(component: Component) -> Description<'static> {
    let uuid = |text: &str| {
        let id = id(text);
        <[u8; 16]>::try_from(&id.segments()[0][..]).unwrap()
    };
    Description {
        sequence_number: 3,
        manifest_component_id: Some(id(&format!("{DEVICE}/suit"))),
        vendor_identifier: Some(uuid("c0ddd5f1-5243-5660-87db-4f5b0aa26c2f")),
        class_identifier: Some(uuid("db42f709-3d8c-55ba-a8c5-265fc5820f4e")),
        components: vec![component],
        uninstall: true,
        ..Description::default()
    }
}

pub(crate) fn fetched() -> Component {
    let uri = "https://example.org/8d82573a-926d-4754-9353-32dc29997f74.ta";
    Component::fetched(id(&format!("{DEVICE}/ta")), uri, IMAGE)
}

pub(crate) fn integrated() -> Component {
    Component::integrated(id(&format!("{DEVICE}/ta")), "#tc", IMAGE.to_vec())
}

/// The commands of a section, in words; none if it is absent.
pub(crate) fn section(unsigned: &Unsigned, section: Section) -> Vec<String> {
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    match manifest.section(section) {
        Some(Severable::Inline(sequence)) => words(&sequence),
        Some(Severable::Severed(_)) => panic!("{section} was severed"),
        None => vec![],
    }
}

/// The commands of the shared sequence, in words.
pub(crate) fn shared(unsigned: &Unsigned) -> Vec<String> {
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    words(&manifest.common.shared_sequence.unwrap())
}

/// Each command in a word or two: `of 1` for set-component-index, `set 3 14` for override-parameters.
fn words(sequence: &CommandSequence<'_>) -> Vec<String> {
    let word = |command: Command<'_>| match command {
        Command::Condition(condition, _) => format!("{condition:?}"),
        Command::Directive(directive, _) => format!("{directive:?}"),
        Command::SetComponentIndex(ComponentIndex::One(index)) => format!("of {index}"),
        Command::OverrideParameters(parameters) => {
            let labels = parameters.iter().map(|p| format!(" {}", p.label()));
            format!("set{}", labels.collect::<String>())
        }
        Command::TryEach(try_each) => {
            assert!(!try_each.or_nothing);
            let alternatives = try_each.alternatives.iter();
            let alternatives: Vec<_> = alternatives.map(|a| words(a).join(", ")).collect();
            format!("try [{}]", alternatives.join("] ["))
        }
        other => panic!("{other:?}"),
    };
    let commands = sequence.iter();
    commands.map(|command| word(command.unwrap().1)).collect()
}

/// What every made envelope has to be: signed by its signer, and the same bytes when encoded again.
pub(crate) fn check_signed(unsigned: &Unsigned) {
    let bytes = unsigned.sign(&[&ed25519(1)]);
    assert_eq!(bytes, unsigned.sign(&[&ed25519(1)]));
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert_eq!(envelope.encode(), bytes);
    let authenticated = envelope.verify(&trust(&[&ed25519(1)])).unwrap();
    assert_eq!(authenticated.manifest().encode(), unsigned.manifest_bytes());
}

#[test]
fn scenarios_1_and_2_have_the_draft_s_manifest_bytes() {
    for (name, component) in [("suit_uri", fetched()), ("suit_integrated", integrated())] {
        let Some(bytes) = published(&format!("teep/cbor-26/{name}.hex.txt")) else {
            return;
        };
        let example = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
        let ours = scenario(component).build().unwrap();
        assert_eq!(ours.manifest_bytes(), example.manifest_bytes(), "{name}");
        assert_eq!(&ours.digest(), example.digest(), "{name}");
        // The whole envelope differs in the signature only: ECDSA signatures are not the same twice.
        let ours = ours.sign(&[&p256(1)]);
        assert_eq!(ours.len(), bytes.len(), "{name}");
        let ours = Envelope::decode(&ours, &Limits::DEFAULT).unwrap();
        let last = example.blocks()[0].len() - 64;
        assert_eq!(
            ours.blocks()[0][..last],
            example.blocks()[0][..last],
            "{name}"
        );
        assert_eq!(
            ours.payloads().collect::<Vec<_>>(),
            example.payloads().collect::<Vec<_>>()
        );
    }
}

/// Proves: S-022, S-023, S-024, S-027
#[test]
fn any_one_signer_is_enough_and_a_stranger_is_not() {
    let (author, auditor, stranger) = (p256(1), ed25519(2), ed25519(3));
    let bytes = scenario(fetched())
        .build()
        .unwrap()
        .sign(&[&author, &auditor]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert_eq!(envelope.blocks().len(), 2);
    for trusted in [&author, &auditor] {
        let authenticated = envelope.verify(&trust(&[&stranger, trusted])).unwrap();
        assert_eq!(
            authenticated.signer(),
            &Signer::PublicKey(trusted.public_key())
        );
    }
    let wrong = suit::Refusal::Signature(teep_cose::SignatureError::Wrong);
    assert_eq!(envelope.verify(&trust(&[&stranger])).unwrap_err(), wrong);
    let nobody = envelope.verify(&trust(&[])).unwrap_err();
    assert_eq!(nobody, suit::Refusal::NoTrustedKey);
    assert_eq!(nobody.reason(), suit::Reason::Unauthorised);
}

/// A COSE_Mac0, a COSE_Sign1 by each algorithm that signs, and one made elsewhere.
///
/// Proves: S-023
#[test]
fn who_vouches_may_do_so_by_any_algorithm_but_es256() {
    let random = &mut ChaCha20Rng::seed_from_u64(1);
    let keys: Vec<_> = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| algorithm.can_sign())
        .map(|algorithm| SigningKey::generate(algorithm, random))
        .collect();
    let mac_key = MacKey::new([7; 32]);
    let unsigned = scenario(fetched()).build().unwrap();
    let elsewhere = ed25519(1);
    let made = Sign1::new(&unsigned.to_be_signed())
        .detached()
        .sign_elsewhere(&elsewhere.public_key(), |data| elsewhere.sign(data));
    let mut authentications: Vec<_> = keys.iter().map(Authentication::Sign1).collect();
    authentications.extend([Authentication::Mac0(&mac_key), Authentication::Made(&made)]);
    let bytes = unsigned.authenticate(&authentications);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert_eq!(envelope.blocks().len(), keys.len() + 2);
    assert_eq!(envelope.encode(), bytes);
    for (key, block) in keys.iter().zip(envelope.blocks()) {
        assert!(
            envelope.verify(&trust(&[key])).is_ok(),
            "{}",
            key.algorithm()
        );
        let message = SignedMessage::decode(block, &cbor::Limits::MESSAGE).unwrap();
        assert!(message.is_sign1());
        let number = message.signatures()[0].algorithm;
        assert_eq!(number, Some(key.algorithm().number()));
        assert_ne!(number, Some(-7));
    }
    assert!(envelope.verify(&trust(&[&ed25519(1)])).is_ok());
    let mac = ReceivedMac0::decode(envelope.blocks()[keys.len()], &cbor::Limits::MESSAGE).unwrap();
    let signed = unsigned.to_be_signed();
    assert_eq!(mac.verify_detached(&signed, &mac_key), Ok(()));
    assert!(mac.verify_detached(&signed, &MacKey::new([8; 32])).is_err());
}

/// The signer of a hash-based signature must keep count, so it works elsewhere (here: crate `hbs-lms`); devices
/// verify it like any other.
///
/// Proves: S-023
#[test]
fn a_manifest_signed_by_hss_lms_verifies() {
    let parameters = [hbs_lms::HssParameter::new(
        hbs_lms::LmotsAlgorithm::LmotsW8,
        hbs_lms::LmsAlgorithm::LmsH5,
    )];
    let seed = hbs_lms::Seed::from([7; 32]);
    let (private, public) =
        hbs_lms::keygen::<hbs_lms::Sha256_256>(&parameters, &seed, None).unwrap();
    let public = PublicKey::HssLms(HssLmsPublicKey::from_bytes(public.as_slice()).unwrap());
    let unsigned = scenario(fetched()).build().unwrap();
    let sign = |data: &[u8]| {
        let mut keep_count = |_: &[u8]| Ok(());
        hbs_lms::sign::<hbs_lms::Sha256_256>(data, private.as_slice(), &mut keep_count, None)
            .unwrap()
            .as_ref()
            .to_vec()
    };
    let block = Sign1::new(&unsigned.to_be_signed())
        .detached()
        .sign_elsewhere(&public, sign);
    let bytes = unsigned.authenticate(&[Authentication::Made(&block)]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let trusted = [public.clone()].into_iter().collect();
    let authenticated = envelope.verify(&trusted).unwrap();
    assert_eq!(authenticated.signers(), [Signer::PublicKey(public)]);
    let mut altered = bytes.clone();
    let at = altered
        .windows(4)
        .position(|window| window == &block[block.len() - 4..])
        .unwrap();
    altered[at] ^= 1;
    let envelope = Envelope::decode(&altered, &Limits::DEFAULT).unwrap();
    assert!(envelope.verify(&trusted).is_err());
}

/// Proves: S-025
#[test]
fn others_may_vouch_for_an_envelope_later() {
    let unsigned = scenario(integrated()).build().unwrap();
    let (author, auditor) = (ed25519(1), ed25519(2));
    let both = unsigned.sign(&[&author, &auditor]);
    let bytes = unsigned.tagged().sign(&[]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let nobody = envelope.verify(&trust(&[&author])).unwrap_err();
    assert_eq!(nobody, suit::Refusal::NotAuthenticated);
    let bytes = authenticate_too(&envelope, &[Authentication::Sign1(&author)]).unwrap();
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let bytes = authenticate_too(&envelope, &[Authentication::Sign1(&auditor)]).unwrap();
    assert_eq!(bytes, [&[0xd8, 107][..], &both].concat());

    let digest = envelope.digest().bytes.clone();
    let at = bytes
        .windows(32)
        .position(|window| window == digest)
        .unwrap();
    let mut changed = bytes;
    changed[at] ^= 1;
    let envelope = Envelope::decode(&changed, &Limits::DEFAULT).unwrap();
    let refusal = authenticate_too(&envelope, &[Authentication::Sign1(&author)]).unwrap_err();
    assert_eq!(refusal, suit::Refusal::ManifestDigest);
}

/// Proves: S-009, S-010
#[test]
fn severed_members_are_found_again_or_missed_when_needed() {
    let text = Text {
        languages: vec![(
            "en",
            LanguageText {
                manifest: vec![(
                    key::MANIFEST_DESCRIPTION,
                    "An example that says hello to all.",
                )],
                components: vec![],
            },
        )],
    };
    let whole = Description {
        text: Some(text.clone()),
        validate: true,
        reference_uri: Some("https://example.org/ta.suit".into()),
        ..scenario(fetched())
    };
    let severed = Description {
        sever: vec![Member::Install, Member::Text],
        ..whole.clone()
    };
    let trusted = trust(&[&ed25519(1)]);
    for description in [&whole, &severed] {
        let bytes = description.build().unwrap().sign(&[&ed25519(1)]);
        let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
        assert_eq!(envelope.encode(), bytes);
        let authenticated = envelope.verify(&trusted).unwrap();
        assert_eq!(authenticated.text().unwrap(), Some(text.clone()));
        let install = authenticated.section(Section::Install).unwrap().unwrap();
        assert_eq!(&bytes[install.span()], install.bytes());
        assert_eq!(install.iter().count(), 3);
        assert!(authenticated.section(Section::Validate).unwrap().is_some());
        assert_eq!(authenticated.section(Section::Load).unwrap(), None);
    }
    // Without the members, the same manifest is authentic still, but cannot install.
    let manifest = severed.build().unwrap().manifest_bytes().to_vec();
    let bytes = suit::build::Unsigned::of_bytes(manifest).sign(&[&ed25519(1)]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let authenticated = envelope.verify(&trusted).unwrap();
    let absent = Err(suit::Refusal::MemberAbsent(Member::Install));
    assert_eq!(authenticated.section(Section::Install), absent);
    assert!(authenticated.text().is_err());
    assert!(matches!(
        authenticated.manifest().install,
        Some(Severable::Severed(_))
    ));
}

/// Proves: S-039
#[test]
fn with_several_components_every_sequence_begins_with_an_index() {
    let other = Component::integrated(id("TEEP-Device/config"), "#config", b"{}".to_vec());
    let description = Description {
        components: vec![fetched(), other],
        validate: true,
        ..scenario(fetched())
    };
    let unsigned = description.build().unwrap();
    let manifest = suit::Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    let Some(Severable::Inline(install)) = manifest.install else {
        panic!()
    };
    let sequences = [
        manifest.common.shared_sequence,
        Some(install),
        manifest.validate,
        manifest.uninstall,
    ];
    for sequence in sequences {
        let codes: Vec<_> = sequence
            .unwrap()
            .iter()
            .map(|command| command.unwrap().1.code())
            .collect();
        assert_eq!(
            codes.iter().filter(|code| **code == 12).count(),
            2,
            "{codes:?}"
        );
        assert_eq!(codes[0], 12);
    }
}

fn payload<'d>(description: &'d mut Description<'static>) -> &'d mut suit::build::Payload {
    match &mut description.components[0].image {
        Image::Fetched(payload) => payload,
        other => panic!("{other:?}"),
    }
}

/// Proves: S-013
#[test]
fn says_what_is_wrong_with_a_description() {
    let good = || scenario(integrated());
    let build = |change: fn(&mut Description<'static>)| {
        let mut description = good();
        change(&mut description);
        description.build().unwrap_err()
    };
    let ta = || id(&format!("{DEVICE}/ta"));
    assert_eq!(build(|d| d.components.clear()), BuildError::NoComponents);
    assert_eq!(
        build(|d| d.components.push(integrated())),
        BuildError::ComponentTwice(ta())
    );
    assert_eq!(
        build(|d| d.components.push(Component {
            id: id("other"),
            ..integrated()
        })),
        BuildError::NameTwice(id("other"))
    );
    assert_eq!(
        build(|d| payload(d).source = Source::Uri("#tc".into())),
        BuildError::Name(ta())
    );
    assert_eq!(
        build(|d| payload(d).size += 1),
        BuildError::OtherPayload(ta())
    );
    assert_eq!(
        build(|d| d.sever.push(Member::Text)),
        BuildError::NothingToSever(Member::Text)
    );
    assert_eq!(
        build(|d| d.sever.push(Member::Install)),
        BuildError::TooSmallToSever(Member::Install)
    );
}
