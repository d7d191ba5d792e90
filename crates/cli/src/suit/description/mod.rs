//! The file from which `teep suit build` makes a manifest.

mod component;
mod conditions;
mod source;
#[cfg(test)]
mod tests;
mod text;

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use suit::build::{Authentication, BuildError, Component, Dependency, Description};
use suit::command::ReportingPolicy;
use suit::{ComponentIdentifier, Member, SuitDigest};
use teep_cose::SigningKey;
use teep_cose::mac::MacKey;
use toml::Spanned;
use uuid::Uuid;

use crate::exit::Failure;
use crate::key::read_private;
use crate::output;
use crate::suit::chains::Chains;
use crate::suit::encryption_key::read_mac_key;
use component::{DescribedComponent, DescribedDependency, names};
use conditions::{DescribedConditions, DescribedWait};
use source::Source;
use text::{ManifestText, Texts};

/// What `teep suit build --help` says of the file.
pub(crate) const HELP: &str = concat!(
    "The description, as most are:\n\n",
    include_str!("simple.toml"),
    "\n\
A component identifier is written as segments joined by /: text, a UUID, or hexadecimal after 0x.
The vendor's UUID is version 5 of its domain name; the class's, of its name within the vendor's.

Everything that a description can say:\n\n",
    include_str!("everything.toml"),
    "\n\
Examples:
  teep suit build counter.toml
  teep suit build counter.toml --signer signer.pem --out - | teep inspect -"
);

/// What was made.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) envelope: Vec<u8>,
    pub(crate) manifest_component_id: ComponentIdentifier,
    pub(crate) sequence_number: u64,
    pub(crate) digest: SuitDigest,
    /// Algorithm and thumbprint of each signer, and each file with a key for a MAC.
    pub(crate) signers: Vec<String>,
    /// Ciphertexts, to be written where the description says.
    pub(crate) files: Vec<NewFile>,
}

/// A file to write.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
}

/// Who signs.
pub(crate) enum Signers {
    /// The keys that the description names, and these.
    AndThese(Vec<SigningKey>),
    /// Nobody yet.
    Nobody,
}

/// Makes an envelope as `file` says. `chains` are files with certificates of those who sign.
pub(crate) fn build(file: &Path, signers: Signers, chains: &[PathBuf]) -> Result<Built, Failure> {
    let text = output::read(file, MAX_DESCRIPTION)?;
    let text = String::from_utf8(text)
        .map_err(|_| Failure::usage(format!("{}: not UTF-8", file.display())))?;
    let source = Source { file, text: &text };
    let described: Described = toml::from_str(&text).map_err(|error| {
        let message = error.message();
        match error.span() {
            Some(span) => source.fault(&span, message),
            None => Failure::usage(format!("{}: {message}", file.display())),
        }
    })?;

    let (signers, mac_keys) = match signers {
        Signers::Nobody => (vec![], vec![]),
        Signers::AndThese(extra) => described.signers(&source, extra)?,
    };
    let public: Vec<_> = signers.iter().map(SigningKey::public_key).collect();
    let chains = Chains::read(chains, &public)?;
    let mut files = Vec::new();
    let description = described.read(&source, &mut files)?;
    let unsigned = description
        .build()
        .map_err(|error| described.blame(&source, &error))?;
    let signatures = signers.iter().map(|key| chains.by(key));
    let macs = mac_keys.iter().map(Authentication::Mac0);
    let envelope = unsigned.authenticate(&signatures.chain(macs).collect::<Vec<_>>());
    check_size(file, &envelope)?;
    let signers = signers
        .iter()
        .map(|key| format!("{} {}", key.algorithm(), key.public_key().thumbprint()));
    let mac_files = described.mac_keys.iter().take(mac_keys.len());
    let macs = mac_files.map(|file| format!("HMAC 256/256 {}", file.get_ref().display()));
    Ok(Built {
        envelope,
        manifest_component_id: description.manifest_component_id.unwrap_or_default(),
        sequence_number: description.sequence_number,
        digest: unsigned.digest(),
        signers: signers.chain(macs).collect(),
        files,
    })
}

fn check_size(file: &Path, envelope: &[u8]) -> Result<(), Failure> {
    let (file, limit) = (file.display(), suit::Limits::DEFAULT.envelope);
    if envelope.len() <= limit {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{file}: the envelope would have {} bytes, and a device takes {limit} at most: have large \
         payloads fetched from a uri",
        envelope.len(),
    )))
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Described {
    manifest_component_id: Spanned<String>,
    sequence_number: u64,
    version: Option<Spanned<String>>,
    reference_uri: Option<String>,
    vendor_domain: Option<String>,
    vendor_id: Option<Spanned<String>>,
    class_name: Option<Spanned<String>>,
    class_id: Option<Spanned<String>>,
    device_id: Option<Spanned<String>>,
    #[serde(default = "yes")]
    validate: bool,
    #[serde(default = "yes")]
    uninstall: bool,
    #[serde(default)]
    fetch_first: bool,
    report: Option<Vec<Reported>>,
    #[serde(default)]
    sever: Vec<Spanned<Severed>>,
    #[serde(default)]
    signers: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    mac_keys: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    conditions: DescribedConditions,
    wait: Option<DescribedWait>,
    #[serde(default)]
    component: Vec<DescribedComponent>,
    #[serde(default)]
    dependency: Vec<DescribedDependency>,
    #[serde(default)]
    text: Texts<ManifestText>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Severed {
    DependencyResolution,
    PayloadFetch,
    Install,
    Text,
}

/// A bit of the reporting policy.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reported {
    RecordSuccess,
    RecordFailure,
    SysinfoSuccess,
    SysinfoFailure,
}

impl Described {
    fn read<'a>(
        &'a self,
        source: &Source<'_>,
        files: &mut Vec<NewFile>,
    ) -> Result<Description<'a>, Failure> {
        let manifest_component_id =
            source.component("manifest-component-id", &self.manifest_component_id)?;
        let components: Vec<Component> = self
            .component
            .iter()
            .map(|component| component.read(source, files))
            .collect::<Result<_, _>>()?;
        let dependencies: Vec<Dependency> = self
            .dependency
            .iter()
            .map(|dependency| dependency.read(source))
            .collect::<Result<_, _>>()?;
        let vendor = self.vendor(source)?;
        let class = self.class(vendor, source)?;
        let device = self.device_id.as_ref();
        let device = device.map(|id| source.uuid("device-id", id)).transpose()?;
        let version = self.version.as_ref();
        let wait = self.wait.as_ref();
        let ids = components.iter().map(|component| component.id.clone());
        let texts = ids.zip(self.component.iter().map(|component| &component.text));
        Ok(Description {
            sequence_number: self.sequence_number,
            manifest_component_id: Some(manifest_component_id),
            reference_uri: self.reference_uri.clone(),
            set_version: version
                .map(|text| conditions::set_version(text, source))
                .transpose()?,
            vendor_identifier: vendor.map(Uuid::into_bytes),
            class_identifier: class.map(Uuid::into_bytes),
            device_identifier: device.map(Uuid::into_bytes),
            conditions: self.conditions.read(source)?,
            wait: wait.map(|wait| wait.read(source)).transpose()?.flatten(),
            text: text::read(&self.text, texts),
            components,
            dependencies,
            fetch_first: self.fetch_first,
            validate: self.validate,
            uninstall: self.uninstall,
            reporting: self.reporting(),
            sever: self
                .sever
                .iter()
                .map(|member| member.get_ref().member())
                .collect(),
        })
    }

    /// S-103 (8.4.8) version 5 of the domain name.
    fn vendor(&self, source: &Source<'_>) -> Result<Option<Uuid>, Failure> {
        match (&self.vendor_domain, &self.vendor_id) {
            (None, None) => Ok(None),
            (Some(domain), None) => Ok(Some(Uuid::new_v5(&Uuid::NAMESPACE_DNS, domain.as_bytes()))),
            (None, Some(id)) => source.uuid("vendor-id", id).map(Some),
            (Some(_), Some(id)) => Err(source.fault(
                &id.span(),
                "vendor-id: there is a vendor-domain already: leave out one of them",
            )),
        }
    }

    /// S-103 (8.4.8) version 5 of a name within the vendor's.
    fn class(&self, vendor: Option<Uuid>, source: &Source<'_>) -> Result<Option<Uuid>, Failure> {
        match (&self.class_name, &self.class_id, vendor) {
            (None, None, _) => Ok(None),
            (Some(name), None, Some(vendor)) => {
                Ok(Some(Uuid::new_v5(&vendor, name.get_ref().as_bytes())))
            }
            (Some(name), None, None) => {
                Err(source.fault(&name.span(), "class-name: a class needs a vendor-domain"))
            }
            (None, Some(id), _) => source.uuid("class-id", id).map(Some),
            (Some(_), Some(id), _) => Err(source.fault(
                &id.span(),
                "class-id: there is a class-name already: leave out one of them",
            )),
        }
    }

    fn reporting(&self) -> ReportingPolicy {
        match &self.report {
            None => ReportingPolicy::EVERYTHING,
            Some(bits) => bits.iter().fold(ReportingPolicy::NOTHING, |all, bit| {
                ReportingPolicy(all.0 | bit.policy().0)
            }),
        }
    }

    fn signers(
        &self,
        source: &Source<'_>,
        extra: Vec<SigningKey>,
    ) -> Result<(Vec<SigningKey>, Vec<MacKey>), Failure> {
        let mut signers = extra;
        for file in &self.signers {
            let key = read_private(&source.path(file.get_ref()))
                .map_err(|error| source.fault(&file.span(), format!("signers: {error}")))?;
            signers.push(key);
        }
        let mut mac_keys = Vec::new();
        for file in &self.mac_keys {
            let key = read_mac_key(&source.path(file.get_ref()))
                .map_err(|error| source.fault(&file.span(), format!("mac-keys: {error}")))?;
            mac_keys.push(key);
        }
        if signers.is_empty() && mac_keys.is_empty() {
            let file = source.file.display();
            return Err(Failure::usage(format!(
                "{file}: signers: nobody signs; name a private key, or give --signer or --unsigned"
            )));
        }
        Ok((signers, mac_keys))
    }

    /// Says which line of the description an error of the builder is about.
    fn blame(&self, source: &Source<'_>, error: &BuildError) -> Failure {
        match self.place_of(error) {
            Some(span) => source.fault(&span, error),
            None => Failure::usage(format!("{}: {error}", source.file.display())),
        }
    }

    fn place_of(&self, error: &BuildError) -> Option<Range<usize>> {
        match error {
            BuildError::ComponentTwice(id) => self.identifier(id).map(Spanned::span),
            BuildError::Name(id) | BuildError::NameTwice(id) | BuildError::OtherPayload(id) => self
                .uri(id)
                .or_else(|| self.identifier(id))
                .map(Spanned::span),
            BuildError::Slots(id) => self.identifier(id).map(Spanned::span),
            BuildError::NothingToSever(member) | BuildError::TooSmallToSever(member) => {
                let mut severed = self.sever.iter().rev();
                severed
                    .find(|severed| severed.get_ref().member() == *member)
                    .map(Spanned::span)
            }
            BuildError::NoComponents | BuildError::Refused(_) => None,
        }
    }

    /// The last place where this identifier is written.
    fn identifier(&self, id: &ComponentIdentifier) -> Option<&Spanned<String>> {
        let components = self.component.iter().map(|component| &component.id);
        let encrypted = self.component.iter().filter_map(|c| c.encrypt.as_ref());
        let places = encrypted.filter_map(|encryption| encryption.place.as_ref());
        let dependencies = self.dependency.iter().map(|dependency| &dependency.id);
        let mut written = components.chain(places).chain(dependencies);
        written.rfind(|text| names(text, id))
    }

    /// The last URI of this component.
    fn uri(&self, id: &ComponentIdentifier) -> Option<&Spanned<String>> {
        let components = self.component.iter();
        let components = components.filter(|component| names(&component.id, id));
        let dependencies = self.dependency.iter();
        let dependencies = dependencies.filter(|dependency| names(&dependency.id, id));
        components
            .filter_map(|component| component.uri.as_ref())
            .chain(dependencies.map(|dependency| &dependency.uri))
            .next_back()
    }
}

impl Severed {
    const fn member(self) -> Member {
        match self {
            Self::DependencyResolution => Member::DependencyResolution,
            Self::PayloadFetch => Member::PayloadFetch,
            Self::Install => Member::Install,
            Self::Text => Member::Text,
        }
    }
}

impl Reported {
    const fn policy(self) -> ReportingPolicy {
        match self {
            Self::RecordSuccess => ReportingPolicy::RECORD_ON_SUCCESS,
            Self::RecordFailure => ReportingPolicy::RECORD_ON_FAILURE,
            Self::SysinfoSuccess => ReportingPolicy::SYSTEM_ON_SUCCESS,
            Self::SysinfoFailure => ReportingPolicy::SYSTEM_ON_FAILURE,
        }
    }
}

const fn yes() -> bool {
    true
}

const MAX_DESCRIPTION: u64 = 1 << 20;
const MAX_PAYLOAD: u64 = 256 << 20;
