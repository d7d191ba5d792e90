//! The TAM's decisions: a core without I/O
