//! Any of the five messages: an array of type, options and what follows them.

use alloc::vec::Vec;

use teep_cose::Malformed;
use teep_cose::cbor::{Limits, Problem, Reader};

use crate::Generation;
use crate::numbers::MessageType;
use crate::writer::Writer;
use crate::{ErrorMessage, QueryRequest, QueryResponse, Success, Token, Update};

/// A TEEP message (section 4), without its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// From the TAM: what do you support, and what do you have?
    QueryRequest(QueryRequest),
    /// From the Agent: this.
    QueryResponse(QueryResponse),
    /// From the TAM: install and remove this.
    Update(Update),
    /// From the Agent: done.
    Success(Success),
    /// From the Agent: not done, because.
    Error(ErrorMessage),
}

impl Message {
    /// Decodes the payload of a signed message.
    ///
    /// # Errors
    /// [`Malformed`], with the field as the draft spells it, if the payload is not one CBOR item within
    /// `limits` or not a message of this generation.
    pub fn decode(
        payload: &[u8],
        generation: &Generation,
        limits: &Limits,
    ) -> Result<Self, Malformed> {
        // T-011 (4.1.2) valid CBOR, no duplicate labels: else two readers could see two messages.
        let mut reader = Reader::new(payload, "TEEP message", limits)?;
        let start = reader.clone();
        let elements = reader.array("TEEP message")?;
        let unknown_type = reader.fault("type", Problem::Expected("a TEEP message type"));
        // T-014 (4.1.2) then the fields against the draft, beginning with type and number of elements.
        let message_type = generation
            .numbers
            .message_type(reader.uint("type")?)
            .ok_or(unknown_type)?;
        let (expected, length) = elements_of(message_type);
        if elements != expected {
            return Err(start.fault(message_type.name(), Problem::Expected(length)));
        }
        Ok(match message_type {
            MessageType::QueryRequest => {
                Self::QueryRequest(QueryRequest::decode(&mut reader, generation)?)
            }
            MessageType::QueryResponse => {
                Self::QueryResponse(QueryResponse::decode(&mut reader, generation)?)
            }
            MessageType::Update => Self::Update(Update::decode(&mut reader, generation)?),
            MessageType::Success => Self::Success(Success::decode(&mut reader, generation)?),
            MessageType::Error => Self::Error(ErrorMessage::decode(&mut reader, generation)?),
        })
    }

    /// Encodes the message: the payload to be signed.
    #[must_use]
    pub fn encode(&self, generation: &Generation) -> Vec<u8> {
        let message_type = self.message_type();
        let mut writer = Writer::new();
        let (elements, _) = elements_of(message_type);
        writer.array(elements as usize);
        writer.uint(generation.numbers.message_type_number(message_type));
        match self {
            Self::QueryRequest(message) => message.encode(&mut writer, generation),
            Self::QueryResponse(message) => message.encode(&mut writer, generation),
            Self::Update(message) => message.encode(&mut writer, generation),
            Self::Success(message) => message.encode(&mut writer, generation),
            Self::Error(message) => message.encode(&mut writer, generation),
        }
        writer.finish()
    }

    /// Which of the five it is.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::QueryRequest(_) => MessageType::QueryRequest,
            Self::QueryResponse(_) => MessageType::QueryResponse,
            Self::Update(_) => MessageType::Update,
            Self::Success(_) => MessageType::Success,
            Self::Error(_) => MessageType::Error,
        }
    }

    /// Its token, if it has one.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        match self {
            Self::QueryRequest(message) => message.token.as_ref(),
            Self::QueryResponse(message) => message.token.as_ref(),
            Self::Update(message) => message.token.as_ref(),
            Self::Success(message) => message.token.as_ref(),
            Self::Error(message) => message.token.as_ref(),
        }
    }

    /// The labels up to 23 in it that were not understood.
    #[must_use]
    pub fn unknown_labels(&self) -> &[u64] {
        match self {
            Self::QueryRequest(message) => &message.unknown_labels,
            Self::QueryResponse(message) => &message.unknown_labels,
            Self::Update(message) => &message.unknown_labels,
            Self::Success(message) => &message.unknown_labels,
            Self::Error(message) => &message.unknown_labels,
        }
    }
}

/// How many elements the array of a message has, and the same in words.
const fn elements_of(message_type: MessageType) -> (u64, &'static str) {
    match message_type {
        MessageType::QueryRequest => (5, "an array of 5"),
        MessageType::QueryResponse | MessageType::Update | MessageType::Success => {
            (2, "an array of 2")
        }
        MessageType::Error => (3, "an array of 3"),
    }
}
