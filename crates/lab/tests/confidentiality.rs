//! What a device tells of itself is for its TAM alone (draft sections 8.2 and 13).

#![allow(clippy::unwrap_used)]

use std::slice;

use eat::EVIDENCE_MEDIA_TYPE;
use suit::Report;
use suit::report::{Reason, ReportOutcome, protect};
use teep::{
    AttestationPayload, Challenge, CipherSuite, DataItems, ErrorCode, Message, QueryRequest,
    QueryResponse, SuitCoseProfile, Token, Update,
};
use teep_agent::ports::Keys as _;
use teep_cose::cbor::Limits;
use teep_cose::encrypt::{
    ContentAlgorithm, Curve, DecryptionKey, EncryptError, Encrypted, KeyDistribution, Purpose,
    Recipient, encrypt_attached,
};
use teep_cose::mac::{Mac0, MacKey};
use teep_cose::{Algorithm, Sign1, SignedMessage, SigningKey};
use teep_lab::{SeededRandom, TrustedComponent, World, id};

const ESP256: Algorithm = Algorithm::Esp256;

/// A world whose device has encryption keys of its TAM, one for each curve.
fn world(algorithm: Algorithm) -> (World, [DecryptionKey; 2]) {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    let keys =
        [Curve::P256, Curve::X25519].map(|curve| DecryptionKey::generate(curve, &mut world.random));
    let mut provisioning = world.provisioning();
    let public = keys.iter().map(|key| key.public_key().unwrap());
    provisioning.tams[0].encryption_keys = public.collect();
    let device = world.add_device_with(algorithm, provisioning);
    world.endorse(device);
    (world, keys)
}

fn query_request(profiles: &[SuitCoseProfile]) -> QueryRequest {
    QueryRequest {
        challenge: Some(Challenge::new([3; 32]).unwrap()),
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: profiles.to_vec(),
        data_item_requested: DataItems::ATTESTATION,
        ..QueryRequest::default()
    }
}

fn respond(world: &mut World, request: QueryRequest) -> QueryResponse {
    match world.say(0, 0, &Message::QueryRequest(request)).unwrap() {
        Some(Message::QueryResponse(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn update(world: &World, component: &TrustedComponent, token: Option<Token>) -> Message {
    Message::Update(Update {
        token,
        manifest_list: vec![component.envelope(&world.signers[0])],
        ..Update::default()
    })
}

/// The reports of a Success or Error, as they came.
fn raw_reports(answer: Option<Message>) -> Vec<Vec<u8>> {
    match answer {
        Some(Message::Success(success)) => success.suit_reports,
        Some(Message::Error(error)) => error.suit_reports,
        other => panic!("{other:?}"),
    }
}

fn token(byte: u8) -> Option<Token> {
    Some(Token::new([byte; 16]).unwrap())
}

/// What the four profiles encrypt with, and who signs in them.
const PROFILES: [(Algorithm, ContentAlgorithm); 4] = [
    (Algorithm::Esp256, ContentAlgorithm::A128Ctr),
    (Algorithm::Ed25519, ContentAlgorithm::A128Ctr),
    (Algorithm::Esp256, ContentAlgorithm::A128Gcm),
    (Algorithm::Ed25519, ContentAlgorithm::ChaCha20Poly1305),
];

/// Proves: T-044, T-173, T-175, T-176, T-178, T-212, A-23
#[test]
fn evidence_is_for_the_tam_alone() {
    for (profile, (algorithm, content)) in SuitCoseProfile::ALL.into_iter().zip(PROFILES) {
        let (mut world, keys) = world(algorithm);
        let payload = respond(&mut world, query_request(&[profile])).attestation_payload;
        let AttestationPayload { format, bytes } = payload.unwrap();
        // T-042, T-044: what it is once it is decrypted; without a format it would be an EAT in the TEEP profile.
        assert_eq!(format.as_deref(), Some(EVIDENCE_MEDIA_TYPE));
        let ueid = world.devices[0].tee.endorsement().ueid.to_vec();
        assert!(!bytes.windows(ueid.len()).any(|window| window == ueid));
        let message = Encrypted::decode(&bytes, &Limits::MESSAGE).unwrap();
        assert_eq!(message.algorithm(), content);
        assert!(message.is_attached());
        // One recipient for each key, named, by ECDH-ES with AES Key Wrap.
        let recipients: Vec<_> = message.recipients().collect();
        let named = keys
            .iter()
            .map(|key| key.public_key().unwrap().thumbprint());
        for ((distribution, kid), key) in recipients.iter().zip(named) {
            assert_eq!(*distribution, KeyDistribution::EcdhEsA128Kw);
            assert_eq!(*kid, Some(&key.0[..]));
        }
        assert_eq!(recipients.len(), 2);
        for key in &keys {
            let open = |purpose| message.decrypt_attached(slice::from_ref(key), purpose);
            let evidence = open(Purpose::EatEncryption).unwrap();
            assert!(evidence.windows(ueid.len()).any(|window| window == ueid));
            for other in [Purpose::ReportEncryption, Purpose::PayloadEncryption] {
                assert_eq!(open(other), Err(EncryptError::NotUnwrapped));
            }
        }
    }
}

/// Proves: T-180
#[test]
fn of_the_profiles_a_tam_can_read_the_agent_takes_the_first_that_it_has() {
    let [ctr, ed25519, gcm, chacha] = SuitCoseProfile::ALL;
    let (mut world, _) = world(ESP256);
    let mut chosen = |profiles: &[SuitCoseProfile]| {
        let payload = respond(&mut world, query_request(profiles)).attestation_payload;
        let bytes = payload.unwrap().bytes;
        Encrypted::decode(&bytes, &Limits::MESSAGE)
            .unwrap()
            .algorithm()
    };
    let (a128ctr, a128gcm) = (ContentAlgorithm::A128Ctr, ContentAlgorithm::A128Gcm);
    assert_eq!(
        chosen(&[ed25519.clone(), gcm.clone(), ctr.clone()]),
        a128gcm
    );
    assert_eq!(chosen(&[chacha.clone(), ctr, gcm]), a128ctr);
    // Of a TAM that lists none of them: every TAM can read all four.
    assert_eq!(chosen(&[ed25519, chacha]), a128gcm);
}

/// Proves: T-073, T-074, T-087, T-088, T-174, T-175, T-176, T-177, T-214
#[test]
fn reports_are_for_the_tam_alone_and_signed_by_a_key_of_their_own() {
    for (profile, (algorithm, content)) in SuitCoseProfile::ALL.into_iter().zip(PROFILES) {
        let (mut world, keys) = world(algorithm);
        respond(&mut world, query_request(&[profile]));
        let good = update(&world, &TrustedComponent::new("a", 1, b"a"), token(1));
        let mut foreign = TrustedComponent::new("b", 1, b"b");
        foreign.class = [9; 16];
        let bad = update(&world, &foreign, token(2));
        for (update, nonce) in [(good, 1), (bad, 2)] {
            let reports = raw_reports(world.say(0, 0, &update).unwrap());
            let [bytes] = &reports[..] else {
                panic!("{reports:?}")
            };
            let signed = SignedMessage::decode(bytes, &Limits::MESSAGE).unwrap();
            let key = signed.signatures().remove(0).key.unwrap();
            assert_ne!(key, world.devices[0].tee.public_key());
            assert_eq!(key, world.devices[0].tee.report_key());
            assert_eq!(key.algorithm(), algorithm);
            let protect::Content::Encrypted(message) = protect::verify(bytes, &key).unwrap() else {
                panic!("in the clear")
            };
            assert!(message.is_attached());
            assert_eq!(message.algorithm(), content);
            for key in &keys {
                let open = |purpose| message.decrypt_attached(slice::from_ref(key), purpose);
                let report = Report::decode(&open(Purpose::ReportEncryption).unwrap()).unwrap();
                assert_eq!(report.nonce.as_deref(), Some(&[nonce; 16][..]));
                assert_eq!(report.outcome == ReportOutcome::Success, nonce == 1);
                for other in [Purpose::EatEncryption, Purpose::PayloadEncryption] {
                    assert_eq!(open(other), Err(EncryptError::NotUnwrapped));
                }
            }
        }
    }
}

/// Where the TAM has no key, what protects the transport protects this too.
/// Proves: T-173, T-174
#[test]
fn a_tam_without_a_key_gets_all_in_its_signed_message() {
    let mut world = World::with_one_device(1, ESP256);
    let payload = respond(&mut world, query_request(&SuitCoseProfile::ALL)).attestation_payload;
    eat::Evidence::decode(&payload.unwrap().bytes).unwrap();
    let update = update(&world, &TrustedComponent::new("a", 1, b"a"), token(1));
    let reports = raw_reports(world.say(0, 0, &update).unwrap());
    assert!(Report::decode(&reports[0]).is_ok());
}

/// Proves: T-211, A-03
#[test]
fn a_stranger_learns_nothing_but_that_it_is_one() {
    let (mut world, _) = world(ESP256);
    let stranger = world.add_tam();
    let request = Message::QueryRequest(query_request(&SuitCoseProfile::ALL));
    let Some(Message::Error(error)) = world.say(stranger, 0, &request).unwrap() else {
        panic!("it learned something")
    };
    assert_eq!(error.err_code, ErrorCode::BadCertificate);
    assert!(error.suit_reports.is_empty() && error.token.is_none());
}

/// What is installed still starts, and the TAM learns when it does not.
/// Proves: T-045
#[test]
fn a_device_reports_on_what_is_installed() {
    let mut world = World::with_one_device(1, ESP256);
    for name in ["a", "b"] {
        world.publish(0, 0, &TrustedComponent::new(name, 1, name.as_bytes()));
        world.request(0, &id(name)).unwrap();
    }
    let request = |token: Option<Token>| {
        let attested = token.is_none();
        QueryRequest {
            token,
            challenge: attested.then(|| Challenge::new([3; 32]).unwrap()),
            data_item_requested: match attested {
                true => DataItems::ATTESTATION | DataItems::SUIT_REPORTS,
                false => DataItems::SUIT_REPORTS,
            },
            ..query_request(&SuitCoseProfile::ALL)
        }
    };
    let reports = |world: &mut World, token| -> Vec<Report> {
        let reports = respond(world, request(token)).suit_reports;
        reports
            .iter()
            .map(|report| Report::decode(report).unwrap())
            .collect()
    };
    let before = world.devices[0].tee.storage().clone();
    let good = reports(&mut world, token(5));
    assert_eq!(good.len(), 2);
    for report in &good {
        assert_eq!(report.nonce.as_deref(), Some(&[5; 16][..]));
        assert_eq!(report.outcome, ReportOutcome::Success);
    }
    assert_eq!(*world.devices[0].tee.storage(), before);
    // Without a token there is no nonce.
    assert!(
        reports(&mut world, None)
            .iter()
            .all(|report| report.nonce.is_none())
    );
    // An image that is no longer what was installed.
    let slot = world.devices[0]
        .agent
        .as_ref()
        .unwrap()
        .component(&id("b"))
        .unwrap()
        .slot;
    world.devices[0].tee.damage(slot);
    let bad = reports(&mut world, token(6));
    let outcomes: Vec<_> = bad.iter().map(|report| &report.outcome).collect();
    assert_eq!(*outcomes[0], ReportOutcome::Success);
    assert!(matches!(
        outcomes[1],
        ReportOutcome::Failure {
            reason: Reason::ConditionFailed,
            ..
        }
    ));
}

/// How a TAM protects a report of its own.
fn tam_report(outcome: ReportOutcome) -> Vec<u8> {
    let reference = suit::report::Reference {
        uri: "https://tam.example/firmware.suit".into(),
        digest: suit::SuitDigest::sha256(b"firmware"),
    };
    let report = Report {
        reference,
        nonce: None,
        records: Vec::new(),
        outcome,
        capability_report: None,
    };
    report.encode()
}

/// What the device answers to a QueryRequest with this report.
fn answer_to(world: &mut World, report: Vec<u8>) -> Message {
    let request = QueryRequest {
        suit_reports: vec![report],
        ..query_request(&SuitCoseProfile::ALL)
    };
    world
        .say(0, 0, &Message::QueryRequest(request))
        .unwrap()
        .unwrap()
}

fn report_key(algorithm: Algorithm) -> SigningKey {
    use chacha20::rand_core::SeedableRng as _;
    SigningKey::generate(algorithm, &mut SeededRandom::seed_from_u64(9))
}

/// Proves: T-037, T-156, T-157
#[test]
fn a_tam_may_send_reports_in_any_profile() {
    let mut world = World::with_one_device(1, ESP256);
    let report = tam_report(ReportOutcome::Success);
    let mut shapes = vec![report.clone()];
    let device = Recipient::ecdh(world.devices[0].tee.encryption_key());
    for (algorithm, content) in PROFILES {
        let key = report_key(algorithm);
        let recipients = slice::from_ref(&device);
        let encrypted = protect::encrypt(&report, content, recipients, &mut world.random).unwrap();
        shapes.push(Sign1::new(&report).with_key().sign(&key));
        shapes.push(Sign1::new(&encrypted).with_key().sign(&key));
    }
    for shape in shapes {
        let answer = answer_to(&mut world, shape);
        assert!(matches!(answer, Message::QueryResponse(_)), "{answer:?}");
    }
}

/// Proves: T-084, T-101, T-157
#[test]
fn reports_by_other_algorithms_are_answered_with_those_that_would_do() {
    let mut world = World::with_one_device(1, ESP256);
    let report = tam_report(ReportOutcome::Success);
    // By a key that only the TAM has, and by an algorithm that nobody has.
    let mac = Mac0::create(&report, &MacKey::new([1; 32]));
    let mut unknown = Sign1::new(&report)
        .with_key()
        .sign(&report_key(Algorithm::Ed25519));
    let at = unknown
        .windows(3)
        .position(|window| window == [0xa1, 0x01, 0x32])
        .unwrap();
    unknown[at + 2] = 0x37;
    for report in [mac, unknown] {
        let Message::Error(error) = answer_to(&mut world, report) else {
            panic!("it was read")
        };
        assert_eq!(
            error.err_code,
            ErrorCode::UnsupportedSuitReport,
            "{error:?}"
        );
        assert_eq!(error.supported_suit_cose_profiles, SuitCoseProfile::ALL);
    }
}

/// Proves: T-156
#[test]
fn a_tam_that_reports_its_own_failure_is_not_trusted() {
    let mut world = World::with_one_device(1, ESP256);
    let failure = ReportOutcome::Failure {
        code: 1,
        record: suit::report::Record::default(),
        reason: Reason::ConditionFailed,
    };
    let key = report_key(ESP256);
    let signed = Sign1::new(&tam_report(failure)).with_key().sign(&key);
    let good = tam_report(ReportOutcome::Success);
    let mut forged = Sign1::new(&good).with_key().sign(&key);
    *forged.last_mut().unwrap() ^= 1;
    let no_key = Sign1::new(&good).sign(&key);
    // T-038: one key for reports, another for messages.
    let same_key = Sign1::new(&good).with_key().sign(&world.tams[0].esp256);
    let mut for_others = Vec::new();
    for purpose in [Purpose::EatEncryption, Purpose::ReportEncryption] {
        let to = match purpose {
            Purpose::EatEncryption => world.devices[0].tee.encryption_key(),
            _ => DecryptionKey::generate(Curve::P256, &mut world.random)
                .public_key()
                .unwrap(),
        };
        let recipients = [Recipient::ecdh(to)];
        let algorithm = ContentAlgorithm::A128Gcm;
        let encrypted =
            encrypt_attached(algorithm, &recipients, purpose, &good, &mut world.random).unwrap();
        for_others.push(Sign1::new(&encrypted).with_key().sign(&key));
    }
    let all = [signed, forged, no_key, same_key, b"no report".to_vec()];
    for report in all.into_iter().chain(for_others) {
        let Message::Error(error) = answer_to(&mut world, report) else {
            panic!("it was believed")
        };
        assert_eq!(error.err_code, ErrorCode::PermanentError, "{error:?}");
    }
}
