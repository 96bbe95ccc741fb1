"""Colours for what is typed: SQLite's words, not those of some standard."""

from __future__ import annotations

import re
from typing import ClassVar

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from raftsql_shell.keywords import KEYWORDS


class SqliteLexer(RegexLexer):  # type: ignore[misc]
    """SQL as SQLite reads it, and dot-commands."""

    name = "raftsql"
    flags = re.IGNORECASE
    tokens: ClassVar = {
        "root": [
            (r"\A\s*\.\w*", Name.Builtin),
            (r"\s+", Whitespace),
            (r"--[^\n]*", Comment.Single),
            (r"/\*(?:.|\n)*?(?:\*/|\Z)", Comment.Multiline),
            (r"x'[0-9a-f]*'", Number.Hex),
            (r"'(?:[^']|'')*(?:'|\Z)", String.Single),
            (r'"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z)', Name),
            (r"\d[\w.]*", Number),
            (r"[:@$]\w+|\?\d*", Name.Variable),
            (words(tuple(KEYWORDS), prefix=r"\b", suffix=r"\b"), Keyword),
            (r"[^\W\d]\w*(?=\s*\()", Name.Function),
            (r"[^\W\d]\w*", Name),
            (r"[+\-*/<>=~!@#%^&|]", Operator),
            (r".", Punctuation),
        ]
    }
