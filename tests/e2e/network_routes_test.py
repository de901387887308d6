"""The routes by which an agent measures its network: bytes there and back, one host at a time here, and bounded."""
import zlib

from http_raw import Raw
from routes_fixture import SELLER, SLOW_HEART, RoutesTest, run_tests

PATH = "/v1/agent/network-test"
MIB = 1 << 20
LARGEST = 16 * MIB


class Network(RoutesTest):
    settings = (*SLOW_HEART, "network_tests_max=1")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)

    def measuring_host(self):
        """When nobody else measures any more."""
        host = self.host(self.seller, online=False)
        self.await_place(host)
        return host

    def await_place(self, host):
        """Until what was under way on other connections is over for the server, too."""
        self.world.until(lambda: host.call("GET", PATH + "?bytes=1").status == 200, "other transfers to be over")

    def open(self, client, method, length=None, query=""):
        """A connection whose request has been sent, but for its body."""
        connection = client.connect()
        self.addCleanup(connection.close)
        connection.putrequest(method, PATH + query)
        if length is not None:
            connection.putheader("Content-Length", str(length))
            connection.putheader("Content-Type", "application/octet-stream")
        connection.endheaders()
        return connection

    def assert_later(self, reply, seconds):
        """A reply of http.client or of ours."""
        self.assertEqual(reply.status, 429)
        self.assertEqual(reply.headers["Retry-After"], str(seconds))

    def test_bytes_come_and_go_and_leave_nothing_behind(self):
        host = self.measuring_host()
        before = self.events_so_far()
        connection = host.client.connection
        for count in (1, 65_536, 3_000_000, 65_537):
            reply = host.call("GET", f"{PATH}?bytes={count}")
            self.assertEqual((reply.status, len(reply.raw)), (200, count))
            self.assertEqual(reply.headers["Content-Type"], "application/octet-stream")
        self.assertGreater(len(zlib.compress(host.call("GET", PATH + "?bytes=1000000").raw)), 990_000)
        for count in (0, 1, 3_000_000):
            self.assertEqual(host.expect(200, "POST", PATH, b"\0" * count), {"bytes": count})
        self.assertIs(host.client.connection, connection)
        self.assertIsNotNone(connection.sock, "one connection serves them all")
        self.assertEqual(self.events_so_far(), before)

    def test_what_is_wrong_is_refused(self):
        host = self.measuring_host()
        for query, code in (("", "missing_field"), ("?bytes=0", "invalid_field"), ("?bytes=x", "invalid_field"),
                            (f"?bytes={LARGEST + 1}", "invalid_field")):
            self.assert_problem(host.call("GET", PATH + query), 422, code, "query:bytes")
        # Before a byte of the body has been sent.
        self.assertEqual(self.open(host.client, "POST", LARGEST + 1).getresponse().status, 413)
        self.assertEqual(self.open(host.client, "POST").getresponse().status, 411)
        self.assertEqual(self.open(self.client(name="nobody"), "POST", 5).getresponse().status, 401)
        self.assert_problem(host.call("POST", PATH, b"{}", headers={"Content-Type": "application/json"}), 415,
                            "unsupported_media_type")

    def test_one_host_measures_at_a_time_and_one_way(self):
        host = self.measuring_host()
        other = self.host(self.seller, online=False)
        under_way = self.open(host.client, "GET", query=f"?bytes={LARGEST}").getresponse()
        self.assertEqual(under_way.status, 200)
        self.assert_later(host.call("GET", PATH + "?bytes=1"), 1)
        self.assert_later(other.call("GET", PATH + "?bytes=1"), 60)
        refused = self.open(other.client, "POST", LARGEST).getresponse()
        self.assert_later(refused, 60)
        self.assertEqual(refused.headers["Connection"], "close")
        self.assertEqual(len(under_way.read()), LARGEST)
        self.await_place(host)
        self.assertEqual(host.expect(200, "POST", PATH, b"x"), {"bytes": 1})
        # Half an upload keeps the place, and gives it back when its connection ends.
        half = Raw(self.world, host.pem)
        half.send(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
                  "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode())
        self.assertEqual(half.head()[0], 100)
        half.send(b"x")
        self.assert_later(host.call("GET", PATH + "?bytes=1"), 1)
        half.close()
        self.await_place(host)

    def test_a_host_moves_a_bounded_amount(self):
        host = self.measuring_host()  # whose transfers count as 1 MiB each, and one comes back every 75 s
        for moved in range(1, 300):
            reply = host.call("GET", PATH + "?bytes=1")
            if reply.status != 200:
                break
        self.assertEqual(reply.status, 429)
        self.assertGreaterEqual(moved, 192)
        self.assertLess(moved, 200)
        self.assertIn(int(reply.headers["Retry-After"]), range(1, 76))
        self.assert_problem(host.call("POST", PATH, b"x"), 429, "rate_limited")


if __name__ == "__main__":
    run_tests()
