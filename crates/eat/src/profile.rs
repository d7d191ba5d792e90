//! The TEEP profile of EAT, and media types, by which Evidence and Attestation Results are told apart.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The EAT profile of Attestation Results for TEEP (draft-ietf-teep-protocol-26 section 5).
///
/// Configuration, since the RFC number is not known yet; both sides must have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The profile's name, as it stands in `eat_profile`.
    pub uri: String,
}

impl Default for Profile {
    /// The name as the draft has it, with the number still to be filled in.
    fn default() -> Self {
        Self {
            uri: DRAFT_PROFILE.into(),
        }
    }
}

impl Profile {
    /// The media type of an Attestation Result in this profile.
    #[must_use]
    pub fn media_type(&self) -> MediaType {
        MediaType {
            essence: EAT_CWT.into(),
            parameters: alloc::vec![(EAT_PROFILE.into(), self.uri.clone())],
        }
    }
}

/// Whether a payload with this attestation-payload-format is an Attestation Result; else it is Evidence.
#[must_use]
pub fn is_attestation_result(format: Option<&str>, profile: &Profile) -> bool {
    // T-135 (7.1.1) absent or the TEEP profile means Attestation Result; anything else, even what can't
    // be read, is Evidence, for a Verifier to make something of.
    format.is_none_or(|format| {
        MediaType::parse(format).is_some_and(|format| format.is_same(&profile.media_type()))
    })
}

/// A media type with its parameters, for comparison (RFC 9110 section 8.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype`, in lower case.
    essence: String,
    /// Names in lower case, values without quotation marks; in the order in which they came.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads a media type; `None` if it is none.
    ///
    /// More lenient than RFC 9110 in one thing: an unquoted value may have any visible characters, since
    /// the TEEP draft writes its own URN without quotation marks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (essence, mut rest) = match text.find(';') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let essence = essence.trim_matches(WHITE_SPACE).to_ascii_lowercase();
        let (main, sub) = essence.split_once('/')?;
        if !is_token(main) || !is_token(sub) {
            return None;
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start_matches(WHITE_SPACE);
            // RFC 9110 section 5.6.6 allows empty parameters: "text/plain; ;".
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parameter_value(after)?;
            let name = name.to_ascii_lowercase();
            let known = parameters.iter().any(|(other, _)| *other == name);
            if !is_token(&name) || known || parameters.len() == MAX_PARAMETERS {
                return None;
            }
            parameters.push((name, value));
            rest = after.trim_start_matches(WHITE_SPACE);
        }
        let parsed = Self {
            essence,
            parameters,
        };
        rest.is_empty().then_some(parsed)
    }

    /// `type/subtype` in lower case, without parameters.
    #[must_use]
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The value of a parameter, without quotation marks; `name` in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| &**value)
    }

    /// Whether both name the same format: type and subtype are equal but for case, and so are the
    /// profiles, exactly. Other parameters carry no meaning for EATs and are not compared.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.essence == other.essence && self.parameter(EAT_PROFILE) == other.parameter(EAT_PROFILE)
    }
}

/// With every value quoted, as RFC 9782 section 3 writes profiles that are URIs.
impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in &self.parameters {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "; {name}=\"{value}\"")?;
        }
        Ok(())
    }
}

/// The value at the start of `text`, and what follows it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c == ';' || WHITE_SPACE.contains(&c))
            .unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let is_plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        let valid = !value.is_empty() && value.chars().all(is_plain);
        return valid.then(|| (value.to_string(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        let meant = match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => characters.next()?.1,
            character => character,
        };
        if meant.is_control() {
            return None;
        }
        value.push(meant);
    }
    None
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_token_character = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(is_token_character)
}

// T-106 (5) the profile's name until its RFC has a number.
const DRAFT_PROFILE: &str = "urn:ietf:rfc:rfcXXXX";
const EAT_CWT: &str = "application/eat+cwt";
const EAT_PROFILE: &str = "eat_profile";
const WHITE_SPACE: [char; 2] = [' ', '\t'];
/// Against a format that makes its reader compare thousands of names with each other.
const MAX_PARAMETERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_result(format: &str) -> bool {
        is_attestation_result(Some(format), &Profile::default())
    }

    /// Proves: T-135
    #[test]
    fn absent_or_the_profile_means_attestation_result() {
        assert!(is_attestation_result(None, &Profile::default()));
        for format in [
            // As the draft writes it, and as RFC 9782 section 3 would.
            "application/eat+cwt; eat_profile=urn:ietf:rfc:rfcXXXX",
            "application/eat+cwt; eat_profile=\"urn:ietf:rfc:rfcXXXX\"",
            "Application/EAT+CWT;EAT_Profile=\"urn:ietf:rfc:rfcXXXX\"",
            " application/eat+cwt \t;\teat_profile=urn:ietf:rfc:rfcXXXX ; ",
            "application/eat+cwt;; eat_profile=\"urn:ietf:rfc:rfc\\XXXX\"",
            "application/eat+cwt; version=1; eat_profile=urn:ietf:rfc:rfcXXXX",
        ] {
            assert!(is_result(format), "{format}");
        }
    }

    /// Proves: T-135
    #[test]
    fn anything_else_means_evidence() {
        for format in [
            "",
            "text/plain",
            "application/eat+cwt",
            "application/eat+jwt; eat_profile=urn:ietf:rfc:rfcXXXX",
            "application/eat-ucs+cbor; eat_profile=urn:ietf:rfc:rfcXXXX",
            // The examples of RFC 9782 sections 3 and 4.
            "application/eat+jwt; eat_profile=\"tag:evidence.example,2022\"",
            "application/eat+cwt; eat_profile=\"tag:ar4si.example,2021\"",
            "application/eat+cwt; eat_profile=2.999.1",
            // The profile's name is compared exactly.
            "application/eat+cwt; eat_profile=urn:ietf:rfc:rfcxxxx",
            "application/eat+cwt; eat_profile=\" urn:ietf:rfc:rfcXXXX\"",
            "application/eat+cwt; profile=urn:ietf:rfc:rfcXXXX",
            // Not media types.
            "application/eat+cwt eat_profile=urn:ietf:rfc:rfcXXXX",
            "application/eat+cwt; eat_profile=\"urn:ietf:rfc:rfcXXXX",
            "application/eat+cwt; eat_profile=urn:ietf:rfc:rfcXXXX, text/plain",
            "application/eat+cwt; eat_profile=urn:ietf:rfc:rfcXXXX; eat_profile=other",
            "application/eat+cwt; eat_profile",
            "application/eat+cwt; eat_profile=",
        ] {
            assert!(!is_result(format), "{format}");
        }
    }

    /// A backslash lets quotation marks be said, not what a quoted string cannot hold (RFC 9110 section 5.6.4).
    #[test]
    fn a_control_character_is_none_the_better_for_a_backslash() {
        for value in ["\u{2}", "\\\u{2}", "\\\u{85}", "\\\n"] {
            let text = alloc::format!("text/plain; name=\"{value}\"");
            assert_eq!(MediaType::parse(&text), None, "{text:?}");
        }
    }

    #[test]
    fn the_profile_is_configuration() {
        let published = Profile {
            uri: "urn:ietf:rfc:rfc9999".into(),
        };
        let format = published.media_type().to_string();
        assert_eq!(
            format,
            "application/eat+cwt; eat_profile=\"urn:ietf:rfc:rfc9999\""
        );
        assert!(is_attestation_result(Some(&format), &published));
        assert!(!is_attestation_result(Some(&format), &Profile::default()));
    }

    #[test]
    fn reads_quoted_and_plain_values() {
        let value = |text| {
            let format = MediaType::parse(text)?;
            format.parameter("eat_profile").map(ToString::to_string)
        };
        let profile = |text: &str| Some(text.to_string());
        assert_eq!(
            value("application/eat+jwt; eat_profile=\"tag:evidence.example,2022\""),
            profile("tag:evidence.example,2022")
        );
        assert_eq!(
            value("application/eat+cwt; eat_profile=2.999.1"),
            profile("2.999.1")
        );
        assert_eq!(
            value("a/b; eat_profile=\"a;b \\\" c\""),
            profile("a;b \" c")
        );
        assert_eq!(MediaType::parse("a/b; x=\"1\" y=2"), None);
        let many: String = (0..17).map(|n| alloc::format!(";p{n}=1")).collect();
        assert_eq!(MediaType::parse(&alloc::format!("a/b{many}")), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(text in "[a-z]/[a-z]( ?; ?[a-z]=(\"[ -~é]{0,9}\"|[a-z:.]{1,9})){0,3}") {
            if let Some(format) = MediaType::parse(&text) {
                prop_assert_eq!(MediaType::parse(&format.to_string()), Some(format));
            }
        }

        #[test]
        fn any_text_is_refused_without_panic(text in any::<String>()) {
            let _ = MediaType::parse(&text);
        }
    }
}
