//! Whatever a TAM says, trusted or not, the Agent answers it, installs only what its signer signed, goes back
//! to no older version, and starts again afterwards.
//!
//! The first byte of an input says what the others are: a message as it is (0), or one that is still to be
//! signed by the TAM (1) or by a stranger (others).

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use teep_fuzz::scene::Scene;
use teep_fuzz::seeds;

fuzz_target!(init: seeds::write(seeds::by_sender), |input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    SCENE.with_borrow_mut(|scene| {
        let message = match first {
            0 => rest.to_vec(),
            _ => scene.by_tam(rest, first > 1),
        };
        scene.to_device(&message);
    });
});

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::new(Scene::new());
}
