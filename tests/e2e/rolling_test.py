"""A short round of tests/chaos/rolling.py: two servers restarted in turn under load lose no request."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

import rolling
from routes_fixture import run_tests


class RollingTest(unittest.TestCase):
    def test_restarts_in_turn_lose_no_request(self):
        words = ["--bin", os.environ["FALLOW_BIN_DIR"], "--restarts", "4", "--rate", "60", "--clients", "6"]
        self.assertEqual(rolling.main(words), 0, "see the lines above")


if __name__ == "__main__":
    run_tests()
