"""A real etcd of Debian's etcd-server on loopback."""
import base64
import json
import pathlib
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from tests.cluster.cluster import wait_until

PROGRAM = pathlib.Path("/usr/bin/etcd")


def installed():
    return PROGRAM.exists()


def free_port():
    """A port that was free a moment ago: etcd cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Etcd:
    """One member. `state(prefix)` is what --state takes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = "127.0.0.1:{}".format(free_port())
        self.peer = "127.0.0.1:{}".format(free_port())
        self.popen = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def state(self, prefix):
        return "etcd://{}/{}".format(self.address, prefix)

    def start(self):
        """Starts it, again with its old data if it ran before; returns once it answers."""
        log = open(self.folder / "etcd.log", "ab")
        self.popen = subprocess.Popen(
            [
                str(PROGRAM),
                "--name=one",
                "--data-dir={}".format(self.folder / "data"),
                "--listen-client-urls=http://" + self.address,
                "--advertise-client-urls=http://" + self.address,
                "--listen-peer-urls=http://" + self.peer,
                "--initial-advertise-peer-urls=http://" + self.peer,
                "--initial-cluster=one=http://" + self.peer,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        wait_until("etcd", lambda: self.call("range", "any") is not None, 60)

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def call(self, method, key):
        """A call of the key-value API with one key; None: etcd does not answer."""
        request = urllib.request.Request(
            "http://{}/v3/kv/{}".format(self.address, method),
            json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return json.loads(reply.read())
        except (urllib.error.URLError, OSError):
            return None

    def delete(self, key):
        assert self.call("deleterange", key).get("deleted") == "1", key
