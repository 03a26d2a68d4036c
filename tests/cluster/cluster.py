"""A whole navit cluster of real processes on loopback, for tests.

    with Cluster(folder) as cluster:
        cluster.start_coordinator()
        cluster.start_packers(2)
        cluster.start_trainers(2)
        cluster.submit(spec)
        cluster.wait("name", "succeeded")

Every process listens on a port that the system chooses and says which in its port file; nothing
sleeps to guess readiness. Logs of all processes lie in the folder and are printed by `tail_logs`
when a test fails.
"""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).absolute().parents[2]


def program(package, name):
    """Path of a built program, from runfiles or from a checkout's bazel-bin."""
    for base in (ROOT, ROOT / "bazel-bin"):
        path = base / package / name
        if path.exists():
            return str(path)
    raise FileNotFoundError("{}/{} is not built".format(package, name))


COORDINATOR = ("server", "navit-coordinator")
PACKER = ("packer", "navit-packer")
TRAINER = ("worker", "navit-trainer")
NAVITCTL = ("cli", "navitctl")


def wait_until(what, condition, seconds=120.0):
    """Polls `condition` until it returns something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("waited {} s for {}".format(seconds, what))
        time.sleep(0.05)


class Process:
    """One running program with its log and port file."""

    def __init__(self, folder, name, argv, environment=None):
        self.name = name
        self.argv = argv
        self.log_path = folder / (name + ".log")
        self.port_file = folder / (name + ".ports")
        if self.port_file.exists():
            self.port_file.unlink()
        log = open(self.log_path, "ab")
        self.popen = subprocess.Popen(
            argv + ["--port_file={}".format(self.port_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
        log.close()

    def port(self, which):
        """The bound port ("grpc" or "http"), once the process has said it."""

        def read():
            if self.popen.poll() is not None:
                raise RuntimeError(
                    "{} ended with {}:\n{}".format(self.name, self.popen.returncode, self.tail())
                )
            if not self.port_file.exists():
                return None
            ports = dict(line.split() for line in self.port_file.read_text().splitlines())
            return ports.get(which)

        return wait_until("the port of " + self.name, read, 30)

    def metrics(self):
        """The text of /metrics."""
        url = "http://127.0.0.1:{}/metrics".format(self.port("http"))
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.read().decode()

    def kill(self):
        """SIGKILL, as a machine that is gone."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def terminate(self, seconds=60):
        """SIGTERM; returns the exit status of an orderly end."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout=seconds)

    def tail(self, lines=40):
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])


class Cluster:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.coordinator = None
        self.address = None
        self.processes = {}
        # What is started from now on: "" (the build under test), or "-next" where a test has it.
        self.build = ""
        # Files of use_tls: the coordinator's, and those of everybody who dials it.
        self.server_tls = {}
        self.client_tls = {}

    def __enter__(self):
        return self

    def __exit__(self, exception_type, *_):
        if exception_type is not None:
            self.tail_logs()
        for process in self.processes.values():
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
                process.kill()

    # -- processes

    def use_tls(self, certificates, mutual):
        """What is started from now on speaks TLS; `mutual`: workers and navitctl have certificates
        too, and the coordinator asks for them."""
        ca = {"ca": certificates.ca}
        own = {"cert": certificates.certificate, "key": certificates.key}
        self.server_tls = dict(own, **ca) if mutual else own
        self.client_tls = dict(own, **ca) if mutual else ca

    def _start(self, name, which, arguments, environment=None):
        tls = self.server_tls if which == COORDINATOR else self.client_tls
        argv = [program(which[0], which[1] + self.build)] + arguments
        argv += ["--tls_{}={}".format(what, path) for what, path in tls.items()]
        self.processes[name] = Process(self.folder, name, argv, environment)
        return self.processes[name]

    def start_coordinator(self, arguments=(), environment=None):
        """Starts the coordinator, again on its old port if it ran before."""
        listen = self.address or "127.0.0.1:0"
        self.coordinator = self._start(
            "coordinator",
            COORDINATOR,
            [
                "--listen=" + listen,
                "--listen_http=127.0.0.1:0",
                "--state={}".format(self.folder / "coordinator.db"),
            ]
            + list(arguments),
            environment,
        )
        self.address = "127.0.0.1:{}".format(self.coordinator.port("grpc"))
        return self.coordinator

    def start_replica(self, name, port, arguments):
        """Starts one of several coordinators, on `port` (0: any)."""
        return self._start(
            name,
            COORDINATOR,
            [
                "--listen=127.0.0.1:{}".format(port),
                "--listen_http=127.0.0.1:0",
                "--logs={}".format(self.folder / (name + "-logs")),
            ]
            + list(arguments),
        )

    def start_packer(self, name, threads=1, environment=None, arguments=()):
        """`environment`: the packer's whole environment; default: this process's."""
        return self._start(
            name,
            PACKER,
            [
                "--coordinator=" + self.address,
                "--name=" + name,
                "--listen=127.0.0.1:0",
                "--listen_http=127.0.0.1:0",
                "--threads={}".format(threads),
            ]
            + list(arguments),
            environment,
        )

    def start_packers(self, count):
        return [self.start_packer("packer-{}".format(i)) for i in range(count)]

    def start_trainer(self, name, arguments=()):
        return self._start(
            name,
            TRAINER,
            [
                "--coordinator=" + self.address,
                "--name=" + name,
                "--listen_http=127.0.0.1:0",
            ]
            + list(arguments),
        )

    def start_trainers(self, count):
        return [self.start_trainer("trainer-{}".format(i)) for i in range(count)]

    def tail_logs(self):
        for process in self.processes.values():
            print("---- {}\n{}".format(process.name, process.tail()))

    # -- navitctl

    def navitctl(self, *arguments, check=True, stdin=None, seconds=600):
        """Runs navitctl; returns the finished process with text output."""
        environment = dict(os.environ, NAVIT_SERVER=self.address or "127.0.0.1:1")
        tls = ["--tls-{}={}".format(what, path) for what, path in self.client_tls.items()]
        done = subprocess.run(
            [program(NAVITCTL[0], NAVITCTL[1] + self.build)] + list(arguments) + tls,
            env=environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(
                "navitctl {}: exit {}\n{}{}".format(
                    " ".join(arguments), done.returncode, done.stdout, done.stderr
                )
            )
        return done

    def json(self, *arguments):
        return json.loads(self.navitctl(*arguments, "-o", "json").stdout)

    def submit(self, spec):
        """Submits a spec (a dictionary in the job file's dialect); returns the job's name."""
        return self.navitctl("submit", "-", stdin=json.dumps(spec)).stdout.strip()

    def wait(self, job, state, seconds=240):
        return self.navitctl("wait", job, "--for=" + state, "--timeout={}".format(seconds))

    def goes_on(self, job, steps=3):
        """Waits until the job has taken some more steps with the processes that there are now, even if
        no coordinator leads at this moment."""

        def committed():
            done = self.navitctl("get", job, "-o", "json", check=False)
            if done.returncode == 0:
                return json.loads(done.stdout)
            if done.returncode != 5:  # 5: unavailable
                raise RuntimeError(done.stderr)
            return None

        found = wait_until("an answer about " + job, committed)
        if found["state"] == "succeeded":
            raise RuntimeError(job + " was over before the fault")
        wanted = int(found["committed_step"]) + steps

        def reached():
            now = committed()
            return now is not None and int(now["committed_step"]) >= wanted

        wait_until("step {} of {}".format(wanted, job), reached)

    def history(self, job):
        """The committed steps of the job, oldest first."""
        return self.json("history", job)["steps"]

    def checked_curve(self, job, steps):
        """[(step, loss, packs)] of a job of `steps` steps that has succeeded without losing or
        repeating a sample."""
        self.wait(job, "succeeded")
        audit = self.json("audit", job)
        faults = (int(audit.get("repeated_samples", 0)), audit.get("bad_steps") or [])
        if faults != (0, []) or not audit.get("plans_match") or int(audit["last_step"]) != steps:
            raise AssertionError(audit)
        return [(s["step"], s["loss"], s["packs_digest"]) for s in self.history(job)]
