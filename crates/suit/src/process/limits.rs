//! How much an authorised manifest may do.

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
    /// Bytes that one procedure stores in all components together, each time it stores them: against a
    /// manifest that copies or fetches the same large component over and over.
    pub procedure_bytes: u64,
    /// Records kept for the report: against a report that does not fit into a message.
    pub records: usize,
}

impl Default for Limits {
    /// Generous for a Trusted Application, small for a TEE: 4,096 steps, URIs of 2,048 bytes, content of
    /// 64 KiB, payloads of 256 MiB and 32 records.
    fn default() -> Self {
        Self {
            steps: 4096,
            uri_bytes: 2048,
            content_bytes: 64 << 10,
            payload_bytes: 256 << 20,
            procedure_bytes: 1 << 30,
            records: 32,
        }
    }
}
