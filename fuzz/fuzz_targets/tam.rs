//! Whatever a device says, known or not, the TAM sends nothing that was not published.
//!
//! The first byte of an input says what the others are: a message as it is (0), or one that is still to be
//! signed by the device (1) or by a stranger (others).

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
            _ => scene.by_device(rest, first > 1),
        };
        scene.to_tam(&message);
    });
});

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::new(Scene::new());
}
