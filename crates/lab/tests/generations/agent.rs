//! What TAMs of all generations send, and what the Agent makes of it.

use suit::Envelope;
use suit::build::{Authentication, authenticate_too};
use teep::{
    Challenge, CipherSuite, DataItems, ErrorCode, FreshnessMechanism, Generation, Message,
    QueryRequest, SuitCoseProfile, Token, Update,
};
use teep_cose::{AlgorithmNumbers, Sign1};
use teep_lab::{TrustedComponent, World, id};

use crate::suites::OTHERS;
use crate::{DRAFT_26, DRAFTS_10_TO_15, DRAFTS_16_TO_20, DRAFTS_21_TO_25, ESP256, clean, world_of};

/// A device that has to recognise what its TAM speaks.
fn recognising() -> World {
    let mut world = world_of(DRAFT_26);
    world.known_generation = None;
    world.devices.clear();
    world.add_device(ESP256);
    world
}

pub(crate) fn query_request(token: Option<&[u8]>, items: DataItems) -> QueryRequest {
    QueryRequest {
        token: token.map(|token| Token::new(token).unwrap()),
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: items,
        ..QueryRequest::default()
    }
}

/// Signs as the TAM does, in a form that the generation's programs use.
fn by_tam(world: &World, message: Sign1<'_>) -> Vec<u8> {
    message.sign(&world.tams[0].esp256)
}

/// Drafts 21 to 25: COSE_Sign1, a token of 32 bytes, the kid a thumbprint, and no `versions`.
///
/// Proves: T-034, T-039
#[test]
fn a_tam_of_drafts_21_to_25() {
    let mut world = recognising();
    let request = query_request(Some(&[7; 32]), DataItems::TRUSTED_COMPONENTS);
    let payload = Message::QueryRequest(request.clone()).encode(DRAFTS_21_TO_25);
    let sign1 = Sign1::new(&payload).with_kid();
    let answer = world.hand_in(0, &by_tam(&world, sign1)).unwrap();
    let Message::QueryResponse(response) = clean(&answer, DRAFTS_21_TO_25) else {
        panic!("a QueryResponse")
    };
    assert_eq!(response.token, request.token);
    assert_eq!(response.version(), 0);
    // Attestation by a challenge: nothing in it but its form tells.
    let request = QueryRequest {
        challenge: Some(Challenge::new([7; 32]).unwrap()),
        ..query_request(None, DataItems::ATTESTATION)
    };
    let payload = Message::QueryRequest(request).encode(DRAFTS_21_TO_25);
    let sign1 = Sign1::new(&payload).with_kid();
    let answer = recognising().hand_in(0, &by_tam(&world, sign1)).unwrap();
    assert!(matches!(
        clean(&answer, DRAFTS_21_TO_25),
        Message::QueryResponse(_)
    ));
}

/// Drafts 16 to 20: no kid, ES256.
#[test]
fn a_tam_of_drafts_16_to_20() {
    let mut world = recognising();
    let request = query_request(Some(&[7; 16]), DataItems::TRUSTED_COMPONENTS);
    let payload = Message::QueryRequest(request).encode(DRAFTS_16_TO_20);
    assert!(payload.windows(4).any(|w| w == [0x81, 0x82, 18, 0x26]));
    let profile = [0x84, 0x2f, 0x26, 0x38, 0x1c, 0x39, 0xff, 0xfd];
    assert!(
        payload.windows(8).any(|w| w == profile),
        "[-16, -7, -29, -65534]"
    );
    let sign1 = Sign1::new(&payload).numbered(AlgorithmNumbers::Polymorphic);
    let answer = world.hand_in(0, &by_tam(&world, sign1)).unwrap();
    let Message::QueryResponse(response) = clean(&answer, DRAFTS_16_TO_20) else {
        panic!("a QueryResponse")
    };
    assert_eq!(
        response.selected_teep_cipher_suite,
        Some(CipherSuite::SIGN1_ESP256)
    );
}

/// Drafts 10 to 15: a COSE_Sign whose kids are four bytes, a token of 8 bytes, profiles of two elements.
#[test]
fn a_tam_of_drafts_10_to_15_that_signs_with_each_of_its_keys() {
    let mut world = recognising();
    let request = query_request(Some(&[7; 8]), DataItems::TRUSTED_COMPONENTS);
    let payload = Message::QueryRequest(request).encode(DRAFTS_10_TO_15);
    let bytes = cose_sign_with_short_kids(&world, &payload);
    let answer = world.hand_in(0, &bytes).unwrap();
    let Message::QueryResponse(response) = clean(&answer, DRAFTS_10_TO_15) else {
        panic!("a QueryResponse")
    };
    assert_eq!(response.token.unwrap().as_bytes(), [7; 8]);
}

/// Drafts 10 to 15: attestation asked for with neither challenge nor token.
#[test]
fn attestation_may_be_asked_for_with_neither_challenge_nor_token() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let request = query_request(None, DataItems::ATTESTATION);
        let request = Message::QueryRequest(request);
        let bytes = world.tams[0].sign(&request, ESP256);
        let answer = world.hand_in(0, &bytes).unwrap();
        let Message::QueryResponse(response) = clean(&answer, generation) else {
            panic!("a QueryResponse")
        };
        let payload = response.attestation_payload.unwrap();
        assert!(!payload.bytes.is_empty() && payload.format.is_some());
        assert_eq!(response.token, None);
    }
}

/// COSE_Sign (98) by hand: two signatures, ES256 and EdDSA, with kids h'01000000' and h'02000000'.
fn cose_sign_with_short_kids(world: &World, payload: &[u8]) -> Vec<u8> {
    let head = |major: u8, length: usize| match length {
        0..=23 => vec![major | length as u8],
        24..=255 => vec![major | 24, length as u8],
        _ => [&[major | 25][..], &(length as u16).to_be_bytes()].concat(),
    };
    let payload = [head(0x40, payload.len()), payload.to_vec()].concat();
    let tam = &world.tams[0];
    let signatures = [(0x26, 1, &tam.esp256), (0x27, 2, &tam.ed25519)].map(|(number, kid, key)| {
        let protected = [0x43, 0xa1, 1, number];
        let signed = [
            &[0x85, 0x69][..],
            b"Signature",
            &[0x40],
            &protected,
            &[0x40],
            &payload,
        ];
        let signature = key.sign(&signed.concat());
        let unprotected = [0xa1, 4, 0x44, kid, 0, 0, 0];
        [
            &[0x83][..],
            &protected,
            &unprotected,
            &head(0x40, signature.len()),
            &signature,
        ]
        .concat()
    });
    [
        &[0xd8, 98, 0x84, 0x40, 0xa0][..],
        &payload,
        &[0x82],
        &signatures[0],
        &signatures[1],
    ]
    .concat()
}

/// With tag 18 and without; with an empty kid, one that is text, one that is no thumbprint.
#[test]
fn a_tams_kid_may_be_anything_and_the_tag_may_be_missing() {
    for kid in [&[][..], &[4, 0x40], b"\x04\x63tam", &[4, 0x44, 1, 0, 0, 0]] {
        for tagged in [true, false] {
            let mut world = recognising();
            let request = query_request(Some(&[7; 16]), DataItems::TRUSTED_COMPONENTS);
            let payload = Message::QueryRequest(request).encode(DRAFT_26);
            let mut bytes = by_tam(&world, Sign1::new(&payload));
            assert_eq!(bytes[..7], [0xd2, 0x84, 0x43, 0xa1, 1, 0x28, 0xa0]);
            if !kid.is_empty() {
                bytes[6] = 0xa1;
                bytes.splice(7..7, kid.iter().copied());
            }
            let bytes = if tagged { bytes } else { bytes.split_off(1) };
            let answer = world.hand_in(0, &bytes).unwrap();
            assert!(
                matches!(clean(&answer, DRAFT_26), Message::QueryResponse(_)),
                "{kid:02x?}"
            );
        }
    }
}

/// The envelope in manifest-list with tag 107, and without.
#[test]
fn an_envelope_may_have_its_tag() {
    for generation in Generation::ALL {
        for tag in [&[][..], &[0xd8, 107]] {
            let mut world = world_of(generation);
            let component = TrustedComponent::new("pin", 1, b"pinned");
            let envelope = component.envelope(&world.signers[0]);
            assert_ne!(envelope[..2], [0xd8, 107]);
            let update = Update {
                token: Some(Token::new([9; 16]).unwrap()),
                manifest_list: vec![[tag, &envelope].concat()],
                ..Update::default()
            };
            for image in &component.images {
                let bytes = image.bytes.clone();
                let payload = teep_lab::Payload {
                    bytes,
                    breaks_off: false,
                };
                world.payloads.insert(image.uri.clone(), payload);
            }
            let bytes = world.tams[0].sign(&Message::Update(update), ESP256);
            let answer = world.hand_in(0, &bytes).unwrap();
            assert!(
                matches!(clean(&answer, generation), Message::Success(_)),
                "{generation}"
            );
            assert_eq!(world.image(0, &id("pin")), Some(&b"pinned"[..]));
        }
    }
}

/// The token in a Success is the Update's, whatever the QueryRequest's was; and there is none where the Update
/// had none.
///
/// Proves: T-070, T-071
#[test]
fn the_token_in_a_success_is_the_updates() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let asked = query_request(Some(&[1; 32]), DataItems::TRUSTED_COMPONENTS);
        let asked = world.tams[0].sign(&Message::QueryRequest(asked), ESP256);
        let Message::QueryResponse(response) =
            clean(&world.hand_in(0, &asked).unwrap(), generation)
        else {
            panic!("a QueryResponse")
        };
        assert_eq!(response.token.unwrap().as_bytes(), [1; 32]);
        for token in [Some(Token::new([2; 8]).unwrap()), None] {
            let update = Update {
                token: token.clone(),
                ..Update::default()
            };
            let update = world.tams[0].sign(&Message::Update(update), ESP256);
            let Message::Success(success) = clean(&world.hand_in(0, &update).unwrap(), generation)
            else {
                panic!("a Success")
            };
            assert_eq!(success.token, token);
        }
    }
}

/// An Update without manifests, or with an empty unneeded-manifest-list, asks for nothing, which is done.
///
/// Proves: T-057
#[test]
fn an_update_may_be_empty() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let label = generation
            .numbers
            .label_number(teep::Label::UnneededManifestList);
        let label = u8::try_from(label.unwrap()).unwrap();
        for payload in [&[0x82, 3, 0xa0][..], &[0x82, 3, 0xa1, label, 0x80]] {
            let bytes = by_tam(&world, generation.sign1(payload));
            let answer = world.hand_in(0, &bytes).unwrap();
            let Message::Success(success) = clean(&answer, generation) else {
                panic!("a Success")
            };
            assert_eq!(success.token, None);
        }
    }
}

/// An Error to a TAM of any generation has its generation's numbers and its labels only, so that it can be
/// read there.
///
/// Proves: T-082, T-083, T-086
#[test]
fn errors_are_written_for_the_tam_that_reads_them() {
    let other = CipherSuite::Other(teep::Item::new([0x81, 0x82, 18, 0x38, 34]).unwrap());
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let good = query_request(Some(&[7; 16]), DataItems::TRUSTED_COMPONENTS);
        let wrong = [
            (
                ErrorCode::UnsupportedMsgVersion,
                QueryRequest {
                    versions: vec![7],
                    ..good.clone()
                },
            ),
            (
                ErrorCode::UnsupportedCipherSuites,
                QueryRequest {
                    supported_teep_cipher_suites: vec![other.clone()],
                    ..good.clone()
                },
            ),
            (
                ErrorCode::UnsupportedFreshnessMechanisms,
                QueryRequest {
                    supported_freshness_mechanisms: vec![FreshnessMechanism::Unknown(2)],
                    ..query_request(None, DataItems::ATTESTATION)
                },
            ),
        ];
        for (code, request) in wrong {
            let bytes = world.tams[0].sign(&Message::QueryRequest(request.clone()), ESP256);
            let answer = world.hand_in(0, &bytes).unwrap();
            let Message::Error(error) = clean(&answer, generation) else {
                panic!("an Error")
            };
            assert_eq!((error.err_code, error.missing()), (code, None));
            assert_eq!(error.token, request.token);
        }
    }
}

/// A manifest of the time when signers wrote ES256 counts where such a TAM is talked to, and nowhere else.
#[test]
fn manifests_signed_by_older_numbers_count_in_their_time() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let component = TrustedComponent::new("old", 1, b"old");
        let by_stranger = component.envelope(&world.tams[0].esp256);
        let envelope = Envelope::decode(&by_stranger, &suit::Limits::DEFAULT).unwrap();
        let digest = envelope.digest().to_bytes();
        let block = Sign1::new(&digest).detached();
        let block = block.numbered(AlgorithmNumbers::Polymorphic);
        let block = block.sign(&world.signers[0]);
        let envelope = authenticate_too(&envelope, &[Authentication::Made(&block)]).unwrap();
        world.tams[0].publish(&component, envelope);
        world.request(0, &id("old")).unwrap();
        let counts = generation.algorithm_numbers == AlgorithmNumbers::Polymorphic;
        assert_eq!(world.image(0, &id("old")).is_some(), counts, "{generation}");
        // What was installed so can be removed, too.
        if counts {
            world.unrequest(0, &id("old")).unwrap();
            assert_eq!(world.image(0, &id("old")), None);
        }
    }
}

/// Suites by other algorithms, or of other COSE structures, stand in the list beside ours: a common one is
/// enough.
///
/// Proves: T-166, T-167
#[test]
fn other_suites_may_stand_beside_a_common_one() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let mut request = query_request(Some(&[7; 16]), DataItems::TRUSTED_COMPONENTS);
        let suites = OTHERS.map(|bytes| CipherSuite::Other(teep::Item::new(bytes).unwrap()));
        request.supported_teep_cipher_suites.splice(0..0, suites);
        let bytes = world.tams[0].sign(&Message::QueryRequest(request), ESP256);
        let answer = world.hand_in(0, &bytes).unwrap();
        let answer = clean(&answer, generation);
        assert!(matches!(answer, Message::QueryResponse(_)), "{generation}");
    }
}

/// Labels beyond 23 in a QueryRequest are optional by definition; bits that nobody knows are ignored.
///
/// Proves: T-123
#[test]
fn unknown_labels_and_bits_do_not_fail_a_request() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let items = DataItems(DataItems::TRUSTED_COMPONENTS.0 | 1 << 40);
        let request = query_request(Some(&[7; 16]), items);
        let mut payload = Message::QueryRequest(request).encode(generation);
        payload[2] += 2;
        payload.splice(3..3, [0x18, 24, 0xf6, 0x19, 1, 0, 0x80]);
        let bytes = by_tam(&world, generation.sign1(&payload));
        let answer = world.hand_in(0, &bytes).unwrap();
        let Message::QueryResponse(response) = clean(&answer, generation) else {
            panic!("a QueryResponse")
        };
        assert!(response.tc_list.is_some());
    }
}
