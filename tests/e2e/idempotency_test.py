"""Twins of every request while the server is killed, a few keys; `./run chaos idempotency` does a thousand."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
import idempotency  # noqa: E402


class IdempotencyUnderFire(unittest.TestCase):
    def test_one_effect_and_the_same_bytes_for_all(self):
        self.assertEqual(idempotency.run(os.environ["FALLOW_BIN_DIR"], keys=96, keys_per_kill=16), [])


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
