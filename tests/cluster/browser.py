"""Debian's chromium without a screen, driven by WebDriver's HTTP interface
(https://www.w3.org/TR/webdriver2/)."""
import base64
import json
import re
import subprocess
import urllib.error
import urllib.request


class Browser:
    """One window. Closes with `stop`."""

    def __init__(self, folder):
        self._log = open(folder / "chromedriver.log", "w+b")
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        for line in self._driver.stdout:
            started = re.search(rb"started successfully on port (\d+)", line)
            if started:
                break
        else:
            raise RuntimeError("chromedriver ended before it was ready")
        self._url = "http://127.0.0.1:{}".format(int(started.group(1)))
        options = {
            "args": [
                "--headless=new",
                # Everything runs as root in containers, where chromium's own sandbox cannot start.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--user-data-dir={}".format(folder / "profile"),
            ],
            "binary": "/usr/bin/chromium",
        }
        session = self._call(
            "POST",
            "/session",
            {
                "capabilities": {
                    "alwaysMatch": {
                        "goog:chromeOptions": options,
                        "goog:loggingPrefs": {"browser": "ALL"},
                    }
                }
            },
        )
        self._session = "/session/" + session["sessionId"]

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError("{}: {}".format(path, error.read().decode())) from error

    def open(self, url):
        self._call("POST", self._session + "/url", {"url": url})

    def run(self, script, *arguments):
        """What the script returns in the page."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", self._session + "/execute/sync", body)

    def text(self, selector):
        """Visible text of the first element, "" when there is none."""
        return self.run(
            "const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector
        )

    def devtools(self, command, **parameters):
        return self._call(
            "POST", self._session + "/goog/cdp/execute", {"cmd": command, "params": parameters}
        )

    def show_as(self, width, height, dark=False):
        """The size of the window's content in CSS pixels, and the colours that the user prefers."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def point_at(self, selector):
        """Moves the mouse into the middle of an element."""
        x, y = self.run(
            """const e = document.querySelector(arguments[0]);
            e.scrollIntoView({block: 'center'});
            const b = e.getBoundingClientRect();
            return [b.left + b.width / 2, b.top + b.height / 2]""",
            selector,
        )
        self.devtools("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, path, whole=True):
        """A PNG, of the whole page or of what the window shows."""
        image = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(image))

    def console_errors(self):
        """Messages of level SEVERE since the last call."""
        entries = self._call("POST", self._session + "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def stop(self):
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait()
            self._driver.stdout.close()
            self._log.close()
