-- What the built-in Verifier asks of each model: hardware and software that is good enough.
CREATE TABLE reference_values (
    hwmodel BLOB    NOT NULL PRIMARY KEY,       -- hardware model, as in the claim; immutable
    content TEXT    NOT NULL,                   -- the reference value, as JSON
    at      INTEGER NOT NULL                    -- when it was given
) STRICT, WITHOUT ROWID;

-- Manufacturers that may vouch for devices with endorsements they have signed.
CREATE TABLE endorsers (
    thumbprint BLOB    NOT NULL PRIMARY KEY,    -- of the key; immutable
    key        BLOB    NOT NULL,                -- immutable
    name       TEXT,                            -- what the operator calls it
    at         INTEGER NOT NULL                 -- when it was authorized
) STRICT, WITHOUT ROWID;

-- Who signed an endorsement: it counts only while the key stands in endorsers. NULL: the operator uploaded it.
ALTER TABLE endorsements ADD COLUMN endorser BLOB;

-- Manifests that devices get whose attestation failed, so that it can succeed.
CREATE TABLE remedies (
    manifest_component_id BLOB    NOT NULL PRIMARY KEY, -- the manifest's own name; the newest version counts
    hwmodel               BLOB,                 -- for this hardware model only; NULL for all
    software              TEXT,                 -- what it brings up to date, by reference URI; NULL for whatever
    at                    INTEGER NOT NULL      -- when it was marked
) STRICT, WITHOUT ROWID;
