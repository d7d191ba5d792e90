//! Any bytes: reading a SUIT Report, protected or not, and the small things that travel beside it (claims
//! about components, capabilities, what to wait for, names and versions as text) never panics, and what was
//! read is written as it was.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use suit::report::protect;
use suit::{
    CapabilityReport, ComponentIdentifier, Report, SystemPropertyClaims, Version, WaitInfo,
};
use teep_cose::cbor::{Encoder, Limits, Malformed, Reader};
use teep_cose::mac::MacKey;
use teep_cose::{Algorithm, SigningKey};
use teep_fuzz::seeds;
use teep_lab::{World, read, reports};

fuzz_target!(init: seeds::write(inputs), |input: &[u8]| {
    if let Ok(report) = Report::decode(input) {
        assert_eq!(Report::decode(&report.encode()), Ok(report));
    }
    let _ = protect::Content::decode(input);
    // Nobody has these keys.
    assert!(protect::verify(input, &KEY.public_key()).is_err());
    assert!(protect::verify_mac(input, &MacKey::new([1; 32])).is_err());
    if let Ok(claims) = decoded(input, SystemPropertyClaims::decode) {
        let encoded = encoded(|out| claims.encode(out));
        assert_eq!(decoded(&encoded, SystemPropertyClaims::decode), Ok(claims));
    }
    if let Ok(report) = decoded(input, CapabilityReport::decode) {
        let encoded = encoded(|out| report.encode(out));
        assert_eq!(decoded(&encoded, CapabilityReport::decode), Ok(report));
    }
    if let Ok(info) = decoded(input, WaitInfo::decode) {
        let encoded = encoded(|out| info.encode(out));
        assert_eq!(decoded(&encoded, WaitInfo::decode), Ok(info));
    }
    if let Ok(text) = str::from_utf8(input) {
        if let Ok(id) = text.parse::<ComponentIdentifier>() {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        if let Ok(version) = text.parse::<Version>() {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
    }
});

fn decoded<'a, T>(
    bytes: &'a [u8],
    decode: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    decode(&mut Reader::new(bytes, "input", &Limits::MESSAGE)?)
}

fn encoded(encode: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut Encoder::new(&mut bytes));
    bytes
}

/// The reports and claims of an exchange, and texts.
fn inputs() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for message in seeds::messages().iter().filter_map(|bytes| read(bytes)) {
        inputs.extend(reports(&message).iter().map(Report::encode));
        if let teep::Message::QueryResponse(response) = &message {
            let claims = response.tc_list.iter().flatten();
            inputs.extend(claims.map(|claims| encoded(|out| claims.encode(out))));
        }
    }
    let texts = ["TEEP-Device/counter/ta", ">=1.2.3", "<2.0-rc.1"];
    inputs.extend(texts.map(|text| text.as_bytes().to_vec()));
    inputs
}

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Ed25519, &mut World::new(7).random));
