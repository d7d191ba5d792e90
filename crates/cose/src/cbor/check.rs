//! Is this one well-formed item within limits? One pass, without recursion, before anything is decoded.

use alloc::vec::Vec;

use minicbor::data::Type;

use super::{Limits, Malformed, Problem, problem};

/// Checks `bytes` as exactly one CBOR item, see [`Reader::new`]. Runs in O(n log n), without recursion.
pub(super) fn check(bytes: &[u8], field: &'static str, limits: &Limits) -> Result<(), Malformed> {
    let fault = |offset, problem| Malformed {
        offset,
        field,
        problem,
    };
    if bytes.len() > limits.bytes {
        return Err(fault(0, Problem::OverLimit));
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let mut open: Vec<Open> = Vec::new();
    let mut items = 0;
    loop {
        let start = decoder.position();
        items += 1;
        if items > limits.items || open.len() > limits.depth {
            return Err(fault(start, Problem::OverLimit));
        }
        let opened = enter(&mut decoder).map_err(|problem| fault(start, problem))?;
        if let Some(opened) = opened {
            let remaining = bytes.len() - decoder.position();
            // Every item takes a byte at least, so a larger claim is a lie: nothing is allocated by it.
            if opened.left > remaining as u64 {
                return Err(fault(start, Problem::Truncated));
            }
            open.push(opened);
        }
        // Close whatever this item completed.
        loop {
            let Some(top) = open.last_mut() else {
                return if decoder.position() == bytes.len() {
                    Ok(())
                } else {
                    Err(fault(decoder.position(), Problem::TrailingBytes))
                };
            };
            if let Some(keys) = &mut top.keys
                && keys.at_key_end(decoder.position(), top.left)
                && keys.has_duplicate(bytes)
            {
                return Err(fault(start, Problem::DuplicateKey));
            }
            if top.left > 0 {
                top.left -= 1;
                break;
            }
            open.pop();
        }
    }
}

/// An array, map or tag that [`check`] is inside of.
struct Open {
    /// Items still to come.
    left: u64,
    /// For maps: where the keys seen so far stand.
    keys: Option<Keys>,
}

struct Keys {
    spans: Vec<(usize, usize)>,
    /// Start of the item that comes next.
    next: usize,
}

impl Keys {
    /// Notes the item that just ended; true when the map is complete.
    fn at_key_end(&mut self, position: usize, left: u64) -> bool {
        // An odd number left means that a key has just been read, an even one a value (or the head).
        if left % 2 == 1 {
            self.spans.push((self.next, position));
        }
        self.next = position;
        left == 0
    }

    fn has_duplicate(&mut self, bytes: &[u8]) -> bool {
        let key = |&(start, end): &(usize, usize)| canonical(&bytes[start..end]);
        self.spans.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        self.spans
            .windows(2)
            .any(|pair| key(&pair[0]) == key(&pair[1]))
    }
}

/// What two encodings of the same simple key have in common, so that a longer integer is no disguise.
fn canonical(key: &[u8]) -> (u8, u64, &[u8]) {
    let mut decoder = minicbor::Decoder::new(key);
    let major = key.first().map_or(0, |byte| byte >> 5);
    match decoder.datatype() {
        Ok(Type::U8 | Type::U16 | Type::U32 | Type::U64) => {
            (major, decoder.u64().unwrap_or_default(), &[])
        }
        Ok(Type::I8 | Type::I16 | Type::I32 | Type::I64) => {
            (major, decoder.i64().unwrap_or_default().unsigned_abs(), &[])
        }
        Ok(Type::Bytes) => (major, 0, decoder.bytes().unwrap_or_default()),
        Ok(Type::String) => (major, 0, decoder.str().unwrap_or_default().as_bytes()),
        _ => (major, 0, key),
    }
}

/// Reads one head; for a container, what it opens.
fn enter(decoder: &mut minicbor::Decoder<'_>) -> Result<Option<Open>, Problem> {
    let kind = decoder.datatype().map_err(|error| problem(&error))?;
    let result = match kind {
        Type::Array => decoder.array().map(|length| {
            length
                .map(|left| Some(Open { left, keys: None }))
                .ok_or(Problem::IndefiniteLength)
        }),
        Type::Map => decoder.map().map(|length| {
            let left = length.ok_or(Problem::IndefiniteLength)?;
            let left = left.checked_mul(2).ok_or(Problem::Truncated)?;
            let keys = Keys {
                spans: Vec::new(),
                next: decoder.position(),
            };
            Ok(Some(Open {
                left,
                keys: Some(keys),
            }))
        }),
        Type::Tag => decoder.tag().map(|_| {
            Ok(Some(Open {
                left: 1,
                keys: None,
            }))
        }),
        Type::Bytes => decoder.bytes().map(|_| Ok(None)),
        Type::String => decoder.str().map(|_| Ok(None)),
        Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef => {
            return Err(Problem::IndefiniteLength);
        }
        Type::Break | Type::Unknown(_) => return Err(Problem::Invalid),
        _ => decoder.skip().map(|()| Ok(None)),
    };
    result.map_err(|error| problem(&error))?
}
