"""The owner of a host takes its cards back: with the server out of reach, for a command of its own, by policy."""
import signal
import subprocess

from owner_fixture import NEVER_ENDS, NOTICE_TOLD, OwnersHost
from routes_fixture import run_tests


class Owner(OwnersHost):
    def running(self, command):
        placed = self.order(command)
        self.await_object(placed["job"]["id"], "job.running")
        return placed["job"]["id"], placed["lease"]["id"]

    def test_with_the_server_out_of_reach(self):
        job, lease = self.running(NEVER_ENDS)
        self.await_object(lease, "lease.metered")
        server = self.world.server.child
        server.send_signal(signal.SIGSTOP)
        self.addCleanup(server.send_signal, signal.SIGCONT)
        asked = self.owner("reclaim", "0")
        self.assertEqual(asked.returncode, 1, asked.stderr)
        self.assertIn(lease + " has run for", asked.stderr)
        self.assertIn("has 2 s to save the work", asked.stderr)
        self.assertIn("give --yes", asked.stderr)
        taken = self.owner("reclaim", "0", "--yes", "--wait")
        self.assertEqual(taken.returncode, 0, taken.stderr)
        self.assertTrue(taken.stdout.splitlines()[0].endswith(": yours until you release it"), taken.stdout)

        server.send_signal(signal.SIGCONT)
        self.await_card("withheld")
        self.assert_reclaimed(lease)
        self.assertRegex(self.logs(job), NOTICE_TOLD)

        # Nothing is placed on it, across a restart of the agent, until it is released.
        self.restart_agent()
        self.world.until(lambda: self.owner("status").returncode == 0, "the agent to answer its owner")
        self.assertIn("yours until you release it", self.owner("status").stdout)
        standing = self.order(["/bin/true"], fill_or_kill=False)
        self.assertEqual(standing["order"]["state"], "standing")
        self.assertEqual(self.owner("release", "0").returncode, 0)
        self.await_card("present")
        self.await_object(standing["order"]["id"], "order.filled")
        filled = self.world.get("/v1/orders/" + standing["order"]["id"], self.renter["key"])
        self.await_object(filled["lease_id"], "lease.released")

    def test_a_command_of_the_owners_gets_a_free_card(self):
        _, lease = self.running(NEVER_ENDS)
        done = self.owner("own", "0", "--yes", "--", "sh", "-c", "echo mine; exit 5")
        self.assertEqual((done.returncode, done.stdout), (5, "mine\n"), done.stderr)
        self.assert_reclaimed(lease)
        self.await_card("present")

    def test_a_command_waits_until_the_driver_has_taken_a_guests_memory_back(self):
        processes = self.world.folder / "processes"
        processes.write_text("c 999999999 4294967296\n")  # it has ended, and the driver has it still
        nvml = ("--nvml-library", self.fake_nvml(processes))
        self.restart_agent(*nvml)

        def await_status(text):
            self.world.until(lambda: text in self.owner("status", *nvml).stdout, text, 90)

        await_status("process 999999999 (has ended): 4.0 GiB")
        with subprocess.Popen(self.owners_words("own", *nvml, "GPU-one", "--", "echo", "mine"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as own:
            await_status("(GPU-one): yours until your command ends")
            self.assertIsNone(own.poll())
            processes.write_text("")
            self.assertEqual(own.communicate(timeout=60)[0], "mine\n")
        self.assertEqual(own.returncode, 0)
        self.restart_agent()

    def test_a_program_of_the_owners_ends_the_lease_and_keeps_the_card(self):
        self.restart_agent(*self.policy_words('[[card]]\nnever_while = ["fallow-owners"]\n'))
        _, lease = self.running(NEVER_ENDS)
        with subprocess.Popen(self.owners_program()) as owners:
            self.await_card("withheld")
            self.assert_reclaimed(lease)
            self.assertIn("kept back, fallow-owners runs", self.owner("status").stdout)
            owners.kill()
        self.restart_agent()
        self.await_card("present")


if __name__ == "__main__":
    run_tests()
