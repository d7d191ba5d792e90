//! A TAM that knows devices by their certificates, as an operator and a manufacturer run it.
#![allow(clippy::unwrap_used)]

mod stage;

use std::time::Duration;

use stage::{COMPONENT, Stage};

/// Proves, T-194, T-195
#[test]
fn a_device_comes_in_by_its_certificate_until_it_is_revoked_or_blocked() {
    let mut stage = Stage::new();
    stage.run("teep pki root makers --subject CN=Makers");
    let options = "--device-authority makers.crt --revocation-list makers.crl \
                   --current-revocation-lists-only";
    let tam = stage.serve(options);
    stage.run("teep tam keys");
    stage.develop();
    stage.run("teep tam signer add developer.pem.pub");
    stage.run("teep suit build pin.toml");
    stage.run("teep tam publish pin.suit");
    let uri = stage.tam_uri();
    for device in ["one", "two"] {
        stage.run(&format!(
            "teep device --folder {device} init --algorithm esp256 --tam {uri} --tam-key \
             tam-esp256.pub --signer developer.pem.pub"
        ));
        stage.run(&format!("teep verifier endorse {device}/endorsement.cbor"));
    }
    let request = |device: &str| format!("teep device --folder {device} request {COMPONENT}");
    let (_, said) = stage.fail(&request("one"));
    assert!(
        said.contains("ERR_BAD_CERTIFICATE") && said.contains("no certificate"),
        "{said}"
    );

    stage.run("teep pki certify makers one/agent-key.pub one.crt --subject CN=One");
    stage.run("teep device --folder one certify one.crt");
    let said = stage.run(&request("one"));
    assert!(said.contains("installed"), "{said}");
    // Revoked, while the TAM runs on: it looks at its files once a second.
    stage.run("teep pki revoke makers one.crt");
    std::thread::sleep(Duration::from_millis(1100));
    let (_, said) = stage.fail("teep device --folder one poll");
    assert!(
        said.contains("ERR_BAD_CERTIFICATE") && said.contains("revoked"),
        "{said}"
    );

    // By hand: the key of a device without a certificate; and blocked, it is out again.
    stage.run("teep tam agent allow two/agent-key.pub --name two");
    assert!(stage.run(&request("two")).contains("installed"));
    stage.run("teep tam agent block two/agent-key.pub --name stolen");
    let (_, said) = stage.fail("teep device --folder two poll");
    assert!(
        said.contains("ERR_BAD_CERTIFICATE") && said.contains("blocked"),
        "{said}"
    );
    let said = stage.run("teep tam agent list");
    assert!(said.contains("allowed") && said.contains("blocked") && said.contains("stolen"));
    let said = stage.run("teep tam agent refused --json");
    let refused: serde_json::Value = serde_json::from_str(&said).unwrap();
    // Of a known device its answer to the refusal is refused as well; a stranger's moves nothing.
    let kinds = [("blocked", 2), ("revoked", 2), ("unknown", 1)];
    let kinds =
        kinds.map(|(reason, count)| serde_json::json!({ "reason": reason, "count": count }));
    assert_eq!(refused, serde_json::json!(kinds));
    // The file with a certificate is as good as the thumbprint.
    let said = stage.run("teep tam agent block one.crt");
    assert!(said.contains("key"), "{said}");
    let (code, said) = stage.fail("teep tam agent allow pin.toml");
    assert!(code == 2 && said.contains("pin.toml"), "{code} {said}");
    drop(tam);
}

/// Proves: T-002, T-194
#[test]
fn a_device_that_trusts_an_authority_takes_a_tam_with_certificates() {
    let mut stage = Stage::new();
    stage.run("teep pki root tams --subject CN=TAMs");
    let first = stage.serve("");
    stage.run("teep tam keys");
    drop(first);
    for algorithm in ["esp256", "ed25519"] {
        stage.run(&format!(
            "teep pki certify tams tam-{algorithm}.pub {algorithm}.crt --subject CN=TAM"
        ));
    }
    let tam = stage.serve("--certificate esp256.crt --certificate ed25519.crt");
    stage.develop();
    stage.run("teep tam signer add developer.pem.pub");
    stage.run("teep suit build pin.toml");
    stage.run("teep tam publish pin.suit");
    let uri = stage.tam_uri();
    stage.run(&format!(
        "teep device --folder one init --tam {uri} --tam-authority tams.crt --signer developer.pem.pub"
    ));
    stage.run("teep verifier endorse one/endorsement.cbor");
    let said = stage.run(&format!("teep device --folder one request {COMPONENT}"));
    assert!(said.contains("installed"), "{said}");
    drop(tam);
    let (code, said) = stage.fail("teep tam serve --listen 127.0.0.1:0 --certificate tams.crt");
    assert!(code == 4 && said.contains("tams.crt"), "{code} {said}");
}
