"""Trains packed.yaml and fixed.yaml on a running cluster and compares them; driven by `run`.

    compare.py FOLDER [--times N] [--seeds N]

The score is the mean recall: R@1, R@5 and R@10 over the held-out pairs, both ways, at the one token
budget that both job files evaluate. Rates are tuned on seeds that the comparison does not use.
"""
import argparse
import csv
import io
import math
import pathlib
import re
import statistics
import subprocess
import sys

NAVITCTL = "bazel-bin/cli/navitctl"
JOB_FILES = pathlib.Path(__file__).parent
ARMS = ["packed", "fixed"]
RATES = ["2.5e-4", "5e-4", "1e-3"]
TUNING_SEEDS = [101, 102]
# The arms' useful compute may differ by this share.
MOST_COMPUTE_DIFFERENCE = 0.03


def paired(differences):
    """Mean and standard error of paired differences."""
    return statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(differences))


def outcome(rows):
    """Score, useful FLOPs and images of a job from the rows of its history."""
    scores = [
        float(value)
        for name, value in rows[-1].items()
        if re.fullmatch(r"heldout/(image_to_text|text_to_image)/r@\d+@\d+", name)
    ]
    if len(scores) != 6:
        sys.exit("compare: the last step has {} recalls, not 6".format(len(scores)))
    return {
        "score": statistics.mean(scores),
        "flops": sum(float(row["useful_flops"]) for row in rows),
        "images": sum(int(row["valid_examples"]) for row in rows),
    }


def navitctl(*arguments):
    done = subprocess.run([NAVITCTL] + list(arguments), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("compare: navitctl {} failed".format(" ".join(arguments)))
    return done.stdout


class Trainer:
    """Trains one job after the other."""

    def __init__(self, folder, times):
        self.folder = folder
        self.times = times

    def steps(self, arm):
        """Of the job file, times what was asked for."""
        text = (JOB_FILES / (arm + ".yaml")).read_text()
        return self.times * int(re.search(r"train_for: {steps: (\d+)}", text).group(1))

    def train(self, arm, rate, seed):
        name = "{}-lr{}-seed{}".format(arm, re.sub(r"\W", "", rate), seed)
        settings = {
            "data.train.0.shards": "{}/data/train-*.tar".format(self.folder),
            "data.validation.0.shards": "{}/data/heldout-*.tar".format(self.folder),
            "checkpoints.directory": "{}/run/checkpoints".format(self.folder),
            "train_for.steps": self.steps(arm),
            "optimizer.lr": rate,
            "seed": seed,
        }
        sets = [part for pair in settings.items() for part in ("--set", "{}={}".format(*pair))]
        navitctl("submit", str(JOB_FILES / (arm + ".yaml")), "--name", name, *sets)
        navitctl("wait", name, "--timeout", "3600")
        history = navitctl("history", name, "-o", "csv")
        result = outcome(list(csv.DictReader(io.StringIO(history))))
        print("{}: mean recall {:.1f} %".format(name, 100 * result["score"]), flush=True)
        return result

    def tune(self, arm):
        """The mean score of each rate."""
        return {
            rate: statistics.mean(self.train(arm, rate, seed)["score"] for seed in TUNING_SEEDS)
            for rate in RATES
        }


def table(head, rows):
    lines = [head, ["---"] * len(head)] + rows
    return "".join("| {} |\n".format(" | ".join(str(cell) for cell in line)) for line in lines)


def percent(share):
    return "{:.1f} %".format(100 * share)


def report(tuned, results):
    """Markdown: rates, compute, scores by seed, and the verdict."""
    text = table(
        ["mean recall while tuning, by learning rate"] + RATES,
        [[arm] + [percent(tuned[arm][rate]) for rate in RATES] for arm in ARMS],
    )
    seeds = sorted(results["packed"])
    compute = {
        arm: statistics.mean(results[arm][seed]["flops"] for seed in seeds) for arm in ARMS
    }
    rows = []
    for arm in ARMS:
        rate = max(tuned[arm], key=tuned[arm].get)
        images = statistics.mean(results[arm][seed]["images"] for seed in seeds)
        rows.append([arm, rate, "{:.3f}".format(compute[arm] / 1e12), "{:.0f}".format(images)])
    text += "\n" + table(["", "learning rate", "useful TFLOP", "images seen"], rows)
    rows = [[seed] + [percent(results[arm][seed]["score"]) for arm in ARMS] for seed in seeds]
    text += "\n" + table(["seed"] + ARMS, rows)
    difference = [results["packed"][s]["score"] - results["fixed"][s]["score"] for s in seeds]
    mean, error = paired(difference)
    text += "\nMean difference {:+.1f} points, standard error {:.1f}: {:+.1f} standard errors.\n".format(
        100 * mean, 100 * error, mean / error
    )
    if abs(compute["packed"] / compute["fixed"] - 1) > MOST_COMPUTE_DIFFERENCE:
        sys.exit(text + "\ncompare: the arms' compute differs too much to be compared")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    if options.times < 1 or options.seeds < 2:
        parser.error("--times must be at least 1, --seeds at least 2")
    trainer = Trainer(options.folder, options.times)
    tuned = {arm: trainer.tune(arm) for arm in ARMS}
    results = {
        arm: {
            seed: trainer.train(arm, max(tuned[arm], key=tuned[arm].get), seed)
            for seed in range(1, options.seeds + 1)
        }
        for arm in ARMS
    }
    text = report(tuned, results)
    (options.folder / "results.md").write_text(text)
    print("\n" + text, end="")


if __name__ == "__main__":
    main()
