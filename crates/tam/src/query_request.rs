//! The QueryRequest that answers an empty POST (draft section 4.2).

use alloc::vec::Vec;

use teep::{
    CipherSuite, DataItems, Generation, Message, PROTOCOL_VERSION, QueryRequest, SuitCoseProfile,
};
use teep_cose::sign_with_each;

use crate::Tam;

pub(crate) fn make(
    tam: &Tam,
    generation: &'static Generation,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Vec<u8> {
    let request = QueryRequest {
        // T-015 (4.2) no token, since attestation is asked for; the challenge proves freshness.
        challenge: Some(tam.minter.challenge(now, random)),
        // T-034, P-26: only where it is usual, since version 0 need not be said.
        versions: match generation.has_versions_in_query_request {
            true => alloc::vec![PROTOCOL_VERSION],
            false => Vec::new(),
        },
        // T-026, T-164 (4.2, 8) both mandatory suites.
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        // T-027, T-179 (4.2, 8.2) all four profiles.
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    };
    let payload = Message::QueryRequest(request).encode(generation);
    match generation.query_request_is_signed_by_each {
        // T-169 (8) the Agent is unknown, so one signature for each suite.
        true => sign_with_each(&payload, &[&tam.esp256, &tam.ed25519]),
        // Older Agents read a COSE_Sign1 only. One that has the other suite says so in an Error.
        false => generation.sign1(&payload).sign(&tam.esp256),
    }
}
