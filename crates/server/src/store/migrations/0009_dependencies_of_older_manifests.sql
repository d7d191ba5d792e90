-- What was published before the store knew of dependencies is read again at the server's start, until that has
-- come to an end for each (see the source of older_manifests.rs).
CREATE TABLE older_manifests (
    manifest_component_id BLOB NOT NULL PRIMARY KEY REFERENCES manifests ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO older_manifests SELECT manifest_component_id FROM manifests
WHERE manifest_component_id NOT IN (SELECT manifest_component_id FROM dependencies);
