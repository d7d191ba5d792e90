-- Keys and certificates that the operator allows as Agents', or blocks. Who is on both lists is blocked.
CREATE TABLE agents (
    list       TEXT    NOT NULL,                -- 'allowed' or 'blocked'
    thumbprint BLOB    NOT NULL,                -- of the key, or SHA-256 of the certificate
    name       TEXT,                            -- what the operator calls it, or why it is there
    at         INTEGER NOT NULL,                -- when it was put there
    PRIMARY KEY (list, thumbprint)
) STRICT, WITHOUT ROWID;

-- The certificates by which a device's key was taken for an Agent's, its own first (PEM). Empty if it needed none.
ALTER TABLE devices ADD COLUMN certificates TEXT NOT NULL DEFAULT '';
