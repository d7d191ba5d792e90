//! CBOR within limits, COSE signatures, keys, thumbprints and trust anchors for TEEP, SUIT and EAT
