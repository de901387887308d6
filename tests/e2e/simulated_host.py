"""Hosts without a machine behind them: they enrol with keys made by openssl and speak the agents' routes over mTLS."""
import base64
import hashlib
import pathlib
import subprocess
import tempfile
import threading
import uuid

from routes_client import AUTO, Client

BOOT = "boot-1"
CLAIMS = {"agent_version": "simulated", "runtime": "runc", "engine": "none", "cpu_cores": 2, "memory_bytes": 1 << 30}


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True)
    if done.returncode != 0:
        raise AssertionError(f"openssl {words[0]} failed: {done.stderr.decode()}")
    return done.stdout


class HostKeys:
    """A TLS key with its request and an Ed25519 key for statements. Hosts may share them; certificates differ."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls_key = self.folder / "tls.key"
        self.signing_key = self.folder / "signing.key"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.tls_key)
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.signing_key)
        self.request = openssl("req", "-new", "-key", self.tls_key, "-subj", "/CN=simulated").decode()
        der = openssl("pkey", "-in", self.signing_key, "-pubout", "-outform", "DER")
        self.public = base64.b64encode(der[-32:]).decode()

    def sign(self, text):
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".message") as message:
            message.write(text.encode())
            message.flush()
            raw = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.signing_key, "-in", message.name)
        return base64.b64encode(raw).decode()

    def enrollment(self, token, **changes):
        """The body of an enrolment."""
        return {"token": token, "csr": self.request, "signing_key": self.public,
                "proof": self.sign("fallow-enroll-v1\n" + token), **CLAIMS, **changes}


def reported_cards(prefix, count, product="Simulated 80G", vram_bytes=80 << 30, **changes):
    return [{"index": index, "uuid": f"GPU-{prefix}-{index}", "pci_address": None, "product": product,
             "vendor": "Simulated", "device_class": "gpu", "backend": "opencl", "driver_version": "1",
             "capacity": {"vram_bytes": vram_bytes, "memory_bandwidth_bytes_per_s": 10**12, "fp32_flops": 10**13,
                          "measured_at": "2026-01-01T00:00:00.000Z"}, **changes} for index in range(count)]


class SimulatedHost:
    """An enrolled host. It does nothing by itself."""

    def __init__(self, world, seller_key, keys, name, country="DE", pem=None, contract=None):
        self.world, self.keys, self.name = world, keys, name
        token = world.post("/v1/enrollment-tokens", {"name": name, "country": country}, seller_key, 201)["token"]
        enrolled = world.call("POST", "/v1/agent/enroll", keys.enrollment(token), expect=201)[1]
        self.id = enrolled["host_id"]
        self.enrolled = enrolled
        self.pem = pathlib.Path(pem or keys.folder / f"{name}.pem")
        self.pem.write_text(enrolled["certificate"] + keys.tls_key.read_text())
        self.client = Client(world, certificate=self.pem, contract=contract, name=name)
        self.beats = 0
        self.cards = []

    def call(self, method, path, body=None, **options):
        options.setdefault("idempotency_key", None)
        return self.client.call(method, path, body, **options)

    def expect(self, status, method, path, body=None, **options):
        options.setdefault("idempotency_key", None)
        return self.client.expect(status, method, path, body, **options)

    def heartbeat(self, leases=()):
        self.beats += 1
        return self.expect(200, "POST", "/v1/agent/heartbeat",
                           {"boot_id": BOOT, "sequence": self.beats, "leases": list(leases)})

    def put_inventory(self, cards):
        body = {"boot_id": BOOT, **CLAIMS, "cards": cards}
        self.cards = self.expect(200, "PUT", "/v1/agent/inventory", body)["cards"]
        return self.cards

    def desired(self, version=None, wait_ms=0):
        mark = "" if version is None else f"&version={version}"
        return self.expect(200, "GET", f"/v1/agent/desired?wait_ms={wait_ms}{mark}")

    def desired_lease(self, lease):
        return next((item for item in self.desired()["leases"] if item["lease_id"] == lease), None)

    def take(self, lease):
        """The host's side of a lease that it should run."""
        return LeaseOnHost(self, self.desired_lease(lease))

    def beat_regularly(self, seconds):
        """In the background, on a connection of its own, until the returned function is called."""
        ended = threading.Event()
        client = Client(self.world, certificate=self.pem, name=self.name + "'s heart")

        def beat():
            while not ended.wait(seconds):
                self.beats += 1
                client.call("POST", "/v1/agent/heartbeat", {"boot_id": BOOT, "sequence": self.beats, "leases": []},
                            idempotency_key=None)
            client.close()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        return lambda: (ended.set(), thread.join())

    def close(self):
        self.client.close()


class LeaseOnHost:
    """What an agent keeps of a lease: epoch, nonce, sequence, container."""

    def __init__(self, host, desired):
        if desired is None:
            raise AssertionError(f"{host.name} has no such lease in its desired state")
        self.host, self.desired = host, desired
        self.id = desired["lease_id"]
        self.epoch = desired["lease_epoch"]
        self.nonce = desired["nonce"]
        self.sequence = desired["usage_sequence"]
        self.container = "container-" + uuid.uuid4().hex[:12]
        self.path = f"/v1/agent/leases/{self.id}"

    def report_body(self, phase, **fields):
        return {"lease_epoch": self.epoch, "phase": phase, **fields}

    def report(self, phase, **fields):
        return self.host.expect(200, "POST", self.path + "/report", self.report_body(phase, **fields))["lease"]

    def accept(self):
        return self.report("accepted")

    def run(self):
        return self.report("running", container_id=self.container, boot_id=BOOT)

    def start(self):
        self.accept()
        return self.run()

    def exit(self, code=0, oom_killed=False, duration_exceeded=False):
        return self.report("exited", exit_code=code, oom_killed=oom_killed, duration_exceeded=duration_exceeded)

    def fail(self, reason, detail="it did not work"):
        return self.report("failed", reason=reason, detail=detail)

    def gone(self):
        return self.report("gone")

    def statement(self, running_ms, final=False, egress_bytes=None, **changes):
        """Without a number of bytes, that of an agent from before traffic was told."""
        sent = {} if egress_bytes is None else {"egress_bytes": egress_bytes}
        fields = {"lease": self.id, "epoch": self.epoch, "container": self.container, "boot": BOOT,
                  "nonce": self.nonce, "sequence": self.sequence + 1, "running_ms": running_ms, **sent,
                  "final": "true" if final else "false", **changes}
        head = "fallow-usage-v2\n" if sent else "fallow-usage-v1\n"
        return head + "".join(f"{name}: {value}\n" for name, value in fields.items())

    def state_usage(self, statement, signature=AUTO):
        """The reply, whatever it is."""
        signature = self.host.keys.sign(statement) if signature is AUTO else signature
        return self.host.call("POST", self.path + "/usage", {"statement": statement, "signature": signature})

    def use(self, running_ms, final=False, egress_bytes=None):
        """An accepted statement; returns the reply's body."""
        reply = self.state_usage(self.statement(running_ms, final, egress_bytes))
        if reply.status != 200:
            raise AssertionError(f"a usage statement over {running_ms} ms was answered {reply}")
        self.nonce, self.sequence = reply.body["nonce"], reply.body["sequence"]
        return reply.body

    def log(self, sequence, *lines, stream="stdout"):
        entries = [{"stream": stream, "at": "2026-01-01T00:00:00.000Z", "data": base64.b64encode(line).decode()}
                   for line in lines]
        return self.host.expect(200, "POST", self.path + "/logs",
                                {"sequence": sequence, "entries": entries})["next_sequence"]

    def upload_output(self, path, content):
        artifact = self.host.expect(201, "POST", self.path + "/outputs", {
            "path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        for part in range((len(content) + (1 << 20) - 1) >> 20):
            self.host.expect(204, "PUT", f"{self.path}/outputs/{artifact['id']}/parts/{part}",
                             content[part << 20:(part + 1) << 20])
        return self.host.expect(200, "POST", f"{self.path}/outputs/{artifact['id']}/complete", {})

    @staticmethod
    def chunks_of(content):
        return {hashlib.sha256(piece).hexdigest(): piece
                for piece in (content[at:at + (1 << 20)] for at in range(0, len(content), 1 << 20))}

    @staticmethod
    def file_entry(path, content, **changes):
        pieces = (content[at:at + (1 << 20)] for at in range(0, len(content), 1 << 20))
        return {"path": path, "kind": "file", "mode": 0o644, "bytes": len(content),
                "modified_at": "2026-01-01T00:00:00.000Z",
                "chunks": [hashlib.sha256(piece).hexdigest() for piece in pieces], **changes}

    def begin_save(self, names):
        return self.host.expect(200, "POST", self.path + "/checkpoint/begin",
                                {"lease_epoch": self.epoch, "chunks": list(names)})["missing"]

    def put_chunk(self, name, octets):
        return self.host.call("PUT", f"{self.path}/checkpoint/chunks/{name}", octets)

    def commit_save(self, entries, epoch=None):
        """The reply, whatever it is."""
        return self.host.call("POST", self.path + "/checkpoint", {
            "lease_epoch": self.epoch if epoch is None else epoch, "entries": entries})

    def save(self, path, content):
        """A checkpoint of one file; returns which chunks had to be sent."""
        chunks = self.chunks_of(content)
        missing = self.begin_save(chunks)
        for name in missing:
            reply = self.put_chunk(name, chunks[name])
            if reply.status != 204:
                raise AssertionError(f"a chunk was answered {reply}")
        reply = self.commit_save([self.file_entry(path, content)])
        if reply.status != 201:
            raise AssertionError(f"a checkpoint was answered {reply}")
        return missing
