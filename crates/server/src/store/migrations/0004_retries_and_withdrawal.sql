-- A challenge counts once for each Agent: one QueryRequest may go to many.
CREATE TABLE spent_by_agent (
    agent   BLOB    NOT NULL,                   -- thumbprint of the Agent; empty in rows from before: anybody
    nonce   BLOB    NOT NULL,                   -- the challenge
    expires INTEGER NOT NULL,                   -- from then on it is refused for its age, and forgotten
    PRIMARY KEY (agent, nonce)
) STRICT, WITHOUT ROWID;
INSERT INTO spent_by_agent SELECT x'', nonce, expires FROM spent;
DROP TABLE spent;
ALTER TABLE spent_by_agent RENAME TO spent;
CREATE INDEX spent_by_expiry ON spent (expires);

-- How often a manifest has failed in a row, and whether the device refuses it as such.
ALTER TABLE failed ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE failed ADD COLUMN is_refused INTEGER NOT NULL DEFAULT 0;

-- Errors in a row that a device has answered with. None in a row: no row.
CREATE TABLE attempts (
    agent BLOB    NOT NULL REFERENCES devices ON DELETE CASCADE,
    asked TEXT    NOT NULL,                     -- what they answered: 'query' or 'update'
    count INTEGER NOT NULL,
    until INTEGER NOT NULL,                     -- until when they count
    PRIMARY KEY (agent, asked)
) STRICT, WITHOUT ROWID;

-- The Attestation Result that the Update carries, if it does: what follows it carries the same.
ALTER TABLE sent ADD COLUMN attestation_result BLOB NOT NULL DEFAULT x'';

-- A withdrawn manifest goes to nobody, and from those who have it, until a higher number is published.
ALTER TABLE manifests ADD COLUMN withdrawn INTEGER; -- when it was withdrawn; NULL if it was not

-- What the published manifests depend on, directly or by others, in the one version that they name.
CREATE TABLE dependencies (
    manifest_component_id BLOB NOT NULL REFERENCES manifests ON DELETE CASCADE, -- the dependent
    dependency            BLOB NOT NULL,        -- the name of what it depends on
    digest                BLOB NOT NULL,        -- encoded SUIT_Digest of that
    PRIMARY KEY (manifest_component_id, dependency)
) STRICT, WITHOUT ROWID;

-- The components that those install, as far as they are known here.
CREATE TABLE dependency_components (
    manifest_component_id BLOB NOT NULL REFERENCES manifests ON DELETE CASCADE, -- the dependent
    dependency            BLOB NOT NULL,        -- what brings the component
    component_id          BLOB NOT NULL,
    digest                BLOB NOT NULL,        -- SHA-256 of its image
    PRIMARY KEY (manifest_component_id, dependency, component_id)
) STRICT, WITHOUT ROWID;

-- The published manifests that devices get: none of those who signed them was withdrawn, nor was the
-- manifest, nor what it depends on.
DROP VIEW relayed;
CREATE VIEW relayed AS SELECT * FROM manifests
WHERE withdrawn IS NULL
  AND signer IN (SELECT thumbprint FROM signers)
  AND NOT EXISTS (
      SELECT 1 FROM dependency_signers
      WHERE dependency_signers.manifest_component_id = manifests.manifest_component_id
        AND dependency_signers.signer NOT IN (SELECT thumbprint FROM signers)
  )
  AND NOT EXISTS (
      SELECT 1 FROM dependencies JOIN manifests AS other
      ON other.manifest_component_id = dependencies.dependency AND other.digest = dependencies.digest
      WHERE dependencies.manifest_component_id = manifests.manifest_component_id
        AND other.withdrawn IS NOT NULL
  );
