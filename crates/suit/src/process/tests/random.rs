//! Random manifests: whatever is signed, the processor ends within its limits.

use alloc::vec;

use proptest::prelude::*;

use super::*;

proptest! {
    /// Proves: S-161, S-007
    #[test]
    fn supported_commands_end_and_install_only_what_is_vouched_for(
        shared in proptest::option::of(commands(&[1, 2, 5, 24, 25])),
        fetch in commands(&[1, 3, 3, 6, 14, 18, 21, 21, 21, 22, 24, 25, 33]),
        install in commands(&[1, 3, 3, 6, 14, 18, 18, 21, 22, 22, 24, 25, 33]),
        validate in commands(&[3]),
        procedure in 0usize..3,
        image in any::<bool>(),
    ) {
        let mut draft = Draft::new(&[
            (VALIDATE, sequence(&validate)),
            (LOAD, sequence(&install)),
            (INVOKE, sequence(&[select_all(), plain(23)])),
            (PAYLOAD_FETCH, sequence(&fetch)),
            (INSTALL, sequence(&install)),
            (UNINSTALL, sequence(&fetch)),
        ]);
        draft.components = vec![0, 1, 2];
        draft.shared = shared.map(|commands| sequence(&commands));
        draft.payloads = vec![("#ta", IMAGE.to_vec())];
        let authorized = authorize(&draft.envelope(), &Limits::default()).unwrap();
        let server = if image { server() } else { [(URI.to_string(), vec![1; 20])].into() };
        let procedure = [Procedure::Update, Procedure::Update, Procedure::Invocation][procedure];
        let run = |chunk| {
            let mut store = Memory::default();
            let mut processor = Processor::new(authorized.clone(), procedure);
            let result = drive(&mut processor, &mut store, &server, chunk);
            (result, store, processor.records().len())
        };
        let (result, store, records) = run(1000);
        prop_assert!(records <= Limits::default().records);
        if result.is_ok() && procedure == Procedure::Update {
            // Not what the server sent where it lies.
            let vouched_for = |content: &Vec<u8>| content == IMAGE || content == b"x";
            prop_assert!(store.staged.values().all(vouched_for), "{store:?}");
        }
        // The size of the chunks changes nothing, except how much of a payload that fails was stored.
        let (again, slowly, _) = run(1);
        prop_assert_eq!(&again, &result);
        prop_assert!(again.is_err() || slowly == store);
    }

    /// Proves: S-071
    #[test]
    fn any_command_is_refused_or_run(
        codes in proptest::collection::vec((-300i64..40, 0u8..4), 1..6),
        argument in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut commands = vec![select(0)];
        for (code, kind) in codes {
            let argument = match kind {
                0 => vec![2],
                1 => bytes(&argument),
                2 => vec![0xf5],
                _ => set(&[(code, bytes(&argument))]).1,
            };
            commands.push((code, argument));
        }
        let bytes = Draft::new(&[(INSTALL, sequence(&commands))]).envelope();
        let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
        if let Ok(authenticated) = envelope.verify(&trusted())
            && let Ok(authorized) = authenticated.authorize(&Memory::default(), &Options::default())
        {
            let mut processor = Processor::new(authorized, Procedure::Update);
            let _ends = drive(&mut processor, &mut Memory::default(), &server(), 7);
        }
    }
}

/// Commands of these codes for three components, nested in any way, after parameters that let most of
/// them succeed.
fn commands(codes: &'static [i64]) -> impl Strategy<Value = Vec<Pair>> {
    let (vendor, class, device) = (bytes(&VENDOR), bytes(&CLASS), bytes(&DEVICE));
    let ids = set(&[(1, vendor), (2, class), (24, device)]);
    let image = set(&[digest_of(IMAGE), content(IMAGE), uri(URI), (22, uint(1))]);
    let simple = prop_oneof![
        8 => proptest::sample::select(codes).prop_map(plain),
        1 => Just(set(&[uri("#ta")])),
        1 => Just(set(&[content(b"x"), size(20)])),
        1 => Just(set(&[digest_of(b"x")])),
        1 => (0u64..3).prop_map(|source| set(&[(22, uint(source))])),
        3 => (0u8..3).prop_map(select),
        2 => Just(select_all()),
    ];
    let nested = simple.prop_recursive(4, 24, 4, |inner| {
        let list = proptest::collection::vec(inner, 1..4);
        let soft = proptest::option::of(any::<bool>());
        let run = (soft, list.clone()).prop_map(|(soft, mut commands)| {
            let value = |soft| set(&[(13, vec![if soft { 0xf5 } else { 0xf4 }])]);
            commands.splice(0..0, soft.map(value));
            run_sequence(&sequence(&commands))
        });
        let lists = proptest::collection::vec(list, 2..4);
        let choose = (lists, any::<bool>()).prop_map(|(lists, or_nothing)| {
            let lists: Vec<_> = lists.iter().map(|commands| sequence(commands)).collect();
            try_each(&lists, or_nothing)
        });
        prop_oneof![run, choose]
    });
    proptest::collection::vec(nested, 0..6).prop_map(move |commands| {
        [&[select_all(), ids.clone(), image.clone()][..], &commands].concat()
    })
}
