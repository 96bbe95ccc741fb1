"""Every PRAGMA of our SQLite, judged. What is in no list here is refused.

A PRAGMA is a read (the asked node answers), a setting of the client's session (it travels with
every command), a write that goes through the log, or refused with the reason.
"""

from __future__ import annotations

from typing import Final

from raftsql.sql.commands import Settings
from raftsql.sql.functions import Reason
from raftsql.sql.keywords import words

SCHEMA_PRAGMAS: Final = words(
    """
    foreign_key_check foreign_key_list index_info index_list index_xinfo table_info table_list
    table_xinfo
    """
)
"""Reads of the schema and the rows, the same on every node; also as tables, pragma_table_info(…),
inside a write."""

LOCAL_PRAGMAS: Final = words(
    """
    collation_list compile_options database_list function_list integrity_check module_list
    pragma_list quick_check
    """
)
"""Reads that tell about the asked node; they may take an argument. Not inside a write."""

GET_PRAGMAS: Final = words(
    """
    analysis_limit application_id auto_vacuum automatic_index busy_timeout cache_size cache_spill
    cell_size_check checkpoint_fullfsync count_changes data_version empty_result_callbacks encoding
    freelist_count full_column_names fullfsync hard_heap_limit ignore_check_constraints
    journal_mode journal_size_limit legacy_alter_table locking_mode max_page_count mmap_size
    page_count page_size query_only read_uncommitted reverse_unordered_selects schema_version
    secure_delete short_column_names soft_heap_limit synchronous temp_store threads trusted_schema
    user_version wal_autocheckpoint writable_schema
    """
)
"""Without a value they are reads; to set one is refused unless it is in a list below."""

SETTING_PRAGMAS: Final = {
    "FOREIGN_KEYS": Settings.FOREIGN_KEYS,
    "DEFER_FOREIGN_KEYS": Settings.DEFER_FOREIGN_KEYS,
    "RECURSIVE_TRIGGERS": Settings.RECURSIVE_TRIGGERS,
}
"""The settings of a session."""

WRITE_PRAGMAS: Final = frozenset({"APPLICATION_ID", "USER_VERSION"})
"""With a value they change the database and go through the log, as any write."""

_NODE: Final = "the node sets this itself, alike for every client"
_MEANING: Final = "it changes what the same statement does, on this node alone"
_FORMAT: Final = "it changes the file format, which the cluster chose when it was founded"
_FILE: Final = "it works on this node's own file, behind the log's back"
_COUNTED: Final = "SQLite counts this itself"
_LEAVE: Final = "leave it out, or ask without a value"

REFUSED_PRAGMAS: Final = {
    "CASE_SENSITIVE_LIKE": Reason(
        "it changes what LIKE means, on this node alone", "use GLOB, or LIKE on lower(…)"
    ),
    "INCREMENTAL_VACUUM": Reason(_FILE, "write VACUUM, which goes through the log"),
    "OPTIMIZE": Reason(
        "what it analyzes depends on what this node was asked before",
        "write ANALYZE, which goes through the log",
    ),
    "SHRINK_MEMORY": Reason(_NODE, "leave it out"),
    "TEMP_STORE_DIRECTORY": Reason(_NODE, "leave it out"),
    "WAL_CHECKPOINT": Reason(_FILE, "leave it to the node, or run `raftsql compact`"),
}
"""Refused with and without a value."""

REFUSED_TO_SET: Final = {
    "ANALYSIS_LIMIT": Reason(_NODE, "write ANALYZE, which goes through the log"),
    "AUTOMATIC_INDEX": Reason(_NODE, "create the index that a query needs"),
    "AUTO_VACUUM": Reason(_FORMAT, "write VACUUM, which goes through the log"),
    "BUSY_TIMEOUT": Reason(_NODE, "give connect() a timeout: it bounds every wait"),
    "CACHE_SIZE": Reason(_NODE, _LEAVE),
    "CACHE_SPILL": Reason(_NODE, _LEAVE),
    "CELL_SIZE_CHECK": Reason(_NODE, _LEAVE),
    "CHECKPOINT_FULLFSYNC": Reason(_NODE, _LEAVE),
    "COUNT_CHANGES": Reason(_MEANING, "read the cursor's rowcount, or changes()"),
    "DATA_VERSION": Reason(_COUNTED, "ask without a value"),
    "EMPTY_RESULT_CALLBACKS": Reason(_MEANING, "read the cursor's description"),
    "ENCODING": Reason(_FORMAT, "leave it out: text is UTF-8"),
    "FREELIST_COUNT": Reason(_COUNTED, "ask without a value"),
    "FULLFSYNC": Reason(_NODE, _LEAVE),
    "FULL_COLUMN_NAMES": Reason(_MEANING, "name the columns with AS"),
    "HARD_HEAP_LIMIT": Reason(_NODE, _LEAVE),
    "IGNORE_CHECK_CONSTRAINTS": Reason(_MEANING, "write rows that pass, or drop the CHECK"),
    "JOURNAL_MODE": Reason(_NODE, "leave it out: every node has WAL, and the log before it"),
    "JOURNAL_SIZE_LIMIT": Reason(_NODE, _LEAVE),
    "LEGACY_ALTER_TABLE": Reason(_MEANING, "leave it out: ALTER TABLE renames in views too"),
    "LOCKING_MODE": Reason(_NODE, "write BEGIN IMMEDIATE to be the only one who writes"),
    "MAX_PAGE_COUNT": Reason(_NODE, "watch raftsql_database_bytes, and the disk"),
    "MMAP_SIZE": Reason(_NODE, _LEAVE),
    "PAGE_COUNT": Reason(_COUNTED, "ask without a value"),
    "PAGE_SIZE": Reason(_FORMAT, _LEAVE),
    "QUERY_ONLY": Reason(_NODE, "connect as a user whose role is read"),
    "READ_UNCOMMITTED": Reason(_NODE, "read with consistency=stale, which waits for nobody"),
    "REVERSE_UNORDERED_SELECTS": Reason(_MEANING, "add ORDER BY"),
    "SCHEMA_VERSION": Reason("a wrong one corrupts what others prepared", "leave it to SQLite"),
    "SECURE_DELETE": Reason(_NODE, "write VACUUM, and compact the log, to be rid of old rows"),
    "SHORT_COLUMN_NAMES": Reason(_MEANING, "name the columns with AS"),
    "SOFT_HEAP_LIMIT": Reason(_NODE, _LEAVE),
    "SYNCHRONOUS": Reason(_NODE, "leave it out: a write is on a majority's disks, or an error"),
    "TEMP_STORE": Reason(_NODE, _LEAVE),
    "THREADS": Reason(_NODE, _LEAVE),
    "TRUSTED_SCHEMA": Reason(_NODE, _LEAVE),
    "WAL_AUTOCHECKPOINT": Reason(_NODE, "leave it to the node, or run `raftsql compact`"),
    "WRITABLE_SCHEMA": Reason(
        "it opens the schema to writes that no check follows", "write ALTER TABLE, CREATE and DROP"
    ),
}
"""Reads that may not be given a value, and why."""

_TRUE: Final = frozenset({"ON", "YES", "TRUE"})
_FALSE: Final = frozenset({"OFF", "NO", "FALSE"})


def boolean(value: str) -> bool | None:
    """What SQLite takes a setting's value for; None for what it would only guess."""
    capitals = value.upper()
    if capitals in _TRUE:
        return True
    if capitals in _FALSE:
        return False
    return bool(int(capitals)) if capitals.isascii() and capitals.isdigit() else None
