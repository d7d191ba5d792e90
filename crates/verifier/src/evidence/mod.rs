//! Kinds of Evidence: one module for each, from its bytes to claims that an endorsed key has signed.

pub(crate) mod eat;
