"""An agent renews its certificate at two thirds of its life, and is never without a valid one."""
import http.client
import os
import shutil
import ssl
import subprocess
import sys
import time
import unittest

from world import Events, World

LIFE_MS = 9000


class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        # A host that cannot be heard for 4.5 s is lost here: one refused certificate would show.
        cls.world.start_server(f"agent_certificate_ms={LIFE_MS}", "heartbeat_interval_ms=500",
                               "heartbeat_timeout_ms=400", "confirm_ms=1000", "fence_ms=2000", "kill_ms=1000",
                               "host_lost_ms=4500", "host_lost_declared_ms=5500")
        cls.seller = cls.world.seller()

    def serial(self, file):
        return subprocess.run(["openssl", "x509", "-in", str(file), "-noout", "-serial"], check=True,
                              capture_output=True, text=True).stdout.strip()

    def status_with(self, certificate, key):
        """What the server says to a heartbeat under that certificate; nothing when TLS refuses it."""
        context = ssl.create_default_context(cafile=str(self.world.ca))
        context.load_cert_chain(str(certificate), str(key))
        connection = http.client.HTTPSConnection("127.0.0.1", self.world.port, timeout=30, context=context)
        try:
            connection.request("GET", "/v1/agent/desired")
            return connection.getresponse().status
        except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
            return None
        finally:
            connection.close()

    def test_it_is_renewed_in_time_and_the_old_one_ends(self):
        state = self.world.enroll(self.seller, "alpha")
        current, key = state / "tls.crt", state / "tls.key"
        first = self.world.folder / "first.crt"
        shutil.copy(current, first)
        self.assertEqual(self.status_with(first, key), 200)
        events = Events(self.world, self.seller["key"])
        self.addCleanup(events.close)
        began = time.monotonic()
        self.world.start_agent("alpha", "--no-measure")
        events.wait(lambda e: e["type"] == "host.online", "the host to come online")
        serials = [self.serial(first)]
        for _ in range(3):
            self.world.until(lambda: self.serial(current) != serials[-1], "the certificate to be renewed",
                             LIFE_MS / 1000)
            serials.append(self.serial(current))
        self.assertEqual(len(set(serials)), 4)
        # Not before two thirds are over, of which the first certificate had spent some before the agent began.
        self.assertGreater(time.monotonic() - began, 2 * LIFE_MS / 1000 * 0.6)
        self.assertEqual(self.status_with(current, key), 200)
        self.assertIn(self.status_with(first, key), (None, 401))
        self.assertEqual([e["type"] for e in events.seen if e["type"] == "host.unreachable"], [])
        log = (self.world.folder / "agent-alpha.log").read_text()
        self.assertNotIn("was not acknowledged", log)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
