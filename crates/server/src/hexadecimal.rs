//! Bytes as people and URIs have them: lower-case hexadecimal.

use teep_cose::Thumbprint;

/// Two digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly 64 hexadecimal digits, of either case.
pub(crate) fn decode_32(text: &str) -> Option<[u8; 32]> {
    decode(text)?.try_into().ok()
}

/// Hexadecimal digits of either case, two for each byte.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?);
    pairs.map(byte).collect()
}

/// A thumbprint as [`Thumbprint`] shows itself.
pub(crate) fn thumbprint(text: &str) -> Option<Thumbprint> {
    decode_32(text).map(Thumbprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_and_is_strict() {
        assert_eq!(decode_32(&encode(&[0xa5; 32])), Some([0xa5; 32]));
        for wrong in [
            "",
            "a5",
            &"g0".repeat(32),
            &"a5".repeat(33),
            &"\u{e9}".repeat(32),
        ] {
            assert_eq!(decode_32(wrong), None, "{wrong}");
        }
        assert_eq!(decode("A5ff"), Some(vec![0xa5, 0xff]));
        assert_eq!((decode("a5f"), decode("g0")), (None, None));
    }
}
