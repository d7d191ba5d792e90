//! What must not work: each attack is made for real, and must be refused for the specified reason.

use teep_cose::{Algorithm, SigningKey};

use super::scene::{COMPONENT, Payload, Scene, short};
use crate::exit::Failure;
use crate::key::system_random;

/// A Trusted Application that a stranger signed: the TAM refuses it, and so does the device when a TAM
/// sends it all the same.
pub(super) fn stranger(scene: &mut Scene) -> Result<(), Failure> {
    scene.step("7a", "A stranger signs a Trusted Application");
    let stranger = SigningKey::generate(Algorithm::Esp256, &mut system_random());
    scene.fact(
        "stranger's key",
        &short(&stranger.public_key().thumbprint()),
    );
    let envelope = scene.envelope_signed_by(&stranger, 2, Payload::Integrated)?;
    match scene.upload(&envelope)? {
        Ok(()) => scene.check("the TAM refuses it", false),
        Err(reason) => scene.check(
            &format!("the TAM refuses it: {reason}"),
            reason.contains("T-186"),
        ),
    }
    scene.say("a TAM that is bought sends it all the same");
    let update = scene.sign_update(&[envelope])?;
    scene.deliver(&update)?;
    scene.check_refused("no authentication block is by a trusted key");
    scene.check("nothing is installed", scene.installed_version().is_none());
    Ok(())
}

/// A manifest changed after it was signed.
pub(super) fn tampered_manifest(scene: &mut Scene) -> Result<(), Failure> {
    scene.step("7b", "Somebody changes one bit of a signed manifest");
    let mut envelope = scene.envelope(2, Payload::Integrated)?;
    let name = b"counter";
    let at = envelope.windows(name.len()).position(|bytes| bytes == name);
    let at = at.ok_or_else(|| Failure::own("the manifest does not name its component"))?;
    envelope[at] ^= 1;
    match scene.upload(&envelope)? {
        Ok(()) => scene.check("the TAM refuses it", false),
        Err(reason) => scene.check(
            &format!("the TAM refuses it: {reason}"),
            reason.contains("S-021"),
        ),
    }
    scene.say("a TAM that is bought sends it all the same");
    let update = scene.sign_update(&[envelope])?;
    scene.deliver(&update)?;
    scene.check_refused("S-021");
    scene.check("nothing is installed", scene.installed_version().is_none());
    Ok(())
}

/// A device whose Evidence no Verifier can believe.
pub(super) fn false_evidence(scene: &mut Scene) -> Result<(), Failure> {
    scene.step(
        "7c",
        "A device that nobody endorsed asks for the Trusted Application",
    );
    let mut impostor = scene.create_device("impostor", Algorithm::Ed25519)?;
    let id = COMPONENT.parse().map_err(Failure::own)?;
    scene.watch_exchange(&mut impostor, |device, watch| device.request(&id, watch))?;
    scene.check_refused("ATTESTATION_REQUIRED");
    scene.check("it got nothing", impostor.installed().is_empty());
    Ok(())
}

/// A TAM whose key is no trust anchor of the device.
pub(super) fn untrusted_tam(scene: &mut Scene) -> Result<(), Failure> {
    scene.step(
        "7d",
        "A TAM that the device does not trust tries to manage it",
    );
    let rogue = scene.start_rogue_tam()?;
    let mut device = scene
        .device
        .take()
        .ok_or_else(|| Failure::own("no device"))?;
    let result = scene.watch_exchange(&mut device, |device, watch| {
        device.exchange(&rogue.uri(), watch)
    });
    scene.device = Some(device);
    result?;
    scene.check_refused("BAD_CERTIFICATE");
    scene.check(
        "the device told it nothing about itself",
        !scene.told_about_itself,
    );
    scene.check("nothing is installed", scene.installed_version().is_none());
    Ok(())
}
