//! What the fuzz targets share: manifests made from the fuzzer's bytes, a device that watches what is
//! done to it, a device and a TAM in the midst of an exchange, and the inputs to start from.

pub mod composed;
pub mod device;
pub mod scene;
pub mod seeds;
pub mod signed;
