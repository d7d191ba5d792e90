//! Bytes as people and URIs have them: lower-case hexadecimal.

use teep_cose::Thumbprint;

/// Two digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly 64 hexadecimal digits, of either case.
pub(crate) fn decode_32(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
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
    }
}
