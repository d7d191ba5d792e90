use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// RFC 8554 Appendix F, test cases 1 and 2.
#[test]
fn the_signatures_of_rfc_8554_verify() {
    for case in CASES.map(Case::read) {
        assert!(case.key().verify(&case.message, &case.signature));
    }
}

#[test]
fn altered_signatures_and_messages_do_not() {
    let [one, two] = CASES.map(Case::read);
    assert!(!one.key().verify(&two.message, &one.signature));
    assert!(!one.key().verify(&two.message, &two.signature));
    assert!(!two.key().verify(&one.message, &one.signature));
    let longer = [&one.signature[..], &[0]].concat();
    assert!(!one.key().verify(&one.message, &longer));
    // A byte of each part: level count, leaf, types, randomizer, chains, path, signed key.
    for at in (0..one.signature.len()).step_by(61) {
        let mut signature = one.signature.clone();
        signature[at] ^= 1;
        assert!(!one.key().verify(&one.message, &signature), "byte {at}");
    }
}

#[test]
fn refuses_keys_of_other_types_levels_and_lengths() {
    let key = Case::read(CASES[0]).public_key;
    let with = |at: usize, value: u8| {
        let mut key = key.clone();
        key[at] = value;
        HssLmsPublicKey::from_bytes(&key).is_some()
    };
    assert!(with(3, 1) && with(3, 8));
    assert!(!with(3, 0) && !with(3, 9) && !with(0, 1), "levels");
    assert!(with(7, 9) && !with(7, 4) && !with(7, 10), "LMS type");
    assert!(with(11, 1) && !with(11, 0) && !with(11, 5), "LM-OTS type");
    assert!(HssLmsPublicKey::from_bytes(&key[..59]).is_none());
    assert!(HssLmsPublicKey::from_bytes(&[&key[..], &[0]].concat()).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// What `hbs-lms` panics on never reaches it: signatures cut short, and with any four bytes of a signature
    /// and of a key set at random.
    #[test]
    fn hostile_signatures_and_keys_never_panic(
        case in 0..2_usize,
        length in 0..4000_usize,
        sites in proptest::collection::vec((site(), any::<[u8; 4]>()), 0..4),
        key_site in proptest::option::of((0..15_usize, any::<[u8; 4]>())),
    ) {
        let case = Case::read(CASES[case]);
        let mut signature = case.signature;
        for (at, bytes) in sites {
            let at = at.min(signature.len() - 4);
            signature[at..at + 4].copy_from_slice(&bytes);
        }
        signature.truncate(length);
        let mut key = case.public_key;
        if let Some((at, bytes)) = key_site {
            key[4 * at..4 * at + 4].copy_from_slice(&bytes);
        }
        if let Some(key) = HssLmsPublicKey::from_bytes(&key) {
            let _ = key.verify(&case.message, &signature);
        }
    }

    /// The same with small numbers where types, levels and leaves stand, which are valid more often.
    #[test]
    fn valid_types_in_wrong_places_never_panic(
        case in 0..2_usize,
        levels in 0_u8..10,
        nspk in 0_u8..10,
        types in any::<[(bool, u8); 4]>(),
    ) {
        let case = Case::read(CASES[case]);
        let (mut key, mut signature) = (case.public_key, case.signature);
        key[3] = levels;
        signature[3] = nspk;
        for ((set, value), at) in types.into_iter().zip([7, 11, 2000, 1300]) {
            if set && at < 60 {
                key[at] = value % 11;
            } else if set {
                signature[at] = value % 11;
            }
        }
        if let Some(key) = HssLmsPublicKey::from_bytes(&key) {
            let _ = key.verify(&case.message, &signature);
        }
    }
}

/// Where in a signature the numbers stand, or anywhere.
fn site() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(4), Just(8), 0..4000_usize]
}

struct Case {
    public_key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Case {
    /// Three parts in hexadecimal, each after a line that names it.
    fn read(text: &str) -> Self {
        let part = |name: &str| {
            let (_, after) = text.split_once(name).unwrap();
            let digits = after.lines().skip(1).take_while(|line| !line.is_empty());
            let digits: Vec<u8> = digits.flat_map(str::bytes).collect();
            let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16);
            digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
        };
        Self {
            public_key: part("# public key"),
            message: part("# message"),
            signature: part("# signature"),
        }
    }

    fn key(&self) -> HssLmsPublicKey {
        HssLmsPublicKey::from_bytes(&self.public_key).unwrap()
    }
}

pub(crate) const CASES: [&str; 2] = [
    include_str!("test_case_1.txt"),
    include_str!("test_case_2.txt"),
];
