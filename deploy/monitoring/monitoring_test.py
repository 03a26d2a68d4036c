"""The dashboards, rules and runbook agree with each other and with the metrics in the code."""
import json
import pathlib
import re
import subprocess
import unittest

import generate
import reference
from dashboards import DASHBOARDS

HERE = pathlib.Path(__file__).absolute().parent
ROOT = HERE.parents[1]


def metric_names(text):
    """Names of metrics in an expression, without the suffixes of histograms."""
    names = set(re.findall(r"\bnavit_[a-z0-9_]+(?![a-z0-9_:]|\")", text))
    # Labels and the parts of recorded names are no metrics.
    return {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in names - {"navit_job"}
    }


def exported():
    names = set()
    for source in reference.SOURCES.values():
        names |= set(re.findall(r'"(navit_[a-z0-9_]+)"', (ROOT / source).read_text()))
    return names - {"navit_job"}


class MonitoringTest(unittest.TestCase):
    def test_generated_files_are_what_their_sources_say(self):
        for name, text in generate.files().items():
            self.assertEqual((HERE / name).read_text(), text, name)

    def test_dashboards_have_stable_uids_and_the_variables(self):
        for dashboard in DASHBOARDS:
            made = json.loads((HERE / "grafana/dashboards" / (dashboard.uid + ".json")).read_text())
            self.assertNotIn("id", made)
            self.assertEqual(
                [variable["name"] for variable in made["templating"]["list"]],
                ["datasource", "namespace", "navit_job"],
            )
            boxes = [panel["gridPos"] for panel in made["panels"]]
            places = [
                (x, y)
                for box in boxes
                for x in range(box["x"], box["x"] + box["w"])
                for y in range(box["y"], box["y"] + box["h"])
            ]
            self.assertEqual(len(places), len(set(places)), dashboard.uid + ": panels overlap")
            self.assertLess(max(x for x, _ in places), 24)

    def test_every_metric_that_is_looked_at_exists(self):
        there = exported()
        self.assertIn("navit_loss", there)
        looked_at = {"rules.yaml": metric_names((HERE / "rules.yaml").read_text())}
        for dashboard in DASHBOARDS:
            looked_at[dashboard.uid] = set().union(
                *(metric_names(e) for panel in dashboard.panels() for e, _ in panel.targets)
            )
        for where, names in looked_at.items():
            self.assertTrue(names, where)
            self.assertEqual(names - there, set(), where)

    def test_the_reference_has_every_metric_and_no_other(self):
        there = {n for metrics in reference.declared().values() for n in metrics}
        self.assertEqual({n for n in there if n.startswith("navit_")}, exported())
        self.assertEqual(set(reference.LABELS) - there, set())
        self.assertEqual(reference.RARE - there, set())
        for metric, label in reference.VALUES:
            self.assertIn(label, reference.labels(metric), metric)

    def test_rates_use_the_interval_of_the_dashboard(self):
        for dashboard in DASHBOARDS:
            for panel in dashboard.panels():
                for expression, _ in panel.targets:
                    ranges = set(re.findall(r"(?:rate|increase)\([^\[]*\[([^\]]+)\]", expression))
                    self.assertLessEqual(ranges, {"$__rate_interval"}, panel.title)

    def test_every_alert_has_a_runbook_a_severity_and_a_case(self):
        rules = (HERE / "rules.yaml").read_text()
        cases = (HERE / "rules_test.yaml").read_text()
        headings = set(re.findall(r"^## (\w+)$", (HERE / "runbook.md").read_text(), re.M))
        alerts = re.findall(r"      - alert: (\w+)\n((?: {8,}.*\n)+)", rules)
        self.assertEqual(len(alerts), 12)
        self.assertEqual({name for name, _ in alerts}, headings)
        for name, body in alerts:
            self.assertIn("#" + name.lower() + "\n", body, name)
            self.assertRegex(body, r"\n *for: \d")
            self.assertRegex(body, r"severity: (warning|critical)")
            self.assertRegex(cases, r"alertname: {}\n\s+exp_alerts:\n".format(name))

    def test_rules_do_what_their_cases_say(self):
        done = subprocess.run(
            ["promtool", "test", "rules", "rules_test.yaml"],
            cwd=str(HERE),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
