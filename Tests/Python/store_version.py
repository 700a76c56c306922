"""Says in a store that it has another format. Arguments: the file, the version."""
import sqlite3
import sys

store = sqlite3.connect(sys.argv[1])
store.execute("UPDATE meta SET value = ? WHERE name = 'version'", (sys.argv[2],))
store.commit()
store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
store.close()
