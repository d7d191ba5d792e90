//! The TEEP Agent: a core without I/O that installs, updates and removes Trusted Components.

#![no_std]
extern crate alloc;

pub mod ports;
