"""Server, agent and PostgreSQL killed once at each boundary; `./run chaos kill_matrix` does it six times."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
import kill_matrix  # noqa: E402


class KillMatrix(unittest.TestCase):
    def test_each_boundary_and_victim_once(self):
        self.assertEqual(kill_matrix.run(os.environ["FALLOW_BIN_DIR"], rounds=1), [])


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
