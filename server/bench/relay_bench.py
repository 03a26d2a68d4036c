"""Packs through the coordinator's relay, beside a raw TCP forwarder and parsed protobuf.

    bazel build //server:navit-coordinator //server/bench:relay_bench
    python3 server/bench/relay_bench.py

Every role is a process of its own on loopback: the real navit-coordinator (gRPC server, state file,
leases, grants, deals, committed steps) with packers that push and trainers that pull; a forwarder
that reads one socket and writes another; and a gRPC service that parses each pack as a protobuf
message and writes it again. The ways take turns, so that whatever else the machine does falls on
all of them. A line per pack size: median bytes per second of all trainers together after two steps
of warm-up, the ratios, and CPU seconds per gigabyte: of the server, and of all processes together.
The latter bounds the speed where the cores are the benchmark's own, and hardly depends on what else
the machine does.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BIN = pathlib.Path(__file__).resolve().parents[2] / "bazel-bin" / "server"
BENCH = str(BIN / "bench" / "relay_bench")
WAYS = ("tcp", "relay", "protobuf")
# Name, smallest and largest payload, packs of a step.
SIZES = (("0.2-0.5MB", 200_000, 500_000, 64), ("4MiB", 4 << 20, 4 << 20, 8))


def start_coordinator(folder):
    ports = folder / "ports"
    child = subprocess.Popen(
        [
            str(BIN / "navit-coordinator"),
            "--listen=127.0.0.1:0",
            "--listen_http=127.0.0.1:0",
            "--state={}".format(folder / "state.db"),
            "--port_file={}".format(ports),
        ],
        stdin=subprocess.DEVNULL,
        stderr=open(folder / "log", "w"),
    )
    while not ports.exists():
        if child.poll() is not None:
            sys.exit("navit-coordinator ended: " + (folder / "log").read_text())
        time.sleep(0.01)
    port = dict(line.split() for line in ports.read_text().splitlines())["grpc"]
    return child, "127.0.0.1:" + port


def run(way, size, packers, trainers, total_bytes):
    """One run: bytes per second; CPU seconds per gigabyte of the server, and of all processes."""
    _, low, high, per_step = size
    packs = max(8, total_bytes // ((low + high) // 2) // per_step) * per_step
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def command(role, address="-", number=0):
            numbers = (number, packers, trainers, packs, low, high, per_step)
            return [BENCH, way + "-" + role, address, *map(str, numbers), str(folder)]

        if way == "relay":
            server, address = start_coordinator(folder)
            subprocess.run(command("submit", address), check=True)
        else:
            server = subprocess.Popen(
                command("server"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            address = server.stdout.readline().strip()
        pull = [
            subprocess.Popen(command("trainer", address, n), stdout=subprocess.PIPE, text=True)
            for n in range(trainers)
        ]
        push = [subprocess.Popen(command("packer", address, n)) for n in range(packers)]
        lines = [child.communicate(timeout=300)[0].split() for child in pull]
        if any(child.returncode for child in pull):
            sys.exit("a trainer of {} failed".format(way))
        if server.stdin:
            server.stdin.close()
        else:
            server.terminate()
        _, _, usage = os.wait4(server.pid, 0)
        server.returncode = 0
        for child in push:
            child.kill() if way == "relay" else None
            child.wait()
    got = sum(int(line[0]) for line in lines)
    seconds = max(float(line[2]) for line in lines) - min(float(line[1]) for line in lines)
    gigabytes = packs * (low + high) / 2 / 1e9
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    everybody = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return got / seconds, (usage.ru_utime + usage.ru_stime) / gigabytes, everybody / gigabytes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--packers", type=int, default=2)
    parser.add_argument("--trainers", type=int, default=2)
    parser.add_argument("--bytes", type=int, default=1 << 30, help="of each run")
    options = parser.parse_args()
    for size in SIZES:
        speed = {way: [] for way in WAYS}
        cpu = {way: [] for way in WAYS}
        all_cpu = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                rate, server, everybody = run(
                    way, size, options.packers, options.trainers, options.bytes
                )
                speed[way].append(rate)
                cpu[way].append(server)
                all_cpu[way].append(everybody)
        rate = {way: statistics.median(speed[way]) for way in WAYS}
        # Ratios of neighbours in time, so that a slow minute of the machine falls on both.
        ratio = {
            way: statistics.median(r / p for r, p in zip(speed["relay"], speed[way]))
            for way in ("tcp", "protobuf")
        }
        print(
            "packs={} ".format(size[0])
            + " ".join("{}_bytes_per_second={:.3e}".format(way, rate[way]) for way in WAYS)
            + " relay_over_tcp={tcp:.3f} relay_over_protobuf={protobuf:.2f} ".format(**ratio)
            + " ".join(
                "{}_server_cpu_seconds_per_gb={:.3f} {}_all_cpu_seconds_per_gb={:.3f}".format(
                    way, statistics.median(cpu[way]), way, statistics.median(all_cpu[way])
                )
                for way in WAYS
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
