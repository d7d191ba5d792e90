//! Raw bytes, or hexadecimal with white space and comments: found out by looking.

use std::borrow::Cow;

/// The bytes that `input` stands for.
///
/// Hexadecimal may have white space between digits, `0x` before all, and comments: from `#`, `;` or
/// `//` to the end of the line, or between two `/`. What is not that is taken as it is.
pub(crate) fn bytes(input: &[u8]) -> Cow<'_, [u8]> {
    hexadecimal(input).map_or(Cow::Borrowed(input), Cow::Owned)
}

fn hexadecimal(input: &[u8]) -> Option<Vec<u8>> {
    let input = input.trim_ascii();
    let mut rest = input
        .strip_prefix(b"0x")
        .unwrap_or(input)
        .iter()
        .copied()
        .peekable();
    let mut digits = Vec::new();
    while let Some(byte) = rest.next() {
        match byte {
            b'#' | b';' => skip_past(&mut rest, b'\n'),
            b'/' if rest.peek() == Some(&b'/') => skip_past(&mut rest, b'\n'),
            b'/' => skip_past(&mut rest, b'/'),
            _ if byte.is_ascii_whitespace() => {}
            _ => digits.push(char::from(byte).to_digit(16)? as u8),
        }
    }
    let is_pairs = !digits.is_empty() && digits.len().is_multiple_of(2);
    is_pairs.then(|| {
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}

fn skip_past(bytes: &mut impl Iterator<Item = u8>, end: u8) {
    for byte in bytes {
        if byte == end {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_told_from_raw_bytes() {
        assert_eq!(*bytes(b"82 0102\n"), [0x82, 1, 2]);
        assert_eq!(*bytes(b"0x820102"), [0x82, 1, 2]);
        assert_eq!(
            *bytes(b"82 # array(2)\n  01 / one / 02 // two\n; end"),
            [0x82, 1, 2]
        );
        // An odd number of digits, other characters, nothing at all, and bytes that are no text.
        for raw in [&b"820"[..], b"82 zz", b"# nothing", b"", &[0x82, 1, 2]] {
            assert_eq!(*bytes(raw), *raw);
        }
    }
}
