"""Indexing: its progress is shown, and after every process is killed it goes on where it was."""
import http.server
import os
import pathlib
import threading
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
SHARDS = 6
# This shard and later ones are not given out before the gate opens.
HELD = 3


class Shards(http.server.ThreadingHTTPServer):
    """Serves shards with ranges, counts the bytes given of each, holds some of them back."""

    daemon_threads = True

    def __init__(self, shards):
        super().__init__(("127.0.0.1", 0), Handler)
        self.shards = shards
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.given = {name: 0 for name in shards}
        self.asked_for_held = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, pattern):
        return "http://127.0.0.1:{}/{}".format(self.server_address[1], pattern)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body):
        name = self.path.strip("/")
        shard = self.server.shards.get(name)
        if shard is None:
            self.send_error(404)
            return
        if body and name in ("{:05d}.tar".format(i) for i in range(HELD, SHARDS)):
            self.server.asked_for_held.set()
            self.server.gate.wait()
        first, last = 0, len(shard) - 1
        wanted = self.headers.get("Range")
        if wanted:
            begin, end = wanted.split("=")[1].split("-")
            first, last = int(begin), min(int(end or last), last)
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", '"{}"'.format(name))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        if wanted:
            self.send_header("Content-Range", "bytes {}-{}/{}".format(first, last, len(shard)))
        self.end_headers()
        if body:
            with self.server.lock:
                self.server.given[name] += last + 1 - first
            self.wfile.write(shard[first : last + 1])

    def do_GET(self):
        self.answer(True)

    def do_HEAD(self):
        self.answer(False)


class IndexingTest(unittest.TestCase):
    def test_progress_shows_and_survives_everything(self):
        files = {}
        for i in range(SHARDS):
            name = "{:05d}.tar".format(i)
            path = data.write_shard(FOLDER / name, data.make_samples(20, seed=i))
            files[name] = path.read_bytes()
        server = Shards(files)
        self.addCleanup(server.shutdown)
        spec = data.tiny_job(
            "resumed",
            (server.url("{00000..00005}.tar"), str(FOLDER / "00000.tar")),
            FOLDER / "ckpt",
            steps=8,
            workers={"trainers": {"min": 1, "max": 1}, "packers": {"min": 1}},
        )
        spec["data"]["index"] = str(FOLDER / "index")
        with Cluster(FOLDER / "cluster") as cluster:
            cluster.start_coordinator()
            cluster.start_packer("packer-0")
            cluster.start_trainer("trainer-0")
            job = cluster.submit(spec)

            def indexed(shards):
                now = cluster.json("get", job)
                return now if int(now.get("shards_indexed", 0)) >= shards else None

            # The first three; the packer now waits for a held one. The one held out comes last.
            progress = wait_until("three shards", lambda: indexed(HELD), 60)
            self.assertTrue(server.asked_for_held.wait(60))
            self.assertEqual(progress["state"], "indexing")
            self.assertEqual(progress["shards_indexed"], HELD)
            self.assertEqual(progress["shards_total"], SHARDS + 1)
            size = sum(len(files["{:05d}.tar".format(i)]) for i in range(HELD))
            self.assertEqual(progress["indexed_bytes"], size)
            self.assertGreater(progress["index_remaining_seconds"], 0)
            described = cluster.navitctl("describe", job).stdout
            self.assertRegex(described, r"shards indexed +3/7, [\d.]+ MiB, ETA \w+\n")
            metrics = cluster.coordinator.metrics()
            for line in (
                'navit_index_shards{navit_job="resumed",state="indexed"} 3',
                'navit_index_shards{navit_job="resumed",state="pending"} 4',
                'navit_index_bytes{navit_job="resumed"} {}'.replace("{}", str(size)),
            ):
                self.assertIn(line, metrics)
            self.assertIn("navit_index_remaining_seconds{", metrics)

            given = dict(server.given)
            self.assertTrue(all(given["{:05d}.tar".format(i)] > 0 for i in range(HELD)), given)
            cluster.processes["packer-0"].kill()
            cluster.coordinator.kill()
            cluster.start_coordinator()
            cluster.start_packer("packer-1")
            # All that was indexed counts again, though nothing more can be read yet.
            wait_until("three shards again", lambda: indexed(HELD), 60)
            for i in range(HELD):
                name = "{:05d}.tar".format(i)
                self.assertEqual(server.given[name], given[name], "read again: " + name)
            server.gate.set()
            cluster.wait(job, "succeeded")
            done = cluster.json("get", job)
            self.assertEqual(done["shards_indexed"], SHARDS + 1)
            self.assertEqual(
                done["indexed_bytes"], sum(map(len, files.values())) + len(files["00000.tar"])
            )
            self.assertNotIn("ETA", cluster.navitctl("describe", job).stdout)


if __name__ == "__main__":
    unittest.main()
