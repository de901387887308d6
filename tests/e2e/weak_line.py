"""A line to a server that counts what passes, and is slow, or breaks or stalls when a connection has moved so much."""
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
import relay  # noqa: E402

MIB = 1024 * 1024


class WeakLine:
    """Octets are those of TCP, both ways, of all connections together."""

    def __init__(self, port_of_server):
        self.relay, self.port = relay.on_tcp(port_of_server)
        self.relay.on_request = self.relay.on_answer = self.pass_on
        self.url = f"https://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.open = threading.Event()
        self.heal()

    def heal(self):
        """Counts from here on, and lets everything pass."""
        with self.lock:
            self.break_after = self.stall_after = None
            self.pause_s = 0
            self.breaks = self.octets = 0
        self.open.set()

    def be_weak(self, break_after=None, stall_after=None, pause_s=0):
        """From now on a connection breaks, or stalls until it is healed, when it has moved so many octets, or pauses
        after each 64 KiB."""
        self.heal()
        self.open.clear()
        for session in list(self.relay.sessions):
            session.moved = 0
        self.break_after, self.stall_after, self.pause_s = break_after, stall_after, pause_s

    def pass_on(self, session, piece):
        with self.lock:
            session.moved = getattr(session, "moved", 0) + len(piece)
            self.octets += len(piece)
            is_broken = self.break_after is not None and session.moved > self.break_after
            is_stalled = self.stall_after is not None and session.moved > self.stall_after
            self.breaks += is_broken
        if is_broken:
            raise relay.Cut
        if is_stalled:
            self.open.wait()
        if self.pause_s:
            time.sleep(self.pause_s)

    def close(self):
        self.heal()
        self.relay.close()
