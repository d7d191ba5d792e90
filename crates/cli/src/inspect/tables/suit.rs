//! SUIT: draft-ietf-suit-manifest and the drafts beside it (trust-domains, update-management,
//! report, firmware-encryption). Names as their CDDL has them, without `suit-`.

use super::super::kind::Element as E;
use super::super::kind::Field as F;
use super::super::kind::Kind::{self, *};
use super::cose;

/// SUIT_Envelope.
pub(crate) static ENVELOPE: Kind = Map(
    &[
        F(1, "delegation", &Any),
        F(2, "authentication-wrapper", &Embedded(&Authentication)),
        F(3, "manifest", &Embedded(&MANIFEST)),
        F(14, "coswid", &Payload),
        F(15, "dependency-resolution", &SEQUENCE),
        F(16, "payload-fetch", &SEQUENCE),
        F(18, "candidate-verification", &SEQUENCE),
        F(20, "install", &SEQUENCE),
        F(23, "text", &Embedded(&TEXT)),
    ],
    // Integrated payloads and dependencies.
    &Payload,
);

/// SUIT_Digest.
pub(crate) static DIGEST: Kind = Tuple(
    &[
        E("digest-algorithm-id", &cose::ALGORITHM),
        E("digest-bytes", &Any),
    ],
    &Any,
);

/// SUIT_Manifest.
pub(crate) static MANIFEST: Kind = Map(&MANIFEST_FIELDS, &Any);

static MANIFEST_FIELDS: [F; 16] = [
    F(1, "manifest-version", &Any),
    F(2, "manifest-sequence-number", &Any),
    F(3, "common", &Embedded(&COMMON)),
    F(4, "reference-uri", &Any),
    F(5, "manifest-component-id", &Path),
    F(6, "set-version", &Embedded(&Any)),
    F(7, "validate", &SEQUENCE),
    F(8, "load", &SEQUENCE),
    F(9, "invoke", &SEQUENCE),
    F(14, "coswid", &Either(&[&DIGEST, &Payload])),
    F(15, "dependency-resolution", &SEVERABLE),
    F(16, "payload-fetch", &SEVERABLE),
    F(18, "candidate-verification", &SEVERABLE),
    F(20, "install", &SEVERABLE),
    F(23, "text", &Either(&[&DIGEST, &Embedded(&TEXT)])),
    F(24, "uninstall", &SEQUENCE),
];

static COMMON: Kind = Map(
    &[
        F(
            1,
            "dependencies",
            &MapTo(&Map(&[F(1, "dependency-prefix", &Path)], &Any)),
        ),
        F(2, "components", &List(&Path)),
        F(4, "shared-sequence", &SEQUENCE),
    ],
    &Any,
);

static SEVERABLE: Kind = Either(&[&DIGEST, &SEQUENCE]);
static SEQUENCE: Kind = Embedded(&Commands(&COMMANDS));

/// Conditions and directives, with what their argument is.
pub(crate) static COMMANDS: [F; 29] = [
    F(1, "condition-vendor-identifier", &ReportingPolicy),
    F(2, "condition-class-identifier", &ReportingPolicy),
    F(3, "condition-image-match", &ReportingPolicy),
    F(4, "condition-use-before", &ReportingPolicy),
    F(5, "condition-component-slot", &ReportingPolicy),
    F(6, "condition-check-content", &ReportingPolicy),
    F(7, "condition-dependency-integrity", &ReportingPolicy),
    F(8, "condition-is-dependency", &ReportingPolicy),
    F(11, "directive-process-dependency", &ReportingPolicy),
    F(12, "directive-set-component-index", &Any),
    F(14, "condition-abort", &ReportingPolicy),
    F(15, "directive-try-each", &List(&Either(&[&SEQUENCE, &Any]))),
    F(18, "directive-write", &ReportingPolicy),
    F(19, "directive-set-parameters", &PARAMETERS),
    F(20, "directive-override-parameters", &PARAMETERS),
    F(21, "directive-fetch", &ReportingPolicy),
    F(22, "directive-copy", &ReportingPolicy),
    F(23, "directive-invoke", &ReportingPolicy),
    F(24, "condition-device-identifier", &ReportingPolicy),
    F(25, "condition-image-not-match", &ReportingPolicy),
    F(26, "condition-minimum-battery", &ReportingPolicy),
    F(27, "condition-update-authorized", &ReportingPolicy),
    F(28, "condition-version", &ReportingPolicy),
    F(29, "directive-wait", &ReportingPolicy),
    F(31, "directive-swap", &ReportingPolicy),
    F(32, "directive-run-sequence", &SEQUENCE),
    F(33, "directive-unlink", &ReportingPolicy),
    F(34, "directive-override-multiple", &MapTo(&PARAMETERS)),
    F(
        35,
        "directive-copy-params",
        &MapTo(&List(&LabelOf(&PARAMETER_FIELDS))),
    ),
];

static PARAMETERS: Kind = Map(&PARAMETER_FIELDS, &Any);

/// Parameters, by label.
pub(crate) static PARAMETER_FIELDS: [F; 20] = [
    F(1, "parameter-vendor-identifier", &Uuid),
    F(2, "parameter-class-identifier", &Uuid),
    F(3, "parameter-image-digest", &Embedded(&DIGEST)),
    F(4, "parameter-use-before", &Time),
    F(5, "parameter-component-slot", &Any),
    F(12, "parameter-strict-order", &Any),
    F(13, "parameter-soft-failure", &Any),
    F(14, "parameter-image-size", &Any),
    F(18, "parameter-content", &Any),
    F(19, "parameter-encryption-info", &Embedded(&Any)),
    F(21, "parameter-uri", &Any),
    F(22, "parameter-source-component", &Any),
    F(23, "parameter-invoke-args", &Any),
    F(24, "parameter-device-identifier", &Uuid),
    F(25, "parameter-fetch-arguments", &Any),
    F(26, "parameter-minimum-battery", &Any),
    F(27, "parameter-update-priority", &Any),
    F(28, "parameter-version", &Embedded(&VERSION_MATCH)),
    F(29, "parameter-wait-info", &Embedded(&WAIT_EVENT)),
    F(30, "parameter-component-metadata", &Embedded(&METADATA)),
];

static VERSION_MATCH: Kind = Tuple(
    &[
        E(
            "comparison-type",
            &Number(&[
                (1, "greater"),
                (2, "greater-equal"),
                (3, "equal"),
                (4, "lesser-equal"),
                (5, "lesser"),
            ]),
        ),
        E("comparison-value", &Any),
    ],
    &Any,
);

static WAIT_EVENT: Kind = Map(
    &[
        F(1, "authorization", &Any),
        F(2, "power", &Any),
        F(3, "network", &Any),
        F(
            4,
            "other-device-version",
            &Tuple(
                &[
                    E("other-device", &Any),
                    E("other-device-version", &List(&VERSION_MATCH)),
                ],
                &Any,
            ),
        ),
        F(5, "time", &Time),
        F(6, "time-of-day", &Any),
        F(7, "day-of-week", &Any),
        F(8, "time-of-day-utc", &Any),
        F(9, "day-of-week-utc", &Any),
    ],
    &Any,
);

static METADATA: Kind = Map(
    &[
        F(1, "default-permissions", &PERMISSIONS),
        F(2, "user-permissions", &MapTo(&PERMISSIONS)),
        F(3, "group-permissions", &MapTo(&PERMISSIONS)),
        F(4, "role-permissions", &MapTo(&PERMISSIONS)),
        F(
            5,
            "file-type",
            &Number(&[(1, "regular"), (2, "directory"), (3, "symlink")]),
        ),
        F(6, "modification-time", &Time),
        F(7, "creation-time", &Time),
        F(8, "creator", &Any),
    ],
    &Any,
);

static PERMISSIONS: Kind = Bits(&PERMISSION_BITS);

/// SUIT_meta_permission_bits, lowest first.
static PERMISSION_BITS: [&str; 14] = [
    "traverse/exec",
    "create/write",
    "list/read",
    "createdir/append",
    "read_attr",
    "read_perm",
    "change_perm",
    "change_owner",
    "write_attr",
    "recurse_delete",
    "delete",
    "sync",
    "read_attr_ex",
    "write_attr_ex",
];

/// SUIT_Text_Map: language, then texts on the manifest (by number) and on components (by
/// identifier).
static TEXT: Kind = MapTo(&Map(&TEXT_FIELDS, &Map(&COMPONENT_TEXT_FIELDS, &Any)));

/// Texts on the manifest.
pub(crate) static TEXT_FIELDS: [F; 4] = [
    F(1, "manifest-description", &Any),
    F(2, "update-description", &Any),
    F(3, "manifest-json-source", &Any),
    F(4, "manifest-yaml-source", &Any),
];

/// Texts on a component.
pub(crate) static COMPONENT_TEXT_FIELDS: [F; 8] = [
    F(1, "vendor-name", &Any),
    F(2, "model-name", &Any),
    F(3, "vendor-domain", &Any),
    F(4, "model-info", &Any),
    F(5, "component-description", &Any),
    F(6, "component-version", &Any),
    F(7, "version-required", &Any),
    F(8, "current-version", &Any),
];

/// SUIT_Report.
pub(crate) static REPORT: Kind = Map(
    &[
        F(2, "report-nonce", &Any),
        F(
            3,
            "report-records",
            &List(&Either(&[&RECORD, &PROPERTY_CLAIMS])),
        ),
        F(4, "report-result", &Either(&[&RESULT, &Any])),
        F(8, "report-capability-report", &CAPABILITIES),
        F(99, "reference", &REFERENCE),
    ],
    &Any,
);

/// SUIT_Reference.
pub(crate) static REFERENCE: Kind = Either(&[
    &Tuple(
        &[
            E("report-manifest-uri", &Any),
            E("report-manifest-digest", &DIGEST),
        ],
        &Any,
    ),
    // As the example of the TEEP draft still has it.
    &Map(
        &[
            F(0, "report-manifest-digest", &DIGEST),
            F(1, "report-manifest-uri", &Any),
        ],
        &Any,
    ),
]);

static RESULT: Kind = Map(
    &[
        F(5, "report-result-code", &Any),
        F(6, "report-result-record", &RECORD),
        F(7, "report-result-reason", &Number(&REASONS)),
    ],
    &Any,
);

static RECORD: Kind = Tuple(
    &[
        E("record-manifest-id", &Any),
        E("record-manifest-section", &LabelOf(&MANIFEST_FIELDS)),
        E("record-section-offset", &Any),
        E("record-component-index", &Any),
        E("record-properties", &PARAMETERS),
    ],
    &Any,
);

/// system-property-claims: a component and parameters that describe it.
pub(crate) static PROPERTY_CLAIMS: Kind = Map(&PROPERTY_CLAIMS_FIELDS, &Any);

static PROPERTY_CLAIMS_FIELDS: [F; 8] = [
    F(0, "system-component-id", &Path),
    F(1, "parameter-vendor-identifier", &Uuid),
    F(2, "parameter-class-identifier", &Uuid),
    F(3, "parameter-image-digest", &Embedded(&DIGEST)),
    F(5, "parameter-component-slot", &Any),
    F(14, "parameter-image-size", &Any),
    F(24, "parameter-device-identifier", &Uuid),
    F(28, "parameter-version", &Embedded(&VERSION_MATCH)),
];

static CAPABILITIES: Kind = Map(
    &[
        F(1, "component-capabilities", &List(&Path)),
        F(2, "command-capabilities", &List(&LabelOf(&COMMANDS))),
        F(
            3,
            "parameters-capabilities",
            &List(&LabelOf(&PARAMETER_FIELDS)),
        ),
        F(4, "crypt-algo-capabilities", &List(&cose::ALGORITHM)),
        F(5, "envelope-capabilities", &Any),
        F(
            6,
            "manifest-capabilities",
            &List(&LabelOf(&MANIFEST_FIELDS)),
        ),
        F(7, "common-capabilities", &Any),
        F(8, "text-capabilities", &Any),
        F(9, "text-component-capabilities", &Any),
        F(10, "dependency-capabilities", &Any),
    ],
    &Any,
);

static REASONS: [(i64, &str); 13] = [
    (0, "ok"),
    (1, "cbor-parse"),
    (2, "cose-unsupported"),
    (3, "alg-unsupported"),
    (4, "unauthorised"),
    (5, "command-unsupported"),
    (6, "component-unsupported"),
    (7, "component-unauthorised"),
    (8, "parameter-unsupported"),
    (9, "severing-unsupported"),
    (10, "condition-failed"),
    (11, "operation-failed"),
    (12, "invoke-pending"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::kind::field_of;
    use ::suit::command::{Condition, Directive};

    /// `VendorIdentifier` is `vendor-identifier`.
    fn kebab(name: &str) -> String {
        let lower = |c: char| {
            let dash = if c.is_ascii_uppercase() { "-" } else { "" };
            format!("{dash}{}", c.to_ascii_lowercase())
        };
        name.chars()
            .map(lower)
            .collect::<String>()
            .trim_start_matches('-')
            .to_owned()
    }

    #[test]
    fn commands_are_called_as_the_codec_calls_them() {
        for code in -300..300 {
            let condition = Condition::from_code(code)
                .map(|c| format!("condition-{}", kebab(&format!("{c:?}"))));
            let directive = Directive::from_code(code)
                .map(|d| format!("directive-{}", kebab(&format!("{d:?}"))));
            if let Some(name) = condition.or(directive) {
                assert_eq!(
                    field_of(&COMMANDS, code.into()).map(|field| field.1),
                    Some(&*name)
                );
            }
        }
    }
}
