//! `teep suit verify`: is the manifest signed by one of these keys, and are its payloads the right
//! ones?

use serde_json::json;
use suit::command::TryEach;
use suit::{
    Authenticated, Authorities, Command, CommandSequence, Envelope, Limits, Parameter, Refusal,
    Section, Signer, SuitDigest,
};
use teep_cose::{Malformed, Time, TrustAnchors};

use super::{MAX_ENVELOPE, VerifyArguments};
use crate::certificate::{add_anchors, now};
use crate::exit::Failure;
use crate::{inspect, key, output};

/// Runs `teep suit verify`.
pub(crate) fn run(arguments: &VerifyArguments) -> Result<(), Failure> {
    let keys = arguments.key.iter().map(|file| key::read_public(file));
    let mut trusted = keys.collect::<Result<TrustAnchors, _>>()?;
    for file in &arguments.anchor {
        add_anchors(file, &mut trusted)?;
    }
    let trusted = Authorities {
        time: Time::Is(now()),
        ..Authorities::from(&trusted)
    };
    let read = output::read(&arguments.file, 4 * MAX_ENVELOPE)?;
    let bytes = inspect::input_bytes(&read);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT)
        .map_err(|error| Failure::usage(format!("no SUIT envelope: {error}")))?;
    let authenticated = envelope.verify(trusted).map_err(Failure::refused)?;
    let sequences = sequences(&authenticated).map_err(Failure::refused)?;
    let digests = ImageDigests::of(&sequences).map_err(Failure::refused)?;
    for (name, payload) in envelope.payloads() {
        // S-007 (8.2) no signature covers it: a digest in the manifest has to.
        if !digests.cover(payload) {
            return Err(Failure::refused(format!(
                "the integrated payload {name:?} has no digest that the manifest names"
            )));
        }
    }
    let signer = authenticated.signer();
    let manifest = authenticated.manifest();
    let id = manifest
        .manifest_component_id
        .as_ref()
        .map(ToString::to_string);
    if arguments.json {
        return output::print_json(&json!({
            "verified": true,
            "signer": signer.thumbprint().to_string(),
            "algorithm": algorithm(signer),
            "manifest_component_id": id,
            "sequence_number": manifest.sequence_number,
            "digest": envelope.digest().to_string(),
        }));
    }
    output::print(&output::table(&[
        vec![
            "verified".into(),
            format!("signed by {} {}", algorithm(signer), signer.thumbprint()),
        ],
        vec!["manifest".into(), id.unwrap_or_else(|| "no name".into())],
        vec![
            "sequence number".into(),
            manifest.sequence_number.to_string(),
        ],
    ]))
}

/// The algorithm by which somebody vouches.
pub(super) const fn algorithm(signer: &Signer) -> &'static str {
    match signer {
        Signer::PublicKey(key) => key.algorithm().name(),
        Signer::Certified(trusted) => trusted.key.algorithm().name(),
        Signer::MacKey(_) => "HMAC 256/256",
    }
}

/// Every sequence that is there.
fn sequences<'a>(authenticated: &Authenticated<'a>) -> Result<Vec<CommandSequence<'a>>, Refusal> {
    let mut sequences = Vec::new();
    sequences.extend(authenticated.manifest().common.shared_sequence);
    for section in Section::ALL {
        match authenticated.section(section) {
            Ok(sequence) => sequences.extend(sequence),
            // Severed and left out is legal: then its digests are not known.
            Err(Refusal::MemberAbsent(_)) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(sequences)
}

/// Every image-digest that a manifest sets anywhere.
#[derive(Debug, Default)]
pub(super) struct ImageDigests {
    digests: Vec<SuitDigest>,
    /// Images come encrypted, so that their digests are not those of the payloads.
    encrypted: bool,
}

impl ImageDigests {
    /// Those that these sequences set.
    pub(super) fn of(sequences: &[CommandSequence<'_>]) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for sequence in sequences {
            each_parameter(sequence, &mut |parameter| match parameter {
                Parameter::ImageDigest(digest) => found.digests.push(digest.clone()),
                Parameter::EncryptionInfo(_) => found.encrypted = true,
                _ => {}
            })?;
        }
        Ok(found)
    }

    /// Whether a payload is one of the images, or an envelope whose manifest is.
    pub(super) fn cover(&self, payload: &[u8]) -> bool {
        let is_dependency = || {
            let envelope = Envelope::decode(payload, &Limits::DEFAULT).ok();
            envelope.is_some_and(|dependency| {
                let digest = SuitDigest::sha256_of_wrapped(dependency.manifest_bytes());
                self.digests.contains(&digest)
            })
        };
        self.encrypted
            || self.digests.iter().any(|digest| digest.matches(payload))
            || is_dependency()
    }
}

/// Gives every parameter that a sequence sets, at whatever level, to `see`. The check of the whole sequence
/// before has bounded commands and levels.
///
/// # Errors
/// [`Malformed`] at the first command that cannot be read.
pub(super) fn each_parameter(
    sequence: &CommandSequence<'_>,
    see: &mut dyn FnMut(&Parameter<'_>),
) -> Result<(), Malformed> {
    for command in sequence.iter() {
        let (_, command) = command?;
        match &command {
            Command::SetParameters(parameters) | Command::OverrideParameters(parameters) => {
                parameters.iter().for_each(&mut *see);
            }
            Command::OverrideMultiple(overrides) => {
                for (_, parameters) in overrides {
                    parameters.iter().for_each(&mut *see);
                }
            }
            Command::TryEach(TryEach { alternatives, .. }) => {
                for sequence in alternatives {
                    each_parameter(sequence, see)?;
                }
            }
            Command::RunSequence(sequence) => each_parameter(sequence, see)?,
            _ => {}
        }
    }
    Ok(())
}
