//! A TAM, its Verifier, a developer and a device that know each other by certificates only, set up by commands.
#![allow(clippy::unwrap_used)]

mod stage;

use std::time::{Duration, Instant};

use stage::{COMPONENT, Stage, Tam};

/// Authorities for each role, below one root; a TAM that was told to send its certificates and to take certified
/// devices only; and the published component of a developer with a certificate.
fn certified() -> (Stage, Tam) {
    let mut stage = Stage::new();
    stage.run("teep pki root pki/root --subject CN=Root");
    for role in ["tams", "signers", "devices", "verifiers"] {
        stage.run(&format!(
            "teep pki authority pki/root pki/{role} --subject CN={role}"
        ));
    }
    // Its keys are made at the first start.
    let tam = stage.serve("");
    stage.run("teep tam keys");
    drop(tam);
    stage.develop();
    for (role, key) in [
        ("tams", "tam-esp256.pub"),
        ("tams", "tam-ed25519.pub"),
        ("verifiers", "tam-verifier.pub"),
        ("signers", "developer.pem.pub"),
    ] {
        let name = key.split('.').next().unwrap();
        stage.run(&format!(
            "teep pki certify pki/{role} {key} {name}.crt --subject CN={name}"
        ));
    }
    let tam = stage.serve(
        "--certificate tam-esp256.crt --certificate tam-ed25519.crt --certificate tam-verifier.crt \
         --device-authority pki/root.crt --revocation-list pki/devices.crl",
    );
    stage.run("teep suit build pin.toml --chain developer.crt");
    stage.run("teep suit verify pin.suit --anchor pki/root.crt");
    stage.run("teep tam signer add developer.pem.pub");
    stage.run("teep tam publish pin.suit");
    (stage, tam)
}

impl Stage {
    /// Makes a device that knows nobody's key, and has it certified.
    fn device(&self, name: &str) {
        let uri = self.tam_uri();
        self.run(&format!(
            "teep device --folder {name} init --tam {uri} --attested-tam {uri} --tam-authority pki/tams.crt \
             --signer-authority pki/signers.crt --signer-authority pki/signers.crl --verifier-authority \
             pki/verifiers.crt --permit developer.crt=TEEP-Device/pin"
        ));
        self.run(&format!("teep verifier endorse {name}/endorsement.cbor"));
        self.run(&format!(
            "teep pki certify pki/devices {name}/agent-key.pub {name}.crt --subject CN={name}"
        ));
        self.run(&format!("teep device --folder {name} certify {name}.crt"));
    }
}

/// Proves, T-195
#[test]
fn all_know_each_other_by_certificates_until_they_are_revoked() {
    let (stage, _tam) = certified();
    stage.device("door");
    let listed = stage.run("teep device --folder door anchors list");
    for anchor in [
        "authority",
        "CN=tams",
        "CN=signers",
        "CN=verifiers",
        "TEEP-Device/pin",
    ] {
        assert!(listed.contains(anchor), "{anchor}: {listed}");
    }
    let request = |device: &str| format!("teep device --folder {device} request {COMPONENT}");
    let said = stage.run(&request("door"));
    assert!(said.contains("installed"), "{said}");

    // Nobody else's certificate is taken, nor is one that counts for another role.
    let (code, said) = stage.fail("teep device --folder door certify developer.crt");
    assert!(code == 2 && said.contains("another key"), "{said}");
    let (_, said) = stage.fail("teep pki check developer.crt --anchor pki/tams.crt");
    assert!(said.contains("no path to a trust anchor"), "{said}");

    // A stolen device: the list is read anew within a second or two, without a restart.
    stage.run("teep pki revoke pki/devices door.crt");
    let start = Instant::now();
    let mut poll = stage.command("teep device --folder door poll");
    while poll.output().unwrap().status.success() {
        assert!(start.elapsed() < Duration::from_secs(20), "still served");
        // The TAM looks at its files once a second.
        std::thread::sleep(Duration::from_millis(200));
    }
    // Its request for the TAM's attestation is not heard any more, so it is not told why; the operator is.
    let refused = stage.run("teep tam agent refused");
    assert!(refused.contains("revoked"), "{refused}");
    // Others are served.
    stage.device("gate");
    let said = stage.run(&request("gate"));
    assert!(said.contains("installed"), "{said}");

    // A stolen developer's key: who is made with the new list takes nothing that it signed.
    stage.run("teep pki revoke pki/signers developer.crt");
    let (_, said) =
        stage.fail("teep suit verify pin.suit --anchor pki/signers.crt --anchor pki/signers.crl");
    assert!(said.contains("revoked"), "{said}");
}

/// Proves
#[test]
fn a_device_without_certificate_is_refused_and_one_does_not_believe_a_tam_without() {
    let (stage, tam) = certified();
    let uri = stage.tam_uri();
    stage.run(&format!(
        "teep device --folder bare init --tam {uri} --tam-authority pki/tams.crt --signer-authority \
         pki/signers.crt"
    ));
    stage.run("teep verifier endorse bare/endorsement.cbor");
    let (code, said) = stage.fail(&format!("teep device --folder bare request {COMPONENT}"));
    assert!(code == 1 && said.contains("CERTIFICATE"), "{said}");
    drop(tam);

    // The same TAM without its certificates.
    let mut stage = stage;
    let _tam = stage.serve("");
    let uri = stage.tam_uri();
    stage.run(&format!(
        "teep device --folder strict init --tam {uri} --tam-authority pki/tams.crt --signer-authority \
         pki/signers.crt"
    ));
    let (code, said) = stage.fail(&format!("teep device --folder strict request {COMPONENT}"));
    assert!(code == 1, "{said}");
    // Nor is it given one that is about another key.
    let (code, said) =
        stage.fail("teep tam serve --listen 127.0.0.1:0 --certificate developer.crt");
    assert!(code == 4 && said.contains("no signing key"), "{said}");
}

/// What a signer may do stays with its name when its key is renewed; another's name has no right to it.
///
/// Proves: A-21, S-028
#[test]
fn a_renewed_signer_keeps_its_rights() {
    let (stage, _tam) = certified();
    stage.device("door");
    for (name, subject) in [("renewed", "developer"), ("other", "other")] {
        stage.run(&format!("teep key generate {name}.pem"));
        stage.run(&format!(
            "teep pki certify pki/signers {name}.pem.pub {name}.crt --subject CN={subject}"
        ));
        stage.run(&format!("teep tam signer add {name}.pem.pub"));
    }
    let description = std::fs::read_to_string(stage.path("pin.toml")).unwrap();
    let next = |name: &str, sequence_number: &str| {
        let described = description
            .replace("developer.pem", &format!("{name}.pem"))
            .replace("sequence-number = 1", sequence_number);
        stage.write("next.toml", &described);
        stage.write("pin.bin", name);
        stage.run(&format!("teep suit build next.toml --chain {name}.crt"));
        stage.run("teep tam publish next.suit");
    };
    // The TAM goes by keys: the old one must have been withdrawn.
    let withdraw = |key: &str| {
        let shown = stage.run(&format!("teep key show --json {key}"));
        let key: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let thumbprint = key["thumbprint"].as_str().unwrap();
        stage.run(&format!("teep tam signer remove {thumbprint}"));
    };
    stage.run(&format!("teep device --folder door request {COMPONENT}"));
    withdraw("developer.pem.pub");
    next("renewed", "sequence-number = 2");
    let said = stage.run("teep device --folder door poll");
    assert!(said.contains("updated"), "{said}");
    withdraw("renewed.pem.pub");
    next("other", "sequence-number = 3");
    stage.device("gate");
    let (code, said) = stage.fail(&format!("teep device --folder gate request {COMPONENT}"));
    assert!(code == 1 && said.contains("TEEP-Device/pin"), "{said}");
}
