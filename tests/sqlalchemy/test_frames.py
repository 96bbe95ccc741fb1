"""pandas and Polars, with an engine and with the driver's own connection."""

from __future__ import annotations

import datetime

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine, inspect

import raftsql

pytestmark = pytest.mark.e2e
MOMENT = datetime.datetime(2024, 2, 29, 12, 30)


def test_pandas_writes_a_frame_and_reads_it_back(engine: Engine) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "city": ["Oslo", "Lima", None],
            "people": [709_000, 10_092_000, 2**62],
            "share": [0.5, float("nan"), -1e300],
            "at": pandas.to_datetime([MOMENT, MOMENT, None]),
        }
    )
    frame.to_sql("city", engine, index=False)
    found = pandas.read_sql_table("city", engine)
    pandas.testing.assert_frame_equal(found, frame, check_dtype=False)
    query = "SELECT city FROM city WHERE people > ? ORDER BY people"
    assert list(pandas.read_sql(query, engine, params=(1_000_000,)).city[:1]) == ["Lima"]
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("city", engine)
    frame.to_sql("city", engine, index=False, if_exists="append", method="multi")
    frame.to_sql("city", engine, index=False, if_exists="replace")
    assert len(pandas.read_sql("SELECT * FROM city", engine)) == 3


def test_pandas_reads_in_chunks_and_writes_many_rows(engine: Engine) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"number": range(25_000)})
    assert frame.to_sql("number", engine, index=False, chunksize=10_000) == 25_000
    chunks = pandas.read_sql("SELECT number FROM number", engine, chunksize=7_000)
    assert [len(chunk) for chunk in chunks] == [7_000, 7_000, 7_000, 4_000]


@pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy:UserWarning")
def test_pandas_takes_the_drivers_connection(engine: Engine) -> None:
    pandas = pytest.importorskip("pandas")
    connection = raftsql.connect(engine.url.render_as_string())
    pandas.DataFrame({"a": [1, 2]}).to_sql("plain", connection, index=False)
    assert list(pandas.read_sql("SELECT a FROM plain", connection).a) == [1, 2]
    connection.close()


def test_polars_reads_and_writes_by_engine_and_by_connection(engine: Engine) -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = polars.DataFrame({"city": ["Oslo", "Lima"], "people": [709_000, 10_092_000]})
    frame.write_database("town", engine, if_table_exists="replace")
    assert inspect(engine).has_table("town")
    query = "SELECT city, people FROM town"
    assert polars.read_database(query, engine).equals(frame)
    connection = raftsql.connect(engine.url.render_as_string())
    assert polars.read_database(query, connection).equals(frame)
    batches = polars.read_database(query, connection, iter_batches=True, batch_size=1)
    assert [len(batch) for batch in batches] == [1, 1]
    connection.close()
