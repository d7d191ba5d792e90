//! What the fuzz targets share: manifests made from the fuzzer's bytes, a device that watches what is
//! done to it, and the inputs to start from.

pub mod composed;
pub mod device;
pub mod seeds;
pub mod signed;
