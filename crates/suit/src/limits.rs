//! Bounds that no manifest can raise.

use teep_cose::cbor;

/// Bounds on an envelope and what it holds, each against an attack by its author or sender (S-161).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole envelope, integrated payloads included: against memory exhaustion.
    pub envelope: usize,
    /// Items in one piece of CBOR: against time exhaustion by many tiny items.
    pub items: usize,
    /// Levels of arrays, maps and tags in one piece of CBOR: against stack exhaustion.
    pub depth: usize,
    /// Authentication blocks: each costs a signature check by each trusted key.
    pub blocks: usize,
    /// Components of one manifest: each costs parameter storage.
    pub components: usize,
    /// Dependencies of one manifest.
    pub dependencies: usize,
    /// Commands in one section, those of nested sequences included: against endless runs.
    pub commands: usize,
    /// Levels of nested sequences (try-each, run-sequence): against stack exhaustion.
    pub nesting: usize,
    /// Alternatives of one try-each.
    pub alternatives: usize,
}

impl Limits {
    /// Enough for every published example many times over: 1 MiB, 8 blocks, 64 components, 1,024 commands.
    pub const DEFAULT: Self = Self {
        envelope: 1 << 20,
        items: 4096,
        depth: 16,
        blocks: 8,
        components: 64,
        dependencies: 16,
        commands: 1024,
        nesting: 8,
        alternatives: 16,
    };

    pub(crate) const fn cbor(&self) -> cbor::Limits {
        cbor::Limits {
            bytes: self.envelope,
            depth: self.depth,
            items: self.items,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
