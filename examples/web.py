"""A box office: a web application on a cluster that may lose any of its nodes.

    python -m examples.web                    # then open http://127.0.0.1:8000/

Two people may want the same seat at the same moment, and the leader may die at that moment. One of
the two gets it, the other one is told so, and all that anybody notices of the leader is a pause.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from examples.cluster import cluster
from raftsql_driver.sqlalchemy import run_async_transaction

SEATS = 100

engine = create_async_engine("raftsql+aio://")  # without a host: what RAFTSQL_URL names
bookings = async_sessionmaker(engine, expire_on_commit=False)

# A page that shows the seats may be a moment old, but not older than what this program has shown or
# written before. That asks nobody but the nearest node, and works without a leader too.
pages = async_sessionmaker(engine.execution_options(consistency="session"))


class Base(DeclarativeBase):
    """The tables."""


class Booking(Base):
    """Somebody's seats: all that were asked for, or there is no booking."""

    __tablename__ = "booking"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    made_at: Mapped[str] = mapped_column(server_default=func.current_timestamp())
    seats: Mapped[list[Seat]] = relationship(back_populates="booking", order_by="Seat.number")


class Seat(Base):
    """A seat, and whose it is."""

    __tablename__ = "seat"
    number: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int | None] = mapped_column(ForeignKey("booking.id"))
    booking: Mapped[Booking | None] = relationship(back_populates="seats", lazy="joined")


class Taken(Exception):
    """Seats that somebody else has, or that there are not."""


async def book(name: str, numbers: set[int]) -> Booking:
    """Book all of these seats, or raise Taken."""

    # May run more than once, so it does nothing that a rollback would not undo.
    async def work(session: AsyncSession) -> Booking:
        free = select(Seat).where(Seat.number.in_(numbers), Seat.booking_id.is_(None))
        booking = Booking(name=name, seats=list(await session.scalars(free)))
        missing = numbers - {seat.number for seat in booking.seats}
        if missing:
            raise Taken(f"not free: {sorted(missing)}")
        session.add(booking)
        return booking

    return await run_async_transaction(bookings, work)


async def post_booking(request: Request) -> Response:
    """Book: {"name": "Ada", "seats": [7, 8]}."""
    try:
        wish = await request.json()
        name, numbers = str(wish["name"]), {int(number) for number in wish["seats"]}
    except (KeyError, TypeError, ValueError):
        return JSONResponse({"error": 'expected {"name": "Ada", "seats": [7, 8]}'}, 400)
    try:
        booking = await book(name, numbers)
    except Taken as error:
        return JSONResponse({"error": str(error)}, 409)
    answer = {"id": booking.id, "name": booking.name, "made_at": booking.made_at}
    return JSONResponse(answer | {"seats": [seat.number for seat in booking.seats]}, 201)


async def get_seats(request: Request) -> Response:
    """Each seat, and who has it."""
    async with pages() as session:
        seats = await session.scalars(select(Seat).order_by(Seat.number))
        return JSONResponse({s.number: s.booking.name if s.booking else None for s in seats})


async def get_page(request: Request) -> Response:
    """Something to click on."""
    return HTMLResponse(PAGE)


async def say_why(request: Request, error: Exception) -> Response:
    """The database could not, within its time. The driver's text says what is certain, and what
    isn't: an `OutcomeUnknown` is to be looked up, anything else did not happen."""
    assert isinstance(error, DBAPIError)
    return JSONResponse({"error": str(error.orig)}, 503)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The tables are there before the first request, and the connections closed after the last."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await run_async_transaction(bookings, furnish)
    yield
    await engine.dispose()


async def furnish(session: AsyncSession) -> None:
    """Put the seats into an empty house."""
    if not await session.scalar(select(func.count()).select_from(Seat)):
        session.add_all(Seat(number=number) for number in range(1, SEATS + 1))


PAGE = """<!doctype html><meta charset="utf-8"><title>Box office</title>
<style>body{font:16px sans-serif;max-width:44em;margin:2em auto}button{width:4em;margin:2px}</style>
<h1>Box office</h1><div id="seats"></div><p id="said">Click on a seat.</p>
<script>
async function show() {
  const seats = Object.entries(await (await fetch("/seats")).json());
  document.getElementById("seats").replaceChildren(...seats.map(([number, name]) =>
    Object.assign(document.createElement("button"), {
      textContent: number, title: name ?? "free", disabled: name !== null,
      onclick: () => book(Number(number))})));
}
async function book(number) {
  const began = performance.now();
  const wish = {method: "POST", body: JSON.stringify({name: "you", seats: [number]})};
  const said = await (await fetch("/bookings", wish)).json();
  document.getElementById("said").textContent =
    `${JSON.stringify(said)} after ${Math.round(performance.now() - began)} ms`;
  await show();
}
show();
</script>
"""

app = Starlette(
    routes=[
        Route("/", get_page),
        Route("/seats", get_seats),
        Route("/bookings", post_booking, methods=["POST"]),
    ],
    exception_handlers={DBAPIError: say_why},
    lifespan=lifespan,
)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser("examples.web", description="a box office")
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    with cluster() as url:
        os.environ["RAFTSQL_URL"] = url
        print(f"cluster  {url}\npage     http://127.0.0.1:{port}/", flush=True)
        uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
