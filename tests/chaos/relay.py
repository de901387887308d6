"""A relay between a client and a server, on TCP or unix sockets, that tells of each piece before it passes it on.

`on_request(session, piece)` and `on_answer(session, piece)` may make a fault; raising Cut breaks the connection and the
piece is lost. HTTP/1.1 without pipelining is all that it is for: what comes from the client is one request at a time.
"""
import os
import socket
import threading

from pg_proxy import Cut


class Session:
    def __init__(self, relay, client):
        self.relay, self.client = relay, client
        self.server = relay.connect()
        self.request = b""  # for whoever looks at what passes: the one that waits for its answer

    def close(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def run(self, source, target, tell):
        try:
            while piece := source.recv(65536):
                tell(self, piece)
                target.sendall(piece)
        except (OSError, Cut):
            pass
        self.close()


class Relay:
    def __init__(self, listener, connect):
        """`connect()` returns a socket to the server."""
        self.listener, self.connect = listener, connect
        self.on_request = self.on_answer = lambda session, piece: None
        self.sessions = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                session = Session(self, client)
            except OSError:
                client.close()
                continue
            self.sessions.append(session)
            for source, target, tell in ((client, session.server, lambda *words: self.on_request(*words)),
                                         (session.server, client, lambda *words: self.on_answer(*words))):
                threading.Thread(target=session.run, args=(source, target, tell), daemon=True).start()

    def close(self):
        self.listener.close()
        for session in self.sessions:
            session.close()


def on_tcp(port_of_server):
    """Returns (the relay, its port)."""
    listener = socket.create_server(("127.0.0.1", 0))
    return Relay(listener, lambda: socket.create_connection(("127.0.0.1", port_of_server))), listener.getsockname()[1]


def on_unix(path, path_of_server):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    listener.listen(64)

    def connect():
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(path_of_server))
        return server

    return Relay(listener, connect)
