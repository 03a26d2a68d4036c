"""A real Prometheus scrapes every process of a running job, answers for packing efficiency, and has
data for every panel of the dashboards that needs nothing rare."""
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

import reference
from dashboards import DASHBOARDS
from tests.cluster import data
from tests.cluster.cluster import Cluster, wait_until

RULES = pathlib.Path(__file__).absolute().parents[2] / "deploy/monitoring/rules.yaml"
FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Debian's prometheus, scraping the given `host:port` addresses by role."""

    def __init__(self, folder, targets, rule_files=()):
        self.port = free_port()
        config = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(path) for path in rule_files],
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

    def _get(self, path):
        url = "http://127.0.0.1:{}/api/v1/{}".format(self.port, path)
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError("{}: {}".format(path, error.read().decode())) from error

    def query(self, expression):
        """The instant vector of an expression, [({label: value}, number)]; none of its numbers is
        NaN. Nothing while Prometheus starts; an expression that does not parse is an error."""
        try:
            result = self._get("query?query=" + urllib.parse.quote(expression))["result"]
        except (urllib.error.URLError, ConnectionError):
            return []
        samples = [(s["metric"], float(s["value"][1])) for s in result]
        return [(labels, value) for labels, value in samples if value == value]

    def rules(self):
        """All rules that it has loaded, as its API shows them."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def stop(self):
        self.popen.terminate()
        self.popen.wait()


def expressions(panel):
    """What Grafana would ask for a panel, all namespaces and jobs chosen."""
    for expression, _ in panel.targets:
        yield (
            expression.replace("$__rate_interval", "10s")
            .replace("$namespace", ".*")
            .replace("$navit_job", ".*")
        )


def samples(text):
    """(name, labels) of every sample of a /metrics text; parts of histograms as one name."""
    for line in text.splitlines():
        match = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line)
        if match is None:
            continue
        labels = dict(re.findall(r'([a-z_]+)="([^"]*)"', match[2] or ""))
        labels.pop("le", None)
        parts = re.fullmatch(r"(.*)_(bucket|sum|count)", match[1])
        yield parts[1] if parts else match[1], labels


class PrometheusTest(unittest.TestCase):
    def check_against_the_reference(self, cluster):
        """The processes of a running job show the metrics of the reference, and no others: types,
        labels, and values of labels where they are fixed."""
        declared = reference.declared()
        seen = {}
        for name, process in cluster.processes.items():
            role = name.split("-")[0]
            known = {**declared[role.capitalize()], **declared["Every process"]}
            text = process.metrics()
            for metric, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
                self.assertEqual(known[metric][0], kind, metric)
            for metric, labels in samples(text):
                self.assertEqual(set(labels), reference.labels(metric), metric)
                of_metric = seen.setdefault(role, {}).setdefault(metric, {})
                for label, value in labels.items():
                    of_metric.setdefault(label, set()).add(value)
        for role, metrics in seen.items():
            known = {**declared[role.capitalize()], **declared["Every process"]}
            self.assertEqual(set(metrics) - set(known), set(), role)
            self.assertEqual(set(known) - set(metrics) - reference.RARE, set(), role)
            for metric, labels in metrics.items():
                for label, fixed in reference.values(metric).items():
                    self.assertEqual(labels[label], fixed, (metric, label))

    def test_scrapes_all_processes_and_answers_every_panel(self):
        folder = FOLDER / "prometheus"
        with Cluster(folder) as cluster:
            cluster.start_coordinator()
            for name in ("packer-0", "packer-1"):
                cluster.start_packer(name, arguments=["--read_ahead_bytes=67108864"])
            cluster.start_trainers(2)
            targets = {}
            for name, process in cluster.processes.items():
                role = name.split("-")[0]
                targets.setdefault(role, []).append("127.0.0.1:{}".format(process.port("http")))
            prometheus = Prometheus(folder, targets, [RULES])
            try:
                dataset = data.make_dataset(folder / "data")
                job = cluster.submit(
                    data.tiny_job(
                        "watched",
                        dataset,
                        folder / "ckpt",
                        steps=2000,
                        budgets={"relay_bytes": 8 << 20},
                    )
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
                    "packing efficiency", lambda: [v for _, v in prometheus.query(fill)]
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
                    # Each queue beside what may be in it.
                    "navit_relay_queue_cap_bytes == 8388608 >= navit_relay_queue_bytes",
                    "navit_packer_read_ahead_cap_bytes == 67108864 > navit_packer_read_ahead_bytes",
                    "navit_packer_made_cap_bytes > navit_packer_made_bytes",
                    "navit_packer_kept_cap_bytes > navit_packer_kept_bytes",
                    "navit_trainer_prefetch_cap_bytes > navit_trainer_prefetch_bytes",
                    "max_over_time(navit_trainer_prefetch_bytes[1m]) > 0",
                ):
                    has_data(expression)
                for dashboard in DASHBOARDS:
                    for panel in dashboard.panels():
                        for expression in expressions(panel):
                            if panel.needs:
                                prometheus.query(expression)  # parses
                            else:
                                has_data(expression)
                rules = prometheus.rules()
                self.assertEqual(len(rules), 18)
                for rule in rules:
                    self.assertEqual(rule["health"], "ok", rule)
                roles = {m["role"] for m, _ in prometheus.query("navit_build_info")}
                self.assertEqual(roles, {"coordinator", "packer", "trainer"})
                # The scraper owns these labels: none of ours may collide with them.
                for process in cluster.processes.values():
                    text = process.metrics()
                    self.assertNotRegex(
                        text, r"[{,](job|instance|namespace|pod|container|node|service|endpoint)="
                    )
                    self.assertFalse(re.findall(r"^exported_", text, re.M))
                self.check_against_the_reference(cluster)
                cluster.navitctl("cancel", job)
            finally:
                prometheus.stop()


if __name__ == "__main__":
    unittest.main()
