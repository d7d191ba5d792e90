//! COSE (RFC 9052, RFC 9053, RFC 9679, RFC 9864) and its IANA registries.

use super::super::kind::Element as E;
use super::super::kind::Field as F;
use super::super::kind::Kind::{self, *};
use super::eat;

/// COSE_Sign1.
pub(crate) static SIGN1: Kind = Signed(&Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("payload", &Payload),
        E("signature", &Any),
    ],
    &Any,
));

/// COSE_Sign.
pub(crate) static SIGN: Kind = Signed(&Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("payload", &Payload),
        E("signatures", &List(&SIGNATURE)),
    ],
    &Any,
));

static SIGNATURE: Kind = Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("signature", &Any),
    ],
    &Any,
);

/// COSE_Mac0.
pub(crate) static MAC0: Kind = Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("payload", &Payload),
        E("tag", &Any),
    ],
    &Any,
);

/// COSE_Mac.
pub(crate) static MAC: Kind = Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("payload", &Payload),
        E("tag", &Any),
        E("recipients", &List(&RECIPIENT)),
    ],
    &Any,
);

/// COSE_Encrypt0.
pub(crate) static ENCRYPT0: Kind = Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("ciphertext", &Any),
    ],
    &Any,
);

/// COSE_Encrypt.
pub(crate) static ENCRYPT: Kind = Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("ciphertext", &Any),
        E("recipients", &List(&RECIPIENT)),
    ],
    &Any,
);

static RECIPIENT: Kind = Tuple(
    &[
        E("protected", &PROTECTED),
        E("unprotected", &HEADERS),
        E("ciphertext", &Any),
        E("recipients", &List(&RECIPIENT)),
    ],
    &Any,
);

static PROTECTED: Kind = Embedded(&HEADERS);

/// Header parameters.
static HEADERS: Kind = Map(
    &[
        F(1, "alg", &ALGORITHM),
        F(2, "crit", &Any),
        F(3, "content-type", &Any),
        F(4, "kid", &Any),
        F(5, "IV", &Any),
        F(6, "partial-IV", &Any),
        F(14, "kccs", &eat::CLAIMS),
        F(15, "CWT-claims", &eat::CLAIMS),
        F(16, "typ", &Any),
        F(33, "x5chain", &Any),
        F(34, "x5t", &Any),
        F(-1, "ephemeral-key", &KEY),
        F(-2, "static-key", &KEY),
        F(-3, "static-key-id", &Any),
        F(-20, "salt", &Any),
    ],
    &Any,
);

/// COSE_Key.
pub(crate) static KEY: Kind = Map(
    &[
        F(
            1,
            "kty",
            &Number(&[(1, "OKP"), (2, "EC2"), (4, "symmetric"), (5, "HSS-LMS")]),
        ),
        F(2, "kid", &Any),
        F(3, "alg", &ALGORITHM),
        F(4, "key_ops", &Any),
        // Of a symmetric key this is the key itself, a byte string.
        F(-1, "crv", &Either(&[&Number(&CURVES), &Secret])),
        F(-2, "x", &Any),
        F(-3, "y", &Any),
        F(-4, "d", &Secret),
    ],
    &Any,
);

/// An algorithm number.
pub(crate) static ALGORITHM: Kind = Number(&ALGORITHMS);

/// IANA COSE Algorithms: those that TEEP and SUIT texts name.
pub(crate) static ALGORITHMS: [(i64, &str); 39] = [
    (1, "A128GCM"),
    (2, "A192GCM"),
    (3, "A256GCM"),
    (4, "HMAC 256-64"),
    (5, "HMAC 256"),
    (6, "HMAC 384"),
    (7, "HMAC 512"),
    (10, "AES-CCM-16-64-128"),
    (24, "ChaCha20-Poly1305"),
    (-3, "A128KW"),
    (-4, "A192KW"),
    (-5, "A256KW"),
    (-6, "direct"),
    (-7, "ES256"),
    (-8, "EdDSA"),
    (-9, "ESP256"),
    (-10, "direct+HKDF-SHA-256"),
    (-16, "SHA-256"),
    (-18, "SHAKE128"),
    (-19, "Ed25519"),
    (-25, "ECDH-ES + HKDF-256"),
    (-29, "ECDH-ES + A128KW"),
    (-31, "ECDH-ES + A256KW"),
    (-35, "ES384"),
    (-36, "ES512"),
    (-43, "SHA-384"),
    (-44, "SHA-512"),
    (-45, "SHAKE256"),
    (-46, "HSS-LMS"),
    (-48, "ML-DSA-44"),
    (-49, "ML-DSA-65"),
    (-50, "ML-DSA-87"),
    (-51, "ESP384"),
    (-52, "ESP512"),
    (-53, "Ed448"),
    (-65532, "A256CTR"),
    (-65533, "A192CTR"),
    (-65534, "A128CTR"),
    (-65535, "SHA-1"),
];

/// IANA COSE Elliptic Curves.
pub(crate) static CURVES: [(i64, &str); 6] = [
    (1, "P-256"),
    (2, "P-384"),
    (3, "P-521"),
    (4, "X25519"),
    (6, "Ed25519"),
    (7, "Ed448"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::kind::name_of;

    #[test]
    fn algorithms_are_called_as_the_codec_calls_them() {
        for algorithm in teep_cose::Algorithm::ALL {
            let name = name_of(&ALGORITHMS, algorithm.number().into());
            assert_eq!(name, Some(algorithm.name()));
        }
    }
}
