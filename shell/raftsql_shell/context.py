"""What may come next in a statement: found from the words before the cursor, and those after it.

Tokens are sorted into groups, a group for each pair of parentheses. A query sees the tables of its
own group and of those around it; a common table expression or a subquery in FROM is a table whose
columns are read off its SELECT.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from raftsql_shell.catalogue import Catalogue
from raftsql_shell.keywords import KEYWORDS

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>'(?:[^']|'')*(?:'|\Z))
    |(?P<quoted>"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
    |(?P<word>[^\W\d]\w*)
    |(?P<sign>\d[\w.]*|.)""",
    re.DOTALL | re.VERBOSE,
)


class Wanted(Enum):
    """What completion should offer."""

    NOTHING = auto()
    STATEMENT = auto()
    TABLE = auto()
    COLUMN = auto()
    """Columns, functions and keywords."""
    COLUMN_ONLY = auto()
    KEYWORD = auto()


@dataclass(slots=True)
class Token:
    """A word or sign, and the group it stands in."""

    text: str
    word: bool
    """It may be a name or keyword."""
    quoted: bool
    start: int
    end: int
    group: Group

    def says(self, *keywords: str) -> bool:
        """Whether it is one of these keywords."""
        return self.word and not self.quoted and self.text.upper() in keywords

    @property
    def name(self) -> str:
        """As the name of something, without its quotes."""
        return self.text[1:].rstrip('"`]') if self.quoted else self.text

    @property
    def is_name(self) -> bool:
        """Whether it can name something."""
        return self.word and (self.quoted or self.text.upper() not in KEYWORDS)


@dataclass(slots=True, eq=False)
class Group:
    """What stands between two parentheses, or the whole statement."""

    parent: Group | None
    tokens: list[Token | Group] = field(default_factory=list)

    def around(self) -> Iterator[Group]:
        """This group, and those that it stands in."""
        group: Group | None = self
        while group is not None:
            yield group
            group = group.parent


@dataclass(slots=True)
class Source:
    """A table as a query sees it."""

    name: str
    """Its alias, or its own name."""
    columns: list[str]


@dataclass(slots=True)
class Context:
    """What was found out about the place of the cursor."""

    wanted: Wanted
    prefix: str = ""
    """The beginning of the word at the cursor."""
    sources: list[Source] = field(default_factory=list)
    ctes: dict[str, list[str]] = field(default_factory=dict)


_TABLE_COMES: Final = ("FROM", "JOIN", "INTO", "UPDATE", "TABLE", "REFERENCES", "VIEW")
_ENDS_FROM: Final = (
    *("WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "WINDOW", "UNION", "EXCEPT", "INTERSECT"),
    *("SET", "VALUES", "SELECT", "RETURNING"),
)
_COLUMN_COMES: Final = (
    *("SELECT", "DISTINCT", "WHERE", "ON", "BY", "HAVING", "SET", "AND", "OR", "NOT", "CASE"),
    *("WHEN", "THEN", "ELSE", "IN", "LIKE", "GLOB", "IS", "BETWEEN", "RETURNING", "LIMIT"),
    *("OFFSET", "ALL", "USING"),
)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text in order, each knowing its group."""
    group = Group(None)
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "skip":
            continue
        if kind == "sign" and match[0] == "(":
            inner = Group(group)
            group.tokens.append(inner)
            group = inner
        word = kind in ("word", "quoted")
        token = Token(match[0], word, kind == "quoted", match.start(), match.end(), group)
        if match[0] == ")" and kind == "sign" and group.parent is not None:
            group = group.parent
            token.group = group
        elif not (kind == "sign" and match[0] == "("):
            group.tokens.append(token)
        found.append(token)
    return found


def context(text: str, cursor: int, catalogue: Catalogue) -> Context:
    """What may come at the cursor."""
    start, end = _statement(text, cursor)
    text, cursor = text[start:end], cursor - start
    prefix = _prefix(text[:cursor])
    tokens = tokens_of(text)
    before = [token for token in tokens if token.end <= cursor - len(prefix)]
    if any(token.start < cursor < token.end and token.text[0] == "'" for token in tokens):
        return Context(Wanted.NOTHING)
    if before and before[-1].text.startswith("'") and before[-1].end == cursor:
        return Context(Wanted.NOTHING)
    group = before[-1].group if before else None
    ctes = _ctes(tokens, catalogue)
    sources = _sources(group, ctes, catalogue) if group else []
    if before and before[-1].text == "." and len(before) > 1:
        owner = before[-2].name.casefold()
        mine = [each for each in sources if each.name.casefold() == owner]
        mine = mine or [Source(owner, _columns_of(owner, ctes, catalogue))]
        return Context(Wanted.COLUMN_ONLY, prefix, mine[:1])
    wanted = _wanted(before)
    if wanted is Wanted.COLUMN_ONLY:
        sources = _inserted(before, ctes, catalogue) or sources
    return Context(wanted, prefix, sources, ctes)


def _statement(text: str, cursor: int) -> tuple[int, int]:
    """The bounds of the statement at the cursor."""
    start, end = 0, len(text)
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "sign" and match[0] == ";":
            if match.end() <= cursor:
                start = match.end()
            else:
                end = match.start()
                break
    return start, end


def _prefix(text: str) -> str:
    found = re.search(r"[^\W\d]\w*\Z", text)
    return found[0] if found else ""


def _wanted(before: list[Token]) -> Wanted:
    if not before:
        return Wanted.STATEMENT
    last = before[-1]
    if last.says(*_TABLE_COMES):
        return Wanted.TABLE
    if last.text == "(" and _opens_columns(before):
        return Wanted.COLUMN_ONLY
    if last.text == ",":
        return _after_comma(before)
    if last.says(*_COLUMN_COMES) or last.text in tuple("(=<>+-*/|%"):
        return Wanted.COLUMN
    if last.says("EXISTS", "IF") and any(each.says("TABLE", "VIEW") for each in before):
        return Wanted.TABLE
    return Wanted.KEYWORD


def _opens_columns(before: list[Token]) -> bool:
    """Whether a parenthesis begins a list of columns: INSERT INTO t(, ON t(, USING(."""
    if len(before) < 2:
        return False
    if before[-2].says("USING"):
        return True
    return len(before) > 2 and before[-2].word and before[-3].says("INTO", "ON")


def _after_comma(before: list[Token]) -> Wanted:
    """In FROM another table comes, in a list of columns a column."""
    group = before[-1].group
    for number in range(len(before) - 2, -1, -1):
        token = before[number]
        if token.group is not group:
            continue
        if token.text == "(":
            return Wanted.COLUMN_ONLY if _opens_columns(before[: number + 1]) else Wanted.COLUMN
        if token.says("FROM", "JOIN"):
            return Wanted.TABLE
        if token.says(*_ENDS_FROM, "ON", "BY"):
            return Wanted.COLUMN
    return Wanted.COLUMN


def _inserted(
    before: list[Token], ctes: dict[str, list[str]], catalogue: Catalogue
) -> list[Source]:
    """The table whose columns are being listed."""
    for first, second in pairwise(before):
        if first.says("INTO", "ON") and second.word:
            columns = _columns_of(second.name, ctes, catalogue)
            if columns:
                return [Source(second.name, columns)]
    return []


def _ctes(tokens: list[Token], catalogue: Catalogue) -> dict[str, list[str]]:
    """The common table expressions of a statement, and their columns as far as they show."""
    found: dict[str, list[str]] = {}
    for number, token in enumerate(tokens):
        if not token.says("AS") or number < 1:
            continue
        body = _following_group(token)
        if body is None or not any(
            isinstance(each, Token) and each.says("SELECT", "VALUES", "WITH")
            for each in body.tokens[:1]
        ):
            continue
        name, columns = _named_before(tokens, number)
        if name:
            found[name] = columns or _selected(body, found, catalogue)
    return found


def _following_group(token: Token) -> Group | None:
    siblings = token.group.tokens
    for place, each in enumerate(siblings):
        if each is token:
            for later in siblings[place + 1 : place + 4]:
                if isinstance(later, Group):
                    return later
                if not later.says("NOT", "MATERIALIZED"):
                    return None
    return None


def _named_before(tokens: list[Token], number: int) -> tuple[str, list[str]]:
    """The name, and the list of columns if there is one, before an AS."""
    before = tokens[number - 1]
    if before.is_name:
        return before.name, []
    if before.text != ")":
        return "", []
    columns: list[str] = []
    for place in range(number - 2, 0, -1):
        token = tokens[place]
        if token.text == "(":
            name = tokens[place - 1]
            return (name.name, columns[::-1]) if name.is_name else ("", [])
        if token.is_name:
            columns.append(token.name)
        elif token.text != ",":
            break
    return "", []


def _selected(group: Group, ctes: dict[str, list[str]], catalogue: Catalogue) -> list[str]:
    """The names of a query's columns, as far as they can be read off."""
    names: list[str] = []
    item: list[Token | Group] = []
    started = False
    for token in [*group.tokens, None]:
        ends = token is None or (
            isinstance(token, Token) and (token.text == "," or token.says("FROM", *_ENDS_FROM))
        )
        if not started:
            started = isinstance(token, Token) and token.says("SELECT")
            continue
        if not ends:
            assert token is not None, "the end ends"
            item.append(token)
            continue
        names.extend(_item_names(item, group, ctes, catalogue))
        item = []
        if token is None or (isinstance(token, Token) and token.text != ","):
            break
    return names


def _item_names(
    item: list[Token | Group], group: Group, ctes: dict[str, list[str]], catalogue: Catalogue
) -> list[str]:
    if not item:
        return []
    last = item[-1]
    if isinstance(last, Group):
        return []
    if last.text == "*":
        owner = item[0].name.casefold() if len(item) > 1 and isinstance(item[0], Token) else ""
        sources = _from(group, ctes, catalogue)
        return [
            column
            for source in sources
            if not owner or source.name.casefold() == owner
            for column in source.columns
        ]
    return [last.name] if last.is_name else []


def _sources(group: Group, ctes: dict[str, list[str]], catalogue: Catalogue) -> list[Source]:
    """The tables that a query sees, its own before those of the queries around it."""
    return [source for each in group.around() for source in _from(each, ctes, catalogue)]


def _from(group: Group, ctes: dict[str, list[str]], catalogue: Catalogue) -> list[Source]:
    """The tables that a group names in FROM, JOIN, INTO and UPDATE."""
    found: list[Source] = []
    tokens = group.tokens
    expecting = inside = False
    for place, token in enumerate(tokens):
        if isinstance(token, Token) and token.says("FROM", "JOIN", "INTO", "UPDATE"):
            expecting, inside = True, token.says("FROM", "JOIN") or inside
        elif isinstance(token, Token) and token.says(*_ENDS_FROM):
            expecting = inside = False
        elif isinstance(token, Token) and token.text == "," and inside:
            expecting = True
        elif expecting and isinstance(token, Group):
            columns = _selected(token, ctes, catalogue)
            found.append(Source(_alias(tokens, place) or "", columns))
            expecting = False
        elif expecting and token.is_name:  # type: ignore[union-attr]
            assert isinstance(token, Token), "groups were looked at before"
            name = token.name
            columns = _columns_of(name, ctes, catalogue)
            found.append(Source(_alias(tokens, place) or name, columns))
            expecting = False
    return found


def _alias(tokens: list[Token | Group], place: int) -> str:
    for token in tokens[place + 1 : place + 3]:
        if isinstance(token, Group):
            return ""
        if token.is_name:
            return token.name
        if not token.says("AS"):
            return ""
    return ""


def _columns_of(name: str, ctes: dict[str, list[str]], catalogue: Catalogue) -> list[str]:
    for cte, columns in ctes.items():
        if cte.casefold() == name.casefold():
            return columns
    return catalogue.columns(name)
