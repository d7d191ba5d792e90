//! Whom a device trusts, as it is given on the command line.

use std::path::{Path, PathBuf};

use clap::Args;
use suit::ComponentIdentifier;
use teep::Generation;
use teep_agent::{Permission, TrustedTam};
use teep_cose::encrypt::RecipientKey;
use teep_cose::{PublicKey, Purpose, Thumbprint, Time, TrustAnchors};

use crate::certificate::{add_anchors, read_chain};
use crate::exit::Failure;
use crate::key;

/// The TAMs.
#[derive(Debug, Args)]
pub(super) struct Tams {
    /// Where a TAM is found; the first given is asked first
    #[arg(long, value_name = "URI", required = true)]
    tam: Vec<String>,
    /// A public key (PEM) of every TAM, or of the one with this URI: trust in a TAM is trust in its key
    #[arg(
        long,
        value_name = "[URI=]FILE",
        required_unless_present = "tam_authority"
    )]
    tam_key: Vec<String>,
    /// Certificates (PEM or DER) of authorities that say who is a TAM, or who is the one with this URI, and their
    /// revocation lists
    #[arg(long, value_name = "[URI=]FILE")]
    tam_authority: Vec<String>,
    /// A public key (PEM, P-256 or X25519) of every TAM, or of the one with this URI: what the device says about
    /// itself is encrypted to it
    #[arg(long, value_name = "[URI=]FILE")]
    tam_encryption_key: Vec<String>,
    /// Which drafts of the protocol every TAM speaks, or the one with this URI: draft-26, drafts-21-25,
    /// drafts-16-20 or drafts-10-15. Without it the device recognises what a TAM speaks
    #[arg(long, value_name = "[URI=]NAME")]
    tam_generation: Vec<String>,
    /// What every TAM may install and remove, or the one with this URI: the first segments of the names, joined by
    /// /. Without any for a TAM, whatever the signers may
    #[arg(long, value_name = "[URI=]PREFIX")]
    tam_manages: Vec<String>,
    /// This TAM must prove what it is before the device tells it anything: by an Attestation Result of a Verifier
    /// whose key --verifier gives
    #[arg(long, value_name = "URI")]
    attested_tam: Vec<String>,
    /// This TAM takes a QueryResponse that it did not ask for just now, which spares a round trip
    #[arg(long, value_name = "URI")]
    unsolicited_tam: Vec<String>,
    /// Another address of the TAM with the first URI, for when that does not answer
    #[arg(long, value_name = "URI=URI")]
    tam_also_at: Vec<String>,
}

/// The Verifiers.
#[derive(Debug, Args)]
pub(super) struct Verifiers {
    /// The public key (PEM) of a Verifier whose word counts, about a TAM or about the device itself
    #[arg(long, value_name = "FILE")]
    verifier: Vec<PathBuf>,
    /// Certificates (PEM or DER) of authorities that say who is such a Verifier, and their revocation lists
    #[arg(long, value_name = "FILE")]
    verifier_authority: Vec<PathBuf>,
}

impl Verifiers {
    pub(super) fn anchors(&self) -> Result<TrustAnchors, Failure> {
        anchors(&self.verifier, &self.verifier_authority)
    }
}

/// The Trusted Component Signers.
#[derive(Debug, Args)]
pub(super) struct Signers {
    /// A Trusted Component Signer's public key (PEM)
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "signer_authority"
    )]
    signer: Vec<PathBuf>,
    /// Certificates (PEM or DER) of authorities that say who is a signer, and their revocation lists
    #[arg(long, value_name = "FILE")]
    signer_authority: Vec<PathBuf>,
    /// What a signer may install: its key, or its certificate with those above it, and the first segments of the
    /// names, joined by /. A certificate stands for its name: its successor has the same right. Without any, each signer may install what no other has; with one, nothing but what is given here
    #[arg(long, value_name = "FILE=PREFIX", value_parser = permit)]
    permit: Vec<(PathBuf, ComponentIdentifier)>,
}

impl Tams {
    /// Each TAM with the keys that are its own.
    pub(super) fn read(&self) -> Result<Vec<TrustedTam>, Failure> {
        let keys = self.files("--tam-key", &self.tam_key, key::read_public)?;
        let authorities = self.files("--tam-authority", &self.tam_authority, authority)?;
        let read = |file: &Path| read_recipient(file);
        let encryption_keys = self.files("--tam-encryption-key", &self.tam_encryption_key, read)?;
        let generations = self.files("--tam-generation", &self.tam_generation, generation)?;
        let manages = self.files("--tam-manages", &self.tam_manages, prefix)?;
        self.require("--attested-tam", &self.attested_tam)?;
        self.require("--unsolicited-tam", &self.unsolicited_tam)?;
        let addresses = self.addresses()?;
        let tam = |uri: &String| TrustedTam {
            generation: of(uri, &generations).next(),
            encryption_keys: of(uri, &encryption_keys).collect(),
            manages: of(uri, &manages).collect(),
            must_attest: self.attested_tam.contains(uri),
            takes_unsolicited: self.unsolicited_tam.contains(uri),
            uris: [uri.clone()]
                .into_iter()
                .chain(of(uri, &addresses))
                .collect(),
            ..TrustedTam::new(uri, joined(of(uri, &keys), of(uri, &authorities)))
        };
        Ok(self.tam.iter().map(tam).collect())
    }

    fn require(&self, option: &str, given: &[String]) -> Result<(), Failure> {
        match given.iter().find(|uri| !self.tam.contains(uri)) {
            None => Ok(()),
            Some(uri) => Err(Failure::usage(format!(
                "{option} {uri}: no such TAM: give it with --tam, too"
            ))),
        }
    }

    /// What `--tam-also-at` gives, with the TAM that it is given for. A URI may have a `=`, too.
    fn addresses(&self) -> Result<Vec<(Option<&str>, String)>, Failure> {
        let address = |given: &String| {
            let mut tams = self.tam.iter();
            let found =
                tams.find_map(|tam| Some((tam, given.strip_prefix(tam)?.strip_prefix('=')?)));
            match found {
                Some((tam, uri)) if uri.contains("://") => Ok((Some(&tam[..]), uri.to_owned())),
                _ => Err(Failure::usage(format!(
                    "--tam-also-at {given}: give the URI of a TAM, as with --tam, then = and its other URI"
                ))),
            }
        };
        self.tam_also_at.iter().map(address).collect()
    }

    /// What is in each of the files, with the URI of the TAM that it is given for, if it is for one only.
    fn files<'a, T>(
        &'a self,
        option: &str,
        given: &'a [String],
        read: impl Fn(&Path) -> Result<T, Failure>,
    ) -> Result<Vec<(Option<&'a str>, T)>, Failure> {
        let file = |given: &'a String| {
            let (uri, file) = match given.rsplit_once('=') {
                // A file name may have a =, too.
                Some((uri, file)) if uri.contains("://") => (Some(uri), file),
                _ => (None, &given[..]),
            };
            if let Some(uri) = uri.filter(|uri| !self.tam.iter().any(|tam| tam == uri)) {
                return Err(Failure::usage(format!(
                    "{option} {given}: no such TAM: give {uri} with --tam, too"
                )));
            }
            Ok((uri, read(Path::new(file))?))
        };
        given.iter().map(file).collect()
    }
}

/// What was given for the TAM at `uri`.
fn of<T: Clone>(uri: &str, given: &[(Option<&str>, T)]) -> impl Iterator<Item = T> {
    let own = given
        .iter()
        .filter(move |(of, _)| of.is_none_or(|of| of == uri));
    own.map(|(_, value)| value.clone())
}

fn generation(name: &Path) -> Result<&'static Generation, Failure> {
    let known = name.to_str().and_then(Generation::by_name);
    known.ok_or_else(|| {
        let names = Generation::ALL.map(|generation| generation.name).join(", ");
        let name = name.display();
        Failure::usage(format!("--tam-generation {name}: one of {names}"))
    })
}

fn prefix(name: &Path) -> Result<ComponentIdentifier, Failure> {
    let text = name.to_str().unwrap_or_default();
    if text.is_empty() {
        return Err(Failure::usage("--tam-manages: a name is missing after `=`"));
    }
    text.parse()
        .map_err(|error| Failure::usage(format!("--tam-manages {}: {error}", name.display())))
}

fn read_recipient(file: &Path) -> Result<RecipientKey, Failure> {
    RecipientKey::from_pem(&key::read_pem(file)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

impl Signers {
    pub(super) fn anchors(&self) -> Result<TrustAnchors, Failure> {
        anchors(&self.signer, &self.signer_authority)
    }

    /// What `--permit` gives. A right of a key that nobody is trusted by would be a mistake.
    pub(super) fn permissions(&self) -> Result<Vec<Permission>, Failure> {
        let signers = self.anchors()?;
        let permission = |(file, prefix): &(PathBuf, ComponentIdentifier)| {
            Ok(Permission {
                signer: name(file, &signers)?,
                prefix: prefix.clone(),
            })
        };
        self.permit.iter().map(permission).collect()
    }
}

/// By what a signer's rights are known: its key, or the name in its certificate.
fn name(file: &Path, signers: &TrustAnchors) -> Result<Thumbprint, Failure> {
    let untrusted = |what: &dyn std::fmt::Display| {
        let file = file.display();
        Failure::usage(format!("--permit {file}: {what}"))
    };
    if let Ok(chain) = read_chain(file) {
        let trusted = signers.trace(&chain, Time::AtLeast(0), Purpose::Manifest);
        return Ok(trusted.map_err(|error| untrusted(&error))?.name);
    }
    let signer = key::read_public(file)?.thumbprint();
    match signers.find(&signer) {
        Some(_) => Ok(signer),
        None => Err(untrusted(
            &"the key is not trusted: give it with --signer, too",
        )),
    }
}

/// Keys and authorities from files.
fn anchors(keys: &[PathBuf], authorities: &[PathBuf]) -> Result<TrustAnchors, Failure> {
    let keys = keys.iter().map(|file| key::read_public(file));
    let mut anchors = keys.collect::<Result<TrustAnchors, _>>()?;
    for file in authorities {
        add_anchors(file, &mut anchors)?;
    }
    Ok(anchors)
}

fn authority(file: &Path) -> Result<TrustAnchors, Failure> {
    anchors(&[], &[file.into()])
}

fn joined(
    keys: impl Iterator<Item = PublicKey>,
    authorities: impl Iterator<Item = TrustAnchors>,
) -> TrustAnchors {
    let mut anchors: TrustAnchors = keys.collect();
    for authority in authorities {
        let certificates = authority.certificates().cloned();
        certificates.for_each(|certificate| anchors.add_certificate(certificate));
        let lists = authority.revocation_lists().cloned();
        lists.for_each(|list| anchors.add_revocation_list(list));
    }
    anchors
}

/// Reads `FILE=PREFIX`. A file name may have a `=`, the last one counts.
fn permit(text: &str) -> Result<(PathBuf, ComponentIdentifier), String> {
    let (file, prefix) = text
        .rsplit_once('=')
        .ok_or("FILE=PREFIX: the signer's public key, then the first segments of the names")?;
    let prefix = prefix
        .parse()
        .map_err(|error| format!("{prefix}: {error}"))?;
    Ok((file.into(), prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two TAMs of which nothing else is known.
    fn two() -> Tams {
        Tams {
            tam: vec!["http://a/tam".into(), "http://b/tam".into()],
            tam_key: Vec::new(),
            tam_authority: Vec::new(),
            tam_encryption_key: Vec::new(),
            tam_generation: Vec::new(),
            tam_manages: Vec::new(),
            attested_tam: Vec::new(),
            unsolicited_tam: Vec::new(),
            tam_also_at: Vec::new(),
        }
    }

    /// Proves: A-08, T-150
    #[test]
    fn a_tam_has_other_addresses_and_takes_what_it_did_not_ask_for_where_that_is_said() {
        let also_at = |given: &str| Tams {
            tam_also_at: vec![given.into()],
            unsolicited_tam: vec!["http://b/tam".into()],
            ..two()
        };
        let tams = also_at("http://b/tam=https://c/tam?at=b").read().unwrap();
        assert_eq!(tams[0].uris, ["http://a/tam"]);
        assert_eq!(tams[1].uris, ["http://b/tam", "https://c/tam?at=b"]);
        assert!(!tams[0].takes_unsolicited && tams[1].takes_unsolicited);
        for wrong in ["http://c/tam=http://d/tam", "http://a/tam=", "http://a/tam"] {
            assert!(also_at(wrong).read().is_err(), "{wrong}");
        }
        let unknown = Tams {
            unsolicited_tam: vec!["http://c/tam".into()],
            ..two()
        };
        assert!(unknown.read().is_err());
    }

    /// Proves: A-27
    #[test]
    fn a_tam_manages_what_is_given_for_it_or_for_all() {
        let manages = |given: &[&str]| {
            let tams = Tams {
                tam_manages: given.iter().map(|given| (*given).into()).collect(),
                ..two()
            };
            let names = |tam: TrustedTam| {
                let names = tam.manages.iter().map(ToString::to_string);
                names.collect::<Vec<_>>()
            };
            let tams = tams.read().map(|tams| tams.into_iter().map(names));
            tams.map(Iterator::collect::<Vec<_>>)
        };
        let none: &[&str] = &[];
        assert_eq!(manages(&[]).unwrap(), [none, none]);
        assert_eq!(
            manages(&["http://b/tam=bank/pin", "radio"]).unwrap(),
            [vec!["radio"], vec!["bank/pin", "radio"]]
        );
        assert!(manages(&["http://c/tam=radio"]).is_err());
        assert!(manages(&["http://a/tam="]).is_err());
    }

    #[test]
    fn a_generation_is_given_for_one_tam_or_for_all() {
        let tams = |given: &[&str]| Tams {
            tam_generation: given.iter().map(|given| (*given).into()).collect(),
            ..two()
        };
        let read = |given: &[&str]| tams(given).read().map(|tams| tams.into_iter());
        let of = |given| read(given).unwrap().map(|tam| tam.generation);
        let (older, newest) = (&Generation::DRAFTS_16_TO_20, &Generation::DRAFT_26);
        assert_eq!(of(&[]).collect::<Vec<_>>(), [None, None]);
        assert_eq!(
            of(&["drafts-16-20"]).collect::<Vec<_>>(),
            [Some(older), Some(older)]
        );
        let each = ["http://b/tam=drafts-16-20", "draft-26"];
        assert_eq!(of(&each).collect::<Vec<_>>(), [Some(newest), Some(older)]);
        assert!(read(&["draft-9"]).is_err());
        assert!(read(&["http://c/tam=draft-26"]).is_err());
    }

    #[test]
    fn a_permission_is_a_file_and_a_prefix() {
        let (file, prefix) = permit("keys/a=b.pub=TEEP-Device/pin").unwrap();
        assert_eq!(file, PathBuf::from("keys/a=b.pub"));
        assert_eq!(prefix, "TEEP-Device/pin".parse().unwrap());
        assert!(permit("signer.pem.pub").is_err());
    }
}
