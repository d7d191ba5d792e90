//! A software TEE: Trusted Applications are WebAssembly components, and storage is sealed files.
//!
//! It runs anywhere and behaves like a TEE towards the TEEP Agent, which runs in it, and towards the
//! Trusted Applications: what they store is encrypted and authenticated, a Trusted Application sees
//! nothing but its own data and cannot exceed its [`Limits`], and after a kill or power cut at any moment
//! there is the old version or the new, never a mixture.
//!
//! The contract: a file that is not what the TEE wrote for that very place is never used.
//!
//! What it does **not** protect, since there is no hardware behind it:
//! - The root key lies in `root.key`. Who can read that (the user that runs the TEE, the administrator)
//!   can read all secrets and sign as the device. The same goes for the memory of the process.
//! - Who can write the folder can put back an old copy of all of it, or of a single sealed file. Rollback
//!   shows to the TAM at best. A hardware TEE has a counter for this (RPMB in OP-TEE).
//! - Evidence is signed by a key in the same process, so it proves which device speaks and not what runs.
//! - Compiled code is as isolated as wasmtime makes it; side channels are not closed.
//!
//! So it is for development, tests, demonstrations, and devices that have no TEE and know what they lack.
//! Its Evidence names its model: a Verifier can tell it from a hardware TEE by its endorsement.
//!
//! Not yet here: RequestTA from within a TA, calls between Trusted Applications, a cache of compiled code.
//!
//! ```
//! use tee_wasm::{Limits, Provision, SoftwareTee, TrustedApplication};
//! use teep_agent::ports::Slots as _;
//! # let (folder, component) = (tempfile::tempdir()?, wat::parse_str(tee_wasm_example())?);
//! let provision = Provision {
//!     agent_algorithm: teep_cose::Algorithm::Esp256,
//!     attestation_algorithm: teep_cose::Algorithm::Esp256,
//!     oemid: eat::OemId::EnterpriseNumber(32473),
//!     hwmodel: b"software TEE".as_slice().try_into()?,
//!     hwversion: eat::Version::multipart("1.0"),
//! };
//! let software = tee_wasm::running_program("urn:example:device")?;
//! let mut tee = SoftwareTee::create(folder.path(), &provision, software)?;
//!
//! // The Agent installs a component into a slot; whoever runs it reads it from there.
//! tee.create(1)?;
//! tee.append(1, &component)?;
//! tee.finish(1)?;
//! let application = TrustedApplication::load(&tee.slot(1)?)?;
//! let storage = tee.ta_storage(b"component identifier")?;
//! assert_eq!(application.invoke(0, b"hello", storage, &Limits::default())?, b"hello");
//! # fn tee_wasm_example() -> &'static str { include_str!("runtime/echo.wat") }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attester;
mod file;
mod imports;
mod random;
mod runtime;
mod sealed;
mod slots;
mod state;
mod ta_storage;
mod tee;

pub use attester::running_program;
pub use runtime::{Limits, LoadError, TaError, TrustedApplication};
pub use ta_storage::TaStorage;
pub use tee::{DeviceIdentity, Provision, SoftwareTee, TeeError};
