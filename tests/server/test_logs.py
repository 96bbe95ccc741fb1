"""What a line of the log says, for people and for machines."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from raftsql.server.logs import JsonFormatter, Place, TextFormatter, configure


def record(message: str, *arguments: object, **more: object) -> logging.LogRecord:
    found = logging.LogRecord("raftsql.x", logging.INFO, "f.py", 1, message, arguments, None)
    found.created = 1_700_000_000.25
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_line_says_when_who_in_which_term_and_what() -> None:
    line = TextFormatter(lambda: Place(2, 7)).format(record("%d are here", 3))
    assert line == "2023-11-14T22:13:20.250Z INFO     n2@7 raftsql.x: 3 are here"


def test_a_node_without_a_number_yet_still_logs() -> None:
    assert " - raftsql.x: up" in TextFormatter(Place).format(record("up"))
    assert json.loads(JsonFormatter(Place).format(record("up")))["node"] is None


def test_json_has_a_field_for_each_thing() -> None:
    about = {"request": 9, "milliseconds": 12.5}
    line = JsonFormatter(lambda: Place(2, 7)).format(record("slow\nline", about=about))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z", "level": "info", "logger": "raftsql.x",
        "node": 2, "term": 7, "message": "slow\nline", "request": 9, "milliseconds": 12.5,
    }  # fmt: skip


def test_what_a_line_is_about_is_in_the_text_too() -> None:
    line = TextFormatter(Place).format(record("slow", about={"request": 9}))
    assert line.endswith("slow (request=9)")


def test_a_traceback_is_kept() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        info = sys.exc_info()
    assert "ValueError: broken" in TextFormatter(Place).format(record("x", exc_info=info))
    found = json.loads(JsonFormatter(Place).format(record("x", exc_info=info)))
    assert "ValueError: broken" in found["trace"]


def test_the_style_can_be_changed_while_running(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        # Elsewhere than the tests' own handlers, which `configure` would close.
        root.handlers = []
        configure("warning", "text", Place)
        logging.getLogger("raftsql.x").info("unheard")
        configure("info", "json", Place)
        logging.getLogger("raftsql.x").info("heard")
    finally:
        root.handlers = kept
        root.setLevel(level)
    assert json.loads(capsys.readouterr().err)["message"] == "heard"


def test_lines_within_a_message_can_not_pass_for_lines_of_the_log() -> None:
    forged = (
        "slow: SELECT 1\n2023-11-14T22:13:20.250Z CRITICAL n1@9 raftsql.cluster: stops\r\u2028x"
    )
    first, *others = TextFormatter(Place).format(record(forged)).splitlines()
    assert first.endswith("slow: SELECT 1")
    assert all(line.startswith("    ") for line in others)
    assert len(others) >= 2
