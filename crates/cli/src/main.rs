//! The command `teep`.

fn main() {}
