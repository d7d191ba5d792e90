//! Appraisal of Evidence against endorsements and reference values
