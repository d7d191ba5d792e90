//! The QueryRequest that answers an empty POST (draft section 4.2).

use alloc::vec::Vec;

use teep::{CipherSuite, DataItems, Message, QueryRequest, SuitCoseProfile};
use teep_cose::sign_with_each;

use crate::{GENERATION, Tam};

pub(crate) fn make(tam: &Tam, now: u64, random: &mut dyn rand_core::CryptoRng) -> Vec<u8> {
    let request = QueryRequest {
        // T-015 (4.2) no token, since attestation is asked for; the challenge proves freshness.
        challenge: Some(tam.minter.challenge(now, random)),
        // T-026, T-164 (4.2, 8) both mandatory suites.
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        // T-027, T-179 (4.2, 8.2) all four profiles.
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    };
    // T-169 (8) the Agent is unknown, so one signature for each suite.
    let payload = Message::QueryRequest(request).encode(GENERATION);
    sign_with_each(&payload, &[&tam.esp256, &tam.ed25519])
}
