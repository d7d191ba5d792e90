//! Manifests that were published before the store recorded what they depend on.
//!
//! Without that record a device may be sent such a manifest though what it needs was withdrawn, and may lose a
//! component that a dependent of it still needs. So they are looked at again as if they were published now.

use crate::Service;
use crate::publish::{Refused, vet};
use crate::store::StoreError;
use crate::store::authorized_keys::SIGNERS;

/// Reads them again. One that would be refused now stays as it is; the log says which, and what to do.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn read_again(service: &Service) -> Result<(), StoreError> {
    let older = service.store.older_manifests().await?;
    if older.is_empty() {
        return Ok(());
    }
    let signers = service.store.authorized_keys(&SIGNERS).await?;
    for (manifest, envelope) in older {
        match vet(&envelope, &signers, &service.payloads, service.origin()) {
            Ok(read) => service.store.record_dependencies(&read).await?,
            Err(reason) => warn(&manifest, &reason),
        }
    }
    Ok(())
}

fn warn(manifest: &suit::ComponentIdentifier, reason: &Refused) {
    tracing::warn!(
        %manifest, %reason,
        "what this manifest depends on is not known, since an older version of this server published it: \
         publish it again under a higher sequence number, or withdraw it"
    );
}
