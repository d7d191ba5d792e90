//! The header parameter `x5chain` (RFC 9360): the certificates of the key that signed.

use alloc::vec::Vec;

use coset::cbor::Value;
use coset::{Header, HeaderBuilder, Label};

use crate::x509::Certificate;

/// COSE_X509 (RFC 9360 section 2): one certificate stands alone, several in an array.
pub(super) fn write(builder: HeaderBuilder, chain: &[Certificate]) -> HeaderBuilder {
    let certificate = |certificate: &Certificate| Value::Bytes(certificate.as_der().to_vec());
    match chain {
        [] => builder,
        [only] => builder.value(X5CHAIN, certificate(only)),
        several => builder.value(
            X5CHAIN,
            Value::Array(several.iter().map(certificate).collect()),
        ),
    }
}

/// The certificates of `x5chain`, none if it is absent; `None` if it is malformed.
pub(super) fn read(header: &Header) -> Option<Vec<Vec<u8>>> {
    let mut rest = header.rest.iter();
    match rest.find(|(label, _)| *label == Label::Int(X5CHAIN)) {
        None => Some(Vec::new()),
        Some((_, Value::Bytes(only))) => Some(alloc::vec![only.clone()]),
        Some((_, Value::Array(several))) if (1..=MAX_CHAIN).contains(&several.len()) => {
            several.iter().map(|der| der.as_bytes().cloned()).collect()
        }
        Some(_) => None,
    }
}

/// The signer's certificate and six authorities' above it, as many as a path may have.
const MAX_CHAIN: usize = 7;
/// COSE header parameter `x5chain`, RFC 9360.
const X5CHAIN: i64 = 33;
