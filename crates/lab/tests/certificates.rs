//! A TAM and signers with certificates: whom an Agent believes, and what it answers where it does not.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::Range;
use std::sync::Arc;

use suit::build::{Authentication, Unsigned};
use suit::{Envelope, Limits};
use teep::ErrorCode::{self, BadCertificate, CertificateExpired};
use teep::{Message, Update};
use teep_agent::trust_anchors::{Store, encode_signers};
use teep_agent::{Permission, Provisioning, TrustedTam};
use teep_cose::{
    Algorithm, Certificate, Credential, SigningKey, Thumbprint, TrustAnchors, Trusted,
};
use teep_lab::{TrustedComponent, World, id, manifest_id, read};
use teep_pki::{Authority, Description};
use teep_tam::TamKeys;

const ESP256: Algorithm = Algorithm::Esp256;
const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;
const YEAR: Range<u64> = NOW - 100 * DAY..NOW + 265 * DAY;

/// A TAM below an authority, a device that trusts the root, and a component to be had.
struct Certified {
    world: World,
    root: Authority,
    authority: Authority,
}

impl Certified {
    fn new() -> Self {
        let mut world = World::new(1);
        world.now = NOW;
        world.add_tam();
        world.add_signer();
        let mut key = || Arc::new(SigningKey::generate(ESP256, &mut world.random));
        let (root_key, authority_key) = (key(), key());
        let description = Description::authority("CN=Root", YEAR);
        let root = Authority::root(root_key, &description, &mut world.random).unwrap();
        let description = Description::authority("CN=Authority", YEAR);
        let authority = root.authorize(authority_key, &description, &mut world.random);
        let authority = authority.unwrap();
        let component = TrustedComponent::new("ta", 1, b"version 1");
        world.publish(0, 0, &component);
        let mut certified = Self {
            world,
            root,
            authority,
        };
        certified.certify(YEAR);
        certified
    }

    /// Gives each of the TAM's keys a certificate that is valid at these times.
    fn certify(&mut self, validity: Range<u64>) -> Vec<Certificate> {
        let keys = [
            self.world.tams[0].esp256.clone(),
            self.world.tams[0].ed25519.clone(),
        ];
        let description = Description::signer("CN=TAM", validity);
        let mut certificates = Vec::new();
        let credentials = keys.map(|key| {
            let issued =
                self.authority
                    .issue(&key.public_key(), &description, &mut self.world.random);
            let chain = vec![issued.unwrap(), self.authority.certificate().clone()];
            certificates.push(chain[0].clone());
            Credential::new(Arc::new(key), chain).unwrap()
        });
        self.world.tams[0].tam.keys = TamKeys::new(credentials.to_vec()).unwrap();
        certificates
    }

    fn anchors(&self) -> TrustAnchors {
        [self.root.certificate().clone()].into_iter().collect()
    }

    /// A device that trusts the TAM by these anchors, with a clock or without.
    fn add_device(&mut self, anchors: TrustAnchors, clock: Option<u64>) -> usize {
        let provisioning = Provisioning {
            tams: vec![TrustedTam::new(World::tam_uri(0), anchors)],
            ..self.world.provisioning()
        };
        let device = self.world.add_device_with(ESP256, provisioning);
        self.world.devices[device].tee.clock = clock;
        self.world.endorse(device);
        device
    }

    fn installs(&mut self, device: usize) -> bool {
        let _exchange = self.world.request(device, &id("ta"));
        self.world.image(device, &id("ta")) == Some(&b"version 1"[..])
    }

    /// What the device answers a QueryRequest with.
    fn refusal(&mut self, device: usize) -> (ErrorCode, String) {
        let request = self.world.post(0, &[]);
        match read(&self.world.hand_in(device, &request).unwrap()) {
            Some(Message::Error(error)) => (error.err_code, error.err_msg.unwrap().as_str().into()),
            other => panic!("{other:?}"),
        }
    }
}

/// Proves, T-002
#[test]
fn a_certified_tam_manages_devices_that_trust_the_root_only() {
    let mut certified = Certified::new();
    let anchors = certified.anchors();
    for clock in [None, Some(NOW)] {
        let device = certified.add_device(anchors.clone(), clock);
        assert!(certified.installs(device), "{clock:?}");
    }
    let description = Description::authority("CN=Somebody Else", YEAR);
    let world = &mut certified.world;
    let key = Arc::new(SigningKey::generate(ESP256, &mut world.random));
    let other = Authority::root(key, &description, &mut world.random).unwrap();
    let others = [other.certificate().clone()].into_iter().collect();
    let device = certified.add_device(others, Some(NOW));
    let (code, text) = certified.refusal(device);
    assert_eq!(code, BadCertificate);
    assert!(text.contains("issuer is not known"), "{text}");
}

/// Proves: T-099, T-190, T-195
#[test]
fn what_is_wrong_with_a_certificate_is_said_with_its_name() {
    let mut certified = Certified::new();
    let anchors = certified.anchors();
    let device = certified.add_device(anchors.clone(), Some(NOW));
    let over = certified.certify(YEAR.start..NOW - 1);
    let (code, text) = certified.refusal(device);
    assert_eq!(code, CertificateExpired);
    let name = format!("{:.4}", over[0].fingerprint());
    assert!(text.contains(&name) && text.contains("expired"), "{text}");

    certified.certify(NOW + 1..YEAR.end);
    let (code, text) = certified.refusal(device);
    assert_eq!(code, CertificateExpired);
    assert!(text.contains("not valid before"), "{text}");
    // Without a clock nobody can tell that it has not begun.
    let no_clock = certified.add_device(anchors.clone(), None);
    assert!(certified.installs(no_clock));

    let revoked = certified.certify(YEAR);
    let entries: Vec<_> = revoked.iter().map(|one| (one, NOW)).collect();
    let list = certified.authority.revoke(&entries, 1, NOW..NOW + DAY);
    let mut anchors = anchors;
    anchors.add_revocation_list(list.unwrap());
    let device = certified.add_device(anchors, Some(NOW));
    let (code, text) = certified.refusal(device);
    assert_eq!(code, BadCertificate);
    assert!(text.contains("revoked"), "{text}");
    let name = format!("{:.4}", revoked[0].fingerprint());
    assert!(text.contains(&name), "{text}");
    // Renewed with another certificate it is trusted again.
    certified.certify(YEAR);
    assert!(certified.installs(device));
}

/// The administrator has a certificate, and its right goes by the name that the authority gives it.
///
/// Proves: A-18, T-188
#[test]
fn an_administrator_with_a_certificate_replaces_the_store_of_signers() {
    let mut certified = Certified::new();
    let world = &mut certified.world;
    let key = world.signers[0].clone();
    let description = Description::signer("CN=Administrator", YEAR);
    let issued = certified
        .authority
        .issue(&key.public_key(), &description, &mut world.random);
    let chain = [issued.unwrap(), certified.authority.certificate().clone()];
    let root = certified.root.certificate().clone();
    let authorities = TrustAnchors::from_iter([root.clone()]);
    let own_names = [Store::Signers.component_id(), manifest_id("admin")];
    let rights = |signer: Thumbprint| {
        let names = own_names.clone().into_iter();
        names
            .map(|prefix| Permission { signer, prefix })
            .collect::<Vec<_>>()
    };
    let administrator = rights(Trusted::name_of(&chain[0], &root));
    let provisioning = Provisioning {
        signers: authorities.clone(),
        permissions: administrator.clone(),
        ..world.provisioning()
    };
    let device = world.add_device_with(ESP256, provisioning);
    let stranger = SigningKey::generate(ESP256, &mut world.random).public_key();
    let mut installs = |number, anchors: &TrustAnchors, permissions: &[Permission]| {
        let content = encode_signers(anchors, permissions);
        let mut store = TrustedComponent::new("admin", number, &content);
        store.images[0].component_id = Store::Signers.component_id();
        let plain = store.envelope(&key);
        let plain = Envelope::decode(&plain, &Limits::DEFAULT).unwrap();
        let unsigned = Unsigned::of_bytes(plain.manifest_bytes().to_vec());
        let envelope = unsigned
            .with_payload("#admin", content)
            .authenticate(&[Authentication::Certified(&key, &chain)]);
        let update = Message::Update(Update {
            manifest_list: vec![envelope],
            ..Update::default()
        });
        let answer = world.say(0, device, &update).unwrap().unwrap();
        let is_installed = matches!(answer, Message::Success(_));
        assert!(
            is_installed || matches!(answer, Message::Error(_)),
            "{answer:?}"
        );
        is_installed
    };
    assert!(installs(1, &authorities, &administrator), "its own name");
    // An authority signs certificates, no manifests: a right of its key's is nobody's.
    let of_authority = rights(root.public_key().thumbprint());
    assert!(!installs(2, &authorities, &of_authority));
    // Nor does it help to have the right, if the authority above is no longer trusted.
    let stranger = TrustAnchors::from_iter([stranger]);
    assert!(!installs(2, &stranger, &administrator));
    // A certificate of its own in the store goes by its key.
    let pinned = TrustAnchors::from_iter([chain[0].clone()]);
    let of_key = rights(chain[0].public_key().thumbprint());
    assert!(!installs(2, &pinned, &administrator));
    assert!(installs(2, &authorities, &administrator));
    assert!(installs(3, &pinned, &of_key));
}
