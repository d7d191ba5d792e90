//! How much an authorised manifest may do, and where a text is read leniently.

/// Bounds on what one manifest can make its Recipient do, each against an attack (or an accident) of a
/// signer. The embedder sets them; nothing in a manifest can raise them (S-161).
///
/// They stand beside [`crate::Limits`], which bound what is read: size, components, commands, nesting
/// and alternatives were within those when the envelope was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Commands executed in one procedure, each counted once per component and once per repetition:
    /// against a small manifest that multiplies its work by nested sequences and lists of components.
    pub steps: usize,
    /// Bytes of a URI: against a report, log or request line that grows with it.
    pub uri_bytes: usize,
    /// Bytes of the parameter `content`, meant for tens of bytes: against payloads that go around
    /// `fetch` and its digests.
    pub content_bytes: usize,
    /// Bytes of one component's content, however it arrives: against a full storage. A fetch ends as
    /// soon as it goes over (S-162).
    pub payload_bytes: u64,
    /// Bytes that one procedure stores in all components together, or reads to look at them, each time it
    /// does: against a manifest that fetches, copies or compares the same large component over and over.
    pub procedure_bytes: u64,
    /// Records kept for the report: against a report that does not fit into a message.
    pub records: usize,
    /// Dependencies loaded in one procedure, those of dependencies included: each costs signature checks.
    pub dependencies: usize,
    /// Levels of dependencies below the root manifest: against stack growth and endless chains.
    pub dependency_depth: usize,
    /// Checks of dependencies' envelopes, and unwrappings of content keys, in one procedure: each takes
    /// milliseconds for each trusted key, and a manifest can ask for them over and over.
    pub key_operations: usize,
    /// Bytes of all dependencies' envelopes that are held in memory together.
    pub dependency_bytes: usize,
}

impl Default for Limits {
    /// Generous for a Trusted Application, small for a TEE: 4,096 steps, URIs of 2,048 bytes, content of
    /// 64 KiB, payloads of 256 MiB, 32 records; 16 dependencies, 4 levels deep, of 1 MiB together; 128
    /// checks and unwrappings by keys.
    fn default() -> Self {
        Self {
            steps: 4096,
            uri_bytes: 2048,
            content_bytes: 64 << 10,
            payload_bytes: 256 << 20,
            procedure_bytes: 1 << 30,
            records: 32,
            dependencies: 16,
            dependency_depth: 4,
            key_operations: 128,
            dependency_bytes: 1 << 20,
        }
    }
}

/// Where texts and published examples disagree, whether to take what the text forbids.
///
/// The default is strict. What each switch lets through is as safe as the strict way, only less explicit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leniency {
    /// P-01: a dependency whose index lies beyond `suit-components`; its prefix is then its component
    /// identifier. So in all published examples with dependencies.
    pub dependency_index: bool,
    /// P-02: `process-dependency` without `dependency-integrity` before it: the check is then made where
    /// it is missing. In a procedure without new content (uninstall, invocation) the digest may be
    /// missing, too: the dependency is the one that is installed, still signed by a trusted key.
    pub implied_integrity: bool,
    /// P-04: a section of a dependency that the dependent has no `process-dependency` for is left out.
    pub unprocessed_sections: bool,
    /// E-01: `fetch` with `encryption-info` set decrypts on the way into the component. The text gives
    /// the parameter to `write` and `copy` only.
    pub decrypt_on_fetch: bool,
}

impl Leniency {
    /// Everything that the published examples need (P-01, P-02, P-04).
    pub const PUBLISHED_EXAMPLES: Self = Self {
        dependency_index: true,
        implied_integrity: true,
        unprocessed_sections: true,
        decrypt_on_fetch: false,
    };
}

/// What an embedder sets for the processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Bounds.
    pub limits: Limits,
    /// Where to be lenient; nowhere by default.
    pub leniency: Leniency,
}
