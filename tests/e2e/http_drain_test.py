"""The server's end and its return: SIGTERM finishes what is in flight, kill -9 loses nothing that was acknowledged."""
import json
import os
import pathlib
import signal
import socket
import threading

from http_raw import Raw
from routes_client import Client
from routes_fixture import HOUR, RENTER, SELLER, SLOW_HEART, RoutesTest, run_tests

HOST = "Host: localhost\r\n"
PER_MS = 3_600_000


def session_members(session):
    """The processes that were begun in a session, PostgreSQL's among them as long as they stay in it."""
    members = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


class Returns(RoutesTest):
    """Each test leaves a server running for the next; the data folder is the same throughout."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter = cls.organization(RENTER, 10**12)
        cls.farm = cls.host(cls.seller, cards=300)
        cls.offer = cls.listing(cls.seller, cls.farm, ask=PER_MS)

    def restart(self):
        self.world.start_server(*SLOW_HEART)
        for client in (self.admin, self.renter, self.seller, self.farm):
            client.close()

    def postmaster(self):
        return int((self.world.data / "postgres/data/postmaster.pid").read_text().split()[0])

    def is_refused(self):
        try:
            socket.create_connection(("127.0.0.1", self.world.port), 5).close()
        except ConnectionRefusedError:
            return True
        return False

    def snapshot(self):
        """What must be the same before and after."""
        return {"leases": self.renter.items("/v1/leases"), "orders": self.renter.items("/v1/orders"),
                "jobs": self.renter.items("/v1/jobs"), "listing": self.renter.get("/v1/listings/" + self.offer["id"]),
                "transfers": self.renter.items("/v1/account/transfers"), "keys": self.renter.items("/v1/keys"),
                "balances": self.balances(self.renter), "cards": self.seller.items(f"/v1/hosts/{self.farm.id}/cards"),
                "events": self.renter.items("/v1/events"), "server_key": self.admin.get("/v1/server")["server_key"]}

    def running_lease(self):
        lease = self.farm.take(self.rent(self.renter, self.offer, self.job())["lease"]["id"])
        lease.start()
        lease.use(1000)
        return lease

    def test_1_a_drain_finishes_what_is_in_flight(self):
        lease = self.running_lease()
        bearer = f"Authorization: Bearer {self.renter.key}\r\n"
        body = json.dumps({"name": "in flight", "bytes": 0, "sha256": "0" * 64}).encode()
        upload = Raw(self.world)
        upload.send(f"POST /v1/artifacts HTTP/1.1\r\n{HOST}{bearer}Idempotency-Key: drain\r\nExpect: 100-continue\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        self.assertEqual(upload.head()[0], 100)  # the server has the head and waits for the body
        begun = []
        for path in ("/readyz", "/v1/whoami", "/livez"):
            raw = Raw(self.world)
            raw.send(f"GET /livez HTTP/1.1\r\n{HOST}\r\nGET {path} HTTP/1.1\r\n{HOST}".encode())
            self.assertEqual(raw.reply()[0], 200)  # and the beginning of the next one was read with it
            begun.append(raw)
        idle = Raw(self.world)
        idle.send(f"GET /readyz HTTP/1.1\r\n{HOST}\r\n".encode())
        self.assertEqual(idle.reply()[2], {"status": "ready"})
        stream = self.renter.stream("/v1/events")
        self.addCleanup(stream.close)
        poll = Raw(self.world, self.farm.pem)
        version = self.farm.desired()["version"]
        poll.send(f"GET /livez HTTP/1.1\r\n{HOST}\r\n"
                  f"GET /v1/agent/desired?wait_ms=20000&version={version} HTTP/1.1\r\n{HOST}\r\n".encode())
        self.assertEqual(poll.reply()[0], 200)
        before = self.snapshot()

        server, postmaster = self.world.server, self.postmaster()
        server.child.send_signal(signal.SIGTERM)
        self.world.until(self.is_refused, "the server to listen no more")
        self.assertTrue(server.alive())
        self.assertEqual(list(stream), [])  # streams end, rather than hold the server up
        self.assertTrue(idle.ends())
        status, headers, answer = poll.reply()  # and so does a long-poll, with what there is
        self.assertEqual((status, headers["connection"], [item["lease_id"] for item in answer["leases"]]),
                         (200, "close", [lease.id]))
        for raw, wanted, code in zip(begun, (503, 503, 200), ("draining", "draining", None)):
            raw.send(bearer.encode() + b"\r\n")
            status, headers, answer = raw.reply()
            self.assertEqual((status, answer.get("code"), headers["connection"]), (wanted, code, "close"))
            if code:
                self.assertEqual((headers["retry-after"], answer["retryable"]), ("1", True))
            self.assertTrue(raw.ends())
        upload.send(body)
        status, headers, made = upload.reply()
        self.assertEqual((status, headers["connection"]), (201, "close"))
        self.assertTrue(upload.ends())

        self.assertEqual(server.child.wait(60), 0)
        self.assertFalse(pathlib.Path(f"/proc/{postmaster}").exists())
        self.assertEqual(session_members(server.child.pid), [])
        self.assertFalse((self.world.data / "postgres/data/postmaster.pid").exists())

        self.restart()
        self.assertEqual(self.snapshot(), before)
        self.assertEqual(self.renter.get("/v1/artifacts/" + made["id"])["name"], "in flight")
        self.assert_lease_goes_on(lease)

    def assert_lease_goes_on(self, lease):
        """Its host speaks to the new leader with what it knew of the old one."""
        desired = self.farm.desired_lease(lease.id)
        self.assertEqual((desired["want"], desired["lease_epoch"], desired["nonce"], desired["usage_sequence"]),
                         ("run", lease.epoch, lease.nonce, lease.sequence))
        self.assertGreater(self.farm.heartbeat()["epoch"], lease.epoch)
        lease.use(5000, final=True)
        lease.exit(0)
        lease.gone()
        self.assertEqual(self.renter.get("/v1/leases/" + lease.id)["charged_micros"], 5000)
        self.assert_ledger_proved()

    def test_2_kill_loses_nothing_that_was_acknowledged(self):
        lease = self.running_lease()
        before = self.snapshot()
        acknowledged, lock, enough = {}, threading.Lock(), threading.Event()
        body = {"requirements": {"products": ["nobody has it"]}, "price_max_micros_per_hour": 1, "term_ms": HOUR}

        def place(worker):
            client = Client(self.world, self.renter.key)
            for number in range(10_000):
                key = f"kill-{worker}-{number}"
                with lock:
                    acknowledged[key] = None
                try:
                    reply = client.call("POST", "/v1/orders", body, idempotency_key=key)
                except OSError:
                    return
                except Exception:  # a reply cut in the middle
                    return
                with lock:
                    acknowledged[key] = reply.raw
                    if len(acknowledged) > 60:
                        enough.set()

        workers = [threading.Thread(target=place, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        self.assertTrue(enough.wait(60))
        self.world.server.kill()
        for worker in workers:
            worker.join()
        self.restart()

        known = {order["id"] for order in self.renter.items("/v1/orders")}
        seen = 0
        for key, raw in acknowledged.items():
            again = self.renter.call("POST", "/v1/orders", body, idempotency_key=key)
            self.assertEqual(again.status, 201, again)
            if raw is not None:
                seen += 1
                self.assertEqual((again.raw, again.headers["Idempotent-Replay"]), (raw, "true"))
                self.assertIn(json.loads(raw)["order"]["id"], known)
        self.assertGreater(seen, 55)
        after = self.snapshot()
        self.assertEqual(len(after["orders"]) - len(before["orders"]), len(acknowledged))
        for same in ("leases", "jobs", "listing", "transfers", "keys", "balances", "cards", "server_key"):
            self.assertEqual(after[same], before[same], same)
        self.assertEqual(after["events"][:len(before["events"])], before["events"])
        self.assert_lease_goes_on(lease)
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"]), (0, True), report)
        self.assertEqual(session_members(self.world.server.child.pid).count(self.world.server.child.pid), 1)

    def test_3_a_postgresql_left_running_is_adopted_and_one_that_died_is_started(self):
        before = self.snapshot()
        postmaster = self.postmaster()
        self.world.server.kill()
        alive = pathlib.Path(f"/proc/{postmaster}").exists()
        self.restart()
        if alive:
            self.assertEqual(self.postmaster(), postmaster)
        self.assertEqual(self.snapshot(), before)

        postmaster = self.postmaster()
        self.world.server.kill()
        try:
            os.kill(postmaster, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.world.until(lambda: not pathlib.Path(f"/proc/{postmaster}").exists(), "PostgreSQL to die")
        self.restart()
        self.assertNotEqual(self.postmaster(), postmaster)
        self.assertEqual(self.snapshot(), before)
        self.assert_ledger_proved()

    def test_4_a_second_server_on_the_same_folder_is_refused(self):
        second = self.world.spawn("second", [self.world.bin / "fallowd", "serve", "--data", self.world.data, "--listen",
                                             "127.0.0.1:0"])
        self.assertEqual(second.child.wait(60), 1)
        self.assertIn("another server", second.log.read_text())
        self.world.processes.remove(second)
        self.assertEqual(self.admin.get("/readyz"), {"status": "ready"})

    def test_5_settings_that_contradict_each_other_are_refused(self):
        for setting in ("fence_ms=1000", "host_lost_ms=5000", "nonsense=1", "http_threads=-1", "listen_port=x"):
            with self.subTest(setting=setting):
                refused = self.world.spawn("refused", [self.world.bin / "fallowd", "serve", "--data",
                                                       self.world.folder / "unused", "--set", setting])
                self.assertEqual(refused.child.wait(60), 1)
                self.assertIn(setting.split("=")[0], refused.log.read_text())
                self.world.processes.remove(refused)
        self.assertFalse((self.world.folder / "unused").exists())


if __name__ == "__main__":
    run_tests()
