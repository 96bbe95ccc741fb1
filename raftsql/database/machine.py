"""The state machine: applies the log to SQLite, each command once, alike on every node.

`apply` puts as many commands as it can into one SQLite transaction, together with the position
they bring the log to and the answers that sessions keep. Commands in one transaction must not
feel each other, and what SQLite lets one do to the others is handled in three ways:

* A failed statement undoes itself, so a command of one statement needs no savepoint; a command of
  several, and any that may leave a deferred foreign key open, gets one (`shared`).
* What would end the shared transaction (OR ROLLBACK, RAISE(ROLLBACK), fuel), or must be undone
  after it ran, makes the machine drop the batch, apply what came before it once more, and then
  the culprit alone (`solo`). `RunAlone` carries that news up.
* What can't share at all (VACUUM, transactions, sessions, other settings) ends the batch, and so
  does a change of the schema, which has to be read anew between transactions.

Any error that is not the same on every node stops the machine with nothing of the batch committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from raftsql.database import fuel, text
from raftsql.database.chain import Chain
from raftsql.database.errors import DatabaseDamaged, MachineStopped, RunAlone, TakesLonger, stop_for
from raftsql.database.headers import (
    COMMAND,
    EXECUTE,
    MEMBERSHIP,
    SCRIPT,
    Marker,
    header_of,
    kind_of,
    settings_of,
)
from raftsql.database.internal import FormatUnknown
from raftsql.database.sessions import OUTSTANDING_MAX
from raftsql.database.shared import STREAK, is_vacuum, perform, quick_runner
from raftsql.database.snapshot import page_size
from raftsql.database.solo import apply_alone
from raftsql.database.streak import run_streak
from raftsql.database.transaction import OpenTransaction
from raftsql.database.writer import Writer
from raftsql.raft.messages import Entry, Position
from raftsql.sql.access import Access
from raftsql.sql.commands import HEADER, VERSION, CommandKind, Settings


class Machine:
    """One database, and how far the log has been applied to it."""

    def __init__(self, writer: Writer) -> None:
        self.marker: Marker | None = None
        """Set when `apply` ended early: deal with it, then apply the rest."""
        self._writer = writer
        self._stopped = False
        self._chain = Chain(writer)

    @classmethod
    def open(cls, path: Path, *, vfs: str = "") -> Machine:
        """Open or create the database. `vfs` names what lies beneath, for faulty disks in tests."""
        _check_whole_pages(path)
        try:
            return cls(Writer(path, vfs))
        except apsw.Error as error:
            raise stop_for(path, error) from error
        except FormatUnknown as error:
            raise MachineStopped(f"the database {path} can't be opened: {error}") from error

    @property
    def path(self) -> Path:
        """The database file."""
        return self._writer.path

    @property
    def applied(self) -> Position:
        """The place in the log that the rows are at, durable in the same transaction as they."""
        return self._writer.applied

    @property
    def membership(self) -> bytes:
        """The newest membership applied, as the log holds it; empty before the first."""
        return self._writer.membership

    @property
    def access(self) -> Access:
        """Who may do what, as far as the log is applied. It is replaced, never changed."""
        return self._writer.access

    def owner(self, session: int) -> int | None:
        """The number of the user whose session it is (0: nobody's); None if there is none."""
        client = self._writer.sessions.clients.get(session)
        return None if client is None else client.owner

    @property
    def in_transaction(self) -> bool:
        """Whether SQLite's transaction is held open for interactive ones."""
        return bool(self._chain.members) and not self._chain.torn

    @property
    def clock_ms(self) -> int:
        """The log's clock: that of the newest command applied, never going back."""
        return self._writer.clock_ms

    @property
    def session_count(self) -> int:
        """Clients whose answers are kept."""
        return len(self._writer.sessions.clients)

    def close(self) -> None:
        """Let the file go; the WAL stays beside it. What is not committed is gone."""
        self._stopped = True
        self._chain.clear()
        self._writer.close()

    def apply(self, entries: Sequence[Entry], *, patience: int | None = None) -> list[bytes | None]:
        """Apply entries in order; the packed answer of each command, None for the other kinds.

        Entries at or below `applied` are skipped (None). Fewer answers than entries mean that
        `marker` is set: deal with it, and apply the rest. When all of it burns more than
        `patience` units of fuel, TakesLonger has the answers of what was applied, and the rest may
        be applied again, with more patience.
        """
        assert not self.in_transaction, "entries can't be applied beside an open transaction"
        self.marker = None
        answers: list[bytes | None] = []
        with self._guarded():
            self._writer.meter.wait(patience)
            try:
                self._apply(entries, answers)
            except TakesLonger:
                self._writer.drop()
                applied = self._writer.applied.index + 1 - entries[0].index
                raise TakesLonger(answers[:applied]) from None
            finally:
                self._writer.meter.wait(None)
        return answers

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """All work on the writer is done within this: text that is not UTF-8 is read as clients see
        it, and any error that is not an answer stops the machine."""
        if self._stopped:
            raise MachineStopped("the machine has stopped")
        token = text.begin_replacing()
        try:
            yield
        except TakesLonger:
            raise
        except BaseException as error:
            self.close()
            own = error.__cause__ if isinstance(error, MachineStopped) else error
            if isinstance(own, apsw.Error):
                raise stop_for(self.path, own) from error
            raise
        finally:
            text.end(token)

    def _apply(self, entries: Sequence[Entry], answers: list[bytes | None]) -> None:
        for entry in entries:
            if entry.index > self._writer.applied.index:
                break
            answers.append(None)
        while len(answers) < len(entries):
            entry = entries[len(answers)]
            if _shares(entry):
                self._batch(entries, len(entries), answers)
                continue
            kind = kind_of(entry.payload)
            if kind is CommandKind.RESTORE:
                self.marker = Marker(kind, entry)
                break
            self._follows(entry)
            answers.append(apply_alone(self._writer, entry))
            if kind is CommandKind.VERIFY:
                self.marker = Marker(kind, entry)
                break

    def _follows(self, entry: Entry) -> None:
        last = self._writer.applied.index
        assert entry.index == last + 1, f"entry {entry.index} can't follow {last}"

    def _batch(self, entries: Sequence[Entry], stop: int, answers: list[bytes | None]) -> None:
        """Apply entries from the first unanswered one in one transaction, as far as they share."""
        writer, start = self._writer, len(answers)
        settings = self._settings(entries, start, stop)
        writer.begin(settings)
        try:
            self._run(entries, stop, settings, answers)
        except RunAlone as news:
            culprit = len(answers)
            writer.drop()
            del answers[start:]
            if culprit > start:
                self._batch(entries, culprit, answers)
            assert len(answers) == culprit, "commands that shared a transaction no longer do"
            answers.append(apply_alone(writer, entries[culprit], exact=news.recount))
            return
        writer.commit(entries[len(answers) - 1])

    def _settings(self, entries: Sequence[Entry], start: int, stop: int) -> int:
        """The settings of the first command, which are the batch's."""
        for place in range(start, stop):
            if entries[place].kind == COMMAND:
                return settings_of(entries[place].payload)
        return self._writer.settings

    def _run(
        self, entries: Sequence[Entry], stop: int, settings: int, answers: list[bytes | None]
    ) -> None:
        """The hot loop: one turn a command, nothing in it that a batch could do once."""
        writer, pinned, meter = self._writer, self._writer.pinned, self._writer.meter
        statements = writer.statements
        unpack, run = HEADER.unpack_from, quick_runner(writer)
        clients, known, note = writer.sessions.clients, writer.sessions.known, writer.sessions.note
        answered = answers.append
        clock_ms, index = writer.clock_ms, writer.applied.index
        budget = -1
        while (place := len(answers)) < stop:
            entry = entries[place]
            index += 1
            assert entry.index == index, f"entry {entry.index} can't follow {index - 1}"
            if entry.kind != COMMAND:
                if entry.kind == MEMBERSHIP:
                    writer.take_membership(entry.payload)
                answered(None)
                continue
            payload = entry.payload
            version, kind, flags, limit, clock, seed, session, sequence, floor = unpack(payload)
            if kind > SCRIPT or flags != settings or version != VERSION:
                break
            if clock > clock_ms:
                clock_ms = writer.clock_ms = clock
            if session and (
                (client := clients.get(session)) is None
                or sequence <= client.floor
                or sequence in client.answers
                or len(client.answers) >= OUTSTANDING_MAX
            ):
                answer = known(session, sequence, floor)
                if answer is not None:
                    answered(answer)
                    continue
            pinned.vfs.clock_ms = clock_ms
            pinned.seed = seed
            pinned.chance = None
            if limit != budget:
                budget = limit
                meter.limit = fuel.near(limit)
            meter.burnt = 0
            answer = run(payload) if kind == EXECUTE else perform(writer, kind, payload)
            if answer is STREAK:
                assert statements.repeated is not None, "a streak is of some text"
                run_streak(writer, statements.repeated, entries, stop, answers)
                assert len(answers) > place, "a streak answers one command at least"
                clock_ms, index = writer.clock_ms, entries[len(answers) - 1].index
                continue
            if answer is None:
                break
            if session:
                note(index, session, sequence, floor, clock_ms, answer)
            answered(answer)
            if statements.stale:
                break

    def pass_over(self, entry: Entry) -> None:
        """Move past a RESTORE that must not be done, as `restore.answered` said."""
        assert not self.in_transaction, "entries can't be applied beside an open transaction"
        self._follows(entry)
        header = header_of(entry.payload)
        assert header.kind == CommandKind.RESTORE, "only a restore can be passed over"
        with self._guarded():
            self._writer.hear(header.clock_ms)
            self._writer.begin(header.settings)
            self._writer.commit(entry)

    def begin(self, settings: Settings) -> OpenTransaction:
        """Open an interactive transaction, upon the sealed ones if there are any; nothing else is
        applied until they have ended, or are unwound."""
        return OpenTransaction(self._writer, self._chain, settings, self.apply, self._guarded)

    def unwind(self, upto: int) -> None:
        """Leave SQLite's transaction, so that entries up to this one can be applied. Sealed
        transactions among them are theirs; the others are done again when they go on."""
        with self._guarded():
            self._chain.unwind(upto)

    @property
    def is_quick_to_unwind(self) -> bool:
        """Whether what is unwound now can be done again in no time."""
        return self._chain.is_quick


def _shares(entry: Entry) -> bool:
    """Whether the entry may be in one transaction with others."""
    if entry.kind != COMMAND:
        return True
    payload = entry.payload
    kind = payload[1] if payload[0] == VERSION else header_of(payload).kind
    return kind <= SCRIPT and not (kind == EXECUTE and is_vacuum(payload))


_SQLITE_FILE: Final = b"SQLite format 3\0"


def _check_whole_pages(path: Path) -> None:
    """Stop before a file that ends within a page: SQLite reads zeros in place of what is missing,
    and does not ask the checksum of such a page. A crash may leave one, but only beside the WAL or
    the journal that makes it whole again."""
    if not path.exists() or any(_is_filled(path, suffix) for suffix in ("-wal", "-journal")):
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(18)
    page = page_size(header) if header.startswith(_SQLITE_FILE) else 0
    if page and size % page:  # Where a page has no bytes SQLite itself says that it is damaged.
        within = ValueError(f"it ends within a page, at byte {size} of pages of {page}")
        raise DatabaseDamaged(path, within)


def _is_filled(path: Path, suffix: str) -> bool:
    beside = path.with_name(path.name + suffix)
    return beside.exists() and beside.stat().st_size > 0
