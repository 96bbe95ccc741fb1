"""SQLAlchemy on raftsql: the dialects `raftsql://` and `raftsql+aio://`, and what goes with them.

This package is the only one of the driver that needs SQLAlchemy: `pip install raftsql[sqlalchemy]`.
"""

from raftsql_driver.sqlalchemy.retry import run_async_transaction, run_transaction

__all__ = ["run_transaction", "run_async_transaction"]
