"""A real Slurm of a few nodes on this machine, for as long as a test needs it: nothing outside its folder and loopback.

A node is a namespace of its own: host name, processes, shared memory. To kill its first process is what a power cut is:
slurmd and all ranks are gone at once. Waiting times are the shortest that Slurm takes, so that faults are noticed soon.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "unshare", "setpriv")
# Ports that nobody else is expected on: controller, then one a node
FIRST_PORT = 17600
POLL_S = 0.1
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
# A requeued job waits until its old credential has expired; Slurm takes no less than 5 s
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/spool.%n
TmpFS={folder}/tmp.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
SlurmdParameters=config_overrides
ReturnToService=2
PropagateResourceLimits=NONE
SlurmdTimeout=5
SlurmctldTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=600
BatchStartTimeout=10
MessageTimeout=5
CompleteWait=0
EpilogMsgTime=0
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_resolution=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PriorityType=priority/basic
NodeName=node[1-{nodes}] NodeHostname=node[1-{nodes}] NodeAddr=127.0.0.[11-{last_address}] Port=[{node_ports}] \
CPUs=64 Boards=1 SocketsPerBoard=1 CoresPerSocket=64 ThreadsPerCore=1 RealMemory=1000000 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 PriorityTier=1 GraceTime={grace_s}
PartitionName=high Nodes=ALL Default=NO MaxTime=1-0 DefaultTime=10 PriorityTier=10 PreemptMode=OFF
"""
# Waits for slurmd as the first process of the node's namespace, which must stay
NODE = """
ulimit -c 0
hostname "$1" && mount --bind "$2/hosts" /etc/hosts && mount -t tmpfs shm /dev/shm
slurmd -D -N "$1" -f "$2/slurm.conf" &
trap 'kill -TERM $!' TERM
wait $!
"""


def why_not() -> str | None:
    """Why no Slurm can be started here; None if it can."""
    missing = [program for program in PROGRAMS if not _find(program)]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)}); apt-get install munge slurmctld slurmd slurm-client"
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    trial = subprocess.run(["unshare", "--uts", "--ipc", "--mount", "--pid", "--fork", "true"], capture_output=True)
    return None if trial.returncode == 0 else f"namespaces are not allowed here: {trial.stderr.decode().strip()}"


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Cluster:
    """`folder`: for its configuration, state and logs. To be closed again."""

    def __init__(self, folder: Path, num_nodes: int = 2, grace_s: int = 0):
        self.folder, self.num_nodes = folder, num_nodes
        self.programs: dict[str, subprocess.Popen] = {}
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        self.environment["PATH"] += ":/usr/sbin:/sbin"
        (folder / "controller").mkdir(parents=True)
        names = "".join(f"127.0.0.{10 + number} node{number}\n" for number in self.numbers)
        host = os.uname().nodename.partition(".")[0]
        (folder / "hosts").write_text(f"127.0.0.1 localhost {host}\n{names}")
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                folder=folder,
                host=host,
                port=FIRST_PORT,
                nodes=num_nodes,
                last_address=10 + num_nodes,
                node_ports=f"{FIRST_PORT + 1}-{FIRST_PORT + num_nodes}",
                grace_s=grace_s,
            )
        )

    @property
    def numbers(self) -> range:
        return range(1, self.num_nodes + 1)

    def open(self) -> Cluster:
        key, socket = self.folder / "munge.key", self.folder / "munge.sock"
        self.command("mungekey", "-c", "-k", key)
        files = {"key-file": key, "socket": socket, "pid-file": "munged.pid", "log-file": "munged.log"}
        files["seed-file"] = "munge.seed"
        options = [f"--{name}={self.folder / path}" for name, path in files.items()]
        self._start("munged", ["munged", "--foreground", "--force", "--num-threads=2", *options])
        self._await("munged", ["munge", "-n", "-S", socket])
        self._start("slurmctld", ["slurmctld", "-D", "-f", self.folder / "slurm.conf"])
        self._await("slurmctld", ["scontrol", "ping"])
        for number in self.numbers:
            self.start_node(number)
        self._await("nodes", ["bash", "-c", f'[ "$(sinfo -h -p low -t idle -o %D)" = {self.num_nodes} ]'])
        return self

    def start_node(self, number: int) -> None:
        name = f"node{number}"
        for folder in ("spool", "tmp"):
            (self.folder / f"{folder}.{name}").mkdir(exist_ok=True)
        apart = ["unshare", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
        self._start(name, [*apart, "bash", "-c", NODE, "_", name, self.folder])

    def cut_power(self, number: int) -> None:
        """Everything on the node ends at once, and Slurm is told, which else takes it 15 s to see."""
        self.programs[f"node{number}"].kill()
        self.programs.pop(f"node{number}").wait()
        self.command("scontrol", "update", f"nodename=node{number}", "state=down", "reason=power")

    def close(self) -> None:
        self.command("scancel", "--user=root", check=False)
        self.programs = dict(reversed(self.programs.items()))
        for name, program in self.programs.items():
            program.send_signal(signal.SIGKILL if name.startswith("node") else signal.SIGTERM)
        for program in self.programs.values():
            try:
                program.wait(timeout=10)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def command(self, *words: object, check: bool = True, **options) -> str:
        """What a program of Slurm prints."""
        options = {"env": self.environment} | options
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0 or not check, f"{words}: {done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout.strip()

    def logs(self) -> str:
        """The ends of all logs, for the message of a test that fails."""
        return "\n".join(f"--- {path}\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says."""
        fields = self.command("scontrol", "show", "job", number, "--oneliner").split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def wait(self, number: str, *states: str, timeout_s: float = 180) -> dict[str, str]:
        """Until the job is in one of these states; its fields."""
        end_s = time.monotonic() + timeout_s
        while (job := self.job(number))["JobState"] not in states:
            assert time.monotonic() < end_s, f"job {number} is {job['JobState']} ({job['Reason']})\n{self.logs()}"
            time.sleep(POLL_S)
        return job

    def _start(self, name: str, words: list) -> None:
        # Ends with the tests, however they end
        words = ["setpriv", "--pdeathsig", "KILL", *words]
        with (self.folder / f"{name}.out.log").open("a") as log:
            self.programs[name] = subprocess.Popen(
                list(map(str, words)),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await(self, what: str, words: list, timeout_s: float = 30) -> None:
        end_s = time.monotonic() + timeout_s
        while subprocess.run(list(map(str, words)), env=self.environment, capture_output=True).returncode:
            assert time.monotonic() < end_s, f"{what} did not start\n{self.logs()}"
            time.sleep(POLL_S)
