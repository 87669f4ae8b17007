-- How the devices of an entry prove themselves: x509, symmetricKey or tpm. Until now there was only x509.
ALTER TABLE enrollments ADD COLUMN attestation TEXT NOT NULL DEFAULT 'x509';

-- A token names no group: all groups with keys are asked.
CREATE INDEX enrollment_groups_with_keys ON enrollments (id_scope, folded)
    WHERE kind = 'group' AND attestation = 'symmetricKey';
