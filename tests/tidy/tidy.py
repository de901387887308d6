#!/usr/bin/env python3
"""Holds the tree to rules that no compiler checks: who may include whom, sizes, banned calls, clean text.

    tidy.py [ROOT]         proves that every rule fires on a planted violation, then checks the tree
    tidy.py --self-test    only the proof

Each violation is printed as FILE:LINE: [rule] what is wrong. Instead: the remedy.
"""

import os
import re
import subprocess
import sys
from typing import Iterator, NamedTuple

from lexer import raw_string_lines, strip_code

CPP = (".cpp", ".hpp", ".cc")
LINE_CHARACTERS_MAX = 110
SCRIPT_CHARACTERS_MAX = 120
FILE_LINES_MAX = 600

ALL_SERVER = {"base", "ledger", "market", "engine", "accounts", "store", "ops", "auth", "http", "api"}
MAY_INCLUDE = {
    "base": set(),
    "ledger": {"base"},
    "market": {"ledger", "base"},
    "engine": {"market", "ledger", "base"},
    "accounts": {"base"},
    "store": {"engine", "accounts", "market", "ledger", "base"},
    "ops": {"base"},
    "auth": {"base"},
    "http": {"base"},
    "api": ALL_SERVER,
    "proof": set(),
}
PURE = ("server/market/", "server/ledger/")
IMPURE_INCLUDE = re.compile(
    r"(boost/|pqxx|openssl/|nlohmann/|spdlog/|prometheus/|sys/|"
    r"(chrono|random|thread|mutex|shared_mutex|condition_variable|future|atomic|fstream|iostream|ctime|"
    r"unistd\.h|time\.h)$)"
)
REQUIRED = {
    "README.md": "a page that says what this is and how to run it",
    "server/ARCHITECTURE.md": "the map of the server",
    "client-sdk/README.md": "what the folder is and is not",
    "schema/README.md": "what the folder is and is not",
    "tests/README.md": "what the folder is and is not",
    "docker/README.md": "what the folder is and is not",
}


class Violation(NamedTuple):
    path: str
    line: int
    rule: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.what}. Instead: {self.remedy}."


class Banned(NamedTuple):
    """A pattern that must not be in code (comments and strings are not code) where `applies` is true."""

    rule: str
    pattern: re.Pattern
    what: str
    remedy: str
    applies: object


def everywhere(_path: str) -> bool:
    return True


def in_test_cases(path: str) -> bool:
    """Not in fixtures: a bounded poll with its failure message has its place there."""
    return path.startswith("tests/") and path.endswith("_test.cpp")


def outside_tests(path: str) -> bool:
    return not path.startswith("tests/")


def outside_http(path: str) -> bool:
    return not path.startswith("server/http/")


def in_pure(path: str) -> bool:
    return path.startswith(PURE)


BANNED = [
    Banned("rand", re.compile(r"\bs?rand\s*\("), "rand() is neither random nor repeatable",
           "take ids from the command's seed (IdMint), or bytes from auth/random.hpp", everywhere),
    Banned("system", re.compile(r"(?<![\w.>])system\s*\((?!\))"), "system() runs a shell",
           "start the program itself with posix_spawn and an argument list", outside_tests),
    Banned("sleep", re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\b|(?<![\w.:>])sleep\s*\("),
           "a sleep in a test is slow and still a race",
           "wait for the event itself, or poll in a fixture, bounded and with a message", in_test_cases),
    Banned("c-string", re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets)\s*\("),
           "no bound on what is written", "use std::string and fmt::format", everywhere),
    Banned("atoi", re.compile(r"\b(atoi|atol|atoll|atof)\s*\("), "a wrong number becomes 0 silently",
           "use std::from_chars and check its result", everywhere),
    Banned("regex", re.compile(r"\bstd::(basic_)?regex\b"),
           "std::regex recurses once per character of its input", "write the few lines of parser",
           everywhere),
    Banned("local-time", re.compile(r"\b(localtime|gmtime|ctime|asctime)\s*\("), "shared static state",
           "use to_rfc3339 of base/time.hpp", everywhere),
    Banned("using-std", re.compile(r"\busing\s+namespace\s+std\s*;"), "it hides where names come from",
           "write std::", everywhere),
    Banned("detached", re.compile(r"\bdetached\b"), "a detached coroutine loses its exception",
           "only server/http may, with a completion that logs", outside_http),
    Banned("co_await", re.compile(r"\bco_(await|return|yield)\b"), "coroutines live in server/http only",
           "write a plain function that takes a completion", outside_http),
    Banned("co_await-line", re.compile(r"\bco_await\b.*[{\[]|[{\[].*\bco_await\b"),
           "g++ 12 destroys temporaries twice in an expression with co_await",
           "build the aggregate or lambda on a line above and move it in", everywhere),
    Banned("float", re.compile(r"\b(float|double)\b"), "money and matching use no floating point",
           "use int64 micros or Int128", in_pure),
]


def lines_of(text: str) -> Iterator:
    return enumerate(text.splitlines(), start=1)


def check_includes(path: str, text: str) -> Iterator[Violation]:
    parts = path.split("/")
    for number, line in lines_of(text):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not found:
            continue
        quoted, name = found.group(1) == '"', found.group(2)
        top = name.split("/")[0] if "/" in name else ""
        if parts[0] == "client-sdk" and quoted and top in ALL_SERVER:
            yield Violation(path, number, "include-sdk", f'the SDK reaches into the server ("{name}")',
                            "go through the public API; copy the few lines if it is a helper")
        if parts[0] != "server" or len(parts) < 3:
            continue
        folder = parts[1]
        if quoted and top in ALL_SERVER and top != folder and top not in MAY_INCLUDE.get(folder, set()):
            allowed = ", ".join(sorted(MAY_INCLUDE.get(folder, set()))) or "nothing of ours"
            yield Violation(path, number, "include", f'{folder}/ may not include "{name}"',
                            f"declare what it needs as an interface in {folder}/ (it may include: {allowed})")
        if path.startswith(PURE) and not quoted and IMPURE_INCLUDE.match(name):
            yield Violation(path, number, "include-pure",
                            f"{folder}/ is pure and may not include <{name}>",
                            "take time, ids and input as arguments of the command")
        if folder == "base" and not quoted and not re.match(r"(fmt/|[a-z_0-9]+$)", name):
            yield Violation(path, number, "include-base", f"base/ depends on std and fmt only, not <{name}>",
                            "put it into the folder that needs it")


def check_cpp(path: str, text: str) -> Iterator[Violation]:
    yield from check_includes(path, text)
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield Violation(path, 1, "pragma-once", "the header can be included twice",
                        "begin it with #pragma once")
    for number, line in lines_of(strip_code(text)):
        for banned in BANNED:
            if banned.applies(path) and banned.pattern.search(line):
                yield Violation(path, number, banned.rule, banned.what, banned.remedy)
        if re.match(r"\s*#\s*include\s*<regex>", line):
            yield Violation(path, number, "regex", "std::regex recurses once per character of its input",
                            "write the few lines of parser")


def is_code(path: str) -> bool:
    return path.endswith(CPP + (".py", ".sh")) or path in ("run", ".ci/run")


def check_size(path: str, text: str) -> Iterator[Violation]:
    count = 0
    most = LINE_CHARACTERS_MAX if path.endswith(CPP) else SCRIPT_CHARACTERS_MAX
    raw = raw_string_lines(text) if path.endswith(CPP) else set()
    in_table = False
    for number, line in lines_of(text):
        count = number
        if "clang-format o" in line:
            in_table = "clang-format off" in line  # a table that reads best with one row a line
        if len(line) > most and not in_table and number not in raw:
            yield Violation(path, number, "line-length", f"{len(line)} characters", f"at most {most}")
    if count > FILE_LINES_MAX:
        yield Violation(path, count, "file-length", f"{count} lines",
                        f"split it by what changes together; at most {FILE_LINES_MAX}")


MACHINE_PATH = re.compile(r"(?<![\w.])/(wor[k]/(main|shared)|roo[t]/|home/[a-z]\w*/|Users/\w)")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def check_text(path: str, text: str) -> Iterator[Violation]:
    if "\r" in text:
        yield Violation(path, text[: text.index("\r")].count("\n") + 1, "crlf", "a carriage return",
                        "end lines with \\n alone")
    if text and not text.endswith("\n"):
        yield Violation(path, text.count("\n") + 1, "last-line", "the last line has no end",
                        "end it with \\n")
    for number, line in lines_of(text.replace("\r", "")):
        if line != line.rstrip():
            yield Violation(path, number, "trailing-space", "white space at the line's end", "remove it")
        if re.match(r"(<{7}|>{7}|\|{7})( |$)|={7}$", line) and not path.endswith(".md"):
            yield Violation(path, number, "merge-marker", "a merge was left unfinished", "resolve it")
        if MACHINE_PATH.search(line):
            yield Violation(path, number, "machine-path",
                            "a path that exists on one machine only",
                            "a path relative to the repository, or one that is given")
        if UNFINISHED.search(line) and is_code(path):
            yield Violation(path, number, "unfinished", "a mark for work not done",
                            "do it, or write what is missing into the folder's README")


def check_files(paths: set) -> Iterator[Violation]:
    for path, purpose in REQUIRED.items():
        if path not in paths:
            yield Violation(path, 1, "folder-page", "the page is missing", f"write {purpose}")


def check_tree(files: dict) -> list:
    found = list(check_files(set(files)))
    for path, text in sorted(files.items()):
        found += check_text(path, text)
        if path.endswith(CPP):
            found += check_cpp(path, text)
        if is_code(path):
            found += check_size(path, text)
    return found


def all_rules() -> set:
    return {banned.rule for banned in BANNED} | {
        "include", "include-sdk", "include-pure", "include-base", "pragma-once", "line-length", "file-length",
        "crlf", "last-line", "trailing-space", "merge-marker", "machine-path", "unfinished", "folder-page",
    }


def listed_files(root: str) -> list:
    """What git knows or would take; without git, everything outside build/ and hidden folders."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=False)
    if listing.returncode == 0:
        return [name for name in listing.stdout.decode().split("\0") if name]
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", "__pycache__") and (f == ".ci" or f[0] != ".")]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return names


def read_tree(root: str) -> dict:
    files = {}
    for name in listed_files(root):
        full = os.path.join(root, name)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        with open(full, "rb") as file:
            content = file.read()
        if b"\0" not in content:
            files[name] = content.decode("utf-8", "replace")
    return files


def main(arguments: list) -> int:
    import planted  # the proof needs the rules above

    failures = planted.prove(check_tree, all_rules(), REQUIRED)
    for failure in failures:
        print(f"tidy: the self-test failed: {failure}")
    if failures:
        return 1
    print(f"tidy: {len(all_rules())} rules fire on planted violations and pass clean text")
    if "--self-test" in arguments:
        return 0
    root = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    files = read_tree(root)
    violations = check_tree(files)
    for violation in violations:
        print(violation)
    print(f"tidy: {len(files)} files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1:]))
