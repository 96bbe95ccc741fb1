"""Coming in and going out of the console, where nobody has to say who they are."""

from __future__ import annotations

from pathlib import Path

from tests.console.browsing import Browser, served


async def test_who_need_not_log_in_is_somebody_all_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = Browser(node.address)
        reply = await browser.get("/api/me")
        assert reply.status == 200
        assert reply.json | {"version": 0, "address": 0} == {
            "user": None, "role": None, "users": False, "node_id": 1, "version": 0, "address": 0,
            "idle_seconds": 1800,
        }  # fmt: skip
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/console" in cookie
        assert "Secure" not in cookie
        again = await browser.get("/api/me")
        assert "set-cookie" not in again.headers
        assert (await browser.post("/api/logout")).status == 200
        assert (await browser.get("/api/timeline")).status == 401
