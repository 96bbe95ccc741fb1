"""As much of an object store's protocol as a backup needs, on a loopback port."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

MODIFIED = "2026-01-01T00:00:00.000Z"
HTTP_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


class Handler(BaseHTTPRequestHandler):
    """Objects by their path, in memory, those of large files put together from parts."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    parts: dict[str, dict[int, bytes]]

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _asked(self) -> tuple[str, dict[str, list[str]], bytes]:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return parts.path, parse_qs(parts.query, keep_blank_values=True), body

    def do_PUT(self) -> None:
        path, query, body = self._asked()
        if "partNumber" in query:
            self.parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
        else:
            self.objects[path] = body
        self._answer(200, ETag='"tag"')

    def do_POST(self) -> None:
        path, query, asked = self._asked()
        if "delete" in query:
            keys = re.findall(r"<Key>(.*?)</Key>", asked.decode())
            for key in keys:
                self.objects.pop(f"{path.rstrip('/')}/{key}", None)
            gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())
            return
        if "uploads" in query:
            number = f"upload-{len(self.parts)}"
            self.parts[number] = {}
            body = f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId>"
            self._answer(200, f"{body}</InitiateMultipartUploadResult>".encode())
            return
        found = self.parts.pop(query["uploadId"][0])
        self.objects[path] = b"".join(found[number] for number in sorted(found))
        body = "<CompleteMultipartUploadResult><ETag>tag</ETag></CompleteMultipartUploadResult>"
        self._answer(200, body.encode())

    def do_DELETE(self) -> None:
        path, _, _ = self._asked()
        self.objects.pop(path, None)
        self._answer(204)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, query, _ = self._asked()
        if "list-type" in query:
            self._answer(200, self._listed(path, query.get("prefix", [""])[0]))
        elif path in self.objects:
            self._answer(200, self.objects[path], ETag='"tag"', Last_Modified=HTTP_MODIFIED)
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _listed(self, bucket: str, prefix: str) -> bytes:
        keys = [path.removeprefix(bucket).lstrip("/") for path in sorted(self.objects)]
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{MODIFIED}</LastModified>"
            f"<Size>{len(self.objects[f'{bucket}/{key}'])}</Size><ETag>tag</ETag></Contents>"
            for key in keys
            if key.startswith(prefix)
        )
        return (
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()
        )


@contextmanager
def object_store() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Its address, and what is in it."""
    handler = type("Served", (Handler,), {"objects": {}, "parts": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler.objects
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
