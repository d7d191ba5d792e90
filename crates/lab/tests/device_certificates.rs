//! Devices with certificates, and a TAM that takes no others: who comes in, and what becomes of one that is revoked.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::Range;
use std::sync::Arc;

use teep_agent::ports::Keys as _;
use teep_cose::cbor::Limits;
use teep_cose::x509::CertificateProblem::{Expired, Revoked};
use teep_cose::{Algorithm, Certificate, SignedMessage, SigningKey, Thumbprint, TrustAnchors};
use teep_lab::{TrustedComponent, World, id};
use teep_pki::{Authority, Description};
use teep_tam::{AgentKeys, Decision, NotAdmitted};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;
const YEARS: Range<u64> = NOW - 100 * DAY..NOW + 4000 * DAY;

/// A manufacturer whose devices the TAM takes, and a component to be had.
struct Fleet {
    world: World,
    maker: Authority,
}

impl Fleet {
    fn new() -> Self {
        let mut world = World::new(1);
        world.now = NOW;
        world.add_tam();
        world.add_signer();
        let key = SigningKey::generate(Algorithm::Esp256, &mut world.random);
        let description = Description::authority("CN=Maker", YEARS);
        let maker = Authority::root(Arc::new(key), &description, &mut world.random).unwrap();
        world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
        world.tams[0].tam.policy.agent_keys = AgentKeys::Known;
        let mut fleet = Self { world, maker };
        fleet.tam_knows(fleet.anchors());
        fleet
    }

    fn anchors(&self) -> TrustAnchors {
        [self.maker.certificate().clone()].into_iter().collect()
    }

    fn tam_knows(&mut self, authorities: TrustAnchors) {
        self.world.tams[0].admission.authorities = authorities.into();
    }

    /// A device that the Verifier knows, with a certificate for so long.
    fn add_device(&mut self, until: Option<u64>) -> usize {
        let device = self.world.add_device(Algorithm::Ed25519);
        self.world.endorse(device);
        if let Some(until) = until {
            self.certify(device, until);
        }
        device
    }

    fn certify(&mut self, device: usize, until: u64) -> Certificate {
        let key = self.world.devices[device].tee.public_key();
        let description = Description::signer("CN=Device", NOW - DAY..until);
        let issued = self.maker.issue(&key, &description, &mut self.world.random);
        let certificate = issued.unwrap();
        self.world.devices[device].tee.certificates = vec![certificate.clone()];
        certificate
    }

    fn revoke(&mut self, certificate: &Certificate) {
        let times = NOW - DAY..NOW + 9 * DAY;
        let list = self.maker.revoke(&[(certificate, NOW)], 1, times).unwrap();
        let mut authorities = self.anchors();
        authorities.add_revocation_list(list);
        self.tam_knows(authorities);
    }

    /// What is installed after the device has asked for the component or, where it has it, for news.
    fn asks(&mut self, device: usize) -> Option<&[u8]> {
        // A refusal ends the exchange as an Error would; what counts is what is there afterwards.
        let _exchange = match self.world.image(device, &id("ta")) {
            None => self.world.request(device, &id("ta")),
            Some(_) => self.world.exchange(device, &World::tam_uri(0)),
        };
        self.world.image(device, &id("ta"))
    }

    /// Why the TAM refused last, if that is the last thing it did.
    fn refusal(&self) -> Option<NotAdmitted> {
        match self.world.tams[0].decisions.last() {
            Some(Decision::NotAdmitted(reason)) => Some(*reason),
            _ => None,
        }
    }
}

/// Proves, T-195
#[test]
fn certified_devices_come_in_and_others_do_not() {
    let mut fleet = Fleet::new();
    let certified = fleet.add_device(Some(NOW + 30 * DAY));
    assert_eq!(fleet.asks(certified), Some(&b"version 1"[..]));
    assert_eq!(fleet.refusal(), None);
    let bare = fleet.add_device(None);
    assert_eq!(fleet.asks(bare), None);
    let agent = fleet.world.agent_key(bare);
    assert_eq!(fleet.refusal(), Some(NotAdmitted::Unknown(agent)));
    // The TAM knows nothing of it, and lets it in as soon as the operator does.
    assert_eq!(fleet.world.tams[0].recorded(&agent), None);
    fleet.world.tams[0].admission.allowed = vec![agent];
    assert_eq!(fleet.asks(bare), Some(&b"version 1"[..]));
}

/// Proves: T-211
#[test]
fn strangers_do_not_see_the_devices_certificate() {
    let mut fleet = Fleet::new();
    let device = fleet.add_device(Some(NOW + 30 * DAY));
    let stranger = fleet.world.add_tam();
    let mut chain_shown_to = |tam: usize| {
        let asked = fleet.world.post(tam, &[]);
        let answer = fleet.world.hand_in(device, &asked).unwrap();
        let signed = SignedMessage::decode(&answer, &Limits::MESSAGE).unwrap();
        signed.signatures()[0].chain.len()
    };
    assert_eq!(chain_shown_to(0), 1);
    assert_eq!(chain_shown_to(stranger), 0);
}

/// Proves: A-20, T-195
#[test]
fn a_revoked_device_keeps_what_it_has_and_gets_nothing_more() {
    let mut fleet = Fleet::new();
    let device = fleet.add_device(None);
    let other = fleet.add_device(Some(NOW + 30 * DAY));
    let certificate = fleet.certify(device, NOW + 30 * DAY);
    assert_eq!(fleet.asks(device), Some(&b"version 1"[..]));
    let agent = fleet.world.agent_key(device);
    let recorded = fleet.world.tams[0].recorded(&agent);

    fleet.revoke(&certificate);
    let newer = TrustedComponent::new("ta", 2, b"version 2");
    fleet.world.publish(0, 0, &newer);
    assert_eq!(fleet.asks(device), Some(&b"version 1"[..]));
    let Some(NotAdmitted::Certificate(error)) = fleet.refusal() else {
        panic!("{:?}", fleet.refusal())
    };
    assert_eq!(error.problem, Revoked);
    assert_eq!(error.certificate, certificate.fingerprint());
    assert_eq!(fleet.world.tams[0].recorded(&agent), recorded);
    // It does not help to keep the certificate to itself, nor that the operator once allowed the key.
    fleet.world.devices[device].tee.certificates = Vec::new();
    fleet.world.tams[0].admission.allowed = vec![agent];
    assert_eq!(fleet.asks(device), Some(&b"version 1"[..]));
    // Nor another that counts nowhere.
    let key = fleet.world.devices[device].tee.public_key();
    let description = Description::authority("CN=Stranger", YEARS);
    let stranger = SigningKey::generate(Algorithm::Esp256, &mut fleet.world.random);
    let stranger = Authority::root(Arc::new(stranger), &description, &mut fleet.world.random);
    let stranger = stranger.unwrap();
    let description = Description::signer("CN=Device", YEARS);
    let issued = stranger.issue(&key, &description, &mut fleet.world.random);
    fleet.world.devices[device].tee.certificates = vec![issued.unwrap()];
    assert_eq!(fleet.asks(device), Some(&b"version 1"[..]));
    assert!(
        matches!(fleet.refusal(), Some(NotAdmitted::Certificate(error)) if error.problem == Revoked)
    );
    assert_eq!(fleet.asks(other), Some(&b"version 2"[..]));

    // With a new certificate it is a device like others.
    fleet.certify(device, NOW + 60 * DAY);
    assert_eq!(fleet.asks(device), Some(&b"version 2"[..]));
}

/// Proves: A-20, T-195
#[test]
fn a_certificate_that_ends_is_renewed_in_time_or_the_device_waits_outside() {
    let mut fleet = Fleet::new();
    let device = fleet.add_device(Some(NOW + DAY));
    fleet.world.now = NOW + DAY + 1;
    assert_eq!(fleet.asks(device), None);
    let Some(NotAdmitted::Certificate(error)) = fleet.refusal() else {
        panic!("{:?}", fleet.refusal())
    };
    assert_eq!(error.problem, Expired(NOW + DAY));
    fleet.certify(device, NOW + 30 * DAY);
    assert_eq!(fleet.asks(device), Some(&b"version 1"[..]));
}

/// Proves: A-19
#[test]
fn the_block_list_wins_whoever_vouches_for_the_device() {
    let mut fleet = Fleet::new();
    let device = fleet.add_device(Some(NOW + 30 * DAY));
    let agent = fleet.world.agent_key(device);
    let maker = Thumbprint(fleet.maker.certificate().fingerprint().0);
    fleet.world.tams[0].admission.allowed = vec![agent];
    for blocked in [agent, maker] {
        fleet.world.tams[0].admission.blocked = vec![blocked];
        assert_eq!(fleet.asks(device), None);
        assert_eq!(fleet.refusal(), Some(NotAdmitted::Blocked(blocked)));
    }
    fleet.world.tams[0].admission.blocked = Vec::new();
    assert_eq!(fleet.asks(device), Some(&b"version 1"[..]));
}
