"""A Fallow that can be killed at an exact moment: PostgreSQL of its own, a proxy before it, and a server that returns.

What runs in a transaction is seen at the proxy, so a kill can fall between a commit and the reply to it, from outside,
with the programs as they are shipped.
"""
import collections
import http.client
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from pg_proxy import Cut, Proxy  # noqa: E402
from private_postgres import PrivatePostgres, free_port  # noqa: E402
from world import Failure, World  # noqa: E402

INSERT = re.compile(r'INSERT INTO "?([a-z_]+)"?')
# What a client sees of a server that was killed, or has not come back yet.
LOST = (OSError, http.client.HTTPException, ssl.SSLError)
Commit = collections.namedtuple("Commit", "session tables values answered")


class Transactions:
    """Tells `on_commit` of each COMMIT before it goes to the database, and again before its answer goes back."""

    def __init__(self, proxy):
        self.on_commit = lambda commit: None
        self.open = {}  # by session: the tables inserted into since BEGIN, and the values as they were sent
        self.asked = {}
        proxy.on_query, proxy.on_reply = self._query, self._reply

    def _query(self, session, text):
        if text.startswith("BEGIN"):
            self.open[session] = set(), []
        elif text == "COMMIT":
            tables, values = self.open.pop(session, (set(), []))
            self.asked[session] = Commit(session.name, tables, b"".join(values), True)
            self.on_commit(self.asked[session]._replace(answered=False))
        elif session in self.open and (found := INSERT.findall(text)):
            self.open[session][0].update(found)
            self.open[session][1].append(session.message)

    def _reply(self, session, tag):
        if tag == "COMMIT" and session in self.asked:
            self.on_commit(self.asked.pop(session))


class Rig(World):
    """World with PostgreSQL behind a proxy, and one address of the server throughout."""

    def __init__(self, binaries, *settings, keep=False):
        super().__init__(binaries, keep=keep)
        self.postgres = None
        try:
            self.postgres = PrivatePostgres(self.folder / "postgres", durable=True)
            self.proxy = Proxy(self.postgres.port)
            self.transactions = Transactions(self.proxy)
            self.database_url = self.postgres.url()
            done = subprocess.run([self.bin / "fallowd", "migrate", "--database-url", self.postgres.url("postgres")],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise Failure("fallowd migrate failed: " + done.stderr)
            self.port = free_port()
            self.url = f"https://127.0.0.1:{self.port}"
            self.settings = ["database_url=" + self.postgres.url(port=self.proxy.port), *settings]
            self.ca = self.data / "ca.pem"
            self.up = threading.Event()
            self.begin_server()
            self.admin_key = (self.data / "admin.key").read_text().strip()
        except BaseException:
            self.stop()
            raise

    def begin_server(self):
        """Starts fallowd and waits until it listens; returns the moment at which it was started."""
        listen = self.data / "listen.json"
        listen.unlink(missing_ok=True)
        words = [self.bin / "fallowd", "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"]
        for setting in self.settings:
            words += ["--set", setting]
        begun = time.monotonic()
        self.server = self.spawn("fallowd", words)
        self.until(lambda: listen.exists() or not self.server.alive(), "the server to listen", 60)
        if not self.server.alive():
            raise Failure("the server ended:\n" + self.server.tail())
        self.up.set()
        return begun

    def kill_server(self):
        self.up.clear()
        self.server.kill()

    def kill_postgres(self):
        """The whole of it, as a machine's end would."""
        postmaster = int((self.postgres.data / "postmaster.pid").read_text().split()[0])
        pids = [postmaster, *children_of(postmaster)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended with the others
        self.until(lambda: not any(map(is_alive, pids)), "PostgreSQL to die")
        # While nobody has reaped it, its number would be taken for a PostgreSQL that lives.
        (self.postgres.data / "postmaster.pid").unlink()
        (self.postgres.folder / f".s.PGSQL.{self.postgres.port}.lock").unlink()

    def answered(self, send, seconds=30):
        """The reply to what is sent again as long as nobody answers, or is told to try again, as a client would."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                reply = send()
                if reply.status < 500 or not reply.body["retryable"]:
                    return reply
                said = reply
            except LOST as error:
                said = repr(error)
            if time.monotonic() > deadline:
                raise Failure(f"no answer within {seconds} s: {said}")
            self.up.wait(seconds)
            threading.Event().wait(0.02)

    def stop(self):
        for process in reversed(self.processes):
            process.stop()
        if self.postgres is not None:
            self.postgres.stop()
            self.proxy.close()
        super().stop()


def children_of(parent):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
