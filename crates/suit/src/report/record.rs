//! SUIT_Record (draft-ietf-suit-report section 3).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Malformed, Problem, Reader};

use crate::INFALLIBLE;
use crate::deterministic::MapEncoder;

/// A command by its position, with the device's own values of what it compared (SUIT_Record).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The path of dependency ordinals from the root manifest, which has the empty path.
    pub manifest: Vec<u64>,
    /// The section's label in the manifest: see [`crate::Section`].
    pub section: i64,
    /// Offset of the command in bytes from the start of the section's sequence.
    pub offset: u64,
    /// Index of the component that the command was for.
    pub component_index: u64,
    /// Parameters with their encoded values.
    pub properties: BTreeMap<i64, Vec<u8>>,
}

impl Record {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let fault = reader.fault("suit-record", Problem::Expected("an array of 5 at least"));
        let extensions = reader.array("suit-record")?.checked_sub(5).ok_or(fault)?;
        let depth = reader.array("suit-record-manifest-id")?;
        let path = (0..depth).map(|_| reader.uint("suit-record-manifest-id"));
        let manifest = path.collect::<Result<_, _>>()?;
        let section = reader.int("suit-record-manifest-section")?;
        let offset = reader.uint("suit-record-section-offset")?;
        let component_index = reader.uint("suit-record-component-index")?;
        let mut properties = BTreeMap::new();
        for _ in 0..reader.map("suit-record-properties")? {
            let label = reader.int("suit-record-properties")?;
            properties.insert(label, reader.raw("suit-record-properties")?.to_vec());
        }
        for _ in 0..extensions {
            reader.raw("suit-record extension")?;
        }
        Ok(Self {
            manifest,
            section,
            offset,
            component_index,
            properties,
        })
    }

    pub(super) fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(5)
            .and_then(|e| e.array(self.manifest.len() as u64))
            .expect(INFALLIBLE);
        for ordinal in &self.manifest {
            encoder.u64(*ordinal).expect(INFALLIBLE);
        }
        encoder
            .i64(self.section)
            .and_then(|e| e.u64(self.offset)?.u64(self.component_index))
            .expect(INFALLIBLE);
        let mut map = MapEncoder::default();
        self.properties
            .iter()
            .for_each(|(label, value)| map.raw(*label, value));
        map.finish(encoder);
    }
}
