//! COSE structures within an envelope, in words: who vouches for a manifest, and how a payload is
//! encrypted. Nothing is checked or decrypted here.

use teep_cose::cbor::{Kind, Limits, Malformed, Problem, Reader};

use super::values;
use crate::inspect::{algorithm_name, curve_name};
use crate::output::hex;

/// An authentication block.
#[derive(Debug)]
pub(crate) struct Block {
    /// "ESP256, kid ca9e…".
    pub(crate) words: String,
    /// "COSE_Sign1".
    pub(crate) structure: &'static str,
    /// Whether it is a MAC and no signature.
    pub(crate) is_mac: bool,
    /// Why a device would not look at it: the requirement's number and what is wrong.
    pub(crate) objection: Option<(&'static str, &'static str)>,
}

/// Reads an authentication block whose bytes stand at `base`.
pub(crate) fn block(bytes: &[u8], base: usize) -> Result<Block, Malformed> {
    const FIELD: &str = "authentication block";
    let mut reader = Reader::within(bytes, base, FIELD, &Limits::MESSAGE)?;
    let tag = match reader.kind(FIELD)? {
        Kind::Tag => Some(reader.tag(FIELD)?),
        _ => None,
    };
    let (structure, has_list) = match tag {
        Some(18) => ("COSE_Sign1", false),
        Some(98) => ("COSE_Sign", true),
        Some(17) => ("COSE_Mac0", false),
        Some(97) => ("COSE_Mac", false),
        _ => {
            return Ok(Block {
                words: "not read".into(),
                structure: "no COSE structure that authenticates",
                is_mac: false,
                objection: Some((
                    "S-027",
                    "authentication block: has no tag of COSE_Sign1, COSE_Sign, COSE_Mac0 or COSE_Mac",
                )),
            });
        }
    };
    let short = reader.fault(FIELD, Problem::Expected("an array of 4, of COSE_Mac of 5"));
    if !(4..=5).contains(&reader.array(FIELD)?) {
        return Err(short);
    }
    let headers = Headers::decode(&mut reader)?;
    // S-023, S-026 (8.3) the payload is detached.
    let is_detached = reader.kind("payload")? == Kind::Null;
    reader.raw("payload")?;
    let words = if has_list {
        let mut signers = Vec::new();
        for _ in 0..reader.array("signatures")? {
            reader.array_of("signature", 3, "an array of 3")?;
            signers.push(Headers::decode(&mut reader)?.signer());
            reader.bytes("signature")?;
        }
        signers.join("; ")
    } else {
        reader.bytes("signature")?;
        headers.signer()
    };
    let payload = (
        "S-026",
        "authentication block: carries a payload of its own",
    );
    Ok(Block {
        words,
        structure,
        is_mac: matches!(tag, Some(17 | 97)),
        objection: (!is_detached).then_some(payload),
    })
}

/// SUIT_Encryption_Info whose bytes stand at `base`: content algorithm, IV and recipients.
pub(crate) fn encryption(bytes: &[u8], base: usize) -> Result<String, Malformed> {
    const FIELD: &str = "encryption-info";
    let mut reader = Reader::within(bytes, base, FIELD, &Limits::MESSAGE)?;
    let fault = reader.fault(FIELD, Problem::Expected("tag 96 of COSE_Encrypt, or 16"));
    if reader.kind(FIELD)? != Kind::Tag {
        return Err(fault);
    }
    let has_recipients = match reader.tag(FIELD)? {
        96 => true,
        16 => false,
        _ => return Err(fault),
    };
    let elements = if has_recipients { 4 } else { 3 };
    reader.array_of(FIELD, elements, "an array of 4, of COSE_Encrypt0 of 3")?;
    let headers = Headers::decode(&mut reader)?;
    let mut words = vec![headers.algorithm_name()];
    words.extend(headers.iv.as_ref().map(|iv| format!("IV {}", hex(iv))));
    words.extend(ciphertext(&mut reader)?);
    let mut out = words.join(", ");
    if has_recipients {
        for _ in 0..reader.array("recipients")? {
            out.push_str(&format!("; for {}", recipient(&mut reader)?));
        }
    }
    Ok(out)
}

fn recipient(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    reader.array_of("recipient", 3, "an array of 3")?;
    let headers = Headers::decode(reader)?;
    let kid = headers.kid.as_ref();
    let kid = kid.map_or("a key not named".into(), |kid| format!("kid {}", name(kid)));
    let mut words = vec![kid, headers.algorithm_name()];
    let curve = headers.ephemeral_curve.map(curve_name);
    words.extend(curve.map(|curve| format!("ephemeral key on {curve}")));
    if reader.kind("ciphertext")? == Kind::Bytes {
        let key = reader.bytes("ciphertext")?;
        words.push(format!("wrapped key of {} bytes", key.len()));
    } else {
        reader.null("ciphertext")?;
    }
    Ok(words.join(", "))
}

fn ciphertext(reader: &mut Reader<'_>) -> Result<Option<String>, Malformed> {
    if reader.kind("ciphertext")? == Kind::Bytes {
        let bytes = reader.bytes("ciphertext")?;
        return Ok(Some(format!("with the ciphertext, {} bytes", bytes.len())));
    }
    reader.null("ciphertext")?;
    Ok(None)
}

/// Those header parameters that a person wants to know.
#[derive(Debug, Default)]
struct Headers {
    algorithm: Option<i64>,
    kid: Option<Vec<u8>>,
    iv: Option<Vec<u8>>,
    ephemeral_curve: Option<i64>,
}

impl Headers {
    /// Reads the protected header and then the unprotected one.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut headers = Self::default();
        let protected = reader.bytes("protected")?;
        // RFC 9052 section 3: without parameters it may be empty.
        if !protected.is_empty() {
            let base = reader.offset() - protected.len();
            let mut inner = Reader::within(protected, base, "protected", &Limits::MESSAGE)?;
            headers.add(&mut inner, "protected")?;
        }
        headers.add(reader, "unprotected")?;
        Ok(headers)
    }

    fn add(&mut self, reader: &mut Reader<'_>, field: &'static str) -> Result<(), Malformed> {
        for _ in 0..reader.map(field)? {
            let label = match reader.kind(field)? {
                Kind::Integer => Some(reader.int(field)?),
                _ => {
                    reader.raw(field)?;
                    None
                }
            };
            match (label, reader.kind(field)?) {
                (Some(ALG), Kind::Integer) => self.algorithm = Some(reader.int("alg")?),
                (Some(KID), Kind::Bytes) => self.kid = Some(reader.bytes("kid")?.to_vec()),
                (Some(IV), Kind::Bytes) => self.iv = Some(reader.bytes("IV")?.to_vec()),
                (Some(EPHEMERAL_KEY), Kind::Map) => self.ephemeral_curve = curve(reader)?,
                _ => {
                    reader.raw(field)?;
                }
            }
        }
        Ok(())
    }

    fn algorithm_name(&self) -> String {
        self.algorithm
            .map_or_else(|| "no algorithm".into(), algorithm_name)
    }

    fn signer(&self) -> String {
        let algorithm = self.algorithm_name();
        match &self.kid {
            Some(kid) => format!("{algorithm}, kid {}", name(kid)),
            None => format!("{algorithm}, key not named"),
        }
    }
}

/// The curve of a COSE_Key.
fn curve(reader: &mut Reader<'_>) -> Result<Option<i64>, Malformed> {
    const FIELD: &str = "ephemeral key";
    let mut curve = None;
    for _ in 0..reader.map(FIELD)? {
        let label = reader.int(FIELD)?;
        if label == CRV && reader.kind(FIELD)? == Kind::Integer {
            curve = Some(reader.int(FIELD)?);
        } else {
            reader.raw(FIELD)?;
        }
    }
    Ok(curve)
}

/// A key's name: text where it is some, else hexadecimal, whole.
fn name(kid: &[u8]) -> String {
    values::printable(kid).map_or_else(|| hex(kid), |text| format!("{text:?}"))
}

// Labels of header parameters and of a COSE_Key (RFC 9052 section 3.1, RFC 9053 sections 6.3.1 and 7.1).
const ALG: i64 = 1;
const KID: i64 = 4;
const IV: i64 = 5;
const EPHEMERAL_KEY: i64 = -1;
const CRV: i64 = -1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::system_random;
    use crate::output::unhex;
    use teep_cose::{Algorithm, Sign1, SigningKey, sign_with_each};

    fn key(algorithm: Algorithm) -> SigningKey {
        SigningKey::generate(algorithm, &mut system_random())
    }

    /// Each: the block, what it is, who vouches, and what a device would object to.
    #[test]
    fn blocks_say_who_vouches() {
        let (first, second) = (key(Algorithm::Esp256), key(Algorithm::Ed25519));
        let kid = |key: &SigningKey| key.public_key().thumbprint().to_string();
        let (named, both) = (
            Sign1::new(b"x").with_kid().detached().sign(&first),
            sign_with_each(b"x", &[first.clone().into(), second.clone().into()]).unwrap(),
        );
        let untagged = Sign1::new(b"x").untagged().detached().sign(&first);
        // 17([<< {1: 5} >>, {4: 'me'}, null, h'00'])
        let mac = unhex("d18443a10105a104426d65f64100").unwrap();
        let both_words = format!("ESP256, kid {}; Ed25519, kid {}", kid(&first), kid(&second));
        for (bytes, structure, words, objection) in [
            (
                named,
                "COSE_Sign1",
                format!("ESP256, kid {}", kid(&first)),
                None,
            ),
            (both, "COSE_Sign", both_words, Some("S-026")),
            (
                untagged,
                "no COSE structure that authenticates",
                "not read".into(),
                Some("S-027"),
            ),
            (mac, "COSE_Mac0", "HMAC 256, kid \"me\"".into(), None),
        ] {
            let block = block(&bytes, 0).unwrap();
            assert_eq!((block.structure, &block.words), (structure, &words));
            assert_eq!(block.objection.map(|(number, _)| number), objection);
            assert_eq!(block.is_mac, structure == "COSE_Mac0");
        }
    }

    #[test]
    fn a_broken_block_or_encryption_has_its_byte() {
        for (bytes, offset) in [
            ("d283", 1),               // fewer elements than it says
            ("d28443a1011ca0f640", 5), // alg is no valid item
            ("d28443a10126a0f601", 8), // the signature is an integer
        ] {
            let error = block(&unhex(bytes).unwrap(), 10).unwrap_err();
            assert_eq!(error.offset, 10 + offset, "{error}");
        }
    }

    #[test]
    fn encryption_is_told_with_every_recipient() {
        // 96([<< {1: 1} >>, {5: h'0102'}, null, [[h'', {1: -3, 4: 'k'}, h'0000'], [h'', {1: -6}, null]]])
        let info = "d8608443a10101a105420102f6828340a2012204416b4200008340a10125f6";
        assert_eq!(
            encryption(&unhex(info).unwrap(), 0).unwrap(),
            "A128GCM, IV 0102; for kid \"k\", A128KW, wrapped key of 2 bytes; \
             for a key not named, direct"
        );
        // An algorithm that nobody here knows, and no tag of an encryption.
        let other = encryption(&unhex("d08343a10118a0f6").unwrap(), 0);
        assert!(other.is_err());
        let other = unhex("d08344a1011863a0f6").unwrap();
        assert_eq!(encryption(&other, 0).unwrap(), "algorithm 99");
        assert_eq!(encryption(&[0xd2, 0x80], 5).unwrap_err().offset, 5);
    }
}
