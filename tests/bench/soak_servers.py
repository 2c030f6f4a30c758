"""The fleet of the soak: PostgreSQL, SeaweedFS, two coordinators, three workers, each of them to be killed."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from server import PARTS, free_ports

READY_SECONDS = 60
USER = "prestage"
OBJECTS = "s3://packs/site"


def listens(port):
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, what, seconds=READY_SECONDS):
    """Asks until it is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} within {seconds} s")
        time.sleep(0.1)


class Service:
    """A process that is started again by the same command after it was killed."""

    def __init__(self, name, command, env, log, ports, cwd=None):
        self.name, self.command, self.env, self.log, self.ports, self.cwd = name, command, env, log, ports, cwd
        self.process = None
        self.start()

    def start(self):
        """Starts it and waits until it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for(lambda: all(map(listens, self.ports)), f"{self.name} is not ready")

    def family(self):
        """Its pid and those of its children."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [self.process.pid, *map(int, children.split())]
        return [self.process.pid]

    def kill(self):
        """SIGKILL, to its children too; it must have been alive."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself with {self.process.returncode}")
        family = self.family()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process.wait() != -signal.SIGKILL:
            raise RuntimeError(f"{self.name} did not die of SIGKILL")
        wait_for(lambda: not any(map(is_running, family)), f"{self.name} is still there")

    def end(self):
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def rss_mib(self):
        """What it and its children have in memory; shared pages count once, as the kernel divides them."""
        total = 0
        for pid in self.family():
            with contextlib.suppress(OSError):
                found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
                total += int(found.group(1)) if found else 0
        return total / 1024


def is_running(pid):
    """Whether a process does anything still."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    return False


def postgres(folder):
    """A cluster of its own, on loopback; gives its service and the URL."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if binaries is None:
        raise SystemExit("no PostgreSQL: run ./setup.sh tests")
    folder.mkdir()
    prefix = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        prefix = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    data, (port,) = folder / "data", free_ports(1)
    subprocess.run([*prefix, binaries / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale",
                    "C.UTF-8", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd="/")
    command = [*prefix, binaries / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
               "-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
    log = folder.parent / "postgres.log"
    return Service("postgres", command, None, log, [port], cwd="/"), f"postgres://{USER}@127.0.0.1:{port}/postgres"


class Store:
    """SeaweedFS, and what is in it."""

    def __init__(self, folder):
        folder.mkdir()
        ports = free_ports(2 * len(PARTS))
        self.port, log = ports[0], folder.parent / "seaweed.log"
        self.master = ports[2 * PARTS.index("master")]
        # The program itself: a wrapper in front of it would be killed in its place.
        weed = Path(subprocess.run(["python3", "-c", "import sysconfig; print(sysconfig.get_path('scripts'))"],
                                   check=True, capture_output=True, text=True).stdout.strip(), "weed")
        command = [weed if weed.is_file() else "weed", "server", f"-dir={folder}", "-ip=127.0.0.1",
                   "-ip.bind=127.0.0.1", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        for part, port, grpc in zip(PARTS, ports[::2], ports[1::2], strict=True):
            command += [f"-{part}.port={port}", f"-{part}.port.grpc={grpc}"]
        command += ["-master.volumeSizeLimitMB=1024", "-volume.max=50"]
        self.service = Service("seaweed", command, {**os.environ, "GOMEMLIMIT": "400MiB"}, log, [self.port])
        self.log = log
        self.wait()
        self.env = {"AWS_ENDPOINT": f"http://127.0.0.1:{self.port}", "AWS_ALLOW_HTTP": "true",
                    "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest"}

    def wait(self):
        """Until it takes requests: its parts find each other after its ports are open."""
        for bucket in ("packs", "media"):
            wait_for(lambda bucket=bucket: self.takes(bucket), f"SeaweedFS has no {bucket}")

    def takes(self, bucket):
        """Whether a bucket is there and takes an object; one that is there already is made in vain."""
        for path in (bucket, f"{bucket}/probe"):
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", method="PUT", data=b"")
            try:
                urllib.request.urlopen(request, timeout=5).close()
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    return False
            except OSError:
                return False
        return True

    def vacuum(self):
        """Frees what removed objects take: else an hour of builds is a hundred gigabytes."""
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self.master}/vol/vacuum?garbageThreshold=0.1"
            urllib.request.urlopen(url, timeout=60).close()

    def ask(self, path):
        """The answer to a request."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=30) as answer:
            return answer.read()

    def listed(self, path, what):
        """The elements of a listing, as texts by name."""
        tree = ElementTree.fromstring(self.ask(path))
        rows = [row for row in tree if row.tag.split("}")[-1] == what]
        return [{field.tag.split("}")[-1]: field.text for field in row} for row in rows]

    def objects(self, bucket):
        """Keys and sizes."""
        rows = self.listed(f"{bucket}?list-type=2&max-keys=10000", "Contents")
        return {row["Key"]: int(row["Size"]) for row in rows}

    def open_uploads(self):
        """Keys of multipart uploads that are open."""
        return [row["Key"] for bucket in ("packs", "media") for row in self.listed(f"{bucket}?uploads", "Upload")]

    def medium(self, name):
        """The SHA-256 of a medium; none if there is none."""
        try:
            return hashlib.sha256(self.ask(f"media/{name}")).hexdigest()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def remove_medium(self, name):
        """Removes a medium and what lies beside it."""
        for key in self.objects("media"):
            if key.startswith(name.removesuffix("wim")):
                request = urllib.request.Request(f"http://127.0.0.1:{self.port}/media/{key}", method="DELETE")
                urllib.request.urlopen(request, timeout=30).close()


class Fleet:
    """All of it."""

    def __init__(self, prestage, folder, seal_key):
        self.prestage, self.folder = prestage, folder
        self.postgres, state = postgres(folder / "postgres")
        self.store = Store(folder / "seaweed")
        self.env = {**prestage.env, **self.store.env, "NO_COLOR": "1"}
        ports = free_ports(7)
        self.urls = ",".join(f"http://127.0.0.1:{port}" for port in ports[:2])
        self.metrics = {}
        self.coordinators, self.workers = [], []
        for number, (port, metrics) in enumerate(zip(ports[:2], ports[2:4], strict=True)):
            name = f"coordinator {number + 1}"
            command = [prestage.binary, "coordinator", "--listen", f"127.0.0.1:{port}", "--objects", OBJECTS,
                       "--data-dir", folder / name, "--seal-key", seal_key, "--lease-seconds", "2",
                       "--metrics", f"127.0.0.1:{metrics}"]
            env = {**self.env, "PRESTAGE_STATE": state}
            self.coordinators.append(Service(name, command, env, folder / f"{name}.log", [port]))
            self.metrics[name] = metrics
        for number, metrics in enumerate(ports[4:]):
            name = f"worker {number + 1}"
            command = [prestage.binary, "worker", "--coordinator", self.urls, "--name", name, "--slots", "1",
                       "--threads", "1", "--staging-folder", self.staging / name, "--metrics", f"127.0.0.1:{metrics}"]
            (self.staging / name).mkdir(parents=True)
            self.workers.append(Service(name, command, self.env, folder / f"{name}.log", [metrics]))

    @property
    def staging(self):
        """Where workers stage."""
        return self.folder / "staging"

    def services(self):
        """All processes of the product."""
        return [*self.coordinators, *self.workers]

    def number(self, coordinator, name):
        """One of a coordinator's metrics; 0 where nobody answers."""
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics[coordinator.name]}/metrics", timeout=3) as a:
                lines = a.read().decode().splitlines()
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))
        return 0

    def active(self):
        """The coordinator that leads; none while nobody does."""
        leading = [one for one in self.coordinators if self.number(one, "prestage_leader ") == 1]
        return leading[0] if leading else None

    def close(self):
        """Ends what is still there, by force."""
        for service in [*self.services(), self.store.service, self.postgres]:
            if service.process.poll() is None:
                for pid in service.family():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                        os.kill(pid, signal.SIGKILL)
                service.process.wait()
