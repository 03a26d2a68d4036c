"""Ours and the peers in turns."""
import contextlib
import json
import statistics
import subprocess
import sys
import time

START = time.monotonic()


def progress(text):
    print(f"[{time.monotonic() - START:5.1f} s] {text}", file=sys.stderr, flush=True)


class Program:
    """One of our binaries, which answers lines with lines of JSON."""

    def __init__(self, options, name, *arguments):
        self.name = name
        self.process = subprocess.Popen(
            [options.root / name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=options.environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=20)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with code {self.process.wait(timeout=20)}")
        return json.loads(line)

    def ask(self, command):
        with contextlib.suppress(BrokenPipeError):  # It has ended; the answer says how.
            print(command, file=self.process.stdin, flush=True)
        return self.answer()


def in_turns(rounds, ours, peers):
    """Answers of ours, and per peer (seconds, its seconds over ours): medians over the rounds.

    ours() gives a dictionary with "seconds", a peer() its seconds. A peer that fails is left out.
    """
    answers, times = [], {name: [] for name in peers}
    for _ in range(rounds):
        answers.append(ours())
        for name in list(times):
            try:
                times[name].append(peers[name]())
            except Exception as error:
                progress(f"{name}: {type(error).__name__}: {error}")
                del times[name]
    results = {}
    for name, seconds in times.items():
        ratios = [peer / answer["seconds"] for peer, answer in zip(seconds, answers)]
        results[name] = (statistics.median(seconds), statistics.median(ratios))
    return answers, results


def median_of(answers, *keys):
    def look_up(value):
        for key in keys:
            value = value[key]
        return value

    return statistics.median(look_up(answer) for answer in answers)
