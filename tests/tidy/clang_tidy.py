#!/usr/bin/env python3
"""clang-tidy over the sources given, but for those that it has found clean as they are.

clang_tidy.py PROGRAM BUILD_FOLDER JOBS SOURCE... [from the repository's top]

What was clean is kept in ~/.cache/fallow-lint: for each source, a digest of everything that it includes. It serves
the next clone, too, wherever that lies. What has a finding is checked again each time.
"""
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

TOP = pathlib.Path.cwd()
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "fallow-lint"
OUTPUTS = {"-o": 2, "-c": 1, "-MD": 1, "-MT": 2, "-MF": 2}  # of a compiler's arguments, and how many words each has


@functools.lru_cache(maxsize=None)
def digest_of(path):
    try:
        return hashlib.sha256((TOP / path).read_bytes()).hexdigest()
    except OSError:
        return "missing"


def below_top(path):
    """A file of this clone has the same name in each; what the build has made is named from the top, too."""
    path = os.path.normpath(path)
    return os.path.relpath(path, TOP) if path.startswith(f"{TOP}/") else path


def inclusions(command, folder):
    """Every file that the compiler reads for that command, itself included."""
    words, kept = iter(command), []
    for word in words:
        for _ in range(OUTPUTS.get(word, 0) - 1):
            next(words)
        if word not in OUTPUTS:
            kept.append(word)
    rule = subprocess.run([*kept, "-M"], cwd=folder, stdout=subprocess.PIPE, check=True, text=True).stdout
    files = rule.replace("\\\n", " ").split(":", 1)[1].split()
    return sorted({below_top(os.path.join(folder, name)) for name in files})


class Tidy:
    def __init__(self, program, build):
        self.program, self.build = program, build
        version = subprocess.run([program, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
        self.rules = version + digest_of(".clang-tidy")
        entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
        self.entries = {below_top(os.path.join(entry["directory"], entry["file"])): entry for entry in entries}

    def record_of(self, source):
        entry = self.entries[source]
        key = f"{self.rules}\n{source}\n{entry['command'].replace(str(TOP), '')}"
        return CACHE / (hashlib.sha256(key.encode()).hexdigest() + ".json")

    @staticmethod
    def is_known(record):
        try:
            return all(digest_of(path) == digest for path, digest in json.loads(record.read_text()).items())
        except (OSError, ValueError, AttributeError):
            return False

    def check(self, source):
        """What there is to say of it; nothing when it is clean."""
        if source not in self.entries:
            return f"{source}: the build does not know it\n"
        record = self.record_of(source)
        if self.is_known(record):
            return ""
        entry = self.entries[source]
        read = {path: digest_of(path) for path in inclusions(shlex.split(entry["command"]), entry["directory"])}
        done = subprocess.run([self.program, "-p", self.build, "--quiet", source], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 or done.stdout.strip():
            return done.stdout or done.stderr or f"{source}: clang-tidy ended with {done.returncode}\n"
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = record.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(read))
        fresh.replace(record)
        return ""


def main():
    program, build, jobs, *sources = sys.argv[1:]
    tidy = Tidy(program, build)
    found = 0
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        for text in pool.map(tidy.check, sources):
            if text:
                found += 1
                print(text, end="", flush=True)
    print(f"{len(sources)} sources, {found} of them with findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
