//! What the Agent remembers: whom it trusts, what is installed, what is wanted: one record.
//!
//! The record is small and replaced as a whole ([`StateStore`](crate::ports::StateStore)); everything
//! large (component images, envelopes) lies in slots that the record names.
//!
//! | Key | Holds |
//! |---|---|
//! | 1 | format of the record: 1 |
//! | 2, 3 | URIs and trust anchors of TAMs |
//! | 4 | trust anchors of Trusted Component Signers |
//! | 5, 6, 7 | vendor, class and device identifiers that the device asserts |
//! | 8 | the next slot number |
//! | 9 | installed manifests: [id, sequence number, digest, URI, signer, envelope slot, [[component, slot, size, digest]], [Update]] |
//! | 10 | removed manifests, against rollback and replay: [id, sequence number, signer, [component], [Update]] |
//! | 11, 12 | requested components, unneeded manifests |
//!
//! An Update stands there by its digest: it installed this version, and must not install it again.

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep_cose::cbor::{EncodeResult, Encoder, Limits, Malformed, Problem, Reader};
use teep_cose::{Thumbprint, TrustAnchors};

use crate::AgentError;
use crate::ports::{PortError, SlotNumber};

/// What the device manufacturer or Device Administrator puts into the Agent before it is first started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// Where TAMs are found, in order of preference.
    pub tam_uris: Vec<String>,
    /// Keys of the TAMs that may manage this device: trust is in the key, never in the address.
    pub tams: TrustAnchors,
    /// Keys of the signers whose Trusted Components may be installed.
    pub signers: TrustAnchors,
    /// What the device asserts to be (SUIT vendor, class and device identifiers: UUIDs).
    pub identity: suit::process::Identity,
}

/// A manifest that is installed, with the components that it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledManifest {
    /// `suit-manifest-component-id`: the manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its `suit-manifest-sequence-number`; no lower one is accepted again.
    pub sequence_number: u64,
    /// SHA-256 of the manifest, as in its authentication wrapper.
    pub digest: Vec<u8>,
    /// Its `suit-reference-uri`; empty if it has none.
    pub uri: String,
    /// Who signed it; only the same signer may replace it.
    pub signer: Thumbprint,
    /// Where its envelope lies.
    pub envelope: SlotNumber,
    /// The components that it installed.
    pub components: Vec<InstalledComponent>,
    /// Digests of the Updates that installed this very version.
    pub(crate) updates: Vec<[u8; 32]>,
}

/// The installed image of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledComponent {
    /// The component's name.
    pub component_id: ComponentIdentifier,
    /// Where its image lies.
    pub slot: SlotNumber,
    /// Size of the image in bytes.
    pub size: u64,
    /// SHA-256 of the image.
    pub digest: [u8; 32],
}

/// A manifest that was removed. Its number must not be forgotten, else an older one could come back; nor
/// whose its components were, else another signer could take them over; nor the Updates that brought it,
/// else a normal world that kept one could bring it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemovedManifest {
    pub(crate) manifest_component_id: ComponentIdentifier,
    pub(crate) sequence_number: u64,
    pub(crate) signer: Thumbprint,
    pub(crate) components: Vec<ComponentIdentifier>,
    pub(crate) updates: Vec<[u8; 32]>,
}

/// What is known of a manifest, installed or removed.
pub(crate) struct Known<'a> {
    pub(crate) sequence_number: u64,
    pub(crate) signer: Thumbprint,
    /// The Updates that installed this version.
    pub(crate) updates: &'a [[u8; 32]],
}

/// The Agent's record, see the module's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    pub(crate) provisioning: Provisioning,
    pub(crate) next_slot: SlotNumber,
    pub(crate) installed: Vec<InstalledManifest>,
    pub(crate) removed: Vec<RemovedManifest>,
    pub(crate) requested: Vec<ComponentIdentifier>,
    pub(crate) unneeded: Vec<ComponentIdentifier>,
}

impl Inventory {
    /// The installed manifest that brought `component`.
    pub(crate) fn provider(&self, component: &ComponentIdentifier) -> Option<&InstalledManifest> {
        self.installed
            .iter()
            .find(|manifest| manifest.component(component).is_some())
    }

    /// The installed manifest of this name.
    pub(crate) fn manifest(&self, id: &ComponentIdentifier) -> Option<&InstalledManifest> {
        self.installed
            .iter()
            .find(|manifest| manifest.manifest_component_id == *id)
    }

    /// What is known of a manifest of this name, installed or removed.
    pub(crate) fn known(&self, id: &ComponentIdentifier) -> Option<Known<'_>> {
        let installed = self.manifest(id).map(|manifest| Known {
            sequence_number: manifest.sequence_number,
            signer: manifest.signer,
            updates: &manifest.updates,
        });
        installed.or_else(|| {
            let mut removed = self.removed.iter();
            let removed = removed.find(|removed| removed.manifest_component_id == *id)?;
            Some(Known {
                sequence_number: removed.sequence_number,
                signer: removed.signer,
                updates: &removed.updates,
            })
        })
    }

    /// Whose a component is, or was before its manifest was removed.
    pub(crate) fn owner(&self, component: &ComponentIdentifier) -> Option<Thumbprint> {
        let provider = self.provider(component).map(|manifest| manifest.signer);
        provider.or_else(|| {
            let removed = self.removed.iter();
            let mut removed = removed.filter(|removed| removed.components.contains(component));
            removed.next().map(|removed| removed.signer)
        })
    }

    /// Components installed in all.
    pub(crate) fn component_count(&self) -> usize {
        self.installed
            .iter()
            .map(|manifest| manifest.components.len())
            .sum()
    }

    /// Every slot that the record names.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotNumber> {
        self.installed.iter().flat_map(|manifest| {
            manifest
                .components
                .iter()
                .map(|component| component.slot)
                .chain(core::iter::once(manifest.envelope))
        })
    }

    /// Takes a manifest out and remembers its number; `None` if it is not installed.
    pub(crate) fn remove(&mut self, id: &ComponentIdentifier) -> Option<InstalledManifest> {
        let position = self
            .installed
            .iter()
            .position(|m| m.manifest_component_id == *id)?;
        let manifest = self.installed.remove(position);
        self.removed
            .retain(|known| known.manifest_component_id != *id);
        self.removed.push(RemovedManifest {
            manifest_component_id: manifest.manifest_component_id.clone(),
            sequence_number: manifest.sequence_number,
            signer: manifest.signer,
            components: manifest
                .components
                .iter()
                .map(|c| c.component_id.clone())
                .collect(),
            updates: manifest.updates.clone(),
        });
        self.unneeded.retain(|unneeded| unneeded != id);
        Some(manifest)
    }

    /// Puts a manifest in, in place of the one of the same name, which it returns.
    pub(crate) fn install(&mut self, manifest: InstalledManifest) -> Option<InstalledManifest> {
        let id = manifest.manifest_component_id.clone();
        self.requested
            .retain(|requested| manifest.component(requested).is_none());
        self.removed
            .retain(|known| known.manifest_component_id != id);
        match self
            .installed
            .iter_mut()
            .find(|known| known.manifest_component_id == id)
        {
            Some(known) => Some(core::mem::replace(known, manifest)),
            None => {
                self.installed.push(manifest);
                None
            }
        }
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// [`PortError::Full`] for one that is larger than the Agent could read back: it must never be stored.
    pub(crate) fn record(&self) -> Result<Vec<u8>, PortError> {
        let bytes = self.encode();
        match Reader::new(&bytes, "Agent record", &RECORD_LIMITS) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(PortError::Full),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut Encoder::new(&mut out))
            .expect("writing to a Vec does not fail");
        out
    }

    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        let Provisioning {
            tam_uris,
            tams,
            signers,
            identity,
        } = &self.provisioning;
        e.map(12)?.u8(1)?.u8(FORMAT)?;
        e.u8(2)?.array(tam_uris.len() as u64)?;
        for uri in tam_uris {
            e.str(uri)?;
        }
        e.u8(3)?
            .bytes(&tams.encode())?
            .u8(4)?
            .bytes(&signers.encode())?;
        for (key, ids) in [
            (5, &identity.vendor),
            (6, &identity.class),
            (7, &identity.device),
        ] {
            e.u8(key)?.array(ids.len() as u64)?;
            for id in ids {
                e.bytes(id)?;
            }
        }
        e.u8(8)?.u64(self.next_slot)?;
        e.u8(9)?.array(self.installed.len() as u64)?;
        for manifest in &self.installed {
            manifest.write(e)?;
        }
        e.u8(10)?.array(self.removed.len() as u64)?;
        for removed in &self.removed {
            e.array(5)?;
            removed.manifest_component_id.encode(e);
            e.u64(removed.sequence_number)?.bytes(&removed.signer.0)?;
            e.array(removed.components.len() as u64)?;
            removed
                .components
                .iter()
                .for_each(|component| component.encode(e));
            write_digests(&removed.updates, e)?;
        }
        for (key, ids) in [(11, &self.requested), (12, &self.unneeded)] {
            e.u8(key)?.array(ids.len() as u64)?;
            for id in ids {
                id.encode(e);
            }
        }
        Ok(())
    }

    /// Reads a record that [`Inventory::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, AgentError> {
        let mut r = Reader::new(bytes, "Agent record", &RECORD_LIMITS)?;
        let mut inventory = Self::default();
        for _ in 0..r.map("Agent record")? {
            match r.uint("record key")? {
                1 => match r.uint("format")? {
                    format if format == u64::from(FORMAT) => {}
                    _ => return Err(r.fault("format", Problem::Expected("format 1")).into()),
                },
                2 => {
                    inventory.provisioning.tam_uris =
                        list(&mut r, "TAM URIs", |r| Ok(r.text("TAM URI")?.into()))?;
                }
                3 => inventory.provisioning.tams = TrustAnchors::decode(r.bytes("TAM anchors")?)?,
                4 => inventory.provisioning.signers = TrustAnchors::decode(r.bytes("signers")?)?,
                5 => inventory.provisioning.identity.vendor = list(&mut r, "vendor ids", uuid)?,
                6 => inventory.provisioning.identity.class = list(&mut r, "class ids", uuid)?,
                7 => inventory.provisioning.identity.device = list(&mut r, "device ids", uuid)?,
                8 => inventory.next_slot = r.uint("next slot")?,
                9 => inventory.installed = list(&mut r, "installed", InstalledManifest::read)?,
                10 => {
                    inventory.removed = list(&mut r, "removed", |r| {
                        r.array_of("removed", 5, "an array of 5")?;
                        Ok(RemovedManifest {
                            manifest_component_id: ComponentIdentifier::decode(r)?,
                            sequence_number: r.uint("sequence number")?,
                            signer: Thumbprint(fixed(r, "signer")?),
                            components: list(r, "components", ComponentIdentifier::decode)?,
                            updates: list(r, "Updates", |r| fixed(r, "Update"))?,
                        })
                    })?;
                }
                11 => {
                    inventory.requested = list(&mut r, "requested", ComponentIdentifier::decode)?;
                }
                12 => inventory.unneeded = list(&mut r, "unneeded", ComponentIdentifier::decode)?,
                _ => return Err(r.fault("record key", Problem::Expected("1 to 12")).into()),
            }
        }
        Ok(inventory)
    }
}

impl InstalledManifest {
    /// The installed component of this name, if this manifest brought it.
    #[must_use]
    pub fn component(&self, id: &ComponentIdentifier) -> Option<&InstalledComponent> {
        self.components
            .iter()
            .find(|component| component.component_id == *id)
    }

    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        e.array(8)?;
        self.manifest_component_id.encode(e);
        e.u64(self.sequence_number)?
            .bytes(&self.digest)?
            .str(&self.uri)?;
        e.bytes(&self.signer.0)?
            .u64(self.envelope)?
            .array(self.components.len() as u64)?;
        for component in &self.components {
            e.array(4)?;
            component.component_id.encode(e);
            e.u64(component.slot)?
                .u64(component.size)?
                .bytes(&component.digest)?;
        }
        write_digests(&self.updates, e)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.array_of("installed manifest", 8, "an array of 8")?;
        Ok(Self {
            manifest_component_id: ComponentIdentifier::decode(r)?,
            sequence_number: r.uint("sequence number")?,
            digest: r.bytes("digest")?.to_vec(),
            uri: r.text("URI")?.into(),
            signer: Thumbprint(fixed(r, "signer")?),
            envelope: r.uint("envelope slot")?,
            components: list(r, "components", |r| {
                r.array_of("component", 4, "an array of 4")?;
                Ok(InstalledComponent {
                    component_id: ComponentIdentifier::decode(r)?,
                    slot: r.uint("slot")?,
                    size: r.uint("size")?,
                    digest: fixed(r, "digest")?,
                })
            })?,
            updates: list(r, "Updates", |r| fixed(r, "Update"))?,
        })
    }
}

fn write_digests(digests: &[[u8; 32]], e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
    e.array(digests.len() as u64)?;
    for digest in digests {
        e.bytes(digest)?;
    }
    Ok(())
}

fn list<T>(
    r: &mut Reader<'_>,
    field: &'static str,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    (0..r.array(field)?).map(|_| read(r)).collect()
}

fn uuid(r: &mut Reader<'_>) -> Result<[u8; 16], Malformed> {
    fixed(r, "identifier")
}

fn fixed<const N: usize>(r: &mut Reader<'_>, field: &'static str) -> Result<[u8; N], Malformed> {
    let fault = r.fault(field, Problem::Expected("a byte string of fixed length"));
    r.bytes(field)?.try_into().map_err(|_| fault)
}

const FORMAT: u8 = 1;
/// The record is the TEE's own, but it is read with the same care as anything else.
const RECORD_LIMITS: Limits = Limits {
    bytes: 4 << 20,
    depth: 16,
    items: 1 << 16,
};

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn id(name: &str) -> ComponentIdentifier {
        ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
    }

    fn installed(name: &str, sequence_number: u64) -> InstalledManifest {
        InstalledManifest {
            manifest_component_id: id(name),
            sequence_number,
            digest: vec![1; 32],
            uri: "https://example.org/a.suit".into(),
            signer: Thumbprint([2; 32]),
            envelope: 7,
            components: vec![InstalledComponent {
                component_id: id("ta"),
                slot: 8,
                size: 20,
                digest: [3; 32],
            }],
            updates: vec![[5; 32]],
        }
    }

    #[test]
    fn the_record_survives_storage() {
        let mut inventory = Inventory {
            next_slot: 9,
            ..Inventory::default()
        };
        inventory
            .provisioning
            .tam_uris
            .push("http://127.0.0.1:8080/tam".into());
        inventory.provisioning.identity.vendor.push([4; 16]);
        inventory.install(installed("a", 3));
        inventory.install(installed("b", 4));
        inventory.remove(&id("b")).unwrap();
        inventory.requested.push(id("other"));
        assert_eq!(Inventory::decode(&inventory.encode()).unwrap(), inventory);
    }

    /// Proves: S-032
    #[test]
    fn a_removed_manifest_keeps_its_number() {
        let mut inventory = Inventory::default();
        inventory.install(installed("a", 3));
        let number = |inventory: &Inventory| inventory.known(&id("a")).unwrap().sequence_number;
        assert_eq!(number(&inventory), 3);
        inventory.remove(&id("a")).unwrap();
        assert_eq!(number(&inventory), 3);
        assert_eq!(inventory.known(&id("a")).unwrap().updates, [[5; 32]]);
        assert_eq!(inventory.provider(&id("ta")), None);
        assert_eq!(inventory.owner(&id("ta")), Some(Thumbprint([2; 32])));
        inventory.install(installed("a", 5));
        assert_eq!(number(&inventory), 5);
        assert!(inventory.removed.is_empty());
    }

    #[test]
    fn a_record_that_could_not_be_read_back_is_not_stored() {
        let mut inventory = Inventory::default();
        assert!(inventory.record().is_ok());
        inventory
            .requested
            .push(ComponentIdentifier::new(vec![vec![0; 5 << 20]]));
        assert_eq!(inventory.record(), Err(PortError::Full));
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let bytes = Inventory::default().encode();
        assert!(Inventory::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Inventory::decode(&[0xa1, 0x01, 0x02]).is_err());
    }
}
