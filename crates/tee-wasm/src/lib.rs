//! A software TEE: Trusted Applications are WebAssembly components
