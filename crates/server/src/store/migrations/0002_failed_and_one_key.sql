-- Manifests that a device could not install, the last failure of each. Left out of Updates for a day.
CREATE TABLE failed (
    agent                 BLOB    NOT NULL REFERENCES devices ON DELETE CASCADE,
    manifest_component_id BLOB    NOT NULL,     -- the manifest's own name
    sequence_number       INTEGER NOT NULL,     -- of the version that failed; others are sent
    at                    INTEGER NOT NULL,     -- when
    PRIMARY KEY (agent, manifest_component_id)
) STRICT, WITHOUT ROWID;

-- A device has one Agent key: of those that were recorded for it, the one that was seen last stays.
DELETE FROM devices WHERE EXISTS (
    SELECT 1 FROM devices AS other
    WHERE other.ueid = devices.ueid
      AND (other.last_seen, other.agent) > (devices.last_seen, devices.agent)
);
CREATE UNIQUE INDEX devices_by_ueid ON devices (ueid);
