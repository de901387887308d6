"""Images that are pulled with their renter's login, from a real registry that asks for one: who gets such an image,
who does not although it is there, and where the login is never."""
import base64
import crypt
import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import reclaim  # noqa: E402
from world import Events, Failure, World  # noqa: E402

USER = "alice"
PASSWORD = "opal-7d1e-lantern"
REGISTRY = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: fallow, path: {passwords}}}}}
"""


class Registry:
    """Debian's docker-registry on loopback. Without TLS, which the engine is told to put up with."""

    def __init__(self, world):
        self.world = world
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.address = f"127.0.0.1:{found.getsockname()[1]}"
        self.folder = world.folder / "registry"
        self.folder.mkdir()
        passwords = self.folder / "passwords"
        passwords.write_text(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=2 ** 5))}\n")
        file = self.folder / "config.yml"
        file.write_text(REGISTRY.format(root=self.folder / "store", port=self.address.split(":")[1],
                                        passwords=passwords))
        engine = world.folder / "engine"
        engine.mkdir()
        (engine / "registries.conf").write_text(f'[[registry]]\nlocation = "{self.address}"\ninsecure = true\n')
        process = world.spawn("registry", ["docker-registry", "serve", file])
        world.until(lambda: self.answers() or not process.alive(), "the registry to listen")
        if not process.alive():
            raise Failure("the registry ended:\n" + process.tail())

    def answers(self):
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            return False
        return True

    def put(self, name):
        """An image that is in the registry and not in the engine: its reference by tag, and by digest."""
        made = f"localhost/{name}:made"
        self.world.make_image(made)
        reference = f"{self.address}/team/{name}"
        digest = self.push(made, f"{reference}:1")
        self.world.engine_command("rmi", "--force", made)
        return f"{reference}:1", f"{reference}@{digest}"

    def push(self, made, tag):
        """The digest of what the registry has then."""
        file = self.folder / "digest"
        self.world.engine_command("push", "--quiet", "--tls-verify=false", "--creds", f"{USER}:{PASSWORD}",
                                  "--digestfile", file, made, f"docker://{tag}")
        return file.read_text().strip()

    def image_id(self, reference):
        found, = json.loads(self.world.engine_command("image", "inspect", reference))
        return found["Id"].removeprefix("sha256:")


class PrivateImages(unittest.TestCase):
    world_class, registry_class = World, Registry

    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore", DeprecationWarning)
        cls.world = cls.world_class(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.registry = cls.registry_class(cls.world)
        cls.rig = reclaim.Rig(cls.world, ("usage_interval_ms=1000",))
        cls.addClassCleanup(cls.rig.events.close)
        cls.addClassCleanup(cls.rig.seller_events.close)
        cls.stranger = cls.world.renter("stranger")
        events = Events(cls.world, cls.stranger["key"])
        cls.addClassCleanup(events.close)
        cls.events = {cls.rig.renter["key"]: cls.rig.events, cls.stranger["key"]: events}
        for key, name, value in ((cls.rig.renter["key"], "pull", f"{USER}:{PASSWORD}\n"),
                                 (cls.rig.renter["key"], "json", json.dumps({"username": USER, "password": PASSWORD})),
                                 (cls.rig.renter["key"], "wrong", f"{USER}:not-this"),
                                 (cls.rig.renter["key"], "no-login", "opal-no-login-4b"),
                                 (cls.stranger["key"], "pull", "mallory:guess")):
            cls.world.call("PUT", "/v1/secrets/" + name, {"value": base64.b64encode(value.encode()).decode()},
                           key=key, expect=200)

    # --- words

    def place(self, image, secret=None, key=None, host=None, text="ls -A /run/secrets 2>/dev/null; env; echo ran"):
        job = {"image": image, "command": ["/bin/sh", "-c", text], "max_duration_ms": 600_000}
        if secret is not None:
            job["registry_secret"] = secret
        order = {"price_max_micros_per_hour": 3_000_000, "term_ms": 600_000, "job": job}
        if host is not None:
            order["requirements"] = {"host_id": host}
        return self.world.post("/v1/orders", order, key or self.rig.renter["key"], 201)["job"]["id"]

    def ended(self, job, key=None):
        """The job and its last lease, once it has ended and its card is free."""
        key = key or self.rig.renter["key"]
        ends = ("job.succeeded", "job.failed", "job.cancelled")
        self.events[key].wait(lambda e: e["type"] in ends and e["object"]["id"] == job, f"the end of {job}", 120)
        found = self.world.get("/v1/jobs/" + job, key)
        lease = found["lease_id"]
        self.events[key].wait(lambda e: e["type"] == "lease.released" and e["object"]["id"] == lease,
                              f"the release of {lease}")
        return found, self.world.get("/v1/leases/" + lease, key)

    def run_job(self, image, secret=None, **how):
        key = how.get("key")
        job, lease = self.ended(self.place(image, secret, **how), key)
        if job["state"] == "succeeded":
            items = self.world.get(f"/v1/jobs/{job['id']}/logs", key or self.rig.renter["key"])["items"]
            return b"".join(base64.b64decode(item["data"]) for item in items).decode()
        self.assertEqual((job["reason"], lease["end_reason"], lease["charged_micros"]),
                         ("image_pull_failed", "image_pull_failed", 0))
        return "refused"

    def agents_said(self):
        return "".join((self.world.folder / f"agent-{name}.log").read_text() for name in self.rig.hosts.values())

    # --- who gets it

    def test_the_right_login_gets_the_image_and_leaves_no_trace(self):
        tag, digest = self.registry.put("right")
        job = self.place(tag, "pull", text="ls -A /run/secrets 2>/dev/null; env; echo ran; sleep 600")
        self.rig.wait("job.running", job)
        self.assertEqual(self.rig.job(job)["registry_secret"], "pull")
        # As it is, as routes carry it, as the registry is told it, and as the engine is.
        forms = (f"{USER}:{PASSWORD}", f'{{"password":"{PASSWORD}"', f'{{"username":"{USER}","password":"{PASSWORD}"')
        encoded = [base64.b64encode(form.encode()).decode()[:-4] for form in forms]
        patterns = [word for text in (PASSWORD, *encoded) for word in ("-e", text)]
        found = subprocess.run(["grep", "-rlaF", *patterns, str(self.world.folder)], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL)
        self.assertEqual(found.stdout, "")
        for container in self.world.engine_command("ps", "-q").split():
            self.assertNotIn(PASSWORD, self.world.engine_command("inspect", container))
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.rig.renter["key"])
        self.assertEqual(self.ended(job)[0]["state"], "cancelled")
        for image, secret in ((tag, "json"), (digest, "pull")):
            output = self.run_job(image, secret)
            self.assertTrue(output.endswith("ran\n"), output)
            self.assertNotIn(PASSWORD, output)
            self.assertNotIn("pull\n", output)

    def test_the_wrong_login_and_none_get_nothing_and_cost_nothing(self):
        tag, digest = self.registry.put("wrong")
        for image in (tag, digest):
            self.assertEqual(self.run_job(image, "wrong"), "refused")
            self.assertEqual(self.run_job(image), "refused")
        self.assertIn('with the secret \\"wrong\\"', self.agents_said())
        self.assertNotIn("not-this", self.agents_said())

    def test_a_secret_that_is_no_login_is_named_and_not_told(self):
        tag, _ = self.registry.put("no-login")
        self.assertEqual(self.run_job(tag, "no-login"), "refused")
        self.assertIn('the secret \\"no-login\\" is no login', self.agents_said())
        self.assertNotIn("opal-no-login", self.agents_said())

    def test_an_image_that_is_there_is_not_for_everybody(self):
        tag, digest = self.registry.put("cached")
        for host in self.rig.hosts:
            self.assertNotEqual(self.run_job(tag, "pull", host=host), "refused")
        image = self.registry.image_id(tag)
        stranger = self.stranger["key"]
        for host in self.rig.hosts:
            for reference in (tag, digest, image, image[:12], "sha256:" + image, f"localhost/fallow-private:{image}"):
                self.assertEqual(self.run_job(reference, key=stranger, host=host), "refused", reference)
            for reference in (tag, digest):
                self.assertEqual(self.run_job(reference, "pull", key=stranger, host=host), "refused", reference)
            # Nor for its own renter without the login, or with one that is not valid any more.
            self.assertEqual(self.run_job(tag, host=host), "refused")
            self.assertEqual(self.run_job(digest, "wrong", host=host), "refused")
            self.assertNotEqual(self.run_job(digest, "pull", host=host), "refused")
        self.assertTrue(self.run_job(reclaim.IMAGE, key=stranger).endswith("ran\n"))

    def test_only_a_secret_that_is_there_and_an_image_of_a_registry_go_together(self):
        tag, _ = self.registry.put("named")
        for image, secret, status, pointer in ((tag, "no-such", 404, "/job/registry_secret"),
                                               (tag, "../x", 422, "/job/registry_secret"),
                                               (reclaim.IMAGE, "pull", 422, "/job/image")):
            got, problem, _ = self.world.call("POST", "/v1/orders", {
                "price_max_micros_per_hour": 3_000_000, "term_ms": 600_000,
                "job": {"image": image, "command": ["true"], "max_duration_ms": 1000, "registry_secret": secret}},
                key=self.rig.renter["key"])
            self.assertEqual((got, problem["pointer"]), (status, pointer), problem)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
