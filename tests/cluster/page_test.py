"""The coordinator's page in a real browser, over a running job: its plots fill, a cancelled job shows
as cancelled, a lost coordinator is said in words, and no text from outside becomes markup.

Screenshots are kept with the test's outputs (bazel-testlogs/tests/cluster/page_test/test.outputs)."""
import json
import os
import pathlib
import unittest
import urllib.error
import urllib.request

from tests.cluster import data
from tests.cluster.browser import Browser
from tests.cluster.cluster import Cluster, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
OUTPUTS = pathlib.Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", FOLDER))
MARKUP = "<img src=x onerror=document.body.remove()>"
# Charts that a running job fills.
CHARTS = ["loss", "tokens", "phases", "fill", "resolution", "segments", "norm", "aspect"]


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dataset = data.make_dataset(FOLDER / "data")
        cls.cluster = Cluster(FOLDER / "cluster")
        cls.cluster.start_coordinator()
        cls.http = cls.cluster.coordinator.port("http")
        cls.cluster.start_packer(MARKUP)
        cls.cluster.start_trainers(1)
        cls.browser = Browser(FOLDER)

    @classmethod
    def tearDownClass(cls):
        cls.browser.stop()
        cls.cluster.__exit__(None)

    def api(self, path):
        url = "http://127.0.0.1:{}/{}".format(self.http, path)
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)

    def points(self, chart):
        """Data points of a chart that has drawn something."""
        return self.browser.run(
            """const card = document.getElementById('chart-' + arguments[0]);
            return card && card.querySelector('.series') ? Number(card.dataset.points) : 0""",
            chart,
        )

    def test_the_life_of_a_job_as_the_page_shows_it(self):
        browser = self.browser
        browser.show_as(1440, 1000)
        browser.open("http://127.0.0.1:{}/".format(self.http))
        wait_until("an empty page", lambda: "No job yet" in browser.text("#jobs"))

        # A job that fails with a reason that holds markup.
        broken = data.tiny_job("broken", ("/nowhere/{}.tar".format(MARKUP), self.dataset[1]), FOLDER / "c")
        self.cluster.submit(broken)
        self.cluster.navitctl("wait", "broken", "--for=failed", "--timeout=60")
        wait_until("the failed job", lambda: "failed" in browser.text("#job-head"))
        self.assertIn(MARKUP, browser.text("#job-head"))
        self.assertIn(MARKUP, browser.text("#workers"))
        self.assertEqual(browser.run("return document.querySelectorAll('img').length"), 0)

        name = self.cluster.submit(
            data.tiny_job(
                "watched",
                self.dataset,
                FOLDER / "ckpt",
                steps=100000,
                workers={"trainers": {"min": 1, "max": 1}},
            )
        )
        for chart in CHARTS:
            wait_until("chart " + chart, lambda: self.points(chart) > 2)
        self.assertIn("running", browser.text("#job-head"))
        wait_until("the verdict", lambda: "What holds it up:" in browser.text("#verdict"))
        browser.point_at("#chart-loss svg")
        wait_until("values under the pointer", lambda: "step" in browser.text("#tip"))
        self.assertIn("loss", browser.text("#tip"))
        browser.screenshot(OUTPUTS / "desktop-light.png")
        browser.show_as(1440, 1000, dark=True)
        browser.screenshot(OUTPUTS / "desktop-dark.png")
        browser.show_as(390, 844)
        wait_until(
            "no sideways scrolling on a phone",
            lambda: browser.run("return document.documentElement.scrollWidth") <= 390,
        )
        browser.screenshot(OUTPUTS / "phone-light.png")
        browser.show_as(1440, 1000)

        self.cluster.navitctl("cancel", name)
        wait_until("the cancelled job", lambda: "cancelled" in browser.text("#job-head"))
        chip = '[data-job="watched"] .chip'
        wait_until("the cancelled job in the list", lambda: browser.text(chip) == "cancelled")
        self.assertEqual(browser.console_errors(), [])

        self.cluster.coordinator.kill()
        wait_until("the lost coordinator", lambda: "coordinator is lost" in browser.text("#lost"))
        self.assertIn("Trying again", browser.text("#lost"))
        self.assertIn("watched", browser.text("#job-head"))
        # Wherever the reader is on the page.
        browser.run("window.scrollTo(0, document.body.scrollHeight)")
        box = "const b = document.querySelector('#lost').getBoundingClientRect(); return b.top >= 0 && b.bottom < 200"
        self.assertTrue(browser.run(box))
        browser.screenshot(OUTPUTS / "lost.png", whole=False)
        self.cluster.start_coordinator(["--listen_http=127.0.0.1:{}".format(self.http)])
        wait_until("the connection", lambda: browser.text("#live") == "live")
        self.assertEqual(browser.text("#lost"), "")
        self.assertIn("restarted", browser.text("#coordinator"))
        self.assertGreater(self.points("loss"), 2)

    def test_the_json_is_bounded_and_honest_about_what_is_not_there(self):
        overview = self.api("api/overview")
        self.assertEqual({w["role"] for w in overview["workers"]}, {"packer", "trainer"})
        with self.assertRaises(urllib.error.HTTPError) as missing:
            self.api("api/jobs/no-such-job")
        self.assertEqual(missing.exception.code, 404)
        self.assertIn("no-such-job", json.load(missing.exception)["error"])

    def test_the_page_lets_nothing_in_from_elsewhere(self):
        with urllib.request.urlopen("http://127.0.0.1:{}/".format(self.http)) as reply:
            policy = reply.headers["Content-Security-Policy"]
            text = reply.read().decode()
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe-inline", policy)
        self.assertNotRegex(text, r"""(src|href)=["']?(https?:)?//""")


if __name__ == "__main__":
    unittest.main()
