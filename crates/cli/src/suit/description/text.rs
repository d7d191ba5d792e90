//! Text for people: `[text.en]`, `[component.text.en]`.

use std::collections::BTreeMap;

use serde::Deserialize;
use suit::ComponentIdentifier;
use suit::text::{LanguageText, Text, component_key, key};

/// By language.
pub(super) type Texts<T> = BTreeMap<String, T>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ManifestText {
    manifest_description: Option<String>,
    update_description: Option<String>,
    json_source: Option<String>,
    yaml_source: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ComponentText {
    vendor_name: Option<String>,
    model_name: Option<String>,
    vendor_domain: Option<String>,
    model_info: Option<String>,
    component_description: Option<String>,
    component_version: Option<String>,
    version_required: Option<String>,
    current_version: Option<String>,
}

/// All of it, language by language; `None` if there is none.
pub(super) fn read<'t>(
    manifest: &'t Texts<ManifestText>,
    components: impl Iterator<Item = (ComponentIdentifier, &'t Texts<ComponentText>)>,
) -> Option<Text<'t>> {
    let mut languages: BTreeMap<&str, LanguageText<'t>> = BTreeMap::new();
    for (tag, text) in manifest {
        languages.entry(tag).or_default().manifest = text.entries();
    }
    for (id, texts) in components {
        for (tag, text) in texts {
            let components = &mut languages.entry(tag).or_default().components;
            components.push((id.clone(), text.entries()));
        }
    }
    let languages: Vec<_> = languages.into_iter().collect();
    (!languages.is_empty()).then_some(Text { languages })
}

impl ManifestText {
    fn entries(&self) -> Vec<(i64, &str)> {
        given([
            (key::MANIFEST_DESCRIPTION, &self.manifest_description),
            (key::UPDATE_DESCRIPTION, &self.update_description),
            (key::JSON_SOURCE, &self.json_source),
            (key::YAML_SOURCE, &self.yaml_source),
        ])
    }
}

impl ComponentText {
    fn entries(&self) -> Vec<(i64, &str)> {
        given([
            (component_key::VENDOR_NAME, &self.vendor_name),
            (component_key::MODEL_NAME, &self.model_name),
            (component_key::VENDOR_DOMAIN, &self.vendor_domain),
            (component_key::MODEL_INFO, &self.model_info),
            (
                component_key::COMPONENT_DESCRIPTION,
                &self.component_description,
            ),
            (component_key::COMPONENT_VERSION, &self.component_version),
            (component_key::VERSION_REQUIRED, &self.version_required),
            (component_key::CURRENT_VERSION, &self.current_version),
        ])
    }
}

/// Those of the texts that the description has.
fn given<const N: usize>(texts: [(i64, &Option<String>); N]) -> Vec<(i64, &str)> {
    texts
        .into_iter()
        .filter_map(|(key, text)| Some((key, text.as_deref()?)))
        .collect()
}
