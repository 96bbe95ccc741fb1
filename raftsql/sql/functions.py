"""Every function and virtual table of our SQLite, judged: the same everywhere, pinned, or refused.

A test enumerates the functions and modules of the SQLite we ship with and fails when one is
missing here, so a new release of SQLite is judged by us before it is met by a user.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from raftsql.sql.keywords import words

PURE_FUNCTIONS: Final = words(
    """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce
    concat concat_ws cos cosh count cume_dist degrees dense_rank exp first_value floor format
    fts5_get_locale fts5_insttoken fts5_locale geopoly_area geopoly_bbox geopoly_blob geopoly_ccw
    geopoly_contains_point geopoly_group_bbox geopoly_json geopoly_overlap geopoly_regular
    geopoly_svg geopoly_within geopoly_xform glob group_concat hex highlight if ifnull iif instr
    json json_array json_array_insert json_array_length json_error_position json_extract
    json_group_array json_group_object json_insert json_object json_patch json_pretty json_quote
    json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_array_insert
    jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch
    jsonb_remove jsonb_replace jsonb_set lag last_insert_rowid last_value lead length like
    likelihood likely ln log log10 log2 lower ltrim match matchinfo max median min mod nth_value
    ntile nullif octet_length offsets percent_rank percentile percentile_cont percentile_disc pi
    pow power printf quote radians rank replace round row_number rtreecheck rtreedepth rtreenode
    rtrim sign sin sinh snippet sqrt string_agg substr substring subtype sum tan tanh total trim
    trunc typeof unhex unicode unistr unistr_quote unlikely upper zeroblob
    """
)
"""The same rows give the same answer. `changes()` and `last_insert_rowid()` are among them: apply
starts each command with a fixed value of theirs."""

CLOCK_WORDS: Final = frozenset({"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"})
"""Keywords that read the clock; they take no parentheses."""

CLOCK_FUNCTIONS: Final = {
    "DATE": 0,
    "TIME": 0,
    "DATETIME": 0,
    "JULIANDAY": 0,
    "UNIXEPOCH": 0,
    "STRFTIME": 1,
    "TIMEDIFF": 0,
}
"""Functions that read the clock when the argument at this place is missing or says 'now'."""

CHANCE_FUNCTIONS: Final = frozenset({"RANDOM", "RANDOMBLOB"})

PINNED_FUNCTIONS: Final = CLOCK_WORDS | frozenset(CLOCK_FUNCTIONS) | CHANCE_FUNCTIONS
"""They answer from the clock and the seed that travel with the command."""


class Reason(NamedTuple):
    """Why something is refused, and what to write in its place."""

    why: str
    instead: str


_BUILD: Final = Reason(
    "its answer depends on the SQLite of the node that runs it, so nodes of different builds"
    " would store different rows",
    "ask for it with a SELECT of its own and write the answer as a parameter",
)
_TOOL: Final = Reason(
    "it reaches into the node's own process", "leave it out: it has no place in a cluster"
)

LOCAL_FUNCTIONS: Final = {
    "SQLITE_VERSION": _BUILD,
    "SQLITE_SOURCE_ID": _BUILD,
    "SQLITE_COMPILEOPTION_GET": _BUILD,
    "SQLITE_COMPILEOPTION_USED": _BUILD,
    "FTS5_SOURCE_ID": _BUILD,
    "TOTAL_CHANGES": Reason(
        "it counts what this connection of this node has changed since it was opened",
        "use changes(), or ask for it with a SELECT of its own and write the answer as a parameter",
    ),
}
"""Refused where they could reach the log; a SELECT may ask for them, the asked node answers."""

FORBIDDEN_FUNCTIONS: Final = {
    "LOAD_EXTENSION": Reason(
        "it runs code that only this node has",
        "use what is built in: no extension can be the same on every node",
    ),
    "FTS3_TOKENIZER": _TOOL,
    "FTS5": _TOOL,
    "GEOPOLY_DEBUG": _TOOL,
    "SQLITE_LOG": _TOOL,
    "OPTIMIZE": Reason(
        "it is a write inside a SELECT, which no replica but this one would see",
        "write INSERT INTO docs(docs) VALUES ('optimize')",
    ),
}
"""Refused everywhere, in a SELECT too."""

REFUSED_FUNCTIONS: Final = frozenset(LOCAL_FUNCTIONS) | frozenset(FORBIDDEN_FUNCTIONS)

ORDER_DEPENDENT_AGGREGATES: Final = words(
    """
    group_concat string_agg json_group_array json_group_object jsonb_group_array
    jsonb_group_object first_value last_value nth_value lag lead row_number ntile
    """
)
"""Their answer depends on the order in which rows are met; strict mode wants that order said."""

PURE_MODULES: Final = words(
    """
    fts3 fts3tokenize fts4 fts4aux fts5 fts5vocab geopoly rtree rtree_i32
    """
)
"""What CREATE VIRTUAL TABLE may use: they keep their rows in ordinary tables of the database."""

LOCAL_MODULES: Final = {
    "DBSTAT": Reason(
        "it tells how the pages of this node's own file lie, which differs from node to node",
        "ask for it with a SELECT of its own",
    ),
}
FORBIDDEN_MODULES: Final = {
    "CARRAY": Reason(
        "it reads the memory of this node's process",
        "pass the values as JSON text and read them with json_each(?)",
    ),
}
