//! Manifests that depend on others (draft-ietf-suit-trust-domains section 5).

use suit::build::{Unsigned, sequence};
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy};
use suit::manifest::{Common, Dependency as Listed};
use suit::parameter::VendorIdentifier;
use suit::{
    Command, CommandSequence, Limits, Manifest, Parameter, Parameters, Severable, SuitDigest,
};

use crate::TrustedComponent;
use crate::trusted_component::VENDOR;

/// A manifest that fetches and checks its dependencies, runs their sections within its own, and unlinks
/// them when it goes. They stand among its components, after the images.
pub(crate) fn unsigned(component: &TrustedComponent) -> Unsigned {
    let images = component.images.iter();
    let dependencies = component.dependencies.iter();
    let names: Vec<_> = (0..component.dependencies.len())
        .map(|n| format!("#dependency {n}"))
        .collect();
    let first = component.images.len() as u64;
    let mut shared = Vec::new();
    let (mut resolution, mut install, mut validate, mut uninstall) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((index, dependency), name) in (first..).zip(dependencies.clone()).zip(&names) {
        let select = Command::SetComponentIndex(ComponentIndex::One(index));
        shared.extend([
            select.clone(),
            set(vec![Parameter::ImageDigest(dependency.digest.clone())]),
        ]);
        resolution.extend([
            select.clone(),
            set(vec![Parameter::Uri(name)]),
            directive(Directive::Fetch),
            condition(Condition::DependencyIntegrity),
            directive(Directive::ProcessDependency),
        ]);
        install.extend([select.clone(), directive(Directive::ProcessDependency)]);
        validate.extend([
            select.clone(),
            condition(Condition::DependencyIntegrity),
            directive(Directive::ProcessDependency),
        ]);
        uninstall.extend([select, directive(Directive::Unlink)]);
    }
    for (index, image) in (0..).zip(images.clone()) {
        let select = Command::SetComponentIndex(ComponentIndex::One(index));
        shared.extend([
            select.clone(),
            set(vec![
                Parameter::VendorIdentifier(VendorIdentifier::Uuid(&VENDOR)),
                Parameter::ClassIdentifier(&component.class),
                Parameter::ImageDigest(SuitDigest::sha256(&image.bytes)),
                Parameter::ImageSize(image.bytes.len() as u64),
            ]),
            condition(Condition::VendorIdentifier),
            condition(Condition::ClassIdentifier),
        ]);
        install.extend([
            select.clone(),
            set(vec![Parameter::Uri(&image.uri)]),
            directive(Directive::Fetch),
            condition(Condition::ImageMatch),
        ]);
        validate.extend([select.clone(), condition(Condition::ImageMatch)]);
        uninstall.extend([select, directive(Directive::Unlink)]);
    }
    let sequences = [shared, resolution, install, validate, uninstall];
    let [shared, resolution, install, validate, uninstall] = sequences.map(|s| sequence(&s));
    let images_first = images.clone().map(|image| &image.component_id);
    let components = images_first.chain(dependencies.clone().map(|d| &d.stored_at));
    let listed = (first..first + component.dependencies.len() as u64).map(|index| Listed {
        index,
        prefix: None,
    });
    let manifest = Manifest {
        sequence_number: component.sequence_number,
        common: Common {
            dependencies: listed.collect(),
            components: components.cloned().collect(),
            shared_sequence: Some(read(&shared)),
        },
        manifest_component_id: component.manifest_component_id.clone(),
        dependency_resolution: Some(Severable::Inline(read(&resolution))),
        install: Some(Severable::Inline(read(&install))),
        validate: Some(read(&validate)),
        uninstall: Some(read(&uninstall)),
        ..Manifest::empty()
    };
    let mut unsigned = Unsigned::new(&manifest);
    for image in images.filter(|image| image.uri.starts_with('#')) {
        unsigned = unsigned.with_payload(&image.uri[..], image.bytes.clone());
    }
    for (name, dependency) in names.iter().zip(dependencies) {
        unsigned = unsigned.with_payload(&name[..], dependency.envelope.clone());
    }
    unsigned
}

fn read(bytes: &[u8]) -> CommandSequence<'_> {
    CommandSequence::new(bytes, &Limits::DEFAULT).expect("a story describes what can be made")
}

fn set(parameters: Vec<Parameter<'_>>) -> Command<'_> {
    Command::OverrideParameters(Parameters::new(parameters))
}

const fn directive(directive: Directive) -> Command<'static> {
    Command::Directive(directive, ReportingPolicy::EVERYTHING)
}

const fn condition(condition: Condition) -> Command<'static> {
    Command::Condition(condition, ReportingPolicy::EVERYTHING)
}
