"""A real Prometheus scrapes every process of a running job and answers for packing efficiency."""
import json
import os
import pathlib
import re
import socket
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Debian's prometheus, scraping the given `host:port` addresses by role."""

    def __init__(self, folder, targets):
        self.port = free_port()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {
                    "job_name": "navit",
                    "static_configs": [
                        {"targets": addresses, "labels": {"process": role}}
                        for role, addresses in targets.items()
                    ],
                }
            ],
        }
        path = folder / "prometheus.json"
        path.write_text(json.dumps(config))
        with open(folder / "prometheus.log", "wb") as log:
            self.popen = subprocess.Popen(
                [
                    "prometheus",
                    "--config.file={}".format(path),
                    "--storage.tsdb.path={}".format(folder / "tsdb"),
                    "--web.listen-address=127.0.0.1:{}".format(self.port),
                ],
                stdout=log,
                stderr=log,
            )

    def query(self, expression):
        """The instant vector of an expression: [({label: value}, number)]."""
        url = "http://127.0.0.1:{}/api/v1/query?query={}".format(
            self.port, urllib.parse.quote(expression)
        )
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                result = json.load(reply)
        except (urllib.error.URLError, ConnectionError):
            return []
        return [(s["metric"], float(s["value"][1])) for s in result["data"]["result"]]

    def stop(self):
        self.popen.terminate()
        self.popen.wait()


class PrometheusTest(unittest.TestCase):
    def test_scrapes_all_processes_and_answers_for_packing_efficiency(self):
        folder = FOLDER / "prometheus"
        with Cluster(folder) as cluster:
            cluster.start_coordinator()
            cluster.start_packers(2)
            cluster.start_trainers(2)
            targets = {}
            for name, process in cluster.processes.items():
                role = name.split("-")[0]
                targets.setdefault(role, []).append("127.0.0.1:{}".format(process.port("http")))
            prometheus = Prometheus(folder, targets)
            try:
                dataset = data.make_dataset(folder / "data")
                job = cluster.submit(
                    data.tiny_job("watched", dataset, folder / "ckpt", steps=2000)
                )
                wait_until(
                    "all five targets up",
                    lambda: sum(value for _, value in prometheus.query("up")) == 5,
                )
                fill = (
                    'sum(navit_pack_tokens_total{kind="used"})'
                    " / sum(navit_pack_capacity_tokens_total)"
                )
                answer = wait_until(
                    "packing efficiency",
                    lambda: [v for _, v in prometheus.query(fill) if v == v],
                )
                self.assertGreater(answer[0], 0.5)
                self.assertLessEqual(answer[0], 1.0)

                def has_data(expression):
                    wait_until(expression, lambda: prometheus.query(expression))

                for expression in (
                    'navit_jobs{state="running"} == 1',
                    'navit_workers{role="packer"} > 0',
                    'navit_step{navit_job="watched"} > 0',
                    'navit_loss{navit_job="watched"} > 0',
                    "sum(navit_leases) > 0",
                    "sum by (phase) (navit_step_phase_seconds_total) > 0",
                    'sum(navit_tokens_total{navit_job="watched"}) > 0',
                    "navit_world_size == 2",
                    'sum(rate(navit_packs_total{navit_job="watched"}[10s])) > 0',
                ):
                    has_data(expression)
                roles = {m["role"] for m, _ in prometheus.query("navit_build_info")}
                self.assertEqual(roles, {"coordinator", "packer", "trainer"})
                # The scraper owns these labels: none of ours may collide with them.
                for process in cluster.processes.values():
                    text = process.metrics()
                    self.assertNotRegex(
                        text, r"[{,](job|instance|namespace|pod|container|node|service|endpoint)="
                    )
                    self.assertFalse(re.findall(r"^exported_", text, re.M))
                cluster.navitctl("cancel", job)
            finally:
                prometheus.stop()


if __name__ == "__main__":
    unittest.main()
