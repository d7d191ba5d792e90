//! SUIT manifests: model, builder, resumable processor and report
