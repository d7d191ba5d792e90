//! Entity Attestation Tokens for TEEP: claims, Evidence, Attestation Results
