"""A proxy that speaks PostgreSQL's protocol, to catch a server at an exact moment from the outside.

It passes everything on, and calls `on_query(session, text)` before a statement goes to the database, and
`on_reply(session, tag)` before the answer to it goes back, with its command's tag ("COMMIT", "INSERT 0 1"). Whoever is
called may stop the server there, block, or raise Cut to break the connection. A statement is seen each time it is to
run, sent as text or prepared before.
"""
import re
import socket
import struct
import threading


class Cut(Exception):
    """Break this session: the answer, or the statement, is lost."""


class Session:
    """One connection of a server. `name` is its application_name, once it has set one: "fallowd engine"."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.database = socket.create_connection(proxy.database)
        self.name = ""
        self.prepared = {}
        self.message = b""  # the one that on_query is called for, parameters and all

    def close(self):
        for end in (self.client, self.database):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def read(self, end, count):
        data = b""
        while len(data) < count:
            piece = end.recv(count - len(data))
            if not piece:
                raise OSError("closed")
            data += piece
        return data

    def greet(self):
        """Passes the startup on; an encryption request is refused, as PostgreSQL without TLS does."""
        while True:
            head = self.read(self.client, 8)
            length, code = struct.unpack("!II", head)
            rest = self.read(self.client, length - 8)
            if code in (80877103, 80877104):
                self.client.sendall(b"N")
                continue
            self.database.sendall(head + rest)
            return

    def forward_statements(self):
        try:
            self.greet()
            while True:
                head = self.read(self.client, 5)
                body = self.read(self.client, struct.unpack("!I", head[1:])[0] - 4)
                text, self.message = self.statement_of(head[:1], body), body
                if text is not None:
                    self.proxy.on_query(self, text)
                self.database.sendall(head + body)
        except (OSError, Cut):
            self.close()

    def statement_of(self, kind, body):
        """The text of a statement that this message runs; nothing for the others."""
        if kind == b"Q":
            text = body.rstrip(b"\0").decode(errors="replace")
            named = re.search(r"SET application_name = '([^']*)'", text)
            self.name = named.group(1) if named else self.name
            return text
        if kind == b"P":
            name, text = (word.decode(errors="replace") for word in body.split(b"\0")[:2])
            self.prepared[name] = text
            return None if name else text  # without a name it is parsed to run at once
        if kind == b"B":
            name = body.split(b"\0")[1].decode()
            return self.prepared.get(name, "") if name else None
        return None

    def forward_replies(self):
        try:
            while True:
                head = self.read(self.database, 5)
                body = self.read(self.database, struct.unpack("!I", head[1:])[0] - 4)
                if head[:1] == b"C":  # CommandComplete
                    self.proxy.on_reply(self, body.rstrip(b"\0").decode())
                self.client.sendall(head + body)
        except (OSError, Cut):
            self.close()


class Proxy:
    def __init__(self, database_port):
        self.database = ("127.0.0.1", database_port)
        self.on_query = lambda session, text: None
        self.on_reply = lambda session, tag: None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sessions = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                session = Session(self, client)
                session.database.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                client.close()
                continue
            self.sessions.append(session)
            for work in (session.forward_statements, session.forward_replies):
                threading.Thread(target=work, daemon=True).start()

    def close(self):
        self.listener.close()
        for session in self.sessions:
            session.close()
