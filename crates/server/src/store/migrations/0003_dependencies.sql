-- Who signed the manifests that a published manifest depends on and brings along.
CREATE TABLE dependency_signers (
    manifest_component_id BLOB NOT NULL REFERENCES manifests ON DELETE CASCADE, -- the dependent
    signer                BLOB NOT NULL,        -- thumbprint
    PRIMARY KEY (manifest_component_id, signer)
) STRICT, WITHOUT ROWID;

-- The published manifests that devices get: all who signed them are authorized still.
CREATE VIEW relayed AS SELECT * FROM manifests
WHERE signer IN (SELECT thumbprint FROM signers)
  AND NOT EXISTS (
      SELECT 1 FROM dependency_signers
      WHERE dependency_signers.manifest_component_id = manifests.manifest_component_id
        AND dependency_signers.signer NOT IN (SELECT thumbprint FROM signers)
  );
