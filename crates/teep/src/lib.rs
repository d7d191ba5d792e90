//! The five messages of the TEEP protocol and the number tables of its registry.
//!
//! Follows draft-ietf-teep-protocol-26. A message is decoded from, and encoded to, the payload of a
//! COSE_Sign1 or COSE_Sign; signatures are `teep_cose`'s business, and whether a message may be sent or
//! believed is for the TAM and the Agent to decide. The contract: what decodes has the types and sizes
//! that the draft asks of everyone, and what is encoded again is the same message.
//!
//! - Options are accepted in any order and written in the order of the draft's CDDL.
//! - A label above 23 that we do not know is ignored; one up to 23 is listed in `unknown_labels`, so that an
//!   Agent can answer ERR_UNSUPPORTED_EXTENSION.
//! - Algorithms, profiles and mechanisms that we do not know are kept and never fatal.
//! - SUIT Reports, manifests and attestation payloads are kept as the bytes they came in.
//!
//! Programs in use speak four generations of the protocol, which differ in their numbers and in more:
//! [`Generation`] is the table of that, and a message is encoded and decoded by one of its rows.
//!
//! ```
//! use teep::{CipherSuite, DataItems, Generation, Message, QueryRequest, SuitCoseProfile, Token};
//! use teep_cose::cbor::Limits;
//!
//! let request = Message::QueryRequest(QueryRequest {
//!     token: Some(Token::new([0xa0; 16])?), // A real one is random.
//!     supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
//!     supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
//!     data_item_requested: DataItems::TRUSTED_COMPONENTS,
//!     ..QueryRequest::default()
//! });
//! let generation = &Generation::DRAFT_26;
//! let payload = request.encode(generation);
//! assert_eq!(Message::decode(&payload, generation, &Limits::MESSAGE)?, request);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]
extern crate alloc;

pub mod attestation_payload;
pub mod cipher_suite;
pub mod data_items;
pub mod error_code;
pub mod error_message;
pub mod freshness;
pub mod generation;
pub mod item;
pub mod message;
pub mod numbers;
mod options;
pub mod query_request;
pub mod query_response;
pub mod recognise;
pub mod success;
pub mod suit_cose_profile;
pub mod text;
pub mod token;
pub mod update;
mod writer;

pub use attestation_payload::AttestationPayload;
pub use cipher_suite::CipherSuite;
pub use data_items::DataItems;
pub use error_code::ErrorCode;
pub use error_message::ErrorMessage;
pub use freshness::FreshnessMechanism;
pub use generation::{Generation, ProfileForm};
pub use item::Item;
pub use message::Message;
pub use numbers::{Label, MessageType, Numbers};
pub use query_request::{Inconsistency, QueryRequest};
pub use query_response::{QueryResponse, RequestedTrustedComponent};
pub use recognise::{recognise, recognise_generation};
pub use success::Success;
pub use suit_cose_profile::SuitCoseProfile;
pub use text::{LanguageTag, Text};
pub use token::{Challenge, Token, WrongSize};
pub use update::Update;

/// The media type of TEEP messages over HTTP.
pub const MEDIA_TYPE: &str = "application/teep+cbor";

/// The only version of the protocol there is so far.
pub const PROTOCOL_VERSION: u32 = 0;
