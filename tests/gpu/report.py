"""What tests/gpu/run prints: a line for each test as it ends, and the count."""
import collections
import threading


class Report:
    def __init__(self):
        self._lock = threading.Lock()
        self._counts = collections.Counter()

    def add(self, verdict, name, detail=""):
        """One test. verdict: "passed", "failed" or "skipped"; detail: why, or a figure. Of a
        failure's lines the first are shown."""
        lines = detail.strip().splitlines()
        if verdict == "failed":
            text = "\n    ".join(["FAILED " + name] + lines[:25])
        else:
            text = "{} {}".format(verdict, name)
            if lines:
                text += " ({})".format("; ".join(lines))
        with self._lock:
            self._counts[verdict] += 1
            print(text, flush=True)

    def count(self, verdict):
        with self._lock:
            return self._counts[verdict]

    def summary(self):
        return "{} passed, {} failed, {} skipped".format(
            *(self.count(verdict) for verdict in ("passed", "failed", "skipped"))
        )
