-- Which of the TAM's keys a device has refused (ERR_BAD_CERTIFICATE, ERR_CERTIFICATE_EXPIRED). None: no row.
CREATE TABLE refused_keys (
    agent BLOB    NOT NULL PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    keys  BLOB    NOT NULL,                     -- their thumbprints of 32 bytes each, one after another
    until INTEGER NOT NULL                      -- until when they are not all tried once more
) STRICT, WITHOUT ROWID;
