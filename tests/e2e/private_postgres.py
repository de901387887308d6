"""A PostgreSQL of a test's own, which outlives the servers on it: a private folder, a socket, a port of 127.0.0.1."""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess

from world import Failure

BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PrivatePostgres:
    """`durable` keeps fsync on, for tests that kill it."""

    def __init__(self, folder, durable=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user, self.user)
        self.durable = durable
        self.data = self.folder / "data"
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        (self.data / "postgresql.auto.conf").write_text(
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n"
            f"fsync = {'on' if durable else 'off'}\nmax_connections = 200\nlog_line_prefix = '%m [%p] %q%a '\n")
        self.process = None
        self.start()
        self.sql("CREATE DATABASE fallow", "postgres")

    def command(self, name, *words):
        prefix = ["runuser", "-u", self.user, "--"] if os.geteuid() == 0 else []
        return [*prefix, str(BINARIES / name), *map(str, words)]

    def run(self, name, *words):
        done = subprocess.run(self.command(name, *words), capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            raise Failure(f"{name} failed: {done.stderr}")
        return done.stdout

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "postgresql.log", "-w", "-t", "60", "start")

    def stop(self, mode="fast"):
        if self.data.exists():
            subprocess.run(self.command("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop"), capture_output=True)

    def url(self, role="fallow", port=None):
        return f"host=127.0.0.1 port={port or self.port} dbname=fallow user={role}"

    def sql(self, text, database="fallow"):
        """Runs as the superuser; returns what psql prints, one row a line, columns separated by |."""
        return self.run("psql", "-h", self.folder, "-p", self.port, "-U", "postgres", "-d", database, "-v",
                        "ON_ERROR_STOP=1", "-qtAc", text).strip()
