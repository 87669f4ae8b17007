-- Refusals are in a book of their own, so that a flood of them pushes no decision about a device that was let in out. Those that
-- are among the decisions stay there: their chain holds as it is.
CREATE TABLE audit_refusals (
    first   INTEGER PRIMARY KEY,
    since   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    records BLOB NOT NULL
);

-- Segments know the times of their records, so that what is too old is found.
CREATE TABLE audit_segments_timed (
    book     TEXT NOT NULL CHECK (book IN ('acts', 'decisions', 'refusals')),
    first    INTEGER NOT NULL,
    previous BLOB NOT NULL,
    last     INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    bytes    INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    UNIQUE (book, first)
);
INSERT INTO audit_segments_timed (book, first, previous, last, hash, bytes, since, until)
SELECT book, first, previous, last, hash, bytes,
       (SELECT min(b.since) FROM audit_acts AS b WHERE b.first BETWEEN s.first AND s.last),
       (SELECT max(b.until) FROM audit_acts AS b WHERE b.first BETWEEN s.first AND s.last)
FROM audit_segments AS s WHERE book = 'acts';
INSERT INTO audit_segments_timed (book, first, previous, last, hash, bytes, since, until)
SELECT book, first, previous, last, hash, bytes,
       (SELECT min(b.since) FROM audit_decisions AS b WHERE b.first BETWEEN s.first AND s.last),
       (SELECT max(b.until) FROM audit_decisions AS b WHERE b.first BETWEEN s.first AND s.last)
FROM audit_segments AS s WHERE book = 'decisions';
DROP TABLE audit_segments;
ALTER TABLE audit_segments_timed RENAME TO audit_segments;
