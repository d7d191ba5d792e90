//! `teep device init`: makes a device that knows whom to trust.

use std::path::Path;

use clap::Args;
use serde_json::json;
use teep_agent::{Provisioning, TrustedTam};
use teep_cose::Algorithm;
use uuid::Uuid;

use super::lifecycle::PROPERTIES;
use super::trust::{Signers, Tams, Verifiers};
use super::{Device, Setup, VERIFIER_URI};
use crate::exit::Failure;
use crate::{key, output};

#[derive(Debug, Args)]
#[command(after_help = "\
The device's endorsement, for the Verifier, is written to FOLDER/endorsement.cbor; the public key
that components are encrypted to, for their signers, to FOLDER/encryption-key.pub; the Agent's own public
key, for an authority to certify, to FOLDER/agent-key.pub.

Examples:
  teep device init --tam http://127.0.0.1:8080/tam --tam-key tam-esp256.pub --signer signer.pem.pub
  teep device init --tam http://127.0.0.1:8080/tam --tam-authority pki/tams.crt --signer-authority pki/signers.crt")]
pub(super) struct Init {
    #[command(flatten)]
    tams: Tams,
    #[command(flatten)]
    signers: Signers,
    #[command(flatten)]
    verifiers: Verifiers,
    /// Where the Verifier is found that a TAM's Evidence is sent to (a TAM may bring an Attestation Result instead), and
    /// the device's own for a TAM that wants an Attestation Result
    #[arg(long, value_name = "URI")]
    verifier_uri: Option<String>,
    /// What the Agent signs its messages with
    #[arg(long, value_enum, default_value_t = key::KeyAlgorithm::Esp256)]
    algorithm: key::KeyAlgorithm,
    /// The vendor's domain, from which the SUIT vendor identifier is made
    #[arg(long, default_value = "teep.example")]
    vendor: String,
    /// What the TEE can do, in words that applications may require (`teep device request --requires`)
    #[arg(long, value_name = "PROPERTY")]
    property: Vec<String>,
    /// A UUID of the device itself, for manifests that are for this one only
    #[arg(long, value_name = "UUID")]
    device_id: Option<Uuid>,
    /// The EAT profile of the Attestation Results that its Verifiers make; by default that of the draft
    #[arg(long, value_name = "URI")]
    eat_profile: Option<String>,
    /// The device class, from which the SUIT class identifier is made
    #[arg(long, default_value = "software-tee")]
    class: String,
}

/// Makes the device, and says what a Verifier and signers must know of it.
pub(super) fn create(folder: &Path, init: &Init, json: bool) -> Result<(), Failure> {
    let setup = Setup {
        provision: provision(init.algorithm.into()),
        provisioning: Provisioning {
            tams: init.tams.read()?,
            signers: init.signers.anchors()?,
            verifiers: init.verifiers.anchors()?,
            profile: profile(init.eat_profile.as_deref()),
            permissions: init.signers.permissions()?,
            identity: suit::process::Identity {
                device: init.device_id.map(Uuid::into_bytes).into_iter().collect(),
                ..identity(&init.vendor, &init.class)
            },
        },
    };
    // A TAM answers in the suite of the Agent's own key, so its key of that algorithm must be trusted.
    let algorithm = setup.provision.agent_algorithm;
    let mut tams = setup.provisioning.tams.iter();
    // What an authority certifies may have a key of any kind.
    let answers = |tam: &TrustedTam| {
        let mut keys = tam.keys.keys();
        keys.any(|key| key.algorithm() == algorithm) || tam.keys.certificates().next().is_some()
    };
    if let Some(tam) = tams.find(|tam| !answers(tam)) {
        let uri = tam.uris.first().map(String::as_str).unwrap_or_default();
        return Err(Failure::usage(format!(
            "the Agent signs with {algorithm}, so a TAM must have an {algorithm} key: give that of {uri} \
             with --tam-key, or an authority for it with --tam-authority"
        )));
    }
    let must_attest = |tam: &TrustedTam| tam.must_attest;
    let provisioning = &setup.provisioning;
    if provisioning.tams.iter().any(must_attest) && provisioning.verifiers.is_empty() {
        return Err(Failure::usage(
            "--attested-tam: the device believes no Verifier: give the key of one with --verifier, or an authority \
             with --verifier-authority",
        ));
    }
    let device = Device::create(folder, setup)?;
    if !init.property.is_empty() {
        let properties = init.property.join("\n");
        output::create(&folder.join(PROPERTIES), properties.as_bytes(), false)?;
    }
    if let Some(uri) = &init.verifier_uri {
        output::create(&folder.join(VERIFIER_URI), uri.as_bytes(), false)?;
    }
    let endorsement = folder.join("endorsement.cbor");
    output::create(&endorsement, &device.endorsement().encode(), false)?;
    let encryption_key = folder.join("encryption-key.pub");
    output::create(
        &encryption_key,
        device.encryption_key().to_pem().as_bytes(),
        false,
    )?;
    let agent_key = folder.join(AGENT_KEY);
    output::create(&agent_key, device.agent_key().to_pem().as_bytes(), false)?;
    let identity = &device.provisioning().identity;
    let uuid = |ids: &[[u8; 16]]| {
        ids.first()
            .map(|id| Uuid::from_bytes(*id).to_string())
            .unwrap_or_default()
    };
    let rows = [
        ("device", folder.display().to_string()),
        ("agent key", device.agent_key().thumbprint().to_string()),
        (
            "attestation key",
            device
                .endorsement()
                .attestation_key
                .thumbprint()
                .to_string(),
        ),
        ("encryption key", encryption_key.display().to_string()),
        ("endorsement", endorsement.display().to_string()),
        ("vendor id", uuid(&identity.vendor)),
        ("class id", uuid(&identity.class)),
    ];
    if json {
        let object = rows
            .iter()
            .map(|(name, value)| (name.replace(' ', "_"), json!(value)));
        return output::print_json(&serde_json::Value::Object(object.collect()));
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.into(), value])
        .collect();
    output::print(&output::table(&rows))
}

fn profile(uri: Option<&str>) -> eat::Profile {
    uri.map_or_else(eat::Profile::default, |uri| eat::Profile {
        uri: uri.into(),
    })
}

/// What a device of the software TEE is, to its Verifier.
pub(crate) fn provision(agent_algorithm: Algorithm) -> tee_wasm::Provision {
    tee_wasm::Provision {
        agent_algorithm,
        attestation_algorithm: Algorithm::Esp256,
        // Assigned by nobody: RFC 9711 section 4.2.3 lets a maker choose a random one.
        oemid: eat::OemId::Random(*b"teep software TE"),
        hwmodel: b"software TEE"
            .as_slice()
            .try_into()
            .expect("12 bytes are within 1 to 32"),
        hwversion: eat::Version::multipart(env!("CARGO_PKG_VERSION")),
    }
}

/// S-103 (8.4.8.1) vendor = UUID5(DNS, domain), class = UUID5(vendor, name).
pub(crate) fn identity(vendor: &str, class: &str) -> suit::process::Identity {
    let vendor = Uuid::new_v5(&Uuid::NAMESPACE_DNS, vendor.as_bytes());
    let class = Uuid::new_v5(&vendor, class.as_bytes());
    suit::process::Identity {
        vendor: vec![vendor.into_bytes()],
        class: vec![class.into_bytes()],
        ..Default::default()
    }
}

/// The file with the Agent's public key, in the device's folder.
const AGENT_KEY: &str = "agent-key.pub";
