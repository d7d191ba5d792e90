//! What a manifest can do to the components that it names.

use crate::component::ComponentIdentifier;

/// The components of a device, as a manifest sees them.
///
/// The embedder implements it over staged slots: nothing that is installed changes until the procedure
/// is done and the embedder commits. The processor calls it only with components that
/// [`Authenticated::authorize`](crate::Authenticated::authorize) allowed.
pub trait ComponentStore {
    /// Starts new content for `component`; content staged before is dropped. Nothing installed changes.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn begin(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError>;

    /// Adds bytes to the content begun.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn append(&mut self, component: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError>;

    /// The content begun is complete.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn finish(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError>;

    /// Reads what the component holds (what this procedure staged, else what is installed) from `offset`
    /// into `into`, and returns how many bytes it read; 0 at the end.
    ///
    /// # Errors
    /// [`StoreError::NotThere`] if the component holds nothing: a condition then fails, a copy from it
    /// ends the procedure. Any other error ends the procedure.
    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError>;

    /// Drops this manifest's claim on the component; its content goes with the last claim.
    ///
    /// # Errors
    /// [`StoreError::NotThere`] if there is nothing to drop, which the processor takes for success;
    /// any other error ends the procedure.
    fn unlink(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError>;
}

/// Why a store could not do what a manifest asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The component holds nothing.
    #[error("the component holds nothing")]
    NotThere,
    /// No room is left.
    #[error("no room is left for the component")]
    Full,
    /// The storage could not do it.
    #[error("the storage failed")]
    Failed,
}
