-- What the TAM knows. Times are seconds since 1970. Component identifiers are encoded CBOR arrays of byte
-- strings; keys are encoded COSE_Keys; thumbprints are those of RFC 9679 with SHA-256, 32 bytes.

-- Devices that have proved themselves by attestation. Others leave no trace here.
CREATE TABLE devices (
    agent         BLOB    NOT NULL PRIMARY KEY, -- thumbprint of the Agent's key; immutable
    key           BLOB    NOT NULL,             -- the Agent's key; immutable
    ueid          BLOB    NOT NULL,             -- Universal Entity ID, of the last Attestation Result
    hwmodel       BLOB    NOT NULL,             -- hardware model, likewise
    hwversion     TEXT    NOT NULL,             -- hardware version, likewise
    first_seen    INTEGER NOT NULL,             -- first attestation; immutable
    last_seen     INTEGER NOT NULL,             -- last attestation or answer
    last_error    TEXT,                         -- what went wrong last; NULL once something has succeeded
    last_error_at INTEGER                       -- when
) STRICT, WITHOUT ROWID;

-- What each device has, as it says itself (tc-list) or as its Success to an Update implies.
CREATE TABLE installed (
    agent                 BLOB NOT NULL REFERENCES devices ON DELETE CASCADE,
    component_id          BLOB NOT NULL,        -- the component
    digest                BLOB NOT NULL,        -- SHA-256 of its image; empty if the device does not say
    manifest_component_id BLOB,                 -- the manifest that brought it; NULL if not by this TAM
    sequence_number       INTEGER,              -- that manifest's number; NULL likewise
    PRIMARY KEY (agent, component_id)
) STRICT, WITHOUT ROWID;

-- Updates that await their answer. One row each, deleted by the answer or after it has expired.
CREATE TABLE sent (
    token   BLOB    NOT NULL PRIMARY KEY,       -- the Update's token; immutable
    agent   BLOB    NOT NULL REFERENCES devices ON DELETE CASCADE, -- whom it went to; immutable
    content TEXT    NOT NULL,                   -- what it installs and unlinks, as JSON; immutable
    expires INTEGER NOT NULL                    -- when it may be forgotten; immutable
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_by_agent ON sent (agent);
CREATE INDEX sent_by_expiry ON sent (expires);

-- Tokens and challenges that have been used. The key makes the second use impossible.
CREATE TABLE spent (
    nonce   BLOB    NOT NULL PRIMARY KEY,       -- the token or challenge
    expires INTEGER NOT NULL                    -- from then on it is refused for its age, and forgotten
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_by_expiry ON spent (expires);

-- What was decided for each device, and why. The newest rows of each device are kept.
CREATE TABLE decisions (
    id    INTEGER NOT NULL PRIMARY KEY,         -- in order of time
    agent BLOB    NOT NULL REFERENCES devices ON DELETE CASCADE,
    at    INTEGER NOT NULL,                     -- when
    what  TEXT    NOT NULL,                     -- one word: attested, install, update, unlink, refused, …
    why   TEXT    NOT NULL                      -- a sentence for people
) STRICT;
CREATE INDEX decisions_by_agent ON decisions (agent, id);

-- Trusted Component Signers whose manifests this TAM relays.
CREATE TABLE signers (
    thumbprint BLOB    NOT NULL PRIMARY KEY,    -- of the key; immutable
    key        BLOB    NOT NULL,                -- immutable
    name       TEXT,                            -- what the operator calls it
    at         INTEGER NOT NULL                 -- when it was authorized
) STRICT, WITHOUT ROWID;

-- The newest published manifest of each name.
CREATE TABLE manifests (
    manifest_component_id BLOB    NOT NULL PRIMARY KEY, -- the manifest's own name; immutable
    sequence_number       INTEGER NOT NULL,     -- only ever grows
    digest                BLOB    NOT NULL,     -- encoded SUIT_Digest of the manifest
    signer                BLOB    NOT NULL,     -- thumbprint; relayed only while it stands in signers
    envelope              BLOB    NOT NULL,     -- the signed bytes, as they came
    at                    INTEGER NOT NULL      -- when it was published
) STRICT, WITHOUT ROWID;

-- The components that each of those manifests installs. A component belongs to one manifest.
CREATE TABLE manifest_components (
    component_id          BLOB NOT NULL PRIMARY KEY,
    manifest_component_id BLOB NOT NULL REFERENCES manifests ON DELETE CASCADE,
    position              INTEGER NOT NULL,     -- its index in the manifest
    digest                BLOB NOT NULL,        -- SHA-256 of its image
    size                  INTEGER               -- of its image in bytes; NULL if the manifest does not say
) STRICT, WITHOUT ROWID;
CREATE INDEX components_by_manifest ON manifest_components (manifest_component_id, position);

-- What the built-in Verifier knows of devices before they say anything.
CREATE TABLE endorsements (
    thumbprint BLOB    NOT NULL PRIMARY KEY,    -- of the attestation key; immutable
    content    BLOB    NOT NULL,                -- the endorsement as it was uploaded
    at         INTEGER NOT NULL                 -- when it was uploaded
) STRICT, WITHOUT ROWID;
