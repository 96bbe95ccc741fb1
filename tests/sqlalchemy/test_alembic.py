"""Alembic's commands: up, down, batch mode, and a migration that fails half way."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, inspect, text
from sqlalchemy.exc import DBAPIError

pytestmark = pytest.mark.e2e
METADATA = MetaData()
PERSON = Table(
    "person",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("login", String(40), nullable=False),
)
ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes["metadata"],
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.create_table(
        "person",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(10)),
    )
    op.create_table("pet", sa.Column("owner", sa.Integer, sa.ForeignKey("person.id")))
    op.bulk_insert(sa.table("person", sa.column("name")), [{"name": "Ada"}, {"name": "Grace"}])
    op.execute("INSERT INTO pet VALUES(1)")


def downgrade():
    op.drop_table("pet")
    op.drop_table("person")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    with op.batch_alter_table("person") as batch:
        batch.alter_column(
            "name", new_column_name="login", existing_type=sa.String(10), type_=sa.String(40),
            nullable=False,
        )
    with op.batch_alter_table("person") as batch:
        batch.create_unique_constraint("login_is_unique", ["login"])


def downgrade():
    with op.batch_alter_table("person") as batch:
        batch.drop_constraint("login_is_unique", type_="unique")
    with op.batch_alter_table("person") as batch:
        batch.alter_column(
            "login", new_column_name="name", existing_type=sa.String(40), type_=sa.String(10),
            nullable=True,
        )
"""
BROKEN = """
from alembic import op

revision, down_revision = "3", "2"


def upgrade():
    op.execute("CREATE TABLE half(a)")
    op.execute("CREATE TABLE half(a)")
"""


@pytest.fixture
def migrations(engine: Engine, tmp_path: Path) -> Config:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "versions" / "1_make.py").write_text(FIRST)
    (tmp_path / "versions" / "2_change.py").write_text(SECOND)
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", engine.url.render_as_string())
    config.attributes["metadata"] = METADATA
    return config


def columns(engine: Engine) -> dict[str, str]:
    return {column["name"]: str(column["type"]) for column in inspect(engine).get_columns("person")}


def version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def test_migrations_go_up_and_down_and_keep_the_rows(engine: Engine, migrations: Config) -> None:
    command.upgrade(migrations, "1")
    assert columns(engine) == {"id": "INTEGER", "name": "VARCHAR(10)"}
    command.upgrade(migrations, "2")
    assert columns(engine) == {"id": "INTEGER", "login": "VARCHAR(40)"}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT login FROM person")).scalars().all() == [
            "Ada",
            "Grace",
        ]
        assert connection.execute(text("SELECT owner FROM pet")).scalars().all() == [1]
    assert inspect(engine).get_unique_constraints("person")[0]["name"] == "login_is_unique"
    command.downgrade(migrations, "1")
    assert columns(engine) == {"id": "INTEGER", "name": "VARCHAR(10)"}
    command.downgrade(migrations, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert version(engine) is None


def test_a_migration_that_fails_half_way_leaves_nothing(
    engine: Engine, migrations: Config, tmp_path: Path
) -> None:
    (tmp_path / "versions" / "3_break.py").write_text(BROKEN)
    command.upgrade(migrations, "2")
    with pytest.raises(DBAPIError, match="already exists"):
        command.upgrade(migrations, "3")
    assert version(engine) == "2"
    assert not inspect(engine).has_table("half")


def test_what_a_migration_has_to_change_is_found_by_comparing(
    engine: Engine, migrations: Config
) -> None:
    command.upgrade(migrations, "2")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    assert [(what, getattr(item, "name", "")) for what, item, *_ in differences] == [
        ("remove_table", "pet"),
        ("remove_constraint", "login_is_unique"),
    ]
