"""Malformed, ambiguous and oversized requests against the whole server: always a problem, never a second reply."""
import json

from http_raw import Raw
from routes_fixture import RENTER, RoutesTest, run_tests

HOST = "Host: localhost\r\n"
SECOND = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Strict(RoutesTest):
    settings = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.renter = cls.organization(RENTER, 10**9)
        cls.bearer = f"Authorization: Bearer {cls.renter.key}\r\n"
        cls.start = f"POST /v1/artifacts HTTP/1.1\r\n{HOST}{cls.bearer}Idempotency-Key: k\r\n" \
                    "Content-Type: application/json\r\n"

    def raw(self):
        raw = Raw(self.world)
        self.addCleanup(raw.close)
        return raw

    def check_problem(self, answer, status, code):
        got, headers, body = answer
        self.assertEqual((got, body["code"]), (status, code), body)
        self.assertEqual((headers["content-type"], body["status"], body["type"]),
                         ("application/problem+json", status, "urn:fallow:problem:" + code))
        self.assertEqual(body["request_id"], headers["x-request-id"])
        self.assertRegex(body["request_id"], "^req_[0-7][0-9a-hjkmnp-tv-z]{25}$")
        self.assertTrue(body["title"] and body["detail"])

    def refuse(self, rows):
        """Each row (what, bytes, status, code): one problem, then the end, whatever else was sent."""
        for what, data, status, code in rows:
            with self.subTest(what=what):
                raw = self.raw()
                raw.send(data if isinstance(data, bytes) else data.encode("latin-1"))
                answer = raw.reply()
                self.check_problem(answer, status, code)
                self.assertEqual(answer[1]["connection"], "close")
                self.assertTrue(raw.ends(), "something came after the refusal")
                raw.close()
        self.assertEqual(self.admin.get("/livez"), {"status": "ok"})
        self.assertTrue(self.world.server.alive())

    def test_smuggling_shapes(self):
        start, chunked = self.start, self.start + "Transfer-Encoding: chunked\r\n\r\n"
        bad, end = "bad_request", "\r\n\r\n0\r\n\r\n" + SECOND
        self.refuse([
            ("TE and CL", start + "Content-Length: 4\r\nTransfer-Encoding: chunked" + end, 400, bad),
            ("CL and TE", start + "Transfer-Encoding: chunked\r\nContent-Length: 4" + end, 400, bad),
            ("two CL", start + "Content-Length: 0\r\nContent-Length: 43\r\n\r\n" + SECOND, 400, bad),
            ("two equal CL", start + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + SECOND, 400, bad),
            ("CL list", start + "Content-Length: 2, 2\r\n\r\n{}" + SECOND, 400, bad),
            ("CL with a sign", start + "Content-Length: +2\r\n\r\n{}" + SECOND, 400, bad),
            ("CL in hex", start + "Content-Length: 0x2\r\n\r\n{}" + SECOND, 400, bad),
            ("CL with a space inside", start + "Content-Length: 1 2\r\n\r\n{}" + SECOND, 400, bad),
            ("empty CL", start + "Content-Length:\r\n\r\n" + SECOND, 400, bad),
            ("negative CL", start + "Content-Length: -1\r\n\r\n" + SECOND, 400, bad),
            ("huge CL", start + "Content-Length: 99999999999999999999999\r\n\r\n", 413, "body_too_large"),
            ("bogus coding", start + "Transfer-Encoding: xchunked" + end, 501, "not_supported"),
            ("gzip, chunked", start + "Transfer-Encoding: gzip, chunked" + end, 501, "not_supported"),
            ("two TE", start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + end, 400, bad),
            ("TE with a tab before the colon", start + "Transfer-Encoding\t: chunked" + end, 400, bad),
            ("a space before the colon", start + "Content-Length : 2\r\n\r\n{}" + SECOND, 400, bad),
            ("obs-fold", start + "Transfer-Encoding:\r\n chunked" + end, 400, bad),
            ("a leading space", f"GET /livez HTTP/1.1\r\n {HOST}\r\n" + SECOND, 400, bad),
            ("chunk extension", chunked + "2;a=b\r\n{}\r\n0\r\n\r\n" + SECOND, 400, bad),
            ("trailer", chunked + "2\r\n{}\r\n0\r\nA: b\r\n\r\n" + SECOND, 400, bad),
            ("chunk longer than its size", chunked + "1\r\n{}\r\n0\r\n\r\n" + SECOND, 400, bad),
            ("chunk size of nine digits", chunked + "000000002\r\n{}\r\n0\r\n\r\n" + SECOND, 400, bad),
            ("negative chunk", chunked + "-2\r\n{}\r\n0\r\n\r\n" + SECOND, 400, bad),
            ("chunk size 0x2", chunked + "0x2\r\n{}\r\n0\r\n\r\n" + SECOND, 400, bad),
            ("chunk with bare LF", chunked + "2\n{}\n0\n\n" + SECOND, 400, bad),
            ("bare LF", "GET /livez HTTP/1.1\nHost: localhost\n\n" + SECOND, 400, bad),
            ("bare CR", "GET /livez HTTP/1.1\r\nA: b\rc\r\n" + HOST + "\r\n" + SECOND, 400, bad),
            ("NUL in a value", "GET /livez HTTP/1.1\r\nA: b\0c\r\n" + HOST + "\r\n" + SECOND, 400, bad),
            ("empty line first", "\r\n" + SECOND, 400, bad),
            ("two keys", self.start + self.bearer + "\r\n" + SECOND, 400, bad),
            ("two idempotency keys", self.start + "Idempotency-Key: other\r\n\r\n" + SECOND, 400, bad)])

    def test_the_request_line_and_the_host(self):
        bad = "bad_request"
        self.refuse([
            ("two hosts", f"GET /livez HTTP/1.1\r\n{HOST}Host: other\r\n\r\n" + SECOND, 400, bad),
            ("two equal hosts", f"GET /livez HTTP/1.1\r\n{HOST}{HOST}\r\n" + SECOND, 400, bad),
            ("no host", "GET /livez HTTP/1.1\r\n\r\n" + SECOND, 400, bad),
            ("empty host", "GET /livez HTTP/1.1\r\nHost:\r\n\r\n" + SECOND, 400, bad),
            ("a list of hosts", "GET /livez HTTP/1.1\r\nHost: a, b\r\n\r\n" + SECOND, 400, bad),
            ("a host with a user", "GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n" + SECOND, 400, bad),
            ("a port out of range", "GET /livez HTTP/1.1\r\nHost: a:65536\r\n\r\n" + SECOND, 400, bad),
            ("HTTP/1.0", f"GET /livez HTTP/1.0\r\n{HOST}\r\n" + SECOND, 505, "http_version"),
            ("HTTP/0.9", "GET /livez\r\n" + SECOND, 400, bad),
            ("HTTP/1.2", f"GET /livez HTTP/1.2\r\n{HOST}\r\n" + SECOND, 505, "http_version"),
            ("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version"),
            ("http/1.1", f"GET /livez http/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("TRACE", f"TRACE /livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 501, "not_supported"),
            ("CONNECT", f"CONNECT a:1 HTTP/1.1\r\n{HOST}\r\n" + SECOND, 501, "not_supported"),
            ("get", f"get /livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 501, "not_supported"),
            ("no method", f" /livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("a method that is no token", f"G(T /livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("absolute form", f"GET https://localhost/livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("asterisk form", f"OPTIONS * HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("two spaces", f"GET  /livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("dot segments", f"GET /v1/../livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("escaped dot segments", f"GET /v1/%2e%2e/livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("an escaped slash", f"GET /v1%2fserver HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("an empty segment", f"GET //livez HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("a bad escape", f"GET /%zz HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("an overlong NUL", f"GET /%c0%80 HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("a fragment", f"GET /livez#a HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("octets above ASCII", f"GET /\xff HTTP/1.1\r\n{HOST}\r\n" + SECOND, 400, bad),
            ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, bad)])

    def test_sizes(self):
        self.refuse([
            ("target", f"GET /{'a' * 5000} HTTP/1.1\r\n{HOST}\r\n" + SECOND, 414, "target_too_long"),
            ("endless target", "GET /" + "a" * 20_000, 414, "target_too_long"),
            ("header", f"GET /livez HTTP/1.1\r\n{HOST}A: {'a' * 17_000}\r\n\r\n" + SECOND, 431, "header_too_large"),
            ("endless header", f"GET /livez HTTP/1.1\r\n{HOST}A: {'a' * 40_000}", 431, "header_too_large"),
            ("fields", f"GET /livez HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 100 + "\r\n" + SECOND, 431, "header_too_large"),
            ("body by its length", self.start + "Content-Length: 16385\r\n\r\n", 413, "body_too_large"),
            ("body by its chunks", self.start + "Transfer-Encoding: chunked\r\n\r\n4001\r\n" + " " * 0x4001, 413,
             "body_too_large"),
            ("body that is sent all the same", self.start + "Content-Length: 900000\r\n\r\n" + " " * 900_000, 413,
             "body_too_large"),
            ("body without a key", f"POST /v1/artifacts HTTP/1.1\r\n{HOST}Content-Length: 900000\r\n\r\n" +
             " " * 900_000, 401, "unauthenticated"),
            ("another expectation", self.start + "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}", 417,
             "expectation_failed")])

    def test_what_is_just_within_the_bounds(self):
        raw = self.raw()
        target = "/v1/server?" + "a" * (4096 - 11)
        head = f"GET {target} HTTP/1.1\r\n{HOST}"
        padding = 16384 - len(head) - len("A: \r\n\r\n")
        raw.send(f"{head}A: {'a' * padding}\r\n\r\n".encode())
        self.assertIn(raw.reply()[0], (200, 422))
        raw.send((f"GET /livez HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 99 + "\r\n").encode())
        self.assertEqual(raw.reply()[0], 200)

    def body(self, content, key="x"):
        head = self.start.replace("Idempotency-Key: k", f"Idempotency-Key: {key}")
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content

    def test_bad_json_keeps_the_connection(self):
        raw = self.raw()
        for content in (b"{", b'{"name":"a","name":"b"}', b'{"name":"\xff"}', b'{"a":' * 17 + b"1" + b"}" * 17,
                        b"[" * 16_000, b"nonsense", b'{"bytes":1e400}'):
            with self.subTest(content=content[:30]):
                raw.send(self.body(content))
                answer = raw.reply()
                self.check_problem(answer, 400, "bad_json")
                self.assertNotIn("connection", answer[1])
        raw.send(SECOND.encode())
        self.assertEqual(raw.reply()[0], 200)

    def test_pipelined_requests_are_answered_in_order(self):
        raw = self.raw()
        good = json.dumps({"name": "a", "bytes": 0, "sha256": "0" * 64}).encode()
        whoami = f"GET /v1/whoami HTTP/1.1\r\n{HOST}{self.bearer}\r\n"
        raw.send(self.body(good, "one") + whoami.encode() + SECOND.encode() + self.body(b"{", "two") + SECOND.encode())
        self.assertEqual([raw.reply()[0] for _ in range(5)], [201, 200, 200, 400, 200])

    def test_a_body_is_asked_for(self):
        good = json.dumps({"name": "a", "bytes": 0, "sha256": "0" * 64}).encode()
        raw = self.raw()
        head = self.start.replace("Idempotency-Key: k", "Idempotency-Key: continue")
        raw.send(f"{head}Content-Length: {len(good)}\r\nExpect: 100-continue\r\n\r\n".encode())
        self.assertEqual(raw.head()[0], 100)
        raw.send(good)
        self.assertEqual(raw.reply()[0], 201)
        raw.send(f"POST /v1/artifacts HTTP/1.1\r\n{HOST}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode())
        self.check_problem(raw.reply(), 401, "unauthenticated")  # refused unread, so never asked for

    def test_a_chunked_body_is_a_body(self):
        good = json.dumps({"name": "a", "bytes": 0, "sha256": "0" * 64}).encode()
        raw = self.raw()
        head = self.start.replace("Idempotency-Key: k", "Idempotency-Key: chunked")
        pieces = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in (good[:1], good[1:20], good[20:]))
        raw.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + pieces + b"0\r\n\r\n" + SECOND.encode())
        self.assertEqual([raw.reply()[0] for _ in range(2)], [201, 200])

    def test_closing_and_head(self):
        raw = self.raw()
        raw.send(f"HEAD /v1/server HTTP/1.1\r\n{HOST}\r\n".encode() + SECOND.encode())
        status, headers, _ = raw.reply(has_body=False)
        self.assertEqual(status, 200)
        self.assertGreater(int(headers["content-length"]), 0)
        self.assertEqual(raw.reply()[0], 200)
        raw.send(f"GET /livez HTTP/1.1\r\n{HOST}Connection: keep-alive, Close\r\n\r\n".encode())
        self.assertEqual(raw.reply()[1]["connection"], "close")
        self.assertTrue(raw.ends())

    def test_every_reply_carries_its_safety(self):
        raw = self.raw()
        for path in ("/livez", "/nothing", "/v1/whoami"):
            raw.send(f"GET {path} HTTP/1.1\r\n{HOST}\r\n".encode())
            headers = raw.reply()[1]
            self.assertEqual((headers["x-content-type-options"], headers["cache-control"]), ("nosniff", "no-store"))
            self.assertIn("max-age", headers["strict-transport-security"])

    def test_a_client_that_leaves_harms_nobody(self):
        for data in (b"", b"G", b"GET /livez HTTP/1.1\r\n", self.body(b"{" * 10)[:-5], self.body(b"{}")):
            raw = Raw(self.world)
            raw.send(data)
            raw.close()
        self.assertEqual(self.admin.get("/livez"), {"status": "ok"})


if __name__ == "__main__":
    run_tests()
