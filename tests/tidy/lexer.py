"""Tells C++ code from its comments and literals, well enough for rules that look at words."""

import re

TOKEN = re.compile(
    r"""
    (?P<raw>R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)")
  | (?P<line>//[^\n]*)
  | (?P<block>/\*.*?\*/)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<number>\b\d[\w']*)
  | (?P<char>'(?:\\.|[^'\\\n])+')
    """,
    re.VERBOSE | re.DOTALL,
)


def strip_code(text: str) -> str:
    """The text with comments gone and literals empty; every line keeps its number."""

    def replace(found: re.Match) -> str:
        kept = "\n" * found.group(0).count("\n")
        if found.lastgroup == "number":
            return found.group(0)
        if found.group("string") is not None:
            line_start = text.rfind("\n", 0, found.start()) + 1
            if re.match(r"\s*#\s*include", text[line_start : found.start()]):
                return found.group(0)
        return kept if found.group("line") or found.group("block") else '""' + kept

    return TOKEN.sub(replace, text)


def raw_string_lines(text: str) -> set:
    """Numbers of the lines that lie wholly inside a raw string: tables and documents, which have their own shape."""
    inside = set()
    for found in TOKEN.finditer(text):
        if found.group("raw") is not None:
            first = text.count("\n", 0, found.start()) + 1
            inside.update(range(first + 1, first + found.group(0).count("\n")))
    return inside
