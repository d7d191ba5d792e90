//! How the record is stored: one CBOR map.
//!
//! | Key | Holds |
//! |---|---|
//! | 1 | format of the record: 3 (1, of before there were dependencies, and 2, of before TAMs were told apart, are read, too) |
//! | 2, 3 | formats 1 and 2 only: URIs and trust anchors of all TAMs |
//! | 4 | trust anchors of Trusted Component Signers |
//! | 5, 6, 7 | vendor, class and device identifiers that the device asserts |
//! | 8 | the next slot number |
//! | 9 | installed manifests: [id, sequence number, digest, URI, signer, envelope slot, [[component, slot, size, digest]], [Update], [dependency], whether it is a root] |
//! | 10 | removed manifests, and names that installed ones had before, against rollback, replay and takeover: [id, sequence number, signer, [component], [Update]] |
//! | 11 | formats 1 and 2 only: requested components |
//! | 12 | unneeded manifests |
//! | 13 | permissions: [[signer, prefix]] |
//! | 14 | enterprise numbers that the device asserts |
//! | 15 | TAMs, from format 3 on: [{1: \[URI\], 2: trust anchors, 3: \[encryption key\], 4: must attest, 5: generation, 6: \[managed prefix\], 7: takes unsolicited QueryResponses}] |
//! | 16 | trust anchors of Verifiers |
//! | 17 | a time that is past for certain |
//! | 18 | the EAT profile of Attestation Results |
//! | 20 | requested components: [component, minimum sequence number or null, whether the caller has the binary] |
//! | 21 | the latest order of each TAM: [[key, time]] |
//! | 22 | an Attestation Result about this Agent, if there is one |
//! | 23 | the nonce of the result that came with the latest order of each TAM: [[key, nonce]], if there are any |
//!
//! An Update stands there by its digest: it installed this version, and must not install it again.

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep_cose::cbor::{
    EncodeResult, Encoder, INFALLIBLE, Kind, Limits, Malformed, Problem, Reader,
};
use teep_cose::{Thumbprint, TrustAnchors};

use crate::inventory::{
    InstalledComponent, InstalledManifest, Inventory, Permission, Provisioning, RemovedManifest,
    Requested,
};
use crate::ports::PortError;
use crate::trust_anchors::{read_tams, write_tams};
use crate::{AgentError, TrustedTam};

impl Inventory {
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
        self.write(&mut Encoder::new(&mut out)).expect(INFALLIBLE);
        out
    }

    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        let Provisioning {
            tams,
            signers,
            verifiers,
            profile,
            permissions,
            identity,
        } = &self.provisioning;
        let optional = [self.passport.is_some(), !self.order_nonces.is_empty()];
        e.map(17 + optional.map(u64::from).iter().sum::<u64>())?
            .u8(1)?
            .u64(FORMAT)?;
        e.u8(4)?.bytes(&signers.encode())?;
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
        e.u8(12)?.array(self.unneeded.len() as u64)?;
        self.unneeded.iter().for_each(|id| id.encode(e));
        write_permissions(permissions, e.u8(13)?)?;
        e.u8(14)?.array(identity.enterprise_number.len() as u64)?;
        for number in &identity.enterprise_number {
            e.bytes(number)?;
        }
        write_tams(tams, e.u8(15)?)?;
        e.u8(16)?.bytes(&verifiers.encode())?;
        e.u8(17)?.u64(self.earliest_time)?;
        e.u8(18)?.str(&profile.uri)?;
        e.u8(20)?.array(self.requested.len() as u64)?;
        self.requested.iter().try_for_each(|one| one.write(e))?;
        e.u8(21)?.array(self.orders.len() as u64)?;
        for (key, made) in &self.orders {
            e.array(2)?.bytes(&key.0)?.u64(*made)?;
        }
        if let Some(passport) = &self.passport {
            e.u8(22)?.bytes(passport)?;
        }
        if !self.order_nonces.is_empty() {
            e.u8(23)?.array(self.order_nonces.len() as u64)?;
            for (key, nonce) in &self.order_nonces {
                e.array(2)?.bytes(&key.0)?.bytes(nonce)?;
            }
        }
        Ok(())
    }

    /// Reads a record that [`Inventory::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, AgentError> {
        let mut r = Reader::new(bytes, "Agent record", &RECORD_LIMITS)?;
        let mut inventory = Self::default();
        let mut before_format_3 = (Vec::new(), TrustAnchors::new());
        for _ in 0..r.map("Agent record")? {
            match r.uint("record key")? {
                1 => match r.uint("format")? {
                    1..=FORMAT => {}
                    _ => return Err(r.fault("format", Problem::Expected("format 1 to 3")).into()),
                },
                2 => {
                    before_format_3.0 = list(&mut r, "TAM URIs", |r| Ok(r.text("TAM URI")?.into()))?
                }
                3 => before_format_3.1 = TrustAnchors::decode(r.bytes("TAM anchors")?)?,
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
                    inventory.requested = list(&mut r, "requested", Requested::read_format_1)?;
                }
                12 => inventory.unneeded = list(&mut r, "unneeded", ComponentIdentifier::decode)?,
                13 => {
                    inventory.provisioning.permissions =
                        list(&mut r, "permissions", read_permission)?;
                }
                14 => {
                    inventory.provisioning.identity.enterprise_number =
                        list(&mut r, "enterprise numbers", |r| {
                            Ok(r.bytes("enterprise number")?.to_vec())
                        })?;
                }
                15 => inventory.provisioning.tams = read_tams(&mut r)?,
                16 => {
                    inventory.provisioning.verifiers = TrustAnchors::decode(r.bytes("Verifiers")?)?
                }
                17 => inventory.earliest_time = r.uint("earliest time")?,
                18 => inventory.provisioning.profile.uri = r.text("EAT profile")?.into(),
                20 => inventory.requested = list(&mut r, "requested", Requested::read)?,
                21 => {
                    inventory.orders = list(&mut r, "orders", |r| {
                        r.array_of("order", 2, "an array of 2")?;
                        Ok((Thumbprint(fixed(r, "key")?), r.uint("time")?))
                    })?;
                }
                22 => inventory.passport = Some(r.bytes("passport")?.to_vec()),
                23 => {
                    inventory.order_nonces = list(&mut r, "order nonces", |r| {
                        r.array_of("order nonce", 2, "an array of 2")?;
                        let key = Thumbprint(fixed(r, "key")?);
                        let nonce = r.bytes("nonce")?.try_into();
                        let nonce = nonce
                            .map_err(|_| r.fault("nonce", Problem::Expected("8 to 64 bytes")))?;
                        Ok((key, nonce))
                    })?;
                }
                _ => return Err(r.fault("record key", Problem::Expected("1 to 23")).into()),
            }
        }
        let (uris, keys) = before_format_3;
        // Called at no address of its own, but named by applications.
        if uris.is_empty() && !keys.is_empty() {
            inventory.provisioning.tams.push(TrustedTam {
                keys: keys.clone(),
                ..TrustedTam::default()
            });
        }
        let tams = uris
            .into_iter()
            .map(|uri: String| TrustedTam::new(uri, keys.clone()));
        inventory.provisioning.tams.extend(tams);
        Ok(inventory)
    }
}

impl InstalledManifest {
    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        e.array(10)?;
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
        write_digests(&self.updates, e)?;
        e.array(self.dependencies.len() as u64)?;
        self.dependencies.iter().for_each(|id| id.encode(e));
        e.bool(self.is_root)?;
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let members = r.array("installed manifest")?;
        let mut manifest = Self::read_format_1(r)?;
        match members {
            // Format 1.
            8 => {}
            10 => {
                manifest.dependencies = list(r, "dependencies", ComponentIdentifier::decode)?;
                manifest.is_root = r.bool("whether it is a root")?;
            }
            _ => {
                return Err(r.fault("installed manifest", Problem::Expected("an array of 10")));
            }
        }
        Ok(manifest)
    }

    /// The eight members that every format has, as a manifest of format 1: a root without dependencies.
    fn read_format_1(r: &mut Reader<'_>) -> Result<Self, Malformed> {
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
            dependencies: Vec::new(),
            is_root: true,
        })
    }
}

impl Requested {
    fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        e.array(3)?;
        self.component_id.encode(e);
        match self.minimum_sequence_number {
            Some(number) => e.u64(number)?,
            None => e.null()?,
        };
        e.bool(self.have_binary)?;
        Ok(())
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.array_of("requested component", 3, "an array of 3")?;
        Ok(Self {
            component_id: ComponentIdentifier::decode(r)?,
            minimum_sequence_number: match r.kind("minimum sequence number")? {
                Kind::Null => r.null("minimum sequence number").map(|()| None)?,
                _ => Some(r.uint("minimum sequence number")?),
            },
            have_binary: r.bool("whether the caller has the binary")?,
        })
    }

    /// Of before there was more to a request than the component.
    fn read_format_1(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            component_id: ComponentIdentifier::decode(r)?,
            minimum_sequence_number: None,
            have_binary: false,
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

pub(crate) fn write_permissions(
    permissions: &[Permission],
    e: &mut Encoder<&mut Vec<u8>>,
) -> EncodeResult {
    e.array(permissions.len() as u64)?;
    for permission in permissions {
        e.array(2)?.bytes(&permission.signer.0)?;
        permission.prefix.encode(e);
    }
    Ok(())
}

pub(crate) fn read_permission(r: &mut Reader<'_>) -> Result<Permission, Malformed> {
    r.array_of("permission", 2, "an array of 2")?;
    Ok(Permission {
        signer: Thumbprint(fixed(r, "signer")?),
        prefix: ComponentIdentifier::decode(r)?,
    })
}

pub(crate) fn list<T>(
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

const FORMAT: u64 = 3;
/// The record is the TEE's own, but it is read with the same care as anything else. Its bytes bound its items:
/// else a few manifests whose names have many short segments would fill it for good.
const RECORD_LIMITS: Limits = Limits {
    bytes: 4 << 20,
    depth: 16,
    items: 4 << 20,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{self, tests::id};
    use alloc::vec;
    use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
    use teep_cose::encrypt::{Curve, DecryptionKey};
    use teep_cose::{Algorithm, SigningKey};

    fn installed(name: &str) -> InstalledManifest {
        InstalledManifest {
            uri: "https://example.org/a.suit".into(),
            dependencies: vec![id("library")],
            is_root: false,
            ..inventory::tests::installed(name, 3)
        }
    }

    fn requested(component_id: ComponentIdentifier) -> Requested {
        Requested {
            component_id,
            minimum_sequence_number: Some(7),
            have_binary: true,
        }
    }

    #[test]
    fn the_record_survives_storage() {
        let mut inventory = Inventory {
            next_slot: 9,
            earliest_time: 1_800_000_000,
            orders: vec![(Thumbprint([7; 32]), 1_800_000_001)],
            order_nonces: vec![(Thumbprint([7; 32]), [9; 32].as_slice().try_into().unwrap())],
            ..Inventory::default()
        };
        let provisioning = &mut inventory.provisioning;
        let key = DecryptionKey::generate(Curve::X25519, &mut random(4));
        let uri = "http://127.0.0.1:8080/tam";
        provisioning.tams.push(TrustedTam {
            encryption_keys: vec![key.public_key().unwrap()],
            must_attest: true,
            ..TrustedTam::new(uri, anchors(1))
        });
        provisioning.tams.push(TrustedTam::default());
        provisioning.signers = anchors(2);
        provisioning.verifiers = anchors(3);
        provisioning.profile.uri = "urn:ietf:rfc:rfc9999".into();
        provisioning.permissions.push(Permission {
            signer: Thumbprint([2; 32]),
            prefix: id("prefix"),
        });
        provisioning.identity.vendor.push([4; 16]);
        provisioning.identity.enterprise_number.push(vec![0x2a]);
        inventory.install(installed("a"));
        inventory.install(installed("b"));
        inventory.remove(&id("b")).unwrap();
        inventory.requested.push(requested(id("other")));
        assert_eq!(Inventory::decode(&inventory.encode()).unwrap(), inventory);
    }

    fn random(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    fn anchors(seed: u64) -> TrustAnchors {
        let key = SigningKey::generate(Algorithm::Ed25519, &mut random(seed));
        TrustAnchors::from_iter([key.public_key()])
    }

    /// A device of before TAMs were told apart: each that it calls may have each of the keys.
    #[test]
    fn the_second_format_is_read() {
        let mut record = vec![
            0xa3, 0x01, 0x02, 0x02, 0x82, 0x61, b'a', 0x61, b'b', 0x03, 0x58,
        ];
        let keys = anchors(1);
        record.push(u8::try_from(keys.encode().len()).unwrap());
        record.extend(keys.encode());
        let provisioning = Inventory::decode(&record).unwrap().provisioning;
        let uris: Vec<_> = provisioning.tam_uris().collect();
        assert_eq!(uris, ["a", "b"]);
        let mut tams = provisioning.tams.iter();
        assert!(tams.all(|tam| tam.keys == keys && !tam.must_attest));
    }

    /// A TAM that is only ever named by applications is trusted all the same.
    #[test]
    fn a_second_format_without_addresses_keeps_its_keys() {
        let keys = anchors(1);
        let encoded = keys.encode();
        let length = u8::try_from(encoded.len()).unwrap();
        let record = [&[0xa2, 0x01, 0x02, 0x03, 0x58, length][..], &encoded].concat();
        let provisioning = Inventory::decode(&record).unwrap().provisioning;
        let [tam] = &provisioning.tams[..] else {
            panic!("one TAM")
        };
        assert!(tam.uris.is_empty() && tam.keys == keys);
    }

    /// A device of before there were dependencies goes on with what it has.
    #[test]
    fn the_first_format_is_read() {
        let record = [
            &[0xa2, 0x01, 0x01, 0x09, 0x81, 0x88][..],
            &[0x81, 0x41, b'a', 0x03, 0x41, 0x01, 0x60, 0x58, 0x20],
            &[2; 32],
            &[0x07, 0x80, 0x80],
        ];
        let inventory = Inventory::decode(&record.concat()).unwrap();
        let [manifest] = &inventory.installed[..] else {
            panic!("one manifest")
        };
        assert_eq!(manifest.manifest_component_id, id("a"));
        assert!(manifest.is_root && manifest.dependencies.is_empty());
    }

    #[test]
    fn a_record_that_could_not_be_read_back_is_not_stored() {
        let mut inventory = Inventory::default();
        assert!(inventory.record().is_ok());
        inventory
            .requested
            .push(requested(ComponentIdentifier::new(vec![vec![0; 5 << 20]])));
        assert_eq!(inventory.record(), Err(PortError::Full));
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let bytes = Inventory::default().encode();
        assert!(Inventory::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Inventory::decode(&[0xa1, 0x01, 0x04]).is_err());
    }
}
