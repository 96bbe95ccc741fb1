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

_NODE: Final = Reason(
    "the node sets this itself, alike for every client", "leave it out, or ask without a value"
)
_MEANING: Final = Reason(
    "it changes what the same statement does, on this node alone",
    "leave it out, or ask without a value",
)
_FORMAT: Final = Reason(
    "it changes the file format, which the cluster chose when it was founded",
    "leave it out, or ask without a value",
)
_FILE: Final = Reason(
    "it works on this node's own file, behind the log's back", "leave it to the node"
)

REFUSED_PRAGMAS: Final = {
    "CASE_SENSITIVE_LIKE": Reason(
        "it changes what LIKE means, on this node alone", "use GLOB, or LIKE on lower(…)"
    ),
    "INCREMENTAL_VACUUM": Reason(
        "it works on this node's own file, behind the log's back",
        "write VACUUM, which goes through the log",
    ),
    "OPTIMIZE": Reason(
        "what it analyzes depends on what this node was asked before",
        "write ANALYZE, which goes through the log",
    ),
    "SHRINK_MEMORY": _NODE,
    "TEMP_STORE_DIRECTORY": _NODE,
    "WAL_CHECKPOINT": _FILE,
}
"""Refused with and without a value."""

REFUSED_TO_SET: Final = (
    dict.fromkeys(
        words(
            """
        ANALYSIS_LIMIT AUTOMATIC_INDEX BUSY_TIMEOUT CACHE_SIZE CACHE_SPILL CELL_SIZE_CHECK
        CHECKPOINT_FULLFSYNC FULLFSYNC HARD_HEAP_LIMIT JOURNAL_MODE JOURNAL_SIZE_LIMIT
        LOCKING_MODE MAX_PAGE_COUNT MMAP_SIZE QUERY_ONLY READ_UNCOMMITTED SECURE_DELETE
        SOFT_HEAP_LIMIT SYNCHRONOUS TEMP_STORE THREADS TRUSTED_SCHEMA WAL_AUTOCHECKPOINT
        """
        ),
        _NODE,
    )
    | dict.fromkeys(
        words(
            """
        COUNT_CHANGES EMPTY_RESULT_CALLBACKS FULL_COLUMN_NAMES IGNORE_CHECK_CONSTRAINTS
        LEGACY_ALTER_TABLE REVERSE_UNORDERED_SELECTS SHORT_COLUMN_NAMES
        """
        ),
        _MEANING,
    )
    | dict.fromkeys(words("AUTO_VACUUM ENCODING PAGE_SIZE"), _FORMAT)
    | dict.fromkeys(
        words("DATA_VERSION FREELIST_COUNT PAGE_COUNT"),
        Reason("SQLite counts this itself", "ask without a value"),
    )
    | {
        "SCHEMA_VERSION": Reason("a wrong one corrupts what others prepared", "leave it to SQLite"),
        "WRITABLE_SCHEMA": Reason(
            "it opens the schema to writes that no check follows",
            "write ALTER TABLE, CREATE and DROP",
        ),
    }
)
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
