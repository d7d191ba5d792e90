//! Text for people (draft-ietf-suit-manifest section 8.4.4).

use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Kind, Malformed, Problem, Reader};

use crate::deterministic::{self, MapEncoder};
use crate::{ComponentIdentifier, INFALLIBLE, Limits};

/// The text of a manifest in every language that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a> {
    /// By language tag (RFC 5646).
    pub languages: Vec<(&'a str, LanguageText<'a>)>,
}

/// The text of a manifest in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanguageText<'a> {
    /// About the manifest, by key: see [`key`].
    pub manifest: Vec<(i64, &'a str)>,
    /// About each component, by key: see [`component_key`].
    pub components: Vec<(ComponentIdentifier, Vec<(i64, &'a str)>)>,
}

/// Keys of texts about the manifest.
pub mod key {
    /// What the manifest is for.
    pub const MANIFEST_DESCRIPTION: i64 = 1;
    /// What the update changes.
    pub const UPDATE_DESCRIPTION: i64 = 2;
    /// The JSON that the manifest was made from.
    pub const JSON_SOURCE: i64 = 3;
    /// The YAML that the manifest was made from.
    pub const YAML_SOURCE: i64 = 4;
}

/// Keys of texts about a component.
pub mod component_key {
    /// The vendor's name.
    pub const VENDOR_NAME: i64 = 1;
    /// The model's name.
    pub const MODEL_NAME: i64 = 2;
    /// The domain from which the vendor identifier was made.
    pub const VENDOR_DOMAIN: i64 = 3;
    /// The information from which the class identifier was made.
    pub const MODEL_INFO: i64 = 4;
    /// What the component is.
    pub const COMPONENT_DESCRIPTION: i64 = 5;
    /// Its version.
    pub const COMPONENT_VERSION: i64 = 6;
    /// The versions that it can be installed over.
    pub const VERSION_REQUIRED: i64 = 7;
    /// The version that it is installed over.
    pub const CURRENT_VERSION: i64 = 8;
}

impl<'a> Text<'a> {
    /// Reads an encoded SUIT_Text_Map.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &'a [u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut reader = deterministic::read(bytes, 0, "suit-text", &limits.cbor())?;
        let mut languages = Vec::new();
        for _ in 0..reader.map("suit-text")? {
            let tag = reader.text("suit-text language")?;
            languages.push((tag, LanguageText::decode(&mut reader)?));
        }
        Ok(Self { languages })
    }

    /// The text in this language.
    #[must_use]
    pub fn language(&self, tag: &str) -> Option<&LanguageText<'a>> {
        self.languages
            .iter()
            .find(|(found, _)| *found == tag)
            .map(|(_, text)| text)
    }

    /// Encodes the map, deterministically.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapEncoder::default();
        for (tag, text) in &self.languages {
            let key = deterministic::encoded(|e| {
                e.str(tag).expect(INFALLIBLE);
            });
            map.keyed(key, |e| text.encode(e));
        }
        deterministic::encoded(|e| map.finish(e))
    }
}

impl<'a> LanguageText<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut text = Self::default();
        for _ in 0..reader.map("suit-text")? {
            // The keys of this one map are integers and arrays.
            if reader.kind("suit-text")? == Kind::Array {
                let component = ComponentIdentifier::decode(reader)?;
                let mut texts = Vec::new();
                for _ in 0..reader.map("suit-text component")? {
                    texts.push(entry(reader)?);
                }
                text.components.push((component, texts));
            } else {
                text.manifest.push(entry(reader)?);
            }
        }
        Ok(text)
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let mut map = MapEncoder::default();
        self.manifest
            .iter()
            .for_each(|(label, text)| map.text(*label, text));
        for (component, texts) in &self.components {
            map.keyed(deterministic::encoded(|e| component.encode(e)), |e| {
                let mut inner = MapEncoder::default();
                texts
                    .iter()
                    .for_each(|(label, text)| inner.text(*label, text));
                inner.finish(e);
            });
        }
        map.finish(encoder);
    }
}

fn entry<'a>(reader: &mut Reader<'a>) -> Result<(i64, &'a str), Malformed> {
    let unset = reader.fault("suit-text", Problem::Expected("a key other than 0"));
    match reader.int("suit-text")? {
        // S-001 (8.1) 0 means "unset".
        0 => Err(unset),
        label => Ok((label, reader.text("suit-text")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_language_and_component_survives() {
        let component: ComponentIdentifier = "TEEP-Device/ta".parse().unwrap();
        let text = Text {
            languages: vec![
                (
                    "de",
                    LanguageText {
                        manifest: vec![(key::MANIFEST_DESCRIPTION, "Beispiel")],
                        components: vec![],
                    },
                ),
                (
                    "en-GB",
                    LanguageText {
                        manifest: vec![(key::UPDATE_DESCRIPTION, "faster")],
                        components: vec![(component, vec![(component_key::VENDOR_NAME, "Acme")])],
                    },
                ),
            ],
        };
        let bytes = text.encode();
        assert_eq!(Text::decode(&bytes, &Limits::DEFAULT).unwrap(), text);
        assert_eq!(text.language("de").unwrap().manifest[0].1, "Beispiel");
    }

    /// Proves: S-001
    #[test]
    fn a_key_0_is_refused() {
        assert!(Text::decode(b"\xa1\x62en\xa1\x00\x61x", &Limits::DEFAULT).is_err());
        assert!(Text::decode(b"\xa1\x62en\xa1\x01\x61x", &Limits::DEFAULT).is_ok());
    }
}
