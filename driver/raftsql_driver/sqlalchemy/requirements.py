"""What SQLAlchemy's dialect suite may expect: all that SQLite can do, less what a cluster refuses.

SQLAlchemy's own defaults say for the rest what holds for every database.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

OFFERED: Final = """
    aggregate_order_by autocommit boolean_col_expressions check_constraint_reflection
    computed_columns computed_columns_reflect_persisted computed_columns_stored
    computed_columns_virtual create_table_as ctes ctes_with_update_delete ctes_with_values
    date_historic datetime_historic datetime_literals dbapi_lastrowid emulated_lastrowid
    emulated_lastrowid_even_with_sequences except_ expression_server_defaults
    fk_constraint_option_reflection_ondelete_noaction
    fk_constraint_option_reflection_ondelete_restrict
    fk_constraint_option_reflection_onupdate_restrict
    float_or_double_precision_behaves_generically foreign_key_constraint_name_reflection
    foreign_key_constraint_option_reflection_ondelete
    foreign_key_constraint_option_reflection_onupdate index_ddl_if_exists
    indexes_check_column_order indexes_with_expressions infinity_floats
    inline_check_constraint_reflection intersect isolation_level json_type
    legacy_unconditional_json_extract mod_operator_as_percent_sign nullsordering nvarchar_types
    order_by_label_with_expression percent_schema_names precision_numerics_enotation_small
    precision_numerics_retains_significant_digits reflects_pk_names repeated_column_foreign_keys
    repeated_remote_col_foreign_keys savepoints server_defaults skip_autocommit_rollback
    supports_bitwise_and supports_bitwise_not supports_bitwise_or supports_bitwise_shift
    supports_bitwise_xor table_ddl_if_exists tuple_in unicode_ddl update_from views
    window_functions window_range window_range_numeric
""".split()  # noqa: SIM905
"""What SQLAlchemy does not take for granted, and we have."""

REFUSED: Final = {
    "schemas": "ATTACH: a cluster has one database",
    "temporary_tables": "temporary tables live in one connection of one node",
    "temp_table_reflection": "temporary tables live in one connection of one node",
    "temp_table_reflect_indexes": "temporary tables live in one connection of one node",
    "temp_table_names": "temporary tables live in one connection of one node",
    "has_temp_table": "temporary tables live in one connection of one node",
    "create_temp_table_as": "temporary tables live in one connection of one node",
    "temporary_views": "temporary views live in one connection of one node",
}
"""What SQLite has, and a cluster refuses, with the reason."""

LACKING: Final = {
    "implicitly_named_constraints": "an unnamed constraint has no name",
    "nested_aggregates": "an aggregate of an outer query can't stand in a subquery's aggregate",
    "numeric_received_as_decimal_untyped": "a number without a type is a float",
    "parens_in_union_contained_select_w_limit_offset": "a UNION's parts take no parentheses",
    "parens_in_union_contained_select_wo_limit_offset": "a UNION's parts take no parentheses",
    "regexp_match": "SQLite has the operator, but no function behind it",
}
"""What SQLAlchemy takes for granted, or its SQLite dialect offers, and SQLite itself lacks."""


class Requirements(SuiteRequirements):
    """Named in the suite's setup.cfg; the same for the reference run on plain SQLite."""

    @property
    def async_dialect(self) -> Any:
        """The dialect awaits its driver."""
        return exclusions.only_if(lambda config: config.db.dialect.is_async)

    @property
    def reflect_table_options(self) -> Any:
        """SQLAlchemy reads STRICT and WITHOUT ROWID from 2.1 on."""
        return exclusions.only_if(lambda config: "get_table_options" in vars(SQLiteDialect))

    def get_order_by_collation(self, config: Any) -> str:
        """A collation that sorts otherwise than by bytes."""
        return "NOCASE"


def _always(answer: Any) -> property:
    return property(lambda requirements: answer())


for _name in OFFERED:
    setattr(Requirements, _name, _always(exclusions.open))
for _name in (*REFUSED, *LACKING):
    setattr(Requirements, _name, _always(exclusions.closed))
