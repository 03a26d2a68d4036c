"""A real etcd of Debian's etcd-server on loopback: one member, or several with TLS both ways."""
import base64
import json
import pathlib
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from tests.cluster.certificates import Certificates
from tests.cluster.cluster import wait_until

PROGRAM = pathlib.Path("/usr/bin/etcd")
# Name in the members' certificate.
SERVER_NAME = "etcd"


def installed():
    return PROGRAM.exists()


def free_port():
    """A port that was free a moment ago: etcd cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Member:
    """One process of it."""

    def __init__(self, name):
        self.name = name
        self.client = "127.0.0.1:{}".format(free_port())
        self.peer = "127.0.0.1:{}".format(free_port())
        self.popen = None

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()


class Etcd:
    """Starts and ends with `with`. `state(prefix)` is what --state takes, `flags` what goes with it."""

    def __init__(self, folder, members=1, tls=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.members = [Member("member-{}".format(i)) for i in range(members)]
        self.certificates = Certificates(self.folder / "tls", SERVER_NAME) if tls else None
        self.scheme = "https" if tls else "http"
        self.flags = []
        if tls:
            self.flags = [
                "--etcd_tls_ca={}".format(self.certificates.ca),
                "--etcd_tls_cert={}".format(self.certificates.certificate),
                "--etcd_tls_key={}".format(self.certificates.key),
                "--etcd_tls_server_name=" + SERVER_NAME,
            ]

    def __enter__(self):
        self.start(*self.members)
        return self

    def __exit__(self, *_):
        self.kill(*self.members)

    def state(self, prefix):
        return "etcd://{}/{}".format(",".join(member.client for member in self.members), prefix)

    def start(self, *members):
        """Starts them, again with their old data if they ran before; returns once etcd answers."""
        for member in members:
            self._start(member)
        wait_until("etcd", lambda: self.call("kv/range", key=_text("any")) is not None, 60)

    def kill(self, *members):
        for member in members:
            member.kill()

    def leader(self):
        """The member that leads the others, once one does."""

        def find():
            for member in self.members:
                status = self._call(member, "maintenance/status", {})
                if status and status.get("leader") == status["header"]["member_id"]:
                    return member
            return None

        return wait_until("a leader of etcd", find, 60)

    def delete(self, key):
        assert self.call("kv/deleterange", key=_text(key)).get("deleted") == "1", key

    def call(self, method, **request):
        """What the first member that answers says to a call of the JSON gateway; None: none does."""
        answers = (self._call(member, method, request) for member in self.members)
        return next((answer for answer in answers if answer is not None), None)

    def _call(self, member, method, request):
        url = "{}://{}/v3/{}".format(self.scheme, member.client, method)
        context = self.certificates.context() if self.certificates else None
        try:
            body = json.dumps(request).encode()
            with urllib.request.urlopen(url, body, timeout=5, context=context) as reply:
                return json.loads(reply.read())
        except (urllib.error.URLError, OSError):
            return None

    def _start(self, member):
        peers = ("{}={}://{}".format(m.name, self.scheme, m.peer) for m in self.members)
        arguments = {
            "name": member.name,
            "data-dir": self.folder / member.name,
            "listen-client-urls": "{}://{}".format(self.scheme, member.client),
            "advertise-client-urls": "{}://{}".format(self.scheme, member.client),
            "listen-peer-urls": "{}://{}".format(self.scheme, member.peer),
            "initial-advertise-peer-urls": "{}://{}".format(self.scheme, member.peer),
            "initial-cluster": ",".join(peers),
        }
        if self.certificates:
            for side in ("", "peer-"):
                arguments[side + "cert-file"] = self.certificates.certificate
                arguments[side + "key-file"] = self.certificates.key
                arguments[side + "trusted-ca-file"] = self.certificates.ca
                arguments[side + "client-cert-auth"] = "true"
        argv = [str(PROGRAM)] + ["--{}={}".format(*argument) for argument in arguments.items()]
        with open(self.folder / (member.name + ".log"), "ab") as log:
            member.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _text(key):
    """A key as the gateway takes it."""
    return base64.b64encode(key.encode()).decode()
