//! `teep device anchors`: makes the store of trust anchors that a manifest installs on devices in the field, and
//! shows whom a device trusts.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use teep_agent::Provisioning;
use teep_agent::trust_anchors::{Store, encode_signers, encode_tams, encode_verifiers};
use teep_cose::TrustAnchors;
use teep_cose::digest::sha256;

use super::Device;
use super::arguments::single;
use super::trust::{Signers, Tams, Verifiers};
use crate::exit::Failure;
use crate::output::{self, hex};

#[derive(Debug, Args)]
#[command(after_help = "\
The file is the payload of a component of its own, whose name is printed. It takes the place of the
store as a whole. Whoever signs the manifest needs a right to that very name and one to the name of the
manifest, given by --permit when the device was made or by a later store of signers.

A device refuses a store after which nobody could bring the next. Of signers: one with these two rights must
be a --signer of the new store, or have signed the manifest that brings it. Of TAMs: one must manage both names
and, if it is an --attested-tam, the device must believe a Verifier.

Examples:
  teep device anchors tams --tam https://tam.example/tam --tam-key tam-esp256.pub tams.cbor
  teep device anchors signers --signer admin.pub --permit admin.pub=TEEP-Agent/trust-anchors/signers signers.cbor \\
    --permit admin.pub=TEEP-Device/administrator
  teep device anchors signers --signer-authority pki/signers.crt --signer-authority pki/signers.crl signers.cbor \\
    --permit administrator.crt=TEEP-Agent/trust-anchors/signers --permit administrator.crt=TEEP-Device/administrator \\
    --permit developer.crt=TEEP-Device/counter
  teep device anchors verifiers --verifier verifier.pub verifiers.cbor
  teep device anchors list")]
pub(super) struct Anchors {
    #[command(subcommand)]
    store: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The TAMs that may manage the device
    Tams(OfTams),
    /// The Trusted Component Signers and their rights
    Signers(OfSigners),
    /// The Verifiers whose word about a TAM counts
    Verifiers(OfVerifiers),
    /// List whom the device trusts now
    List,
}

#[derive(Debug, Args)]
struct OfTams {
    #[command(flatten)]
    tams: Tams,
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, Args)]
struct OfSigners {
    #[command(flatten)]
    signers: Signers,
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, Args)]
struct OfVerifiers {
    #[command(flatten)]
    verifiers: Verifiers,
    /// The file to write
    file: PathBuf,
}

/// Writes the store, or lists.
pub(super) fn run(
    Anchors { store }: &Anchors,
    folders: &[PathBuf],
    json: bool,
) -> Result<(), Failure> {
    match store {
        Kind::List => list(Device::open(single(folders)?)?.provisioning(), json),
        Kind::Tams(OfTams { tams, file }) => {
            write(Store::Tams, &encode_tams(&tams.read()?), file, json)
        }
        Kind::Signers(OfSigners { signers, file }) => {
            let permissions = signers.permissions()?;
            let name = Store::Signers.component_id();
            if !permissions
                .iter()
                .any(|permission| permission.prefix == name)
            {
                return Err(Failure::usage(format!(
                    "devices refuse a store that nobody could ever replace: give somebody the right to {name} \
                     with --permit"
                )));
            }
            let content = encode_signers(&signers.anchors()?, &permissions);
            write(Store::Signers, &content, file, json)
        }
        Kind::Verifiers(OfVerifiers { verifiers, file }) => {
            let keys = verifiers.anchors()?;
            if keys.is_empty() {
                return Err(Failure::usage(
                    "devices refuse an empty store: give a key with --verifier, or an authority with --verifier-authority",
                ));
            }
            write(Store::Verifiers, &encode_verifiers(&keys), file, json)
        }
    }
}

fn write(store: Store, content: &[u8], file: &Path, json: bool) -> Result<(), Failure> {
    output::create(file, content, false)?;
    let component = store.component_id().to_string();
    if json {
        return output::print_json(&json!({ "component_id": component, "file": file }));
    }
    output::print(&output::table(&[
        vec!["file".into(), file.display().to_string()],
        vec!["component".into(), component],
    ]))
}

/// A line for each raw key, authority and revocation list, and for each right.
fn list(provisioning: &Provisioning, json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for tam in &provisioning.tams {
        let uris = tam.uris.join(" ");
        rows.extend(listed("TAM", &tam.keys).map(|row| row.with(&uris)));
    }
    rows.extend(listed("signer", &provisioning.signers).map(|row| row.with("")));
    rows.extend(listed("Verifier", &provisioning.verifiers).map(|row| row.with("")));
    let rights = provisioning.permissions.iter();
    rows.extend(rights.map(|right| Row {
        whom: "signer",
        kind: "right",
        id: right.signer.to_string(),
        name: right.prefix.to_string(),
    }));
    if json {
        let rows = rows.iter().map(
            |row| json!({ "whom": row.whom, "kind": row.kind, "id": row.id, "name": row.name }),
        );
        return output::print_json(&rows.collect());
    }
    let head = ["WHOM", "BY", "ID", "NAME"].map(String::from).to_vec();
    let rows = rows
        .into_iter()
        .map(|row| vec![row.whom.into(), row.kind.into(), row.id, row.name]);
    output::print(&output::table(
        &[head].into_iter().chain(rows).collect::<Vec<_>>(),
    ))
}

struct Row {
    whom: &'static str,
    kind: &'static str,
    id: String,
    name: String,
}

impl Row {
    /// Also says where it is found.
    fn with(mut self, uris: &str) -> Self {
        if !uris.is_empty() && !self.name.is_empty() {
            self.name.push(' ');
        }
        self.name.push_str(uris);
        self
    }
}

fn listed(whom: &'static str, anchors: &TrustAnchors) -> impl Iterator<Item = Row> {
    let keys = anchors.keys().map(move |key| Row {
        whom,
        kind: "key",
        id: key.thumbprint().to_string(),
        name: String::new(),
    });
    let authorities = anchors.certificates().map(move |certificate| Row {
        whom,
        kind: match certificate.is_authority() {
            true => "authority",
            false => "certificate",
        },
        id: certificate.fingerprint().to_string(),
        name: certificate.subject_text(),
    });
    let lists = anchors.revocation_lists().map(move |list| Row {
        whom,
        kind: "revocation list",
        id: hex(&sha256(list.as_der())),
        name: list.issuer_text(),
    });
    keys.chain(authorities).chain(lists)
}
