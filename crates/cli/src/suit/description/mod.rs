//! The file from which `teep suit build` makes a manifest.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use suit::build::{BuildError, Component, Description};
use suit::text::{LanguageText, Text, component_key, key};
use suit::{ComponentIdentifier, Member, SuitDigest};
use teep_cose::SigningKey;
use toml::Spanned;
use uuid::Uuid;

use crate::exit::Failure;
use crate::key::read_private;
use crate::output;

/// What `teep suit build --help` says of the file.
pub(crate) const HELP: &str = "\
The description:
  # The name of the manifest, by which TEEP removes what it installed
  manifest-component-id = \"TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/suit\"
  # Must go up with every version
  sequence-number = 3
  # Only devices of this vendor, and of this class of the vendor's, take it (both optional)
  vendor-domain = \"teep.example\"
  class-name = \"counter\"
  # Where more can be found out (optional)
  reference-uri = \"https://example.org/counter.suit\"
  # Check components again before each run; let them be unlinked (both are so by default)
  validate = true
  uninstall = true
  # Members to sever from the manifest (optional): install, text
  sever = [\"text\"]
  # Private keys that sign, beside those given with --signer
  signers = [\"signer.pem\"]

  # One or more
  [[component]]
  id = \"TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/ta\"
  # The image; file names count from where the description lies
  payload = \"counter.wasm\"
  # Put into the envelope under a name that begins with #; any other URI is fetched from
  uri = \"#counter\"

  # Text for people, by language (optional)
  [text.en]
  manifest-description = \"A counter\"
  update-description = \"Counts faster\"
  # and of the first component:
  vendor-name = \"Example\"
  model-name = \"Counter\"
  component-description = \"Counts\"
  component-version = \"1.0.0\"

A component identifier is written as segments joined by /: text, a UUID, or hexadecimal after 0x.
The vendor's UUID is version 5 of its domain name; the class's, of its name within the vendor's.

Examples:
  teep suit build counter.toml
  teep suit build counter.toml --signer signer.pem --out - | teep inspect -";

/// What was made.
pub(crate) struct Built {
    pub(crate) envelope: Vec<u8>,
    pub(crate) manifest_component_id: ComponentIdentifier,
    pub(crate) sequence_number: u64,
    pub(crate) digest: SuitDigest,
    /// Algorithm and thumbprint of each signer.
    pub(crate) signers: Vec<String>,
}

/// Makes an envelope as `file` says, signed with the keys that it names and `extra` ones.
pub(crate) fn build(file: &Path, extra: Vec<SigningKey>) -> Result<Built, Failure> {
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

    let mut signers = extra;
    for signer in &described.signers {
        let read = read_private(&source.path(signer.get_ref()));
        signers
            .push(read.map_err(|error| source.fault(&signer.span(), format!("signers: {error}")))?);
    }
    if signers.is_empty() {
        let file = file.display();
        return Err(Failure::usage(format!(
            "{file}: signers: nobody signs; name a private key, or give --signer"
        )));
    }
    let description = described.read(&source)?;
    let unsigned = description
        .build()
        .map_err(|error| described.blame(&source, &error))?;
    let envelope = unsigned.sign(&signers.iter().collect::<Vec<_>>());
    if envelope.len() > suit::Limits::DEFAULT.envelope {
        return Err(Failure::usage(format!(
            "{}: the envelope would have {} bytes, and a device takes {} at most: have large \
             payloads fetched from a uri",
            file.display(),
            envelope.len(),
            suit::Limits::DEFAULT.envelope
        )));
    }
    let names = signers
        .iter()
        .map(|key| format!("{} {}", key.algorithm(), key.public_key().thumbprint()));
    Ok(Built {
        envelope,
        manifest_component_id: description.manifest_component_id.unwrap_or_default(),
        sequence_number: description.sequence_number,
        digest: unsigned.digest(),
        signers: names.collect(),
    })
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Described {
    manifest_component_id: Spanned<String>,
    sequence_number: u64,
    reference_uri: Option<String>,
    vendor_domain: Option<String>,
    class_name: Option<Spanned<String>>,
    #[serde(default = "yes")]
    validate: bool,
    #[serde(default = "yes")]
    uninstall: bool,
    #[serde(default)]
    sever: Vec<Spanned<Severed>>,
    #[serde(default)]
    signers: Vec<Spanned<PathBuf>>,
    component: Vec<DescribedComponent>,
    #[serde(default)]
    text: BTreeMap<String, DescribedText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DescribedComponent {
    id: Spanned<String>,
    payload: Spanned<PathBuf>,
    uri: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DescribedText {
    manifest_description: Option<String>,
    update_description: Option<String>,
    vendor_name: Option<String>,
    model_name: Option<String>,
    component_description: Option<String>,
    component_version: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Severed {
    Install,
    Text,
}

impl Described {
    fn read<'a>(&'a self, source: &Source<'_>) -> Result<Description<'a>, Failure> {
        let manifest_component_id =
            source.component("manifest-component-id", &self.manifest_component_id)?;
        let components: Vec<Component> = self
            .component
            .iter()
            .map(|component| component.read(source))
            .collect::<Result<_, _>>()?;
        // S-103 (8.4.8) version 5: of the domain name for the vendor, of a name in the vendor's for
        // the class.
        let vendor = self
            .vendor_domain
            .as_ref()
            .map(|domain| Uuid::new_v5(&Uuid::NAMESPACE_DNS, domain.as_bytes()));
        let class = match (&self.class_name, vendor) {
            (None, _) => None,
            (Some(name), Some(vendor)) => Some(Uuid::new_v5(&vendor, name.get_ref().as_bytes())),
            (Some(name), None) => {
                return Err(source.fault(&name.span(), "class-name: a class needs a vendor-domain"));
            }
        };
        let first = components
            .first()
            .map(|component| component.id.clone())
            .unwrap_or_default();
        let texts: Vec<_> = self
            .text
            .iter()
            .map(|(tag, text)| (&tag[..], text.read(&first)))
            .collect();
        Ok(Description {
            sequence_number: self.sequence_number,
            manifest_component_id: Some(manifest_component_id),
            reference_uri: self.reference_uri.clone(),
            vendor_identifier: vendor.map(Uuid::into_bytes),
            class_identifier: class.map(Uuid::into_bytes),
            components,
            validate: self.validate,
            uninstall: self.uninstall,
            text: (!texts.is_empty()).then_some(Text { languages: texts }),
            sever: self
                .sever
                .iter()
                .map(|member| member.get_ref().member())
                .collect(),
        })
    }

    /// Says which line of the description an error of the builder is about.
    fn blame(&self, source: &Source<'_>, error: &BuildError) -> Failure {
        let span = match error {
            BuildError::ComponentTwice(id)
            | BuildError::Name(id)
            | BuildError::NameTwice(id)
            | BuildError::OtherPayload(id) => {
                let id = id.to_string();
                let about = self
                    .component
                    .iter()
                    .rev()
                    .find(|component| *component.id.get_ref() == id);
                about.map(|component| match error {
                    BuildError::ComponentTwice(_) => component.id.span(),
                    _ => component.uri.span(),
                })
            }
            BuildError::NothingToSever(member) | BuildError::TooSmallToSever(member) => {
                let about = self
                    .sever
                    .iter()
                    .rev()
                    .find(|severed| severed.get_ref().member() == *member);
                about.map(Spanned::span)
            }
            BuildError::NoComponents | BuildError::Refused(_) => None,
        };
        match span {
            Some(span) => source.fault(&span, error),
            None => Failure::usage(format!("{}: {error}", source.file.display())),
        }
    }
}

impl DescribedComponent {
    fn read(&self, source: &Source<'_>) -> Result<Component, Failure> {
        let id = source.component("component.id", &self.id)?;
        let image =
            output::read(&source.path(self.payload.get_ref()), MAX_PAYLOAD).map_err(|error| {
                source.fault(&self.payload.span(), format!("component.payload: {error}"))
            })?;
        let uri = self.uri.get_ref();
        Ok(if uri.starts_with('#') {
            Component::integrated(id, &uri[..], image)
        } else {
            Component::fetched(id, &uri[..], &image)
        })
    }
}

impl DescribedText {
    fn read(&self, component: &ComponentIdentifier) -> LanguageText<'_> {
        let manifest = given([
            (key::MANIFEST_DESCRIPTION, &self.manifest_description),
            (key::UPDATE_DESCRIPTION, &self.update_description),
        ]);
        let texts = given([
            (component_key::VENDOR_NAME, &self.vendor_name),
            (component_key::MODEL_NAME, &self.model_name),
            (
                component_key::COMPONENT_DESCRIPTION,
                &self.component_description,
            ),
            (component_key::COMPONENT_VERSION, &self.component_version),
        ]);
        let about_component = (!texts.is_empty()).then(|| (component.clone(), texts));
        LanguageText {
            manifest,
            components: about_component.into_iter().collect(),
        }
    }
}

/// Those of the texts that the description has.
fn given<const N: usize>(texts: [(i64, &Option<String>); N]) -> Vec<(i64, &str)> {
    texts
        .into_iter()
        .filter_map(|(key, text)| Some((key, text.as_deref()?)))
        .collect()
}

impl Severed {
    const fn member(self) -> Member {
        match self {
            Self::Install => Member::Install,
            Self::Text => Member::Text,
        }
    }
}

/// The text of the description, to point into.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// An error about a place: `counter.toml:3: what is wrong`, and the line itself.
    fn fault(&self, span: &Range<usize>, message: impl fmt::Display) -> Failure {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let number = before.matches('\n').count();
        let line = self.text.lines().nth(number).unwrap_or_default().trim();
        let file = self.file.display();
        Failure::usage(format!("{file}:{}: {message}\n  | {line}", number + 1))
    }

    /// A file that the description names, which counts from where the description lies.
    fn path(&self, name: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(name)
    }

    fn component(&self, key: &str, text: &Spanned<String>) -> Result<ComponentIdentifier, Failure> {
        match text.get_ref().parse() {
            Ok(id) if id != ComponentIdentifier::default() => Ok(id),
            Ok(_) => Err(self.fault(&text.span(), format!("{key}: is empty"))),
            Err(error) => Err(self.fault(&text.span(), format!("{key}: {error}"))),
        }
    }
}

const fn yes() -> bool {
    true
}

const MAX_DESCRIPTION: u64 = 1 << 20;
const MAX_PAYLOAD: u64 = 256 << 20;
