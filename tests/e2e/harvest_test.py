"""A host earns with what its owner leaves idle: the card is offered, rented, taken back and offered again by itself."""
import subprocess

from owner_fixture import NEVER_ENDS, NOTICE_TOLD, OwnersHost
from routes_fixture import run_tests

# The shortest time that a policy can name. The limit is high because this host is its own server, too.
POLICY = """
[[card]]
idle_below_percent = 90
idle_for_minutes = 1
never_while = ["fallow-owners"]
"""
UNTIL_IDLE_S = 180


class Harvest(OwnersHost):
    policy = POLICY

    def cards_free(self):
        return self.world.get("/v1/listings/" + self.listing["id"], self.renter["key"])["cards_free"]

    def waiting(self, command):
        """A job and its order, which nothing can fill now."""
        placed = self.order(command, fill_or_kill=False)
        self.assertEqual(placed["order"]["state"], "standing")
        return placed["job"]["id"], placed["order"]["id"]

    def lease_of(self, order):
        return self.world.get("/v1/orders/" + order, self.renter["key"])["lease_id"]

    def containers_of(self, lease):
        return self.world.engine_command("ps", "--all", "--quiet", "--filter", f"label=fallow.lease={lease}").split()

    def owners_at_work(self):
        owners = subprocess.Popen(self.owners_program())
        self.addCleanup(owners.wait)
        self.addCleanup(owners.kill)
        return owners

    def test_an_idle_card_is_rented_out_until_its_owner_comes_and_again_afterwards(self):
        job, order = self.waiting(NEVER_ENDS)
        self.await_card("present", UNTIL_IDLE_S)
        self.await_object(order, "order.filled")
        self.await_object(job, "job.running")
        lease = self.lease_of(order)
        self.await_object(lease, "lease.metered")
        self.assertEqual(len(self.containers_of(lease)), 1)

        owners = self.owners_at_work()
        self.await_card("withheld")
        self.assert_reclaimed(lease)
        self.assertRegex(self.logs(job), NOTICE_TOLD)
        self.assertEqual(self.containers_of(lease), [])
        self.assertEqual(self.cards_free(), 0)
        self.assertIn("kept back, fallow-owners runs", self.owner("status").stdout)
        _, later = self.waiting(["/bin/true"])

        owners.kill()
        owners.wait()
        self.world.until(lambda: "kept back, fallow-owners ran 0 min ago" in self.owner("status").stdout,
                         "the agent to see that its owner has gone")
        self.await_card("present", UNTIL_IDLE_S)
        self.await_object(later, "order.filled")
        self.await_object(self.lease_of(later), "lease.released")
        self.assertEqual(self.cards_free(), 1)


if __name__ == "__main__":
    run_tests()
