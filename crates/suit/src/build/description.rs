//! A manifest as its author thinks of it.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Unsigned, sequence, sever};
use crate::command::{ComponentIndex, Condition, Directive, ReportingPolicy};
use crate::manifest::Common;
use crate::parameter::VendorIdentifier;
use crate::severable::{Member, Severable};
use crate::text::Text;
use crate::{
    Command, CommandSequence, ComponentIdentifier, Limits, Manifest, Parameter, Parameters,
    Refusal, SuitDigest,
};

/// Describes a manifest that fetches components, checks them, and can take them away again.
///
/// This is what a Trusted Component developer needs every day; whatever else SUIT can do is made from a
/// [`Manifest`] and [`sequence`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description<'a> {
    /// Must go up with every version.
    pub sequence_number: u64,
    /// The name of the manifest, by which TEEP removes it.
    pub manifest_component_id: Option<ComponentIdentifier>,
    /// Where more can be found out; SUIT_Reports name the manifest by it.
    pub reference_uri: Option<String>,
    /// Only devices of this vendor take it.
    pub vendor_identifier: Option<[u8; 16]>,
    /// Only devices of this class take it.
    pub class_identifier: Option<[u8; 16]>,
    /// What is installed; one at least.
    pub components: Vec<Component>,
    /// Whether a section `suit-validate` checks the components again, after installing and before each
    /// invocation.
    pub validate: bool,
    /// Whether a section `suit-uninstall` unlinks the components.
    pub uninstall: bool,
    /// Text for people.
    pub text: Option<Text<'a>>,
    /// Members to sever: [`Member::Install`] and [`Member::Text`] can be.
    pub sever: Vec<Member>,
}

/// A component that a [`Description`] installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its identifier.
    pub id: ComponentIdentifier,
    /// The digest of its image.
    pub digest: SuitDigest,
    /// The length of its image in bytes.
    pub size: u64,
    /// Where its image comes from.
    pub source: Source,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is fetched from this URI.
    Uri(String),
    /// It stands in the envelope under this name, which begins with `#`.
    Integrated {
        /// The name, `#` included.
        name: String,
        /// The image.
        payload: Vec<u8>,
    },
}

impl Component {
    /// A component whose `image` lies at `uri`; the manifest has its digest and size.
    #[must_use]
    pub fn fetched(id: ComponentIdentifier, uri: impl Into<String>, image: &[u8]) -> Self {
        let source = Source::Uri(uri.into());
        Self {
            id,
            digest: SuitDigest::sha256(image),
            size: image.len() as u64,
            source,
        }
    }

    /// A component whose `image` goes with the manifest under `name`, which begins with `#`.
    #[must_use]
    pub fn integrated(id: ComponentIdentifier, name: impl Into<String>, image: Vec<u8>) -> Self {
        let (digest, size) = (SuitDigest::sha256(&image), image.len() as u64);
        Self {
            id,
            digest,
            size,
            source: Source::Integrated {
                name: name.into(),
                payload: image,
            },
        }
    }

    fn uri(&self) -> &str {
        match &self.source {
            Source::Uri(uri) => uri,
            Source::Integrated { name, .. } => name,
        }
    }
}

/// Why no manifest can be made from a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is nothing to install.
    #[error("components: a manifest needs one component at least")]
    NoComponents,
    /// Two components have one name.
    #[error("components: {0} stands there twice")]
    ComponentTwice(ComponentIdentifier),
    /// A name of an integrated payload does not begin with `#`, or a URI to fetch from does.
    #[error(
        "component {0}: the name of an integrated payload begins with '#', any other URI does not"
    )]
    Name(ComponentIdentifier),
    /// Two integrated payloads have one name.
    #[error("component {0}: another integrated payload has the same name")]
    NameTwice(ComponentIdentifier),
    /// An integrated payload is not the image that the description has the digest and size of.
    #[error("component {0}: the integrated payload does not have the digest and size given")]
    OtherPayload(ComponentIdentifier),
    /// A member cannot be severed: it is absent, or not one of those that a description has.
    #[error("sever: {0} is not in this manifest, or cannot be severed by a description")]
    NothingToSever(Member),
    /// A member is smaller than what would take its place (S-013).
    #[error("sever: {0} is so small that severing it gains nothing")]
    TooSmallToSever(Member),
    /// What came out would be refused by every device.
    #[error("the manifest would be refused: {0}")]
    Refused(#[from] Refusal),
}

impl Description<'_> {
    /// Makes the envelope, ready to be signed.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self) -> Result<Unsigned, BuildError> {
        self.check()?;
        let shared = self.for_each_component(|component| self.shared(component));
        let install = self.for_each_component(install);
        let validate = self.for_each_component(|_| vec![image_match()]);
        let uninstall = self.for_each_component(|_| {
            vec![Command::Directive(
                Directive::Unlink,
                ReportingPolicy::EVERYTHING,
            )]
        });
        let text = self.text.as_ref().map(Text::encode);
        let read = |bytes| CommandSequence::new(bytes, &Limits::DEFAULT).map_err(Refusal::from);

        let mut manifest = Manifest {
            sequence_number: self.sequence_number,
            common: Common {
                dependencies: Vec::new(),
                components: self
                    .components
                    .iter()
                    .map(|component| component.id.clone())
                    .collect(),
                shared_sequence: Some(read(&shared)?),
            },
            reference_uri: self.reference_uri.as_deref(),
            manifest_component_id: self.manifest_component_id.clone(),
            install: Some(Severable::Inline(read(&install)?)),
            text: text.as_deref().map(Severable::Inline),
            ..Manifest::empty()
        };
        if self.validate {
            manifest.validate = Some(read(&validate)?);
        }
        if self.uninstall {
            manifest.uninstall = Some(read(&uninstall)?);
        }
        let mut severed = Vec::new();
        for &member in &self.sever {
            let bytes = match (member, &text) {
                (Member::Install, _) => &install,
                (Member::Text, Some(text)) => text,
                _ => return Err(BuildError::NothingToSever(member)),
            };
            let digest = sever(bytes);
            // S-013 (8.6) severing must save something.
            if bytes.len() < digest.to_bytes().len() + 4 {
                return Err(BuildError::TooSmallToSever(member));
            }
            match member {
                Member::Install => manifest.install = Some(Severable::Severed(digest)),
                _ => manifest.text = Some(Severable::Severed(digest)),
            }
            severed.push((member, bytes.clone()));
        }

        let mut unsigned = Unsigned::new(&manifest);
        unsigned.severed = severed;
        for component in &self.components {
            if let Source::Integrated { name, payload } = &component.source {
                unsigned = unsigned.with_payload(&name[..], payload.clone());
            }
        }
        // Nothing leaves here that the decoder would not take.
        Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT)?;
        Ok(unsigned)
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.components.is_empty() {
            return Err(BuildError::NoComponents);
        }
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for component in &self.components {
            let id = component.id.clone();
            if !ids.insert(&component.id) {
                return Err(BuildError::ComponentTwice(id));
            }
            let integrated = matches!(component.source, Source::Integrated { .. });
            if component.uri().starts_with('#') != integrated {
                return Err(BuildError::Name(id));
            }
            if integrated && !names.insert(component.uri()) {
                return Err(BuildError::NameTwice(id));
            }
            if let Source::Integrated { payload, .. } = &component.source
                && (payload.len() as u64 != component.size || !component.digest.matches(payload))
            {
                return Err(BuildError::OtherPayload(id));
            }
        }
        let mut members = BTreeSet::new();
        match self.sever.iter().find(|member| !members.insert(**member)) {
            Some(twice) => Err(BuildError::NothingToSever(*twice)),
            None => Ok(()),
        }
    }

    /// A sequence that does the same for each component.
    fn for_each_component<'c>(
        &'c self,
        commands: impl Fn(&'c Component) -> Vec<Command<'c>>,
    ) -> Vec<u8> {
        let mut all = Vec::new();
        for (index, component) in self.components.iter().enumerate() {
            // S-039 (6.2) with several components a sequence begins with an index, and here each part does.
            if self.components.len() > 1 {
                all.push(Command::SetComponentIndex(ComponentIndex::One(
                    index as u64,
                )));
            }
            all.extend(commands(component));
        }
        sequence(&all)
    }

    /// What is known of a component, and which devices may take it.
    fn shared<'c>(&'c self, component: &'c Component) -> Vec<Command<'c>> {
        // S-093 (7) a digest is always set by override-parameters.
        let mut parameters = vec![
            Parameter::ImageDigest(component.digest.clone()),
            Parameter::ImageSize(component.size),
        ];
        let mut conditions = Vec::new();
        if let Some(vendor) = &self.vendor_identifier {
            parameters.push(Parameter::VendorIdentifier(VendorIdentifier::Uuid(vendor)));
            conditions.push(Condition::VendorIdentifier);
        }
        if let Some(class) = &self.class_identifier {
            parameters.push(Parameter::ClassIdentifier(class));
            conditions.push(Condition::ClassIdentifier);
        }
        let mut commands = vec![Command::OverrideParameters(Parameters::new(parameters))];
        let check = |condition| Command::Condition(condition, ReportingPolicy::EVERYTHING);
        commands.extend(conditions.into_iter().map(check));
        commands
    }
}

/// Fetches a component and checks what came.
fn install(component: &Component) -> Vec<Command<'_>> {
    vec![
        Command::OverrideParameters(Parameters::new(vec![Parameter::Uri(component.uri())])),
        Command::Directive(Directive::Fetch, ReportingPolicy::EVERYTHING),
        image_match(),
    ]
}

fn image_match() -> Command<'static> {
    Command::Condition(Condition::ImageMatch, ReportingPolicy::EVERYTHING)
}
