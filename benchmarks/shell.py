"""How fast the shell starts, shows and loads: `python -m benchmarks.shell URL [--rows N]`.

It makes and drops tables whose names begin with shell_benchmark in the cluster at URL.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from raftsql_driver import connect
from raftsql_shell.formats import MODES
from raftsql_shell.look import Look
from raftsql_shell.output import Output
from raftsql_shell.session import Session
from raftsql_shell.shell import Shell

STARTS = 11
TABLE_ROWS = 10_000
NUMBERS = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c LIMIT {rows}) "
SOME_COLUMNS = "SELECT x AS id, 'name ' || x AS name, x * 1.5 AS price, x % 7 AS kind FROM c"


def main() -> None:
    """Measure, and print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    options = parser.parse_args()
    starts(options.url)
    for mode in MODES:
        shown(options.url, mode)
    for mode in ("csv", "tsv", "jsonl", "insert"):
        streamed(options.url, mode, options.rows)
    loaded(options.url, options.rows)


def starts(url: str) -> None:
    """`raftsql -c 'SELECT 1'`, from the start of the process to its end."""
    seconds = sorted(timed(lambda: run(url, "-c", "SELECT 1")) for _ in range(STARTS))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(url, "-c", "SELECT 1")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"-c 'SELECT 1': median {median(seconds):.3f} s, fastest {seconds[0]:.3f} s, "
        f"of it {work:.3f} s of processor"
    )


def shown(url: str, mode: str) -> None:
    """A result of ten thousand rows and four columns: run, fetched and written."""
    sql = NUMBERS.format(rows=TABLE_ROWS) + SOME_COLUMNS
    session = Session(url)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        shell = Shell(session, Look(mode=mode), output=Output(nowhere))
        seconds = sorted(timed(lambda: shell.statement(sql)) for _ in range(STARTS))
    session.close()
    print(
        f"{TABLE_ROWS:,} rows, {mode}: median {median(seconds):.3f} s, fastest {seconds[0]:.3f} s"
    )


def streamed(url: str, mode: str, rows: int) -> None:
    """Many rows, beside the time that the driver takes to fetch them."""
    sql = NUMBERS.format(rows=rows) + SOME_COLUMNS
    fetched = timed(lambda: fetch(url, sql))
    with tempfile.TemporaryFile() as file:
        command = [sys.executable, "-c", MEASURED, url, "--format", mode, "-c", sql]
        started = time.perf_counter()
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=True)
        seconds = time.perf_counter() - started
        size_bytes = file.tell()
    print(
        f"{rows:,} rows, {mode}: {seconds:.2f} s, {seconds / fetched:.2f} times the driver's "
        f"{fetched:.2f} s; {size_bytes >> 20} MiB; peak memory {done.stderr.decode().strip()} MiB"
    )


MEASURED = """
import resource, sys
from raftsql_shell.__main__ import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, file=sys.stderr)
sys.exit(code)
"""


def loaded(url: str, rows: int) -> None:
    """Import a csv file."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("id,name,price,kind\n")
        file.writelines(f"{k},name {k},{k * 1.5},{k % 7}\n" for k in range(rows))
        file.flush()
        size_mib = Path(file.name).stat().st_size >> 20
        drop = "DROP TABLE IF EXISTS shell_benchmark"
        run(url, "-c", drop)
        seconds = timed(lambda: run(url, "-c", f".import {file.name} shell_benchmark"))
        run(url, "-c", drop)
    print(f"import of {rows:,} csv rows ({size_mib} MiB): {seconds:.1f} s, {rows / seconds:,.0f}/s")


def run(url: str, *arguments: str) -> None:
    """Run the shell, and throw away what it says."""
    command = [sys.executable, "-m", "raftsql_shell", url, "--timeout", "600", *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def fetch(url: str, sql: str) -> None:
    """What the driver alone takes: the same batches, and nothing done with them."""
    connection = connect(url, autocommit=True, timeout=600)
    cursor = connection.execute(sql)
    while cursor.fetchmany(1000):
        pass
    connection.close()


def timed(work: Callable[[], object]) -> float:
    """Seconds of a wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
