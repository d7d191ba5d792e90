//! The TAM as a server: TEEP over HTTP, SQL store, REST API
