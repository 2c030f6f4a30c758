"""A merge in an S3 server on this machine, every byte to and from it counted."""

import contextlib
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from measure import CommandFailed

READY_SECONDS = 90
PARTS = ("s3", "master", "volume", "filer")


class Counter:
    """A TCP relay before a port: counts what passes either way."""

    def __init__(self, port):
        self.target, self.sent, self.received = port, 0, 0
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for source, target, way in ((client, server, "sent"), (server, client, "received")):
                    threading.Thread(target=self.relay, args=(source, target, way), daemon=True).start()

    def relay(self, source, target, way):
        buffer = bytearray(1 << 18)
        with contextlib.suppress(OSError):
            while count := source.recv_into(buffer):
                with self.lock:
                    setattr(self, way, getattr(self, way) + count)
                target.sendall(memoryview(buffer)[:count])
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def taken(self):
        """Bytes since it was last asked."""
        with self.lock:
            counted = {"sent": self.sent, "received": self.received}
            self.sent = self.received = 0
        return counted

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def seaweed():
    """SeaweedFS with the buckets `packs` and `media`; gives the port of its S3 service."""
    with tempfile.TemporaryDirectory(prefix="prestage-bench-weed-") as folder:
        ports = free_ports(2 * len(PARTS))
        command = ["weed", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        for part, port, grpc in zip(PARTS, ports[::2], ports[1::2], strict=True):
            command += [f"-{part}.port={port}", f"-{part}.port.grpc={grpc}"]
        command += ["-master.volumeSizeLimitMB=1024", "-volume.max=50"]
        log = Path(folder, "log")
        with log.open("wb") as out:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            try:
                for bucket in ("packs", "media"):
                    make_bucket(ports[0], bucket, log)
                yield ports[0]
            finally:
                server.kill()
                server.wait()


def free_ports(count):
    """Ports that nobody listens on, held together so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def make_bucket(port, name, log):
    """The server has no identities, so an unsigned request will do; its parts take a while."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT")
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                raise CommandFailed(f"weed: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(0.2)


def measure_server_side_merge(prestage, site):
    """A cold build into a bucket, then the same plan again: only the merge of the second counts."""
    with seaweed() as port:
        counter = Counter(port)
        env = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{counter.port}", "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testtest",
        }
        data, output = site.folder / "in bucket", "s3://media/medium.wim"
        found = {}
        for name, made in (("cold", None), ("merge", 0)):
            counter.taken()
            cost, report = prestage.build([site.spec], data, output, "--objects", "s3://packs", **env)
            if made is not None and report["content_bytes"]["made"] != made:
                raise CommandFailed(f"the merge in a bucket encoded something: {report['content_bytes']}")
            found[name] = counter.taken() | {"wall": cost.wall, "cpu": cost.cpu}
        found["medium"] = report["medium"]["bytes"]
        counter.close()
    return found
