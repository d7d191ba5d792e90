//! What a TAM does beyond the background check: remedies, passports, its own proof, confidential Evidence.
#![allow(clippy::unwrap_used, missing_docs)]

use eat::SuitReference;
use teep::{AttestationPayload, ErrorCode, Message, QueryResponse, Update};
use teep_agent::ports::Keys as _;
use teep_cose::Algorithm;
use teep_lab::{TrustedComponent, World, id, manifest_id};
use teep_tam::{AttestationModel, Decision, KeyBinding, ReturnedResult};
use teep_verifier::{AcceptedSoftware, ReferenceValue};

const ESP256: Algorithm = Algorithm::Esp256;
const FIRMWARE: &str = "urn:example:firmware";

fn firmware(version: u8) -> SuitReference {
    SuitReference::sha256(FIRMWARE, [version; 32])
}

/// A world whose device runs firmware 1, and whose Verifier accepts firmware 2 only.
fn outdated() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("firmware", 2, b"firmware 2"));
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let tee = &mut world.devices[0].tee;
    let accepted = |software: &SuitReference| {
        let digest = software.digest[..].try_into().unwrap();
        AcceptedSoftware::exactly(&software.uri, digest)
    };
    let value = ReferenceValue {
        hwmodel: tee.endorsement().hwmodel.clone(),
        minimum_hwversion: None,
        software: vec![accepted(&tee.software[0]), accepted(&firmware(2))],
    };
    tee.software.push(firmware(1));
    world.tams[0].reference_values = vec![value];
    world
}

fn last_update(world: &World) -> Update {
    let (_, update) = world
        .network
        .latest(|message| matches!(message, Message::Update(_)))
        .unwrap();
    match update.message() {
        Some(Message::Update(update)) => update,
        other => panic!("{other:?}"),
    }
}

/// Proves: T-055, T-120, T-140
#[test]
fn a_device_with_old_firmware_gets_the_new_one_and_is_trusted_after_that() {
    let mut world = outdated();
    let software = Some(FIRMWARE.to_owned());
    world.tams[0].remedies = vec![(manifest_id("firmware"), None, software)];
    world.request(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("firmware")), Some(&b"firmware 2"[..]));
    assert_eq!(world.image(0, &id("ta")), None, "not before it is trusted");
    assert_eq!(world.tams[0].recorded(&world.agent_key(0)), None);
    // What was installed runs.
    world.devices[0].tee.software[1] = firmware(2);
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    assert!(world.tam_agrees(0, 0));
}

/// Proves: T-140
#[test]
fn a_remedy_that_does_not_help_is_not_sent_for_ever() {
    let mut world = outdated();
    world.tams[0].remedies = vec![(manifest_id("firmware"), None, None)];
    world.poll(0).unwrap();
    assert_eq!(last_update(&world).manifest_list.len(), 1);
    world.poll(0).unwrap();
    let update = last_update(&world);
    assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
    assert!(update.manifest_list.is_empty());
}

/// Proves: T-140, A-27
#[test]
fn without_a_remedy_an_outdated_device_is_refused() {
    let mut world = outdated();
    world.request(0, &id("ta")).unwrap();
    let update = last_update(&world);
    assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
    assert!(
        update
            .err_msg
            .unwrap()
            .as_str()
            .contains("update the device")
    );
    assert!(world.installed(0).is_empty());
}

/// A device's answer to a TAM that wants a passport.
fn with_passport(bytes: &[u8]) -> Message {
    Message::QueryResponse(QueryResponse {
        attestation_payload: Some(AttestationPayload {
            format: None,
            bytes: bytes.to_vec(),
        }),
        tc_list: Some(Vec::new()),
        ..QueryResponse::default()
    })
}

/// Two TAMs: the second takes passports, and trusts the Verifier of the first.
fn with_two_tams() -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_tam();
    world.add_signer();
    world.add_device(ESP256);
    world.tams[0].tam.policy.returned_result = ReturnedResult::Teep;
    world.tams[1].tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 600,
    };
    world.tams[1].tam.verifiers = world.tams[0].tam.verifiers.clone();
    world
}

/// Proves: T-031, T-061, T-062, T-143, T-183
#[test]
fn the_result_that_one_tam_gives_back_is_a_passport_to_another() {
    let mut world = with_two_tams();
    world.exchange(0, &World::tam_uri(0)).unwrap();
    let update = last_update(&world);
    assert!(update.manifest_list.is_empty() && update.err_code.is_none());
    let passport = update.attestation_payload.unwrap();
    assert_eq!(passport.format, None, "in the TEEP profile");
    let request = world.post(1, &[]);
    let Some(Message::QueryRequest(request)) = teep_lab::read(&request) else {
        panic!()
    };
    assert_eq!((request.challenge, request.token), (None, None));
    // More than once, since that is what a passport is for; by its bearer only; while it is young.
    for _ in 0..2 {
        assert_eq!(world.tell(0, 1, &with_passport(&passport.bytes)), None);
        assert!(world.tams[1].decisions.contains(&Decision::Attested));
    }
    let thief = world.add_device(ESP256);
    let refused = |answer: Option<Message>| match answer {
        Some(Message::Update(update)) => {
            assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
            update.err_msg.unwrap().as_str().to_owned()
        }
        other => panic!("{other:?}"),
    };
    let stolen = refused(world.tell(thief, 1, &with_passport(&passport.bytes)));
    assert!(stolen.contains("cnf"), "{stolen}");
    world.now += 661;
    let old = refused(world.tell(0, 1, &with_passport(&passport.bytes)));
    assert!(old.contains("600 s"), "{old}");
}

/// Proves: T-138
#[test]
fn the_first_tam_takes_no_result_for_an_answer_to_its_challenge() {
    let mut world = with_two_tams();
    world.exchange(0, &World::tam_uri(0)).unwrap();
    let passport = last_update(&world).attestation_payload.unwrap();
    // Its challenge was spent.
    assert_eq!(world.tell(0, 0, &with_passport(&passport.bytes)), None);
    assert!(!world.tams[0].dropped.is_empty());
    // Waiving the key binding opens the TAM to whoever has the passport: that is why it is called unsafe.
    world.tams[1].tam.policy.key_binding = KeyBinding::UnsafeWaived;
    let thief = world.add_device(ESP256);
    let answer = world.tell(thief, 1, &with_passport(&passport.bytes));
    assert!(
        matches!(answer, Some(Message::Update(_))),
        "cnf names another key"
    );
}

/// Where results need not name a key, one that answers a challenge is still of use to one key only.
///
/// Proves: T-138, T-182
#[test]
fn a_result_without_a_key_counts_for_the_first_key_that_shows_it() {
    let mut world = World::with_one_device(1, ESP256);
    let thief = world.add_device(ESP256);
    world.tams[0].tam.policy.key_binding = KeyBinding::UnsafeWaived;
    let request = world.post(0, &[]);
    let Some(Message::QueryRequest(request)) = teep_lab::read(&request) else {
        panic!()
    };
    let endorsement = world.devices[0].tee.endorsement();
    let result = eat::AttestationResult {
        ueid: endorsement.ueid.clone(),
        oemid: endorsement.oemid,
        hwmodel: endorsement.hwmodel.clone(),
        hwversion: endorsement.hwversion.clone(),
        manifests: vec![endorsement.software[0].clone().into()],
        submodules: Vec::new(),
        cnf: None,
        nonce: Some(request.challenge.unwrap().as_bytes().try_into().unwrap()),
        issued_at: Some(world.now),
        expires_at: Some(world.now + 60),
    };
    let profile = eat::Profile::default();
    let bytes = result.sign(&profile, &world.tams[0].verifier.key);
    assert_eq!(world.tell(0, 0, &with_passport(&bytes)), None);
    assert!(world.tams[0].dropped.is_empty());
    assert_eq!(world.tell(thief, 0, &with_passport(&bytes)), None);
    assert_eq!(world.tams[0].dropped.len(), 1);
    assert_eq!(world.tams[0].recorded(&world.agent_key(thief)), None);
}

/// A device that wants its TAM attested and encrypts what it tells.
fn careful(algorithm: Algorithm) -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    let mut provisioning = world.provisioning();
    provisioning.tams[0].must_attest = true;
    provisioning.tams[0].encryption_keys = world.tams[0].encryption_keys();
    let device = world.add_device_with(algorithm, provisioning);
    world.endorse(device);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world
}

/// Proves: T-035, T-036, T-085, T-146, A-27
#[test]
fn a_tam_proves_itself_by_a_result_or_by_evidence() {
    for algorithm in Algorithm::TEEP {
        for is_evidence in [false, true] {
            let mut world = careful(algorithm);
            world.tams[0].proof.is_evidence = is_evidence;
            world.request(0, &id("ta")).unwrap();
            assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
            assert!(world.tams[0].decisions.contains(&Decision::Proved));
            let asked = |message: &Message| match message {
                Message::QueryRequest(request) => request.attestation_payload.is_some(),
                _ => false,
            };
            let (_, request) = world.network.latest(asked).unwrap();
            let Some(Message::QueryRequest(request)) = request.message() else {
                panic!()
            };
            let payload = request.attestation_payload.unwrap();
            assert_eq!(payload.format.is_some(), is_evidence);
        }
    }
}

/// Proves: T-173, T-174, T-175, T-178, T-179, A-23
#[test]
fn what_a_device_tells_of_itself_is_for_its_tam_only() {
    for algorithm in Algorithm::TEEP {
        let mut world = careful(algorithm);
        world.request(0, &id("ta")).unwrap();
        assert!(world.tam_agrees(0, 0), "Evidence and reports were read");
        let mut confidential = 0;
        for recorded in &world.network.recorded {
            let (payload, reports) = match recorded.message() {
                Some(Message::QueryResponse(response)) => {
                    (response.attestation_payload, response.suit_reports)
                }
                Some(Message::Success(success)) => (None, success.suit_reports),
                _ => continue,
            };
            let payload = payload.map(|payload| payload.bytes);
            let ueid = &world.devices[0].tee.endorsement().ueid[..];
            for bytes in payload.iter().chain(&reports) {
                confidential += 1;
                assert!(!bytes.windows(ueid.len()).any(|window| window == ueid));
            }
            if let Some(payload) = payload {
                assert_eq!(payload[..2], [0xd8, 96], "a COSE_Encrypt");
            }
        }
        assert!(confidential >= 2, "Evidence and a report");
    }
}

/// Proves: A-24
#[test]
fn a_device_says_by_which_technology_it_is_attested() {
    let mut world = careful(ESP256);
    world.request(0, &id("ta")).unwrap();
    let (_, response) = world
        .network
        .latest(|message| matches!(message, Message::QueryResponse(_)))
        .unwrap();
    let Some(Message::QueryResponse(response)) = response.message() else {
        panic!()
    };
    // Encrypted or not, the format says what it is.
    let format = response.attestation_payload.unwrap().format;
    assert_eq!(format.as_deref(), Some(eat::EVIDENCE_MEDIA_TYPE));
    assert_eq!(world.devices[0].tee.public_key().algorithm(), ESP256);
}
