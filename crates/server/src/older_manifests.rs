//! Manifests that were published before the store recorded what they depend on.
//!
//! Without that record a device may be sent such a manifest though what it needs was withdrawn, and may lose a
//! component that a dependent of it still needs. So they are looked at again as if they were published now.

use crate::Service;
use crate::publish::vet;
use crate::store::StoreError;
use crate::store::authorized_keys::SIGNERS;

/// Reads them again, one at a time. One that would be refused now, or of which the store cannot take the record,
/// stays as it is; the log says which, and what to do.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn read_again(service: &Service) -> Result<(), StoreError> {
    let older = service.store.older_manifests().await?;
    if older.is_empty() {
        return Ok(());
    }
    let signers = service.store.authorized_keys(&SIGNERS).await?;
    for manifest in older {
        let Some(envelope) = service.store.older_envelope(&manifest).await? else {
            continue;
        };
        let read = match vet(&envelope, &signers, &service.payloads, service.origin()) {
            Ok(read) => read,
            Err(reason) => {
                warn(&manifest, &reason);
                continue;
            }
        };
        match service.store.record_dependencies(&read).await {
            // One odd manifest must not keep the TAM from serving all others.
            Err(reason) if reason.is_constraint() => warn(&manifest, &reason),
            recorded => recorded?,
        }
    }
    Ok(())
}

fn warn(manifest: &suit::ComponentIdentifier, reason: &dyn std::error::Error) {
    tracing::warn!(
        %manifest, %reason,
        "what this manifest depends on is not known, since an older version of this server published it: \
         publish it again under a higher sequence number, or withdraw it"
    );
}
