//! `teep suit sign`: adds signatures to an envelope that is made already.

use std::path::{Path, PathBuf};

use clap::Args;
use suit::build::{Authentication, authenticate_too};
use suit::{Envelope, Limits};
use teep_cose::mac::MacKey;
use teep_cose::{PublicKey, Sign1, SigningKey};

use super::chains::Chains;
use super::encryption_key::read_mac_key;
use super::{MAX_ENVELOPE, NewFile, write};
use crate::exit::Failure;
use crate::{key, output};

/// Arguments of `teep suit sign`.
#[derive(Debug, Args)]
#[command(after_help = "\
The signatures that an envelope has are kept. Look at what you sign: `teep suit show FILE`.

A private key that never leaves its hardware, and one for HSS-LMS, whose signer must keep count, sign
elsewhere: --to-be-signed gives the bytes, --signature takes the signature over them (for ESP256 r and
s, 32 bytes each), which is checked.

Examples:
  teep suit sign counter.suit --signer auditor.pem
  teep suit sign counter.suit --signer developer.pem --chain developer.crt
  teep suit sign counter.suit --key hsm.pem.pub --to-be-signed counter.tbs
  teep suit sign counter.suit --key hsm.pem.pub --signature counter.sig")]
pub(super) struct SignArguments {
    /// An envelope, or - for standard input
    file: PathBuf,
    /// Sign with this private key (PEM); may be given several times
    #[arg(long, value_name = "PEM")]
    signer: Vec<PathBuf>,
    /// The certificates (PEM or DER) of one who signs, its own first, for devices that trust an authority above it;
    /// once for each signer that has some
    #[arg(long, value_name = "FILE")]
    chain: Vec<PathBuf>,
    /// Add a MAC by the key in this file (64 hexadecimal digits); may be given several times
    #[arg(long, value_name = "FILE")]
    mac_key: Vec<PathBuf>,
    /// The public key (PEM) of what signs elsewhere
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Write what must be signed elsewhere; - for standard output
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["signer", "mac_key", "signature", "chain", "out"])]
    to_be_signed: Option<PathBuf>,
    /// The signature that was made elsewhere
    #[arg(long, value_name = "FILE", requires = "key")]
    signature: Option<PathBuf>,
    /// Where the envelope goes; - for standard output [default: FILE]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs `teep suit sign`.
pub(super) fn run(arguments: &SignArguments) -> Result<(), Failure> {
    let name = arguments.file.display();
    let bytes = output::read(&arguments.file, MAX_ENVELOPE)?;
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let elsewhere = arguments.key.as_deref().map(key::read_public).transpose()?;
    let digest = envelope.digest().to_bytes();

    if let (Some(key), Some(out)) = (&elsewhere, &arguments.to_be_signed) {
        // Checked as if it were signed here.
        authenticate_too(&envelope, &[])
            .map_err(|error| Failure::refused(format!("{name}: {error}")))?;
        return put(out, to_be_signed(&digest, key));
    }
    let signers = arguments.signer.iter().map(|file| key::read_private(file));
    let signers: Vec<SigningKey> = signers.collect::<Result<_, _>>()?;
    let public: Vec<_> = signers.iter().map(SigningKey::public_key).collect();
    let chains = Chains::read(&arguments.chain, public.iter().chain(&elsewhere))?;
    let mac_keys = arguments.mac_key.iter().map(|file| read_mac_key(file));
    let mac_keys: Vec<MacKey> = mac_keys.collect::<Result<_, _>>()?;
    let made = match (&elsewhere, &arguments.signature) {
        (Some(key), Some(file)) => Some(made_elsewhere(&digest, key, file, &chains)?),
        (Some(_), None) => {
            return Err(Failure::usage(
                "--key: give --to-be-signed to get what must be signed, or --signature",
            ));
        }
        (None, _) => None,
    };
    let authentications: Vec<_> = signers
        .iter()
        .map(|key| chains.by(key))
        .chain(mac_keys.iter().map(Authentication::Mac0))
        .chain(made.as_deref().map(Authentication::Made))
        .collect();
    if authentications.is_empty() {
        return Err(Failure::usage(
            "nobody signs: give --signer, --mac-key, or --key and --signature",
        ));
    }
    let signed = authenticate_too(&envelope, &authentications)
        .map_err(|error| Failure::refused(format!("{name}: {error}")))?;
    // Nothing leaves here that no device would take, such as one signature too many.
    Envelope::decode(&signed, &Limits::DEFAULT)
        .map_err(|error| Failure::usage(format!("{name}: with the new signatures: {error}")))?;
    put(arguments.out.as_ref().unwrap_or(&arguments.file), signed)
}

/// The Sig_structure of RFC 9052 section 4.4.
fn to_be_signed(digest: &[u8], key: &PublicKey) -> Vec<u8> {
    let mut structure = Vec::new();
    let unfinished = Sign1::new(digest).detached().sign_elsewhere(key, |data| {
        structure = data.to_vec();
        Vec::new()
    });
    drop(unfinished);
    structure
}

/// The block around a signature, which is `key`'s.
fn made_elsewhere(
    digest: &[u8],
    key: &PublicKey,
    file: &Path,
    chains: &Chains,
) -> Result<Vec<u8>, Failure> {
    let signature = output::read(file, MAX_SIGNATURE)?;
    if !key.verify(&to_be_signed(digest, key), &signature) {
        let name = file.display();
        return Err(Failure::refused(format!(
            "{name}: not a signature by that key over this manifest: sign what --to-be-signed writes"
        )));
    }
    Ok(Sign1::new(digest)
        .detached()
        .with_chain(chains.of(key))
        .sign_elsewhere(key, |_| signature))
}

fn put(out: &Path, content: Vec<u8>) -> Result<(), Failure> {
    if out.as_os_str() == "-" {
        return output::print_bytes(&content);
    }
    let path = out.to_path_buf();
    write(&NewFile { path, content })
}

/// HSS-LMS with eight levels stays below.
const MAX_SIGNATURE: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use std::sync::Arc;
    use suit::build::{Component, Description};
    use teep_cose::{Algorithm, TrustAnchors};
    use teep_pki::Authority;

    use crate::certificate::now;
    use crate::key::system_random;

    fn arguments(folder: &Path) -> SignArguments {
        SignArguments {
            file: folder.join("x.suit"),
            signer: vec![],
            chain: vec![],
            mac_key: vec![],
            key: None,
            to_be_signed: None,
            signature: None,
            out: None,
        }
    }

    #[test]
    fn signatures_are_added_also_those_made_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let component = Component::integrated("ta".parse().unwrap(), "#ta", b"image".to_vec());
        let description = Description {
            components: vec![component],
            ..Description::default()
        };
        let unsigned = description.build().unwrap().sign(&[]);
        fs::write(folder.join("x.suit"), unsigned).unwrap();
        let keys = Algorithm::TEEP.map(|algorithm| {
            let key = SigningKey::generate(algorithm, &mut system_random());
            fs::write(folder.join(format!("{algorithm}.pem")), &key.to_pem()[..]).unwrap();
            key
        });
        let [module, auditor] = &keys;
        let validity = now() - 1..now() + 100;
        let authority = Authority::root(
            Arc::new(auditor.clone()),
            &teep_pki::Description::authority("CN=Root", validity.clone()),
            &mut system_random(),
        )
        .unwrap();
        for (key, file) in [(module, "module.crt"), (auditor, "auditor.crt")] {
            let subject = teep_pki::Description::signer("CN=Signer", validity.clone());
            let certificate = authority.issue(&key.public_key(), &subject, &mut system_random());
            fs::write(folder.join(file), certificate.unwrap().to_pem()).unwrap();
        }
        fs::write(folder.join("module.pub"), module.public_key().to_pem()).unwrap();
        fs::write(folder.join("mac.key"), "07".repeat(32)).unwrap();

        assert!(run(&arguments(folder)).is_err(), "nobody signs");
        let elsewhere = || SignArguments {
            key: Some(folder.join("module.pub")),
            ..arguments(folder)
        };
        assert!(run(&elsewhere()).is_err(), "a key does not sign");
        run(&SignArguments {
            to_be_signed: Some(folder.join("tbs")),
            ..elsewhere()
        })
        .unwrap();
        let signature = module.sign(&fs::read(folder.join("tbs")).unwrap());
        let mut wrong = signature.clone();
        wrong[0] ^= 1;
        for (signature, good) in [(wrong, false), (signature, true)] {
            fs::write(folder.join("signature"), signature).unwrap();
            let result = run(&SignArguments {
                signature: Some(folder.join("signature")),
                chain: vec![folder.join("module.crt")],
                ..elsewhere()
            });
            assert_eq!(result.is_ok(), good);
        }
        let by_auditor = |chain: &str| SignArguments {
            signer: vec![folder.join("Ed25519.pem")],
            chain: vec![folder.join(chain)],
            ..arguments(folder)
        };
        let refused = run(&by_auditor("module.crt")).unwrap_err();
        assert!(refused.to_string().contains("none who signs"), "{refused}");
        run(&SignArguments {
            mac_key: vec![folder.join("mac.key")],
            ..by_auditor("auditor.crt")
        })
        .unwrap();

        let signed = fs::read(folder.join("x.suit")).unwrap();
        let envelope = Envelope::decode(&signed, &Limits::DEFAULT).unwrap();
        assert_eq!(envelope.blocks().len(), 3);
        for key in [module, auditor] {
            let trusted: TrustAnchors = [key.public_key()].into_iter().collect();
            assert!(envelope.verify(&trusted).is_ok(), "{}", key.algorithm());
        }
        // Who trusts the authority needs to know none of the keys, and gets both.
        let trusted: TrustAnchors = [authority.certificate().clone()].into_iter().collect();
        let verified = envelope.verify(&trusted).unwrap();
        assert_eq!(verified.signers().len(), 2);
    }
}
