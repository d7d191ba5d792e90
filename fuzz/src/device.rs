//! A device in memory that panics when a manifest gets away with something. Everything that knows how the
//! processor is driven is here.

use std::collections::{BTreeMap, BTreeSet};

use suit::process::{
    Access, Authorized, ComponentStore, Failure, Identity, Leniency, Limits, Options, Procedure,
    Processor, Progress, StoreError,
};
use suit::{
    Authenticated, Authorities, Command, CommandSequence, ComponentIdentifier, ComponentMetadata,
    Envelope, Parameter, Section, Signer, SuitDigest, WaitEvent,
};
use teep_cose::TrustAnchors;

use crate::composed::{DEVICE_IS, ENDLESS_URI, FORBIDDEN, IMAGE, IMAGE_URI, OTHER, OTHER_URI};

/// Small, so that the fuzzer comes to each of them.
pub fn limits() -> Limits {
    Limits {
        steps: 256,
        uri_bytes: 64,
        content_bytes: 1024,
        payload_bytes: 4096,
        procedure_bytes: 16384,
        records: 4,
        dependencies: 2,
        dependency_depth: 2,
        dependency_bytes: 4096,
        key_operations: 8,
    }
}

/// Authorises the manifest and runs it, once for each procedure, with payloads in chunks of `chunk` bytes;
/// leniently if that is an even number.
///
/// # Panics
/// If it does what no manifest may do.
pub fn run(authenticated: &Authenticated<'_>, trusted: &TrustAnchors, chunk: usize) {
    let leniency = match chunk % 2 {
        0 => Leniency::PUBLISHED_EXAMPLES,
        _ => Leniency::default(),
    };
    let options = Options {
        limits: limits(),
        leniency,
    };
    let Ok(authorized) = authenticated.authorize(&Device::new(authenticated, trusted), &options)
    else {
        return;
    };
    for procedure in [
        Procedure::Update,
        Procedure::Invocation,
        Procedure::Uninstall,
    ] {
        let mut device = Device::new(authenticated, trusted);
        let ended = device.drive(authorized.clone(), procedure, chunk);
        if ended.is_ok() {
            device.check_staged();
        }
    }
}

fn may_touch(component: &ComponentIdentifier) -> bool {
    component
        .segments()
        .first()
        .is_none_or(|first| first != FORBIDDEN)
}

/// Components, and what may come into them.
struct Device {
    trusted: TrustAnchors,
    identity: Identity,
    /// Which manifest needs which component.
    links: BTreeSet<(ComponentIdentifier, ComponentIdentifier)>,
    installed: BTreeMap<ComponentIdentifier, Vec<u8>>,
    staged: BTreeMap<ComponentIdentifier, Vec<u8>>,
    vouched: Vouched,
    /// Bytes that were stored.
    stored: u64,
    begins: usize,
    reads: usize,
}

impl Device {
    /// A device on which every other component of the manifest is installed already.
    fn new(authenticated: &Authenticated<'_>, trusted: &TrustAnchors) -> Self {
        let components = &authenticated.manifest().common.components;
        let contents = [OTHER, IMAGE].into_iter().cycle();
        let odd = components.iter().skip(1).step_by(2).cloned();
        Self {
            trusted: trusted.clone(),
            identity: Identity {
                vendor: vec![DEVICE_IS, EXAMPLE_VENDOR.to_be_bytes()],
                class: vec![DEVICE_IS, EXAMPLE_CLASS.to_be_bytes()],
                device: vec![DEVICE_IS],
                ..Identity::default()
            },
            links: BTreeSet::new(),
            installed: odd.zip(contents.map(<[u8]>::to_vec)).collect(),
            staged: BTreeMap::new(),
            vouched: Vouched::by(authenticated),
            stored: 0,
            begins: 0,
            reads: 0,
        }
    }

    fn drive(
        &mut self,
        authorized: Authorized,
        procedure: Procedure,
        chunk: usize,
    ) -> Result<(), Failure> {
        let mut processor = Processor::new(authorized, procedure);
        // Each answer takes a command, so there are no more of them than steps.
        for _ in 0..=limits().steps {
            let progress = processor.run(self);
            self.check(&processor);
            // What a dependency's own signature vouches for is vouched for, too.
            for dependency in processor.manifests().iter().skip(1) {
                self.vouched
                    .add_envelope(dependency.envelope(), &self.trusted);
            }
            match progress {
                Ok(Progress::Done) => {
                    assert_eq!(processor.run(self), Ok(Progress::Done), "done stays done");
                    return Ok(());
                }
                Ok(Progress::Invoke { component, .. }) => {
                    assert_eq!(procedure, Procedure::Invocation);
                    if let Some(content) = self.staged.get(&component) {
                        assert!(
                            self.is_vouched(content),
                            "{component} was invoked unchecked"
                        );
                    }
                }
                Ok(Progress::Fetch { uri, .. }) => self.serve(&mut processor, &uri, chunk)?,
                Ok(Progress::Wait { .. }) => processor.happened()?,
                Ok(Progress::Ask { priority, .. }) => processor.consent(priority == 1)?,
                Err(failure) => {
                    assert_eq!(
                        processor.run(self),
                        Err(failure.clone()),
                        "a failure is final"
                    );
                    return Err(failure);
                }
            }
        }
        panic!("more answers than the limit has steps");
    }

    /// A server that has what the manifest wants, something else, too much, or nothing.
    fn serve(&mut self, processor: &mut Processor, uri: &str, chunk: usize) -> Result<(), Failure> {
        assert!(
            uri.len() <= limits().uri_bytes,
            "a URI over the limit: {uri}"
        );
        assert!(!uri.starts_with('#'), "a fragment left the device: {uri}");
        let payload = match uri {
            IMAGE_URI => IMAGE,
            OTHER_URI => OTHER,
            ENDLESS_URI => loop {
                processor.payload(OTHER, self)?;
            },
            _ => return Err(processor.payload_failed()),
        };
        for piece in payload.chunks(chunk) {
            processor.payload(piece, self)?;
        }
        processor.payload_end(self)
    }

    /// What holds at every time.
    fn check(&self, processor: &Processor) {
        let limits = limits();
        assert!(processor.records().len() <= limits.records);
        assert!(self.begins <= limits.steps, "{} begins", self.begins);
        // A command reads two components at most (what is there, and a source), a kilobyte at a time.
        let of_one = usize::try_from(limits.payload_bytes).unwrap_or(usize::MAX) / 1024 + 2;
        assert!(
            self.reads <= limits.steps * 2 * of_one,
            "{} reads",
            self.reads
        );
    }

    /// Nothing was staged that a digest in the manifest does not vouch for, that the manifest does not
    /// contain, and that was not on the device before.
    fn check_staged(&self) {
        for (component, content) in &self.staged {
            assert!(self.is_vouched(content), "{component} holds {content:02x?}");
        }
    }

    fn is_vouched(&self, content: &Vec<u8>) -> bool {
        self.vouched.contents.contains(content)
            || self.vouched.digests.contains(&SuitDigest::sha256(content))
            || self
                .installed
                .values()
                .any(|installed| installed == content)
            || Envelope::decode(content, &suit::Limits::DEFAULT)
                .is_ok_and(|envelope| envelope.verify(&self.trusted).is_ok())
    }
}

impl ComponentStore for Device {
    fn begin(
        &mut self,
        component: &ComponentIdentifier,
        _: Option<&ComponentMetadata<'_>>,
    ) -> Result<(), StoreError> {
        assert!(may_touch(component));
        self.begins += 1;
        self.staged.insert(component.clone(), Vec::new());
        Ok(())
    }

    fn append(&mut self, component: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        let content = self.staged.get_mut(component).expect("begun");
        content.extend(bytes);
        self.stored += bytes.len() as u64;
        assert!(content.len() as u64 <= limits().payload_bytes);
        assert!(self.stored <= limits().procedure_bytes);
        Ok(())
    }

    fn finish(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        assert!(self.staged.contains_key(component), "begun");
        Ok(())
    }

    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        assert!(may_touch(component));
        self.reads += 1;
        let staged = self.staged.get(component);
        let content = staged
            .or_else(|| self.installed.get(component))
            .ok_or(StoreError::NotThere)?;
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| content.get(offset..));
        let rest = rest.expect("an offset within the content or at its end");
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn swap(
        &mut self,
        one: &ComponentIdentifier,
        other: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        assert!(may_touch(one) && may_touch(other));
        let content = |id| {
            self.staged
                .get(id)
                .or_else(|| self.installed.get(id))
                .cloned()
        };
        let (first, second) = (content(one), content(other));
        self.staged
            .insert(one.clone(), second.ok_or(StoreError::NotThere)?);
        self.staged
            .insert(other.clone(), first.ok_or(StoreError::NotThere)?);
        Ok(())
    }

    fn link(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        self.links.insert((manifest.clone(), component.clone()));
        Ok(())
    }

    fn unlink(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        assert!(may_touch(component));
        self.staged.remove(component);
        let known = self.links.remove(&(manifest.clone(), component.clone()));
        known.then_some(()).ok_or(StoreError::NotThere)
    }

    fn is_needed_by_others(
        &self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> bool {
        let mut links = self.links.iter();
        links.any(|(by, needed)| by != manifest && needed == component)
    }
}

impl suit::process::Device for Device {
    fn authorities(&self) -> Authorities<'_> {
        (&self.trusted).into()
    }

    fn may(&self, _: &[Signer], component: &ComponentIdentifier, _: Access) -> bool {
        may_touch(component)
    }

    fn sequence_number(&self, _: &ComponentIdentifier) -> Option<u64> {
        None
    }

    fn identity(&self, _: &ComponentIdentifier) -> &Identity {
        &self.identity
    }

    fn now(&self) -> Option<u64> {
        Some(1)
    }

    fn battery(&self) -> Option<u64> {
        Some(1)
    }

    fn slot(&self, component: &ComponentIdentifier) -> Option<u64> {
        component
            .segments()
            .first()?
            .first()
            .map(|slot| (*slot).into())
    }

    fn version(&self, _: &ComponentIdentifier) -> Option<Vec<i64>> {
        Some(vec![1, 2])
    }

    fn can_wait_for(&self, _: &WaitEvent<'_>) -> bool {
        true
    }
}

/// What the signed part of a manifest vouches for: digests of images, and contents themselves.
#[derive(Default)]
struct Vouched {
    digests: Vec<SuitDigest>,
    contents: Vec<Vec<u8>>,
}

impl Vouched {
    fn by(authenticated: &Authenticated<'_>) -> Self {
        let mut vouched = Self::default();
        if let Some(shared) = &authenticated.manifest().common.shared_sequence {
            vouched.add(shared);
        }
        for section in Section::ALL {
            if let Ok(Some(sequence)) = authenticated.section(section) {
                vouched.add(&sequence);
            }
        }
        vouched
    }

    fn add_envelope(&mut self, envelope: &[u8], trusted: &TrustAnchors) {
        let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).expect("was decoded");
        let authenticated = envelope.verify(trusted).expect("was verified");
        let Self { digests, contents } = Self::by(&authenticated);
        self.digests.extend(digests);
        self.contents.extend(contents);
    }

    fn add(&mut self, sequence: &CommandSequence<'_>) {
        for (_, command) in sequence.iter().flatten() {
            match command {
                Command::SetParameters(parameters) | Command::OverrideParameters(parameters) => {
                    parameters
                        .iter()
                        .for_each(|parameter| self.add_parameter(parameter));
                }
                Command::OverrideMultiple(overrides) => {
                    let parameters = overrides
                        .iter()
                        .flat_map(|(_, parameters)| parameters.iter());
                    parameters.for_each(|parameter| self.add_parameter(parameter));
                }
                Command::RunSequence(sequence) => self.add(&sequence),
                Command::TryEach(try_each) => {
                    try_each
                        .alternatives
                        .iter()
                        .for_each(|sequence| self.add(sequence));
                }
                _ => {}
            }
        }
    }

    fn add_parameter(&mut self, parameter: &Parameter<'_>) {
        match parameter {
            Parameter::ImageDigest(digest) => self.digests.push(digest.clone()),
            Parameter::Content(content) => self.contents.push(content.to_vec()),
            _ => {}
        }
    }
}

/// Vendor and class in the examples of draft-ietf-suit-manifest.
const EXAMPLE_VENDOR: u128 = 0xfa6b4a53_d5ad_5fdf_be9d_e663e4d41ffe;
const EXAMPLE_CLASS: u128 = 0x1492af14_2569_5e48_bf42_9b2d51f2ab45;
