//! Metadata of the file that a component is (draft-ietf-suit-update-management section 4.6).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, Kind, Malformed, Problem, Reader};

use crate::INFALLIBLE;
use crate::deterministic::{self, MapEncoder};

/// Metadata that a component gets when it is fetched, copied or written (S-122).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentMetadata<'a> {
    /// 1: what everybody may do who has no permissions of their own.
    pub default_permissions: Option<Permissions>,
    /// 2: what users may do.
    pub user_permissions: BTreeMap<Actor<'a>, Permissions>,
    /// 3: what groups may do.
    pub group_permissions: BTreeMap<Actor<'a>, Permissions>,
    /// 4: what those in a role may do.
    pub role_permissions: BTreeMap<Actor<'a>, Permissions>,
    /// 5: what kind of file it is; a regular one if this is absent (see [`ComponentMetadata::kind`]).
    pub file_type: Option<FileType>,
    /// 6: when it was last changed, in seconds since the epoch.
    pub modification_time: Option<u64>,
    /// 7: when it was made, in seconds since the epoch.
    pub creation_time: Option<u64>,
    /// 8: who made it.
    pub creator: Option<Actor<'a>>,
}

/// What an actor may do, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(pub u16);

/// A user, group, role or creator; the deployment says which of these it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor<'a> {
    /// A number, for example a POSIX user's.
    Number(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// A name, without control characters.
    Name(&'a str),
    /// A UUID (tag 37), for example a Trusted Application's.
    Uuid(&'a [u8; 16]),
}

/// A kind of file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// One that has content.
    #[default]
    Regular = 1,
    /// A directory; written with empty content.
    Directory = 2,
    /// A symbolic link; its content is where it leads.
    Symlink = 3,
}

impl<'a> ComponentMetadata<'a> {
    /// What kind of file it is: a regular one unless the metadata says something else.
    #[must_use]
    pub fn kind(&self) -> FileType {
        self.file_type.unwrap_or_default()
    }

    /// Reads the map.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else, or a label, permission or file type is unknown:
    /// what is not understood cannot be applied.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let field = "suit-parameter-component-metadata";
        let mut metadata = Self::default();
        for _ in 0..reader.map(field)? {
            let unknown = reader.fault(field, Problem::Expected("a label, 1 to 8"));
            match reader.int(field)? {
                DEFAULT_PERMISSIONS => {
                    metadata.default_permissions = Some(Permissions::decode(
                        reader,
                        "suit-meta-default-permissions",
                    )?);
                }
                USER_PERMISSIONS => {
                    metadata.user_permissions = permissions(reader, "suit-meta-user-permissions")?;
                }
                GROUP_PERMISSIONS => {
                    metadata.group_permissions =
                        permissions(reader, "suit-meta-group-permissions")?;
                }
                ROLE_PERMISSIONS => {
                    metadata.role_permissions = permissions(reader, "suit-meta-role-permissions")?;
                }
                FILE_TYPE => metadata.file_type = Some(FileType::decode(reader)?),
                MODIFICATION_TIME => {
                    metadata.modification_time = Some(time(reader, "suit-meta-modification-time")?);
                }
                CREATION_TIME => {
                    metadata.creation_time = Some(time(reader, "suit-meta-creation-time")?);
                }
                CREATOR => metadata.creator = Some(Actor::decode(reader, "suit-meta-creator")?),
                _ => return Err(unknown),
            }
        }
        Ok(metadata)
    }

    /// Writes the map, deterministically.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let mut map = MapEncoder::default();
        if let Some(Permissions(bits)) = self.default_permissions {
            map.unsigned(DEFAULT_PERMISSIONS, bits.into());
        }
        for (label, permissions) in [
            (USER_PERMISSIONS, &self.user_permissions),
            (GROUP_PERMISSIONS, &self.group_permissions),
            (ROLE_PERMISSIONS, &self.role_permissions),
        ] {
            if permissions.is_empty() {
                continue;
            }
            let mut actors = MapEncoder::default();
            for (actor, Permissions(bits)) in permissions {
                actors.keyed(deterministic::encoded(|e| actor.encode(e)), |e| {
                    e.u16(*bits).expect(INFALLIBLE);
                });
            }
            map.entry(label, |e| actors.finish(e));
        }
        if let Some(file_type) = self.file_type {
            map.unsigned(FILE_TYPE, file_type as u64);
        }
        for (label, time) in [
            (MODIFICATION_TIME, self.modification_time),
            (CREATION_TIME, self.creation_time),
        ] {
            if let Some(seconds) = time {
                map.entry(label, |e| {
                    e.writer_mut().push(TAG_1_HEAD);
                    e.u64(seconds).expect(INFALLIBLE);
                });
            }
        }
        if let Some(creator) = self.creator {
            map.entry(CREATOR, |e| creator.encode(e));
        }
        map.finish(encoder);
    }
}

impl Permissions {
    /// May go through the directory, or execute the file.
    pub const TRAVERSE_OR_EXECUTE: Self = Self(1);
    /// May create a file in the directory, or write the file.
    pub const CREATE_OR_WRITE: Self = Self(1 << 1);
    /// May list the directory, or read the file.
    pub const LIST_OR_READ: Self = Self(1 << 2);
    /// May create a directory in it, or append to the file.
    pub const CREATE_DIRECTORY_OR_APPEND: Self = Self(1 << 3);
    /// May read its attributes.
    pub const READ_ATTRIBUTES: Self = Self(1 << 4);
    /// May read its permissions.
    pub const READ_PERMISSIONS: Self = Self(1 << 5);
    /// May change its permissions.
    pub const CHANGE_PERMISSIONS: Self = Self(1 << 6);
    /// May change its owner.
    pub const CHANGE_OWNER: Self = Self(1 << 7);
    /// May write its attributes.
    pub const WRITE_ATTRIBUTES: Self = Self(1 << 8);
    /// May delete it with everything in it.
    pub const RECURSIVELY_DELETE: Self = Self(1 << 9);
    /// May delete it.
    pub const DELETE: Self = Self(1 << 10);
    /// May use it for synchronization.
    pub const SYNCHRONIZE: Self = Self(1 << 11);
    /// May read its extended attributes.
    pub const READ_EXTENDED_ATTRIBUTES: Self = Self(1 << 12);
    /// May write its extended attributes.
    pub const WRITE_EXTENDED_ATTRIBUTES: Self = Self(1 << 13);
    /// Everything.
    pub const ALL: Self = Self((1 << 14) - 1);

    /// Whether all bits of `wanted` are set.
    #[must_use]
    pub const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    fn decode(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, Malformed> {
        let fault = reader.fault(field, Problem::Expected("permissions of bits 0 to 13"));
        match u16::try_from(reader.uint(field)?) {
            Ok(bits) if bits <= Self::ALL.0 => Ok(Self(bits)),
            _ => Err(fault),
        }
    }
}

impl<'a> Actor<'a> {
    fn decode(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, Malformed> {
        let fault = |reader: &Reader<'_>, what| reader.fault(field, Problem::Expected(what));
        let other = fault(reader, "a number, bytes, a name, or a UUID of tag 37");
        Ok(match reader.kind(field)? {
            Kind::Integer => Self::Number(reader.int(field)?),
            Kind::Bytes => Self::Bytes(reader.bytes(field)?),
            Kind::Text => {
                let unprintable = fault(reader, "a name that can be printed");
                let name = reader.text(field)?;
                if !name.chars().all(is_printable) {
                    return Err(unprintable);
                }
                Self::Name(name)
            }
            Kind::Tag if reader.tag(field)? == UUID_TAG => {
                let bytes = reader.bytes_of(field, 16..=16, "a UUID of 16 bytes")?;
                Self::Uuid(bytes.try_into().expect("checked to be 16 bytes"))
            }
            _ => return Err(other),
        })
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        match self {
            Self::Number(number) => encoder.i64(*number),
            Self::Bytes(bytes) => encoder.bytes(bytes),
            Self::Name(name) => encoder.str(name),
            Self::Uuid(uuid) => {
                encoder.writer_mut().extend(TAG_37_HEAD);
                encoder.bytes(*uuid)
            }
        }
        .expect(INFALLIBLE);
    }
}

impl FileType {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let fault = reader.fault("suit-meta-file-type", Problem::Expected("a type, 1 to 3"));
        match reader.int("suit-meta-file-type")? {
            1 => Ok(Self::Regular),
            2 => Ok(Self::Directory),
            3 => Ok(Self::Symlink),
            _ => Err(fault),
        }
    }
}

/// A map that is not empty, of actors to their permissions.
fn permissions<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<BTreeMap<Actor<'a>, Permissions>, Malformed> {
    let empty = reader.fault(field, Problem::Expected("one actor at least"));
    let mut permissions = BTreeMap::new();
    for _ in 0..reader.map(field)? {
        let actor = Actor::decode(reader, field)?;
        permissions.insert(actor, Permissions::decode(reader, field)?);
    }
    if permissions.is_empty() {
        Err(empty)
    } else {
        Ok(permissions)
    }
}

/// Seconds since the epoch, with the tag that says so.
fn time(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, Malformed> {
    let fault = reader.fault(field, Problem::Expected("a time of tag 1"));
    match reader.tag(field)? {
        1 => reader.uint(field),
        _ => Err(fault),
    }
}

/// Section 4.6: no control, formatting or separating characters but spaces. Of the formatting ones, those
/// are refused here that can turn or hide what people read.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

impl fmt::Display for ComponentMetadata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        if let Some(permissions) = self.default_permissions {
            write!(f, ", everybody {permissions}")?;
        }
        for (what, permissions) in [
            ("user", &self.user_permissions),
            ("group", &self.group_permissions),
            ("role", &self.role_permissions),
        ] {
            for (actor, permissions) in permissions {
                write!(f, ", {what} {actor} {permissions}")?;
            }
        }
        if let Some(seconds) = self.modification_time {
            write!(f, ", changed {seconds} seconds since the epoch")?;
        }
        if let Some(seconds) = self.creation_time {
            write!(f, ", made {seconds} seconds since the epoch")?;
        }
        match self.creator {
            Some(creator) => write!(f, ", by {creator}"),
            None => Ok(()),
        }
    }
}

/// Octal; the last digit is that of `chmod`.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#o}", self.0)
    }
}

impl fmt::Display for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, bytes) = match self {
            Self::Number(number) => return write!(f, "{number}"),
            // Quoted, so that no text can steer a terminal.
            Self::Name(name) => return write!(f, "{name:?}"),
            Self::Bytes(bytes) => ("h'", *bytes),
            Self::Uuid(uuid) => ("uuid h'", &uuid[..]),
        };
        f.write_str(prefix)?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("'")
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
        })
    }
}

const DEFAULT_PERMISSIONS: i64 = 1;
const USER_PERMISSIONS: i64 = 2;
const GROUP_PERMISSIONS: i64 = 3;
const ROLE_PERMISSIONS: i64 = 4;
const FILE_TYPE: i64 = 5;
const MODIFICATION_TIME: i64 = 6;
const CREATION_TIME: i64 = 7;
const CREATOR: i64 = 8;
/// Head of tag 1, epoch-based time (RFC 8949 section 3.4.2).
const TAG_1_HEAD: u8 = 0xc1;
/// A UUID.
const UUID_TAG: u64 = 37;
const TAG_37_HEAD: [u8; 2] = [0xd8, 37];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> Result<ComponentMetadata<'_>, Malformed> {
        ComponentMetadata::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE)?)
    }

    fn everything() -> ComponentMetadata<'static> {
        let actors = [
            (Actor::Number(-1), Permissions(1)),
            (Actor::Number(1000), Permissions::ALL),
            (Actor::Bytes(b"\xab"), Permissions(2)),
            (Actor::Name("root"), Permissions(4)),
            (Actor::Uuid(&[0x11; 16]), Permissions(0o755)),
        ];
        ComponentMetadata {
            default_permissions: Some(Permissions(5)),
            user_permissions: actors.into(),
            group_permissions: actors[..1].iter().copied().collect(),
            role_permissions: actors[3..4].iter().copied().collect(),
            file_type: Some(FileType::Directory),
            modification_time: Some(1_700_000_000),
            creation_time: Some(0),
            creator: Some(Actor::Uuid(&[0x22; 16])),
        }
    }

    #[test]
    fn everything_survives() {
        for metadata in [everything(), ComponentMetadata::default()] {
            let bytes = deterministic::encoded(|e| metadata.encode(e));
            assert_eq!(decode(&bytes).unwrap(), metadata);
            assert!(deterministic::read(&bytes, 0, "t", &Limits::MESSAGE).is_ok());
        }
    }

    #[test]
    fn people_read_it_so() {
        assert_eq!(ComponentMetadata::default().to_string(), "regular file");
        assert_eq!(
            ComponentMetadata {
                user_permissions: [(Actor::Name("root"), Permissions(0o755))].into(),
                ..everything()
            }
            .to_string(),
            "directory, everybody 0o5, user \"root\" 0o755, group -1 0o1, role \"root\" 0o4, changed \
             1700000000 seconds since the epoch, made 0 seconds since the epoch, by uuid \
             h'22222222222222222222222222222222'"
        );
    }

    /// Proves: S-122
    #[test]
    fn malformed_metadata_is_refused() {
        assert!(decode(&[0xa1, 5, 3]).is_ok());
        for (bytes, offset) in [
            (&[0x80][..], 0),                        // no map
            (&[0xa1, 0, 1], 1),                      // label 0
            (&[0xa1, 9, 1], 1),                      // label 9
            (&[0xa1, 1, 0x19, 0x40, 0], 2),          // bit 14
            (&[0xa1, 1, 0x1a, 0, 1, 0, 0], 2),       // bit 16
            (&[0xa1, 1, 0x20], 2),                   // negative
            (&[0xa1, 2, 0xa0], 2),                   // nobody
            (&[0xa1, 3, 0xa1, 0xf5, 1], 3),          // a group that is true
            (&[0xa1, 4, 0xa2, 1, 1, 1, 1], 6),       // a role twice
            (&[0xa1, 5, 0], 2),                      // file type 0
            (&[0xa1, 5, 4], 2),                      // file type 4
            (&[0xa1, 6, 1], 2),                      // a time without its tag
            (&[0xa1, 7, 0xc0, 1], 2),                // a time of another tag
            (&[0xa1, 7, 0xc1, 0x20], 3),             // a time before the epoch
            (&[0xa1, 8, 0xd8, 37, 0x41, 1], 4),      // a short UUID
            (&[0xa1, 8, 0xd8, 38, 0x40], 2),         // another tag
            (&[0xa1, 8, 0x61, 0x1b], 2),             // the escape character
            (&[0xa1, 8, 0x63, 0xe2, 0x80, 0xae], 2), // what turns text round
        ] {
            assert_eq!(decode(bytes).unwrap_err().offset, offset, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn metadata_survives(
            bits in prop::option::of(0..=Permissions::ALL.0),
            numbers in prop::collection::btree_map(any::<i64>(), 0..=Permissions::ALL.0, 0..5),
            times: (Option<u64>, Option<u64>),
            name in "[a-z ]{0,30}",
            bytes: Vec<u8>,
        ) {
            let metadata = ComponentMetadata {
                default_permissions: bits.map(Permissions),
                user_permissions: numbers
                    .into_iter()
                    .map(|(number, bits)| (Actor::Number(number), Permissions(bits)))
                    .chain([(Actor::Bytes(&bytes), Permissions::DELETE)])
                    .collect(),
                modification_time: times.0,
                creation_time: times.1,
                creator: Some(Actor::Name(&name)),
                ..ComponentMetadata::default()
            };
            let encoded = deterministic::encoded(|e| metadata.encode(e));
            prop_assert_eq!(decode(&encoded).unwrap(), metadata);
        }

        #[test]
        fn any_bytes_are_refused_or_survive(bytes: Vec<u8>) {
            if let Ok(metadata) = decode(&bytes) {
                let again = deterministic::encoded(|e| metadata.encode(e));
                prop_assert_eq!(decode(&again).unwrap(), metadata);
            }
        }
    }
}
