"""HTTP as bytes over TLS, for what a well-behaved client cannot send."""
import json
import socket
import ssl


class Raw:
    """One TLS connection; replies are read one by one."""

    def __init__(self, world, certificate=None, timeout=30):
        context = ssl.create_default_context(cafile=str(world.ca))
        if certificate is not None:
            context.load_cert_chain(str(certificate))
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", world.port), timeout),
                                          server_hostname="127.0.0.1")
        self.input = b""

    def send(self, data):
        """What the server no longer reads is lost without an error here: its reply tells."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        self.input += data
        return bool(data)

    def until(self, mark):
        while mark not in self.input:
            if not self.more():
                raise AssertionError(f"the connection ended; seen: {self.input!r}")
        before, _, self.input = self.input.partition(mark)
        return before

    def head(self):
        """(status, headers) of the next head, a 100 included."""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        version, status = lines[0].split(" ")[:2]
        if version != "HTTP/1.1":
            raise AssertionError(f"not a reply: {lines[0]}")
        return int(status), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}

    def reply(self, has_body=True):
        status, headers = self.head()
        length = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.input) < length:
            if not self.more():
                raise AssertionError(f"the body ended early: {self.input!r}")
        body, self.input = self.input[:length], self.input[length:]
        return status, headers, json.loads(body) if body and "json" in headers.get("content-type", "") else body

    def ends(self):
        """Whether the server closes without another byte."""
        while self.more():
            pass
        return self.input == b""

    def close(self):
        self.socket.close()
