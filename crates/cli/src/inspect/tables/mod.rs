//! What each label, position and number means, per specification.

pub(crate) mod cose;
pub(crate) mod eat;
pub(crate) mod suit;
pub(crate) mod teep;
