//! The TEEP Broker: carries messages between a TEEP Agent and its TAM over HTTP
