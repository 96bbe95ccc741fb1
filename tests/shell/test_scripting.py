"""The shell in scripts: arguments, files and pipes in; data, words and exit codes out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell.fake import ShellServer

MANY = (
    "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c LIMIT 300000) SELECT x FROM c"
)


def run(
    *arguments: str, given: str | bytes = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "raftsql_shell", *arguments],
        input=given if isinstance(given, bytes) else given.encode(),
        capture_output=True,
        timeout=60,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def test_several_commands_run_in_their_order(server: ShellServer, tmp_path: Path) -> None:
    script = tmp_path / "some.sql"
    script.write_text("INSERT INTO t VALUES(2);\nINSERT INTO t VALUES(3)")
    done = run(
        *(server.url, "-c", "CREATE TABLE t(a); INSERT INTO t VALUES(1)", "-f", str(script)),
        *("-c", "SELECT group_concat(a) AS all_of_them FROM t"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 'all_of_them\n"1,2,3"\n', "")


def test_standard_input_is_read_when_it_is_no_terminal(server: ShellServer) -> None:
    done = run(server.url, given="SELECT 1 AS a;\nSELECT 2\nAS b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n1\nb\n2\n", "")


def test_only_data_is_written_to_standard_output(server: ShellServer) -> None:
    script = ".timer on\nCREATE TABLE t(a);\n.parameter set x 1\nINSERT INTO t VALUES(:x);\n"
    done = run(server.url, "--format", "json", given=script + "SELECT a FROM t;\n")
    assert json.loads(done.stdout) == [{"a": 1}]
    assert done.stderr.count("time: ") == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-c", "SELECT 1"), 0),
        (("-c", "SELECT nothing_such"), 1),
        (("-c", ".nothing"), 1),
        (("-f", "/no/such/file"), 1),
        (("--format", "jason"), 2),
        (("-v", "no-sign"), 2),
        (("--consistency", "eventual"), 2),
        (("--frobnicate",), 2),
    ],
)
def test_the_exit_code_tells_what_went_wrong(
    server: ShellServer, arguments: tuple[str, ...], code: int
) -> None:
    done = run(server.url, *arguments)
    assert done.returncode == code
    assert bool(done.stderr) == bool(code)


def test_a_url_that_is_none_is_wrong_usage() -> None:
    done = run("postgres://somewhere/", "-c", "SELECT 1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "write raftsql://host:port/" in done.stderr


def test_a_cluster_that_is_not_there_is_three() -> None:
    done = run("raftsql://127.0.0.1:9/?connect_timeout=2", "-c", "SELECT 1")
    assert (done.returncode, done.stdout) == (3, "")
    assert "can't connect" in done.stderr


def test_the_url_may_come_from_the_environment(server: ShellServer) -> None:
    done = run("-c", "SELECT 1 AS a", environment={"RAFTSQL_URL": server.url})
    assert (done.returncode, done.stdout) == (0, "a\n1\n")


def test_the_first_error_ends_a_script_unless_it_says_otherwise(server: ShellServer) -> None:
    script = "SELECT 1 AS a;\nSELECT wrong;\nSELECT 2 AS b;\n"
    done = run(server.url, given=script)
    assert (done.returncode, done.stdout) == (1, "a\n1\n")
    done = run(server.url, given=".bail off\n" + script)
    assert (done.returncode, done.stdout) == (1, "a\n1\nb\n2\n")


def test_an_error_names_the_file_the_line_and_the_place(
    server: ShellServer, tmp_path: Path
) -> None:
    script = tmp_path / "wrong.sql"
    script.write_text("SELECT 1;\n\n-- a comment\nSELECT 1,\n       wrong\n  FROM sqlite_schema;\n")
    done = run(server.url, "-f", str(script))
    assert done.stderr.splitlines() == [
        f"{script}:5: error: no such column: wrong",
        "         wrong",
        "         ^^^^^",
    ]


def test_a_read_file_is_named_in_its_errors_and_ends_its_reader(
    server: ShellServer, tmp_path: Path
) -> None:
    inner, outer = tmp_path / "inner.sql", tmp_path / "outer.sql"
    inner.write_text("SELECT 1 AS a;\nSELEKT 2;\n")
    outer.write_text(f".read {inner}\nSELECT 3 AS c;\n")
    done = run(server.url, "-f", str(outer))
    assert (done.returncode, done.stdout) == (1, "a\n1\n")
    assert f"{inner}:2: error" in done.stderr


def test_a_file_that_reads_itself_is_noticed(server: ShellServer, tmp_path: Path) -> None:
    script = tmp_path / "snake.sql"
    script.write_text(f".read {script}\n")
    done = run(server.url, "-f", str(script))
    assert done.returncode == 1
    assert "read from within itself" in done.stderr


def test_a_quote_that_is_never_closed_is_named_by_its_line(
    server: ShellServer, tmp_path: Path
) -> None:
    script = tmp_path / "open.sql"
    script.write_text("SELECT 1 AS a;\nSELECT 2,\n  'never\nclosed;\nSELECT 3;\n")
    done = run(server.url, "-f", str(script))
    assert (done.returncode, done.stdout) == (1, "a\n1\n")
    assert "the ' on line 3 is never closed" in done.stderr


def test_a_script_that_is_no_text_is_refused(server: ShellServer, tmp_path: Path) -> None:
    script = tmp_path / "binary.sql"
    script.write_bytes(b"SELECT 1 AS a;\n\xff\xfe\x00\n")
    done = run(server.url, "-f", str(script))
    assert done.returncode == 1
    assert "no text in UTF-8" in done.stderr


def test_values_given_with_v_have_the_types_they_look_like(server: ShellServer) -> None:
    done = run(
        *(server.url, "--format", "quote", "--no-headers", "-v", "n=5", "-v", "t=five"),
        *("-v", "q='5'", "-v", "x=NULL", "-v", "b=x'00ff'", "-v", "s=a=b"),
        *("-c", "SELECT :n, :t, :q, :x, :b, :s"),
    )
    assert (done.stdout, done.stderr) == ("5,'five','5',NULL,x'00ff','a=b'\n", "")


def test_text_and_line_ends_travel_unchanged(server: ShellServer) -> None:
    done = run(
        server.url,
        "--format",
        "quote",
        "--no-headers",
        given="SELECT '日本 é\r\nmit Umlaut ü', hex('\r\n');\r\n".encode(),
    )
    assert done.stdout == "'日本 é\r\nmit Umlaut ü','0D0A'\n"


def test_a_reader_who_has_seen_enough_is_no_reason_for_a_trace(server: ShellServer) -> None:
    command = [sys.executable, "-m", "raftsql_shell", server.url, "--format", "csv", "-c", MANY]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert shell.stdout is not None
    assert shell.stderr is not None
    assert shell.stdout.readline() == b"x\n"
    shell.stdout.close()
    assert shell.stderr.read() == b""
    assert shell.wait(30) == 1
    shell.stderr.close()


def test_an_interrupted_script_stops(server: ShellServer) -> None:
    server.faults.slow_s = 60.0
    command = [sys.executable, "-m", "raftsql_shell", server.url, "-c", "SELECT 'slow'"]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    server.wait_for_sql("'slow'")
    shell.send_signal(signal.SIGINT)
    output, errors = shell.communicate(timeout=30)
    assert (shell.returncode, output, errors) == (130, b"", b"")
    server.faults.slow_s = 0.0


def test_the_users_settings_do_not_reach_scripts(server: ShellServer, home: Path) -> None:
    folder = home / ".config" / "raftsql"
    folder.mkdir(parents=True)
    (folder / "shell.toml").write_text('mode = "json"\n')
    assert run(server.url, "-c", "SELECT 1 AS a").stdout == "a\n1\n"


def test_output_can_go_to_a_program(server: ShellServer, tmp_path: Path) -> None:
    place = tmp_path / "sorted.txt"
    script = f".headers off\n.once |sort > {place}\nSELECT 'b' UNION ALL SELECT 'a';\nSELECT 'c';\n"
    done = run(server.url, given=script)
    assert (done.stdout, done.stderr) == ("c\n", "")
    assert place.read_text() == "a\nb\n"


def test_a_pipe_that_is_read_in_part_only_ends_that_result_alone(server: ShellServer) -> None:
    done = run(server.url, given=f".once |head -1\n{MANY};\n.headers off\nSELECT 'after';\n")
    assert (done.returncode, done.stdout) == (0, "x\nafter\n")


PROMPT_ONLY = (
    *("prompt_toolkit", "pygments", "sqlglot", "apsw", "wcwidth", "tomllib", "sqlite3", "shlex"),
    *("raftsql_shell.app", "raftsql_shell.cluster", "raftsql_shell.commands.members"),
    *("raftsql.server.serve", "raftsql.cluster", "raftsql_driver.aio", "raftsql_driver.pool"),
)
"""What a statement of -c has no use for. An import costs a third of a millisecond or more each."""
MODULES_MAX = 330
"""308 are loaded today, those of the interpreter and of gRPC among them."""


def test_a_single_statement_loads_little(server: ShellServer) -> None:
    """A count of modules is the same on every machine; the seconds are in benchmarks/shell.py."""
    program = (
        "import sys; from raftsql.server.cli import main; "
        f"main([{server.url!r}, '-c', 'SELECT 1']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = done.stdout.decode().splitlines()[-1].split()
    assert [name for name in PROMPT_ONLY if name in loaded] == []
    assert len(loaded) <= MODULES_MAX


def test_a_script_with_a_nul_in_it_is_refused(server: ShellServer, tmp_path: Path) -> None:
    script = tmp_path / "nul.sql"
    script.write_bytes(b"SELECT 1 AS a;\nSELECT 'x\0y';\n")
    done = run(server.url, "-f", str(script))
    assert (done.returncode, done.stdout) == (1, "a\n1\n")
    assert "a NUL character on line 2" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_an_error_and_no_trace(server: ShellServer) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "raftsql_shell", server.url, "-c", "SELECT 1"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"error: can't write the result: No space left on device\n"
