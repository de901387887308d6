"""A Slurm of its own in one folder: munged, slurmctld and a slurmd for each node, with ports, keys and configuration
that are nobody else's. Needs root, and neither systemd nor control groups. Its processes are the world's, which ends
them by pid."""
import os
import pathlib
import secrets
import shutil
import socket
import subprocess

PARTITION = "idle"
CLUSTER = "fallow-e2e"
# What the daemons and the jobs may not inherit from whoever runs the test.
CLEAN = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}

CONFIGURATION = """\
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
KillWait=20
MinJobAge=300
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
{nodes}
PartitionName={partition} Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PrivateSlurm:
    """`nodes`: (name, the host that it says it is, its gpu resources as in slurm.conf)."""

    def __init__(self, world, nodes):
        self.world = world
        self.folder = world.folder / "slurm"
        self.nodes = nodes
        self.environment = {**CLEAN, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def write_configuration(self):
        self.folder.mkdir(mode=0o755)
        for name in ["state", *(f"spool-{node}" for node, _, _ in self.nodes)]:
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o400)
        lines, resources = [], []
        for node, host, gres in self.nodes:
            lines.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=16 "
                         f"RealMemory=16000 Gres={gres} State=UNKNOWN")
            _, model, count = gres.split(":")
            for index in range(int(count)):
                (self.folder / f"{node}-gpu{index}").touch()
            resources.append(f"NodeName={node} Name=gpu Type={model} File={self.folder}/{node}-gpu[0-{int(count) - 1}]")
        (self.folder / "gres.conf").write_text("\n".join(resources) + "\n")
        # Nothing here asks the plugin for anything; that of version 2 would ask for systemd at its start.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            cluster=CLUSTER, host=socket.gethostname().split(".")[0], port=free_port(), folder=self.folder,
            nodes="\n".join(lines), partition=PARTITION))

    def spawn(self, name, *words):
        program = shutil.which(words[0], path=CLEAN["PATH"] + ":/usr/sbin:/sbin")
        return self.world.spawn(name, [program, *words[1:]], self.environment)

    def start(self):
        self.write_configuration()
        self.spawn("munged", "munged", "--foreground", "--force", f"--socket={self.folder}/munge.sock",
                   f"--key-file={self.folder}/munge.key", f"--log-file={self.folder}/munged.log",
                   f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munge.seed", "--num-threads=2")
        self.world.until((self.folder / "munge.sock").exists, "munged to listen")
        self.spawn("slurmctld", "slurmctld", "-D", "-f", self.folder / "slurm.conf")
        for node, _, _ in self.nodes:
            self.spawn(f"slurmd-{node}", "slurmd", "-D", "-N", node, "-f", self.folder / "slurm.conf")
        self.world.until(lambda: self.states() == {node: "idle" for node, _, _ in self.nodes},
                         "the nodes to be idle", 60)

    def call(self, *words, check=True):
        done = subprocess.run([str(word) for word in words], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"{words} failed with {done.returncode}: {done.stderr}")
        return done.stdout

    def states(self):
        lines = self.call("sinfo", "--noheader", "--Node", "--format=%N %t", check=False).splitlines()
        return dict(line.split() for line in lines)

    def jobs(self):
        """Of every job that Slurm still knows: {id: {field of scontrol show job: value}}."""
        environment = {**self.environment, "SLURM_TIME_FORMAT": "%s"}
        done = subprocess.run(["scontrol", "-o", "show", "job"], env=environment, capture_output=True, text=True)
        found = {}
        for line in done.stdout.splitlines():
            fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if "JobId" in fields:
                fields["line"] = line
                found[fields["JobId"]] = fields
        return found

    def job_of(self, lease):
        return next((job for job in self.jobs().values() if f"lease={lease} " in job["line"]), None)

    def submit(self, *words):
        return self.call("sbatch", "--parsable", f"--partition={PARTITION}", "--output=/dev/null", "--chdir=/",
                         *words).strip()

    def await_job(self, job, *states, seconds=60):
        self.world.until(lambda: self.jobs()[job]["JobState"] in states, f"job {job} to be {' or '.join(states)}",
                         seconds)

    def stop(self):
        """While the world's processes still live: no job may outlive its slurmd."""
        self.call("scancel", "--user=root", check=False)
        self.world.until(lambda: not self.call("squeue", "--noheader", check=False).strip(), "the jobs to end", 60)
