"""./run bench dispatch: from an order to its running container, beside bare create-and-start of the same container.

One server, one agent, one private Podman. The first job is run through a socket that notes what the agent asks of
the engine; the bare runs repeat that very create request, with folders and names of their own, and the start, over
the engine's own socket. Then both take turns, each from rest: nothing is left of the container before, and nobody
is busy with it. Ours is timed from the sending of the order until the renter's event stream says `lease.running`,
bare from the sending of the create until the answer to the start. Medians.
With --stages also how far the agent was when, from its debug log.
"""
import argparse
import collections
import datetime
import http.client
import json
import os
import pathlib
import socket
import statistics
import sys
import threading
import time

from rent import SOURCE
from routes_client import Client
from world import Events, World

IMAGE = "localhost/fallow-dispatch:1"
ASK = 1_000_000


class EngineClient(http.client.HTTPConnection):
    """Keep-alive HTTP over the engine's unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def call(self, method, path, body=None):
        self.request(method, path, body=body, headers={"Content-Type": "application/json"} if body else {})
        reply = self.getresponse()
        raw = reply.read()
        return reply.status, json.loads(raw) if raw else None


class NotingSocket:
    """A unix socket in front of the engine's that keeps what clients send."""

    def __init__(self, path, engine):
        self.engine = str(engine)
        self.sent = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self.engine)
            sent = []
            self.sent.append(sent)
            threading.Thread(target=self._copy, args=(client, engine, sent), daemon=True).start()
            threading.Thread(target=self._copy, args=(engine, client, None), daemon=True).start()

    @staticmethod
    def _copy(source, target, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept.append(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def create_body(self):
        """The body of the last create request."""
        for sent in reversed(self.sent):
            stream = b"".join(sent)
            at = stream.rfind(b"POST /v4.0.0/libpod/containers/create")
            if at >= 0:
                return json.JSONDecoder().raw_decode(stream[stream.index(b"\r\n\r\n", at) + 4:].decode())[0]
        raise SystemExit("the agent asked for no container")


class Bench(World):
    """The agent of `start_agent`, with the log of what it plans."""

    stages = False

    def start_agent(self, name, *words):
        level = ["--log-level", "debug"] if self.keep or self.stages else []
        return self.spawn(f"agent-{name}", [self.bin / "fallow-agent", *level, "run", "--state",
                                            self.folder / f"agent-{name}", "--engine-socket", self.engine_socket,
                                            "--runtime", "runc", "--measure-bytes", str(16 * 1024 * 1024), *words])


class Bare:
    def __init__(self, world, body, lease, host):
        self.engine = EngineClient(world.engine_socket)
        self.folder = world.folder / "bare"
        self.text = json.dumps(body).replace(host, "bare")
        self.lease = lease
        # The folders of a lease, under another name.
        for mount in body["mounts"]:
            source = pathlib.Path(mount.get("source", mount.get("Source", "")))
            if lease in str(source):
                where = self.folder / source.name
                where.mkdir(parents=True, exist_ok=True)
                where.chmod(0o777)
                self.text = self.text.replace(json.dumps(str(source)), json.dumps(str(where)))

    def run(self, number):
        text = self.text.replace(self.lease, f"bare-{number}")
        begun = time.monotonic()
        status, made = self.engine.call("POST", "/v4.0.0/libpod/containers/create", text)
        if status != 201:
            raise SystemExit(f"the engine answered {status}: {made}")
        status, answer = self.engine.call("POST", f"/v1.41/containers/{made['Id']}/start")
        taken = (time.monotonic() - begun) * 1000
        if status not in (204, 304):
            raise SystemExit(f"the engine answered {status}: {answer}")
        self.engine.call("DELETE", f"/v1.41/containers/{made['Id']}?force=true&v=true")
        return taken


class Ours:
    def __init__(self, world, renter):
        self.buyer = Client(world, key=renter["key"])
        self.events = Events(world, renter["key"])
        self.sent = {}  # by lease: when its order was sent, and its renter heard that it runs; the wall clock

    def run(self):
        """(ms until running, the lease's id), once the lease is over and its card free again."""
        body = {"requirements": {}, "price_max_micros_per_hour": ASK,
                "term_ms": 3_600_000, "fill_or_kill": True,
                "job": {"image": IMAGE, "command": ["sleep", "0.2"], "max_duration_ms": 60_000}}
        deadline = time.monotonic() + 60
        while True:
            begun, sent = time.monotonic(), time.time()
            reply = self.buyer.call("POST", "/v1/orders", body)
            if reply.status == 201:
                break
            if begun > deadline:
                raise SystemExit(f"no card was free for 60 s: {reply.status} {reply.body}")
            time.sleep(0.05)  # the card of the last round is still being cleaned
        lease = reply.body["lease"]["id"]
        self.events.wait(lambda e: e["type"] == "lease.running" and e["object"]["id"] == lease, "running", 60)
        taken = (time.monotonic() - begun) * 1000
        self.sent[lease] = (sent, time.time())
        self.events.wait(lambda e: e["type"] == "job.succeeded", "the job's end", 60)
        return taken, lease


class Rest:
    """The time between two runs, until what the last one has left is gone."""

    def __init__(self, world):
        self.world = world
        self.engine = EngineClient(world.engine_socket)
        self.leases = world.folder / "agent-bench" / "leases"

    def wait(self):
        self.world.until(lambda: not any(self.leases.iterdir()), "the agent to be done with its lease", 60)
        self.world.until(lambda: not self._containers() and not self._helpers(), "the engine to be done", 60)

    def _containers(self):
        return self.engine.call("GET", "/v4.0.0/libpod/containers/json?all=true")[1]

    def _helpers(self):
        """Processes that the engine has started for a container: its monitor, and what cleans up after it."""
        engine = str(self.world.engine).encode()
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended
            if engine in b" ".join(words) and (words[0].endswith(b"conmon") or b"cleanup" in words):
                found.append(entry)
        return found


def spread(values):
    ordered = sorted(values)
    return {"p50": round(statistics.median(ordered), 2), "p90": round(ordered[int(len(ordered) * 0.9)], 2),
            "least": round(ordered[0], 2)}


def print_stages(log, sent):
    """What the agent logged of each lease before its renter heard that it runs: ms after the order, medians."""
    found = collections.defaultdict(list)
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
            at = datetime.datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()
            words = entry["message"].split()
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        for word in set(words) & sent.keys():
            begun, heard = sent[word]
            if at <= heard:
                found[" ".join(w for w in words if w != word)].append((at - begun) * 1000)
    heard = [(heard - begun) * 1000 for begun, heard in sent.values()]
    rows = {stage: statistics.median(times) for stage, times in found.items() if len(times) * 2 >= len(sent)}
    for stage, after in sorted([*rows.items(), ("its renter has heard that it runs", statistics.median(heard))],
                               key=lambda row: row[1]):
        print(f"{after:8.1f} ms  {stage}")


def first_job(ours, noting):
    _, lease = ours.run()
    return noting.create_body(), lease


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"))
    parser.add_argument("--keep", action="store_true", help="the folder, with a log of every step of the agent's")
    parser.add_argument("--stages", action="store_true", help="also how far a lease is how long after its order")
    parser.add_argument("--out", default=str(SOURCE / "build/bench/dispatch.json"))
    options = parser.parse_args()
    with Bench(options.bin, keep=options.keep) as world:
        world.stages = options.stages
        world.start_engine()
        world.make_image(IMAGE)
        world.start_server()
        seller, renter = world.seller(), world.renter()
        noting = NotingSocket(world.folder / "noting.sock", world.engine_socket)
        engine_socket, world.engine_socket = world.engine_socket, world.folder / "noting.sock"
        sellers_events = Events(world, seller["key"])
        host, _, _ = world.host_with_listing(seller, "bench", sellers_events, ask=ASK)
        sellers_events.close()  # the renter alone listens from here on
        ours = Ours(world, renter)
        body, lease = first_job(ours, noting)
        world.engine_socket = engine_socket
        world.processes.pop().stop()
        agent = world.start_agent("bench")
        bare, rest = Bare(world, body, lease, host), Rest(world)
        taken = {"ours": [], "bare": []}
        for number in range(options.rounds + 2):
            rest.wait()
            bare_ms = bare.run(number)
            rest.wait()
            ours_ms, _ = ours.run()
            if number < 2:
                continue  # the first ones find cold caches, on both sides
            taken["bare"].append(bare_ms)
            taken["ours"].append(ours_ms)
            print(f"round {number - 1}: ours {ours_ms:.0f} ms, bare {bare_ms:.0f} ms", file=sys.stderr)
        assert agent.alive()
        if options.stages:
            print_stages(agent.log, ours.sent)
    ours, bare = spread(taken["ours"]), spread(taken["bare"])
    result = {"rounds": options.rounds, "ours_ms_p50": ours["p50"], "bare_ms_p50": bare["p50"],
              "added_ms_p50": round(ours["p50"] - bare["p50"], 2), "ours": ours, "bare": bare,
              "load_average": os.getloadavg()}
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for name in ("rounds", "ours_ms_p50", "bare_ms_p50", "added_ms_p50"):
        print(f"{name:16} {result[name]:>10}")


if __name__ == "__main__":
    main()
