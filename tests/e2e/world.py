"""One whole Fallow on this machine: container engine, server with its managed PostgreSQL, agents, keys.

Everything is real and private to one folder; stop() ends every process that start() began, by pid. Waiting is done on
the server's event stream, never by sleeping.
"""
import collections
import http.client
import json
import os
import pathlib
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Failure(Exception):
    """Something that should have happened did not; the message says what, and where the logs are."""


class Process:
    """A child with its output in a file."""

    def __init__(self, name, command, log, environment=None):
        self.name = name
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, env=environment, start_new_session=True)

    def alive(self):
        return self.child.poll() is None

    def stop(self, seconds=40):
        if self.alive():
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def kill(self):
        self.child.kill()
        self.child.wait()

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Events:
    """An organization's event stream, read by a thread; wait() returns the first unseen event that fits."""

    def __init__(self, world, key, earlier=None):
        """`earlier`: a stream that has ended, which this one goes on from."""
        self.seen = earlier.seen if earlier else collections.deque(maxlen=10000)
        self.last = earlier.last if earlier else None  # the last event's id
        self.arrived = queue.Queue()
        self.connection = world.connect(timeout=None)
        resume = {"Last-Event-ID": self.last} if self.last else {}
        self.connection.request("GET", "/v1/events", headers={"Authorization": "Bearer " + key,
                                                              "Accept": "text/event-stream", **resume})
        self.socket = self.connection.sock  # a reply without an end takes it from the connection
        self.reply = self.connection.getresponse()
        if self.reply.status != 200:
            raise Failure(f"the event stream answered {self.reply.status}: {self.reply.read()!r}")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.reply:
                if line.startswith(b"data:"):
                    self.arrived.put(json.loads(line[5:]))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.arrived.put(None)

    def wait(self, fits, what, seconds=60):
        for event in list(self.seen):
            if fits(event):
                self.seen.remove(event)
                return event
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                event = self.arrived.get(timeout=max(left, 0.001))
            except queue.Empty:
                seen = [(e["type"], e["reason"]) for e in self.seen]
                raise Failure(f"no event for «{what}» within {seconds} s; seen: {seen}") from None
            if event is None:
                raise Failure(f"the event stream ended while waiting for «{what}»")
            self.last = event["id"]
            if fits(event):
                return event
            self.seen.append(event)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the server has ended the stream


class World:
    engine_name = "podman"  # or "docker": what start_engine() starts

    def __init__(self, binaries, folder=None, keep=False):
        self.bin = pathlib.Path(binaries)
        self.keep = keep
        self.temporary = None
        if keep:
            self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="fallow-"))
        else:
            self.temporary = tempfile.TemporaryDirectory(prefix="fallow-", dir=folder)
            self.folder = pathlib.Path(self.temporary.name)
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.environment = None  # of the programs that are spawned; None is our own
        self.data = self.folder / "server"
        self.engine = None

    # --- parts

    def spawn(self, name, command, environment=None):
        process = Process(name, command, self.folder / f"{name}.log", environment or self.environment)
        self.processes.append(process)
        return process

    def start_engine(self, *runtime):
        self.engine = self.folder / "engine"
        self.engine_socket = self.engine / f"{self.engine_name}.sock"
        self.engine_service("start", *runtime)

    def engine_service(self, verb, *words):
        return self.script(f"{self.engine_name}_service.sh", verb, self.engine, *words)

    def engine_command(self, *words):
        """The engine's own program, on the same store."""
        return self.engine_service(self.engine_name, *words)

    def make_image(self, name):
        self.script("make_image.sh", name, self.engine)

    @staticmethod
    def script(name, *words):
        done = subprocess.run(["sh", str(SOURCE / "tests/support" / name), *map(str, words)], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failure(f"{name} {words} failed: {done.stderr}")
        return done.stdout

    def start_server(self, *settings):
        listen = self.data / "listen.json"
        listen.unlink(missing_ok=True)
        words = [self.bin / "fallowd", "serve", "--data", self.data, "--listen", "127.0.0.1:0"]
        for setting in settings:
            words += ["--set", setting]
        self.server = self.spawn("fallowd", words)
        self.until(lambda: listen.exists() or not self.server.alive(), "the server to listen", 60)
        if not self.server.alive():
            raise Failure("the server ended:\n" + self.server.tail())
        self.url = json.loads(listen.read_text())["url"]
        self.port = urllib.parse.urlsplit(self.url).port
        self.ca = self.data / "ca.pem"
        self.database_url = (self.data / "database.url").read_text().strip()
        self.admin_key = (self.data / "admin.key").read_text().strip()

    def until(self, condition, what, seconds=30):
        """Waits for a file or a process of our own; what the server does is waited for by Events."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s for {what}")
            threading.Event().wait(0.02)

    def prove_ledger(self):
        """Runs fallow-ledger-proof over everything; returns (its exit code, its report)."""
        done = subprocess.run([str(self.bin / "fallow-ledger-proof"), "--database-url", self.database_url, "--json"],
                              capture_output=True, text=True)
        if not done.stdout:
            raise Failure(f"fallow-ledger-proof failed with {done.returncode}: {done.stderr}")
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    # --- the API, spoken plainly

    def connect(self, timeout=60):
        context = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)

    def call(self, method, path, body=None, key=None, headers=None, expect=None):
        """Returns (status, parsed body, headers); raises when `expect` is given and differs."""
        sent = {"Authorization": "Bearer " + key} if key else {}
        if method == "POST":
            sent["Idempotency-Key"] = uuid.uuid4().hex
        data = None
        if isinstance(body, bytes):
            data, sent["Content-Type"] = body, "application/octet-stream"
        elif body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        sent.update(headers or {})
        connection = self.connect()
        try:
            connection.request(method, path, body=data, headers=sent)
            reply = connection.getresponse()
            raw = reply.read()
        finally:
            connection.close()
        kind = reply.headers.get("Content-Type", "")
        parsed = json.loads(raw) if raw and "json" in kind else raw
        if expect is not None and reply.status != expect:
            raise Failure(f"{method} {path} answered {reply.status}, not {expect}: {parsed}")
        return reply.status, parsed, reply.headers

    def get(self, path, key):
        return self.call("GET", path, key=key, expect=200)[1]

    def post(self, path, body, key, expect=200):
        return self.call("POST", path, body, key=key, expect=expect)[1]

    def organization(self, name, country, scopes, deposit_micros=0):
        """A new organization with one key; returns {"id", "key"}."""
        organization = self.post("/v1/admin/organizations", {"name": name, "country": country}, self.admin_key, 201)
        made = self.post(f"/v1/admin/organizations/{organization['id']}/keys", {"name": "first", "scopes": scopes},
                         self.admin_key, 201)
        if deposit_micros:
            self.post("/v1/admin/deposits", {"organization_id": organization["id"], "amount_micros": deposit_micros,
                                             "reference": "opening deposit"}, self.admin_key, 201)
        return {"id": organization["id"], "key": made["secret"]}

    def seller(self, name="seller"):
        return self.organization(name, "DE", ["seller:read", "seller:write"])

    def renter(self, name="renter", deposit_micros=100_000_000):
        return self.organization(name, "FR", ["renter:read", "renter:write"], deposit_micros)

    # --- agents

    def enroll(self, seller, name, token=None, words=()):
        state = self.folder / f"agent-{name}"
        if token is None:
            token = self.post("/v1/enrollment-tokens", {"name": name, "country": "DE"}, seller["key"], 201)["token"]
        file = self.folder / f"{name}.token"
        file.write_text(token)
        file.chmod(0o600)
        done = subprocess.run([str(self.bin / "fallow-agent"), "enroll", "--url", self.url, "--ca", str(self.ca),
                               "--token-file", str(file), "--state", str(state), *words],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"fallow-agent enroll failed with {done.returncode}: {done.stderr}")
        return state

    def start_agent(self, name, *words):
        return self.spawn(f"agent-{name}", [self.bin / "fallow-agent", "run", "--state", self.folder / f"agent-{name}",
                                            "--engine-socket", self.engine_socket, "--runtime", "runc",
                                            "--measure-bytes", str(16 * 1024 * 1024), *words])

    def host_with_listing(self, seller, name, events, ask=2_500_000, agent_words=(), **terms):
        """Enrols this machine, waits for its measured cards and lists the first; returns (host, card, listing)."""
        self.enroll(seller, name)
        self.start_agent(name, *agent_words)
        online = events.wait(lambda e: e["type"] == "host.online", "the host to come online", 90)
        host = online["object"]["id"]
        found = events.wait(lambda e: e["type"] in ("card.found", "card.changed") and e["data"]["measured_at"],
                            "a measured card", 90)
        listing = self.post("/v1/listings", {"host_id": host, "card_ids": [found["object"]["id"]],
                                             "ask_micros_per_hour": ask, **terms}, seller["key"], 201)
        return host, found["object"]["id"], listing

    def guards(self):
        """The process ids of the guards that the agents have started and that still live."""
        alive = []
        for lock in self.folder.glob("agent-*/guard.lock"):
            pid = int(lock.read_text() or 0)
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):  # it may also end while its name is read
                continue
            if name == "fallow-guard":
                alive.append(pid)
        return alive

    def unmount_storage(self):
        """What an agent that was ended in the middle of a lease has left mounted."""
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            mount = line.split()[4]
            if mount.startswith(f"{self.folder}/agent-"):
                subprocess.run(["umount", mount], check=True)

    # --- the end

    def stop(self):
        failures = []
        for process in reversed(self.processes):
            code = process.stop()
            if process.name == "fallowd" and code not in (0, -signal.SIGKILL):
                failures.append(f"{process.name} ended with {code}:\n{process.tail()}")
        self.processes = []
        if self.engine is not None:
            self.engine_service("stop")
        # They outlive their agents, and end with the last container.
        self.until(lambda: not self.guards(), "the guards to end")
        self.unmount_storage()
        if self.keep:
            print(f"kept: {self.folder}", file=sys.stderr)
        elif self.temporary is not None:
            self.temporary.cleanup()
        if failures:
            raise Failure("\n".join(failures))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            for process in self.processes:
                print(f"--- {process.name}\n{process.tail()}", file=sys.stderr)
        self.stop()
