"""Web servers in running jobs under names of their own: through two servers, with the renter's key and with a browser's
cookie, bodies both ways, WebSockets, and everybody who may not."""
import hashlib
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import unittest
import urllib.parse

from replicas import Replicas, begin_behind_the_second
from routes_fixture import run_tests

IMAGE = "localhost/fallow-apps:1"
DOMAIN = "apps.fallow.test"
MIB = 1024 * 1024
COOKIE = "__Host-fallow_app"
CONNECTIONS_MAX = 32  # app_connections_per_job_max
# A small web server: nc runs it for each connection, and it answers one request after another.
SERVER = r"""
cr=$(printf '\r')
ok='HTTP/1.1 200 OK\r\n'
while read -r method path version; do
    length=0 key= heads=
    while read -r line; do
        line=${line%$cr}
        [ -n "$line" ] || break
        heads="$heads$line|"
        case $line in
            content-length:*) length=${line#*: } ;;
            sec-websocket-key:*) key=${line#*: } ;;
        esac
    done
    case $path in
        /pid) body=$$; printf "${ok}Content-Length: ${#body}\r\n\r\n$body" ;;
        /heads) printf "${ok}Content-Length: ${#heads}\r\nSet-Cookie: own=1; Domain=fallow.test; Path=/\r\n\r\n"
            printf %s "$heads" ;;
        /sum) sum=$(head -c "$length" | sha256sum); printf "${ok}Content-Length: 64\r\n\r\n${sum%% *}" ;;
        /large) printf "${ok}Connection: close\r\n\r\n"; head -c 5242880 /dev/zero; exit ;;
        /chunked) printf "${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n" ;;
        /teapot) printf "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n" ;;
        /echo) sum=$(printf %s258EAFA5-E914-47DA-95CA-C5AB0DC85B11 "$key" | sha1sum)
            accept=$(printf %s "${sum%% *}" | xxd -r -p | base64)
            printf 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
            printf "Sec-WebSocket-Accept: $accept\r\n\r\n"; exec cat ;;
        *) printf 'this is not HTTP\r\n\r\n'; exit ;;
    esac
done
"""
JOB = ("cat > /tmp/app.sh <<'END'\n" + SERVER + "END\n"
       "nc -ll -p 8080 -e /bin/sh /tmp/app.sh &\n"
       "while [ ! -e /tmp/done ]; do sleep 0.2; done\n")


class AppsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = Replicas(os.environ["FALLOW_BIN_DIR"], names=("first",), settings=("apps_domain=" + DOMAIN,))
        cls.addClassCleanup(cls.world.stop)
        cls.first = cls.world.servers.first
        cls.second = cls.world.server_of("second", "apps_domain=" + DOMAIN, *cls.other_certificate()).start()
        begin_behind_the_second(cls, IMAGE)
        placed = cls.world.post("/v1/orders", {
            "requirements": {"listing_id": cls.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 1_800_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": ["/bin/sh", "-c", JOB], "max_duration_ms": 1_200_000}},
            cls.renter["key"], 201)
        cls.job, cls.lease = placed["job"]["id"], placed["lease"]["id"]
        cls.events.wait(lambda e: e["object"]["id"] == cls.job and e["type"] == "job.running", "the job to run", 120)
        # The port is open a moment after the job has begun.
        cls.world.until(lambda: cls.ask("GET", "/pid")[0] == 200, "the web server to listen")

    @classmethod
    def other_certificate(cls):
        """For the apps' names at the second server alone."""
        cls.own_ca, key = cls.world.folder / "apps.pem", cls.world.folder / "apps.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=apps", "-addext", "subjectAltName=DNS:*." + DOMAIN,
                        "-keyout", str(key), "-out", str(cls.own_ca)], check=True, capture_output=True)
        key.chmod(0o600)
        return f"apps_certificate_file={cls.own_ca}", f"apps_key_file={key}"

    # --- words

    @classmethod
    def name(cls, port=8080, job=None):
        return f"{port}-{(job or cls.job).removeprefix('job_')}.{DOMAIN}"

    @classmethod
    def connect(cls, name, server=None):
        server = server or cls.first
        context = ssl.create_default_context(cafile=str(cls.own_ca if server is cls.second else server.ca))
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        connection = http.client.HTTPConnection(name, server.port, timeout=60)
        connection.sock = context.wrap_socket(raw, server_hostname=name)
        return connection

    @staticmethod
    def exchange(connection, method, path, body=None, headers=None):
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()

    @classmethod
    def ask(cls, method, path, body=None, headers=None, key=None, name=None, server=None):
        """With the renter's key unless told; `key` "" is none."""
        key = cls.renter["key"] if key is None else key
        headers = {**({"Authorization": "Bearer " + key} if key else {}), **(headers or {})}
        connection = cls.connect(name or cls.name(), server)
        try:
            return cls.exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def open_websocket(self, header):
        """What comes back over it, its first line read."""
        connection = self.connect(self.name())
        self.addCleanup(connection.close)
        connection.sock.sendall((f"GET /echo HTTP/1.1\r\nHost: {self.name()}\r\nConnection: Upgrade\r\n"
                                 f"Upgrade: websocket\r\n{header}\r\n\r\n").encode())
        reader = connection.sock.makefile("rb")
        self.addCleanup(reader.close)
        self.assertEqual(reader.readline(), b"HTTP/1.1 101 Switching Protocols\r\n")
        return reader

    def fallow(self, *words):
        all_words = [self.world.bin / "fallow", "--url", self.first.url, "--ca", self.first.ca, "job", *words]
        return subprocess.run([str(word) for word in all_words], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "FALLOW_API_KEY": self.renter["key"]})

    def assert_problem(self, reply, status, code):
        self.assertEqual((reply[0], json.loads(reply[2])["code"]), (status, code), reply[2])

    def make_link(self, key=None, port=8080, server=None):
        self.world.use(server or self.first)
        try:
            return self.world.post(f"/v1/jobs/{self.job}/app-links", {"port": port}, key or self.renter["key"])["url"]
        finally:
            self.world.use(self.first)

    def follow(self, url, server=None):
        """The Cookie header that a browser sends from then on."""
        parts = urllib.parse.urlsplit(url)
        status, headers, _ = self.ask("GET", f"{parts.path}?{parts.query}", key="", name=parts.hostname, server=server)
        self.assertEqual((status, headers["Location"]), (303, "/"))
        cookie, _, attributes = headers["Set-Cookie"].partition(";")
        self.assertTrue(cookie.startswith(COOKIE + "="))
        self.assertEqual(attributes, " Max-Age=43200; Path=/; Secure; HttpOnly; SameSite=Lax")
        return cookie

    # --- what passes

    def test_bodies_pass_both_ways_at_each_server(self):
        content = os.urandom(5 * MIB)
        for server in (self.first, self.second):
            with self.subTest(server=server.name):
                status, _, body = self.ask("POST", "/sum", content, server=server)
                self.assertEqual((status, body.decode()), (200, hashlib.sha256(content).hexdigest()))
                status, headers, body = self.ask("GET", "/large", server=server)
                self.assertEqual((status, headers["Transfer-Encoding"], body), (200, "chunked", bytes(5 * MIB)))
                self.assertEqual(self.ask("GET", "/chunked", server=server)[2], b"firstsecond")
        self.assertEqual(self.ask("GET", "/teapot")[0], 500)

    def test_one_connection_asks_again(self):
        connection = self.connect(self.name())
        self.addCleanup(connection.close)
        headers = {"Authorization": "Bearer " + self.renter["key"]}
        for path in ("/pid", "/chunked", "/heads"):
            self.assertEqual(self.exchange(connection, "GET", path, headers=headers)[0], 200)
        self.assertEqual(self.exchange(connection, "GET", "/pid")[0], 401)

    def test_a_guest_sees_no_credentials_and_sets_no_others_cookies(self):
        cookie = self.follow(self.make_link())
        rows = [{"Cookie": f"a=b; {cookie}; c=d", "Authorization": "token of-its-own"}]
        rows.append({"Authorization": "Bearer " + self.renter["key"], "Cookie": "a=b; c=d"})
        for sent, is_own_kept in zip(rows, (True, False)):
            status, headers, body = self.ask("GET", "/heads", key="", headers={**sent, "X-Forwarded-Host": "forged",
                                                                               "Connection": "X-Once", "X-Once": "1"})
            self.assertEqual((status, headers["Set-Cookie"]), (200, "own=1; Path=/"))
            heads = body.decode()
            self.assertIn("|cookie: a=b; c=d|", heads)
            self.assertEqual("token of-its-own" in heads, is_own_kept)
            for hidden in (COOKIE, self.renter["key"], "forged", "x-once", "content-length"):
                self.assertNotIn(hidden, heads)
            name = f"{self.name()}:{self.first.port}"
            self.assertTrue(heads.startswith(f"host: {name}|"), heads)
            self.assertIn(f"|x-forwarded-proto: https|x-forwarded-host: {name}|", heads)

    def test_a_websocket_passes(self):
        for server in (self.first, self.second):
            connection = self.connect(self.name(), server)
            self.addCleanup(connection.close)
            connection.sock.sendall((f"GET /echo HTTP/1.1\r\nHost: {self.name()}\r\nConnection: Upgrade\r\n"
                                     "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                     f"Authorization: Bearer {self.renter['key']}\r\n\r\n").encode())
            reader = connection.sock.makefile("rb")
            self.addCleanup(reader.close)
            self.assertEqual(reader.readline(), b"HTTP/1.1 101 Switching Protocols\r\n")
            heads = dict(line.decode().strip().split(": ", 1) for line in iter(reader.readline, b"\r\n"))
            self.assertEqual(heads["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            for size in (5, 100_000):
                frame = os.urandom(size)
                connection.sock.sendall(frame)
                self.assertEqual(reader.read(size), frame)

    # --- who may

    def test_nobody_and_strangers(self):
        self.assert_problem(self.ask("GET", "/pid", key=""), 401, "unauthenticated")
        self.assert_problem(self.ask("GET", "/pid", key="fallow_nonsense"), 401, "unauthenticated")
        self.assert_problem(self.ask("POST", "/sum", os.urandom(32_768), key=self.stranger["key"]), 404, "not_found")
        status, headers, page = self.ask("GET", "/", key="", headers={"Accept": "text/html,*/*"})
        self.assertEqual((status, headers["Content-Type"]), (401, "text/html; charset=utf-8"))
        self.assertIn(b"fallow job open", page)
        reads = self.world.post("/v1/keys", {"name": "reads", "scopes": ["renter:read"]}, self.renter["key"], 201)
        self.assert_problem(self.ask("GET", "/pid", key=reads["secret"]), 403, "scope_missing")
        status, body, _ = self.world.call("POST", f"/v1/jobs/{self.job}/app-links", {"port": 8080},
                                          key=self.stranger["key"])
        self.assertEqual((status, body["code"]), (404, "not_found"))

    def test_a_name_of_apps_is_not_the_apis(self):
        for name in ("x." + DOMAIN, "0-" + self.job[4:] + "." + DOMAIN):
            self.assert_problem(self.ask("GET", "/v1/whoami", name=name), 404, "not_found")
        self.assert_problem(self.ask("GET", "/v1/whoami"), 502, "app_failed")
        self.assert_problem(self.ask("GET", "/.fallow/other"), 404, "route_not_found")

    def test_a_link_is_for_one_port_and_ends_with_its_key(self):
        made = self.world.post("/v1/keys", {"name": "short", "scopes": ["renter:write"]}, self.renter["key"], 201)
        url = self.make_link(made["secret"], server=self.second)
        parts = urllib.parse.urlsplit(url)
        self.assertEqual((parts.hostname, parts.port), (self.name(), self.second.port))
        path = f"{parts.path}?{parts.query}"
        self.assert_problem(self.ask("GET", path, key="", name=self.name(8081)), 401, "unauthenticated")
        self.assert_problem(self.ask("GET", path + "0", key=""), 401, "unauthenticated")
        cookie = {"Cookie": self.follow(url)}
        self.assertEqual(self.ask("GET", "/pid", key="", headers=cookie)[0], 200)
        self.assert_problem(self.ask("GET", "/pid", key="", headers=cookie, name=self.name(8081)), 401,
                            "unauthenticated")
        for other in ({"Origin": "https://x." + DOMAIN}, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}):
            self.assert_problem(self.ask("GET", "/pid", key="", headers={**cookie, **other}), 401, "unauthenticated")
        own = {"Origin": f"https://{self.name()}:{self.first.port}"}
        self.assertEqual(self.ask("POST", "/sum", b"", key="", headers={**cookie, **own})[0], 200)
        reader = self.open_websocket("Cookie: " + cookie["Cookie"])

        self.world.call("DELETE", "/v1/keys/" + made["key"]["id"], key=self.renter["key"], expect=204)
        reader.read()  # the open one ends
        self.world.until(lambda: self.ask("GET", "/pid", key="", headers=cookie)[0] == 401, "the cookie to be refused")
        self.assertEqual(self.ask("GET", path, key="")[0], 401)

    def test_the_command_line_prints_a_link(self):
        done = self.fallow("open", self.job, "8080")
        self.assertEqual(done.returncode, 0, done.stderr)
        cookie = self.follow(done.stdout.strip())
        self.assertEqual(self.ask("GET", "/pid", key="", headers={"Cookie": cookie})[0], 200)

    # --- what does not answer

    def test_a_port_without_a_web_server(self):
        reply = self.ask("GET", "/", name=self.name(8081))
        self.assert_problem(reply, 502, "app_failed")
        self.assertIn("nothing in the job answers at port 8081", json.loads(reply[2])["detail"])
        reply = self.ask("GET", "/garbage")
        self.assert_problem(reply, 502, "app_failed")
        self.assertIn("speaks no HTTP/1.1", json.loads(reply[2])["detail"])

    # --- how many

    def test_a_job_has_so_many_connections_at_one_server(self):
        held = []

        def let_go():
            connection, reader = held.pop()
            reader.close()
            connection.close()

        def is_taken():
            connection = self.connect(self.name())
            head = (f"GET /echo HTTP/1.1\r\nHost: {self.name()}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    f"Authorization: Bearer {self.renter['key']}\r\n\r\n")
            connection.sock.sendall(head.encode())
            held.append((connection, connection.sock.makefile("rb")))
            if held[-1][1].readline() == b"HTTP/1.1 101 Switching Protocols\r\n":
                return True
            let_go()
            return False

        self.addCleanup(lambda: [let_go() for _ in list(held)])
        for _ in range(CONNECTIONS_MAX):
            self.world.until(is_taken, "a place that another test's connection still has")
        self.assert_problem(self.ask("GET", "/pid"), 429, "rate_limited")
        self.assertEqual(self.ask("GET", "/pid", server=self.second)[0], 200)
        let_go()
        self.world.until(lambda: self.ask("GET", "/pid")[0] == 200, "its place")

    # --- the end, which is last by its name

    def test_y_metrics_count_and_no_log_has_a_secret(self):
        status, text, _ = self.world.call("GET", "/metrics")
        lines = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        self.assertEqual(status, 200)
        self.assertGreater(float(lines['fallow_tunnel_bytes_total{from="renter"}']), 0)
        self.assertGreater(float(lines['fallow_tunnel_bytes_total{from="host"}']), 0)
        self.assertIn("fallow_tunnels_open", lines)
        self.assertGreater(float(lines['fallow_app_requests_total{status="2xx"}']), 0)
        token = urllib.parse.urlsplit(self.make_link())
        cookie = self.follow(token.geturl())
        log = "".join(pathlib.Path(self.world.folder / f"{name}.log").read_text() for name in ("first", "second"))
        self.assertIn("/.fallow/session", log)
        for secret in (token.query, cookie, "token=", COOKIE, self.renter["key"]):
            self.assertNotIn(secret, log)

    def test_z_the_jobs_end(self):
        reader = self.open_websocket("Authorization: Bearer " + self.renter["key"])
        done = self.fallow("exec", self.job, "--", "touch", "/tmp/done")
        self.assertEqual(done.returncode, 0, done.stderr)
        reader.read()
        self.events.wait(lambda e: e["object"]["id"] == self.lease and e["type"] == "lease.released", "the end")
        self.assert_problem(self.ask("GET", "/pid"), 409, "wrong_state")


if __name__ == "__main__":
    run_tests()
