"""SQLite: the pinned environment, apply, transactions, readers, backup and checksum."""
