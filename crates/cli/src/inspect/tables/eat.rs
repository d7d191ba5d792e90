//! Claims of EAT (RFC 9711), CWT (RFC 8392) and proof of possession (RFC 8747).

use super::super::kind::Element as E;
use super::super::kind::Field as F;
use super::super::kind::Kind::{self, *};
use super::{cose, suit};

/// A claims set.
pub(crate) static CLAIMS: Kind = Map(
    &[
        F(1, "iss", &Any),
        F(2, "sub", &Any),
        F(3, "aud", &Any),
        F(4, "exp", &Time),
        F(5, "nbf", &Time),
        F(6, "iat", &Time),
        F(7, "cti", &Any),
        F(8, "cnf", &CONFIRMATION),
        F(10, "eat_nonce", &Any),
        F(256, "ueid", &Any),
        F(257, "sueids", &Any),
        F(258, "oemid", &Any),
        F(259, "hwmodel", &Any),
        F(260, "hwversion", &VERSION),
        F(261, "uptime", &Any),
        F(262, "oemboot", &Any),
        F(263, "dbgstat", &Number(&DEBUG_STATES)),
        F(264, "location", &Any),
        F(265, "eat_profile", &Any),
        F(266, "submods", &MapTo(&Either(&[&CLAIMS, &Any]))),
        F(267, "bootcount", &Any),
        F(268, "bootseed", &Any),
        F(269, "dloas", &Any),
        F(270, "swname", &Any),
        F(271, "swversion", &VERSION),
        F(272, "manifests", &List(&MANIFEST)),
        F(273, "measurements", &List(&MANIFEST)),
        F(274, "measres", &Any),
        F(275, "intuse", &Any),
    ],
    &Any,
);

static CONFIRMATION: Kind = Map(
    &[
        F(1, "COSE_Key", &cose::KEY),
        F(2, "Encrypted_COSE_Key", &Any),
        F(3, "kid", &Any),
        F(5, "ckt", &Any),
    ],
    &Any,
);

static VERSION: Kind = Either(&[
    &Tuple(
        &[E("version", &Any), E("scheme", &Number(&VERSION_SCHEMES))],
        &Any,
    ),
    &Any,
]);

static MANIFEST: Kind = Tuple(
    &[
        E("content-type", &Any),
        E(
            "body",
            &Either(&[&Embedded(&suit::REFERENCE), &suit::REFERENCE, &Any]),
        ),
    ],
    &Any,
);

/// CoSWID version schemes (RFC 9393 section 4.1).
static VERSION_SCHEMES: [(i64, &str); 5] = [
    (1, "multipartnumeric"),
    (2, "multipartnumeric+suffix"),
    (3, "alphanumeric"),
    (4, "decimal"),
    (16384, "semver"),
];

static DEBUG_STATES: [(i64, &str); 5] = [
    (0, "enabled"),
    (1, "disabled"),
    (2, "disabled-since-boot"),
    (3, "disabled-permanently"),
    (4, "disabled-fully-and-permanently"),
];
