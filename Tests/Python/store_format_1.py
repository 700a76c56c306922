"""Turns a store into one of format 1, in which executed transactions lay by their hashes. Argument: the file."""
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1])
database.executescript("""
    ALTER TABLE executed RENAME TO executed_2;
    DROP INDEX executed_hash;
    CREATE TABLE executed (hash BLOB PRIMARY KEY, number INTEGER NOT NULL, place INTEGER NOT NULL, raw BLOB, succeeded INTEGER NOT NULL, gas INTEGER NOT NULL,
        price BLOB NOT NULL, revert BLOB NOT NULL, first_log INTEGER NOT NULL, logs INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX executed_number ON executed (number, place);
    INSERT INTO executed SELECT * FROM executed_2;
    DROP TABLE executed_2;
    UPDATE meta SET value = '1' WHERE name = 'version';
""")
database.close()
