"""Where an example's cluster is: `RAFTSQL_URL`, or three nodes of its own that end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cluster() -> Iterator[str]:
    """A cluster's URL; one of its own lives in a folder that goes with it."""
    given = os.environ.get("RAFTSQL_URL")
    if given:
        yield given
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Or nodes would be left behind.
    with tempfile.TemporaryDirectory(prefix="raftsql-example-") as folder:
        command = [sys.executable, "-m", "raftsql.server", "up", "--port", "0"]
        # In a session of its own: Ctrl-C is for the example, and the cluster ends after it.
        nodes = subprocess.Popen(
            [*command, "--data-dir", folder],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert nodes.stdout is not None
            url = nodes.stdout.readline().strip()
            if not url:
                raise SystemExit("the cluster did not start")  # It has said why.
            yield url
        finally:
            nodes.terminate()
            nodes.wait()
