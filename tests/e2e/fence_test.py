"""Fencing with real agents and containers, in scaled-down windows; `./run chaos` does the same with the defaults."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
import fence  # noqa: E402
from world import World  # noqa: E402


class Fencing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.rig = fence.Rig(cls.world, fence.SHORT)
        cls.addClassCleanup(cls.rig.events.close)

    def play(self, scene):
        checks = fence.Checks()
        scene(self.rig, checks)
        checks.print()
        self.assertEqual(checks.failed(), [])

    def test_an_agent_that_stands_still(self):
        self.play(fence.agent_stands_still)

    def test_a_server_that_is_away(self):
        self.play(fence.server_is_away)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
