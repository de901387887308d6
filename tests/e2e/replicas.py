"""Several servers on one database, each with a data folder of its own and all with the keys of the first."""
import json
import pathlib
import subprocess
import threading
import time
import types
import urllib.parse
import uuid

from private_postgres import PrivatePostgres
from routes_client import Client
from world import Events, Failure, World


class Server:
    """One fallowd. It has what Client and World's helpers ask of a world: ca, port, url."""

    def __init__(self, world, name, database_url, *settings):
        self.world, self.name = world, name
        self.data = world.folder / name
        self.settings = ["keys_folder=" + str(world.keys), "database_url=" + database_url, *settings]
        self.ca = world.keys / "ca.pem"
        self.process = None

    def start(self, wait=True):
        listen = self.data / "listen.json"
        listen.unlink(missing_ok=True)
        words = [self.world.bin / "fallowd", "serve", "--data", self.data, "--listen",
                 f"127.0.0.1:{getattr(self, 'port', 0)}"]
        for setting in self.settings:
            words += ["--set", setting]
        self.process = self.world.spawn(self.name, words)
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self):
        listen = self.data / "listen.json"
        self.world.until(lambda: listen.exists() or not self.process.alive(), f"{self.name} to be ready", 60)
        if not self.process.alive():
            raise Failure(f"{self.name} ended:\n" + self.process.tail())
        self.url = json.loads(listen.read_text())["url"]
        self.port = urllib.parse.urlsplit(self.url).port

    def client(self, key=None, **options):
        return Client(self, key, name=f"{self.name}'s client", **options)

    def scheduler(self):
        client = self.client(self.world.admin_key)
        try:
            return client.get("/v1/admin/scheduler")
        finally:
            client.close()

    def is_ready(self):
        client = self.client()
        try:
            return client.call("GET", "/readyz").status == 200
        except OSError:
            return False
        finally:
            client.close()


class Replicas(World):
    """`names` are started in their order, so the first leads. PostgreSQL is a process of the test's own."""

    def __init__(self, binaries, names=("first", "second"), settings=(), durable=False, folder=None, keep=False):
        super().__init__(binaries, folder, keep)
        self.postgres = None
        try:
            self.postgres = PrivatePostgres(self.folder / "postgres", durable)
            self.keys = self.folder / "keys"
            self.database_url = self.postgres.url()
            done = subprocess.run([self.bin / "fallowd", "migrate", "--database-url", self.postgres.url("postgres")],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise Failure("fallowd migrate failed: " + done.stderr)
            self.servers = types.SimpleNamespace()
            for name in names:
                setattr(self.servers, name, self.server_of(name, *settings).start())
                if not hasattr(self, "admin_key"):
                    self.admin_key = (self.folder / name / "admin.key").read_text().strip()
            self.use(getattr(self.servers, names[0]))
        except BaseException:
            self.stop()
            raise

    def server_of(self, name, *settings, database_url=None):
        return Server(self, name, database_url or self.database_url, *settings)

    def use(self, server):
        """World's own helpers speak to this server from now on."""
        self.server, self.port, self.url, self.ca = server.process, server.port, server.url, server.ca
        self.data = server.data

    def stop(self):
        failures = []
        for process in reversed(self.processes):
            if process.stop() not in (0, -9):
                failures.append(f"{process.name} ended badly:\n{process.tail()}")
        self.processes = []
        if self.postgres is not None:
            self.postgres.stop()
        super().stop()
        if failures:
            raise Failure("\n".join(failures))


def keyed(client, path, body, key=None):
    """A POST with a key of its own; returns (the key, the reply)."""
    key = key or uuid.uuid4().hex
    return key, client.call("POST", path, body, idempotency_key=key)


def until_answered(send, seconds=20):
    """Repeats a request that is refused for want of a leader, as a client would; returns (reply, seconds, refusals)."""
    begun, refusals = time.monotonic(), 0
    while True:
        reply = send()
        if reply.status != 503:
            return reply, time.monotonic() - begun, refusals
        refusals += 1
        if time.monotonic() - begun > seconds:
            raise Failure(f"refused for {seconds} s: {reply}")
        threading.Event().wait(0.02)


def logged(server, level):
    lines = pathlib.Path(server.process.log).read_text().splitlines()
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in parsed if line["level"] == level]


def begin_behind_the_second(case, image):
    """For a test case's class with its servers `first` and `second`, of which the agent knows the second alone and the
    people the first: its seller, renter and stranger, the renter's events, and a host with a listing."""
    case.world.start_engine()
    case.world.make_image(image)
    case.seller, case.renter = case.world.seller(), case.world.renter()
    case.stranger = case.world.renter("stranger")
    sellers_events, case.events = (Events(case.world, one["key"]) for one in (case.seller, case.renter))
    for stream in (sellers_events, case.events):
        case.addClassCleanup(stream.close)
    case.world.use(case.second)
    case.host, case.card, case.listing = case.world.host_with_listing(case.seller, "alpha", sellers_events)
    case.world.use(case.first)
