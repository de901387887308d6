"""How far the pull of a job's image is, from a real registry on a slow line through a real engine to the renter."""
import base64
import os
import tarfile
import unittest
import warnings

from registry_test import PASSWORD, USER, Registry
from weak_line import MIB, WeakLine
from world import Events, World

LAYER = 24 * MIB


class PullProgress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore", DeprecationWarning)
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.registry = Registry(cls.world)
        cls.line = WeakLine(int(cls.registry.address.split(":")[1]))
        cls.addClassCleanup(cls.line.close)
        with open(cls.world.folder / "engine/registries.conf", "a") as known:
            known.write(f'[[registry]]\nlocation = "127.0.0.1:{cls.line.port}"\ninsecure = true\n')
        cls.world.start_engine()
        cls.world.start_server()
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()
        seller_events = Events(cls.world, cls.seller["key"])
        cls.addClassCleanup(seller_events.close)
        cls.listing = cls.world.host_with_listing(cls.seller, "alpha", seller_events)[2]
        cls.world.call("PUT", "/v1/secrets/pull",
                       {"value": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}, key=cls.renter["key"],
                       expect=200)

    def put_large_image(self):
        """An image of one layer that does not get smaller, in the registry alone: its reference on the slow line."""
        blob, archive = self.world.folder / "blob", self.world.folder / "blob.tar"
        blob.write_bytes(os.urandom(LAYER))
        with tarfile.open(archive, "w") as tar:
            tar.add(blob, "blob")
        made = "localhost/large:made"
        self.world.engine_command("import", "--quiet", archive, made)
        self.registry.push(made, f"{self.registry.address}/team/large:1")
        self.world.engine_command("rmi", "--force", made)
        return f"127.0.0.1:{self.line.port}/team/large:1"

    def test_a_pull_is_seen_while_it_goes_on(self):
        image = self.put_large_image()
        events = Events(self.world, self.renter["key"])
        self.addCleanup(events.close)
        self.line.be_weak(pause_s=0.05)  # so that the layer takes 20 s
        placed = self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 10_000_000,
            "term_ms": 3_600_000, "fill_or_kill": True,
            "job": {"image": image, "command": ["none"], "max_duration_ms": 600_000, "registry_secret": "pull"}},
            self.renter["key"], 201)
        job, seen = placed["job"]["id"], []

        def is_under_way():
            seen.append(self.world.get("/v1/jobs/" + job, self.renter["key"])["progress"])
            return seen[-1] and seen[-1]["done_bytes"] > 0

        self.world.until(is_under_way, "the pull's progress", 60)
        self.line.heal()
        self.assertEqual(seen[-1]["step"], "pulling_image")
        self.assertGreater(seen[-1]["total_bytes"], LAYER)
        self.assertLess(seen[-1]["done_bytes"], seen[-1]["total_bytes"])
        # There is no such command in it.
        events.wait(lambda e: e["type"] == "job.failed" and e["object"]["id"] == job, "the end of the job", 120)
        self.assertIsNone(self.world.get("/v1/jobs/" + job, self.renter["key"])["progress"])


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    bad = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    print(f"{max(result.testsRun - len(bad), 0)} passed, {len(bad)} failed")
    raise SystemExit(0 if result.wasSuccessful() else 1)
