//! The five messages of the TEEP protocol and the number tables of its registry
