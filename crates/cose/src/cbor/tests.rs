use super::*;
use alloc::vec;
use proptest::prelude::*;

const SMALL: Limits = Limits {
    bytes: 64,
    depth: 4,
    items: 16,
};

fn problem_of(bytes: &[u8]) -> Option<Problem> {
    Reader::new(bytes, "test", &SMALL)
        .err()
        .map(|error| error.problem)
}

/// Proves: T-011
#[test]
fn refuses_what_is_not_one_well_formed_item() {
    assert_eq!(problem_of(&[]), Some(Problem::Truncated));
    assert_eq!(problem_of(&[0x82, 1]), Some(Problem::Truncated));
    assert_eq!(problem_of(&[0x43, 1, 2]), Some(Problem::Truncated));
    assert_eq!(problem_of(&[1, 2]), Some(Problem::TrailingBytes));
    assert_eq!(
        problem_of(&[0x9f, 1, 0xff]),
        Some(Problem::IndefiniteLength)
    );
    assert_eq!(
        problem_of(&[0x5f, 0x41, 1, 0xff]),
        Some(Problem::IndefiniteLength)
    );
    assert_eq!(problem_of(&[0xff]), Some(Problem::Invalid));
    assert_eq!(problem_of(&[0x1c]), Some(Problem::Invalid));
    assert_eq!(problem_of(&[0x61, 0xff]), Some(Problem::NotUtf8));
    assert_eq!(problem_of(&[0x82, 0xa1, 1, 2, 0xc1, 3]), None);
}

#[test]
fn a_claimed_length_allocates_nothing() {
    assert_eq!(
        problem_of(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
        Some(Problem::Truncated)
    );
    assert_eq!(
        problem_of(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255]),
        Some(Problem::Truncated)
    );
    assert_eq!(
        problem_of(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
        Some(Problem::Truncated)
    );
}

#[test]
fn refuses_duplicate_keys_however_encoded() {
    assert_eq!(problem_of(&[0xa2, 1, 0, 1, 0]), Some(Problem::DuplicateKey));
    assert_eq!(
        problem_of(&[0xa2, 1, 0, 0x18, 1, 0]),
        Some(Problem::DuplicateKey)
    );
    assert_eq!(
        problem_of(&[0xa2, 0x20, 0, 0x38, 0, 0]),
        Some(Problem::DuplicateKey)
    );
    assert_eq!(
        problem_of(&[0xa2, 0x61, b'a', 0, 0x78, 1, b'a', 0]),
        Some(Problem::DuplicateKey)
    );
    // Inside another item, and with a value that looks like a key.
    assert_eq!(
        problem_of(&[0x81, 0xa2, 1, 1, 1, 2]),
        Some(Problem::DuplicateKey)
    );
    assert_eq!(problem_of(&[0xa2, 1, 2, 2, 1]), None);
    assert_eq!(problem_of(&[0xa2, 0x81, 1, 0, 0x81, 2, 0]), None);
    assert_eq!(problem_of(&[0xa2, 0, 0, 0x20, 0]), None);
}

#[test]
fn keeps_to_its_limits() {
    assert_eq!(problem_of(&[0x81, 0x81, 0x81, 0x81, 1]), None);
    assert_eq!(
        problem_of(&[0x81, 0x81, 0x81, 0x81, 0x81, 1]),
        Some(Problem::OverLimit)
    );
    assert_eq!(problem_of(&[0x41; 65]), Some(Problem::OverLimit));
    let mut many = vec![0x90];
    many.extend([0; 16]);
    assert_eq!(problem_of(&many), Some(Problem::OverLimit));
}

#[test]
fn an_error_inside_a_byte_string_points_to_the_outer_offset() {
    let bytes = [0x82, 0x00, 0x43, 0x82, 0x01, 0x61];
    let mut reader = Reader::new(&bytes, "outer", &SMALL).unwrap();
    reader.array_of("outer", 2, "an array of 2").unwrap();
    reader.uint("first").unwrap();
    let error = reader.embedded("inner", &SMALL).unwrap_err();
    assert_eq!(
        (error.offset, error.field, error.problem),
        (5, "inner", Problem::Truncated)
    );
}

#[test]
fn reads_on_where_it_stopped_and_never_past_the_end() {
    let bytes = [0x83, 1, 0x18, 30, 3];
    let mut reader = Reader::within(&bytes, 100, "list", &SMALL).unwrap();
    assert_eq!(
        (reader.array("list").unwrap(), reader.uint("first").unwrap()),
        (3, 1)
    );
    let mut again = Reader::resume(&bytes, 100, reader.offset() - 100);
    assert_eq!((again.uint("second").unwrap(), again.offset()), (30, 104));
    for position in [4, 5, 6, usize::MAX] {
        let mut lost = Reader::resume(&bytes, 0, position);
        assert_eq!(lost.raw("any").is_ok(), position == 4);
    }
}

#[test]
fn a_wrong_type_names_field_and_expectation() {
    let mut reader = Reader::new(&[0x01], "message", &SMALL).unwrap();
    let error = reader.text("err-msg").unwrap_err();
    assert_eq!(
        alloc::format!("{error}"),
        "err-msg: should be text (at byte 0)"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_whole(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(mut reader) = Reader::new(&bytes, "test", &SMALL) {
            prop_assert_eq!(reader.raw("test").unwrap(), &bytes[..]);
            prop_assert!(reader.is_at_end());
        }
    }
}
