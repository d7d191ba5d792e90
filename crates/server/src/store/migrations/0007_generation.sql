-- Which generation of the protocol a device spoke when it proved itself: "draft-26" and older ones.
ALTER TABLE devices ADD COLUMN generation TEXT NOT NULL DEFAULT 'draft-26';
