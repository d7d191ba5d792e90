//! Evidence or an Attestation Result in a message, which TEEP carries without looking into it.

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::numbers::Label;
use crate::options::OptionsWriter;

/// attestation-payload with its attestation-payload-format (4.2, 4.3, 4.4).
///
/// The same pair carries the TAM's Evidence or Attestation Result in QueryRequest, the Agent's in
/// QueryResponse, and an Attestation Result for the Agent in Update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationPayload {
    /// The media type of the payload with its parameters; `None` means an EAT in a CWT with the TEEP
    /// profile, so it must be there for anything else (T-035, T-042, T-060).
    pub format: Option<String>,
    /// The payload. May be empty, as it is in the draft's example.
    pub bytes: Vec<u8>,
}

/// The two options while they are read, in whatever order they come.
#[derive(Default)]
pub(crate) struct Parts {
    format: Option<String>,
    bytes: Option<Vec<u8>>,
}

impl Parts {
    pub(crate) fn read_format(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let format = reader.text(Label::AttestationPayloadFormat.name())?;
        self.format = Some(format.into());
        Ok(())
    }

    pub(crate) fn read_payload(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let bytes = reader.bytes(Label::AttestationPayload.name())?;
        self.bytes = Some(bytes.to_vec());
        Ok(())
    }

    /// A format without a payload describes nothing and is dropped.
    pub(crate) fn together(self) -> Option<AttestationPayload> {
        let bytes = self.bytes?;
        Some(AttestationPayload {
            format: self.format,
            bytes,
        })
    }
}

pub(crate) fn write(payload: Option<&AttestationPayload>, options: &mut OptionsWriter<'_>) {
    let format = payload.and_then(|payload| payload.format.as_deref());
    options.optional(Label::AttestationPayloadFormat, format, |format, writer| {
        writer.text(format);
    });
    let bytes = payload.map(|payload| payload.bytes.as_slice());
    options.optional(Label::AttestationPayload, bytes, |bytes, writer| {
        writer.bytes(bytes);
    });
}
