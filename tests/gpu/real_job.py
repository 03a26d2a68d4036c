"""A short real job: coordinator, packer and trainer as processes of their own, submitted and
watched by navitctl."""
import math
import os

import pictures
from cluster import Cluster

NAME = "real job"
STEPS = 120


def job_file(dataset, folder, device):
    train, heldout = dataset
    return {
        "name": "gpu",
        "data": {"train": [{"shards": train}], "validation": [{"shards": heldout}]},
        "resolution": {
            "distribution": "truncated_normal",
            "mu": -0.5,
            "min_pixels": 48,
            "max_pixels": 160,
        },
        "token_drop": {"kind": "beta", "mean": 0.2, "max": 0.5},
        "packing": {"sequence_length": 576, "sequences_per_step": 6},
        "model": {
            "image": {"preset": "Ti", "size": {"depth": 2}, "patch_size": 16},
            "text": {"max_tokens": 48},
        },
        "loss": {"kind": "softmax"},
        "optimizer": {"lr": 1e-3},
        "schedule": {"kind": "cosine", "warmup_fraction": 0.1},
        "train_for": {"steps": STEPS},
        "workers": {
            "trainers": {"min": 1, "max": 1, "device": device},
            "packers": {"min": 1, "max": 1},
        },
        "evaluation": {"token_budgets": [64]},
        "checkpoints": {"directory": str(folder / "checkpoints"), "every_steps": 50},
    }


def judge(steps):
    """(verdict, detail) of the job's committed steps. Guessing among the N pairs of a step costs
    ln N; the last steps must cost less than half of that."""
    last = steps[-10:]
    loss = sum(step["loss"] for step in last) / len(last)
    pairs = sum(int(step["valid_examples"]) for step in last) / len(last)
    # The first ones wait for the packer, and set up the device.
    timed = steps[STEPS // 4 :]
    tokens = sum(int(step["image_tokens"]) + int(step["text_tokens"]) for step in timed)
    seconds = sum(step["seconds"] for step in timed)
    detail = "loss {:.3f} to {:.3f}, ln {:.0f} = {:.3f}; {:.0f} tokens/s".format(
        steps[0]["loss"], loss, pairs, math.log(pairs), tokens / seconds
    )
    # Written so that a loss of NaN fails.
    return ("passed" if loss < 0.5 * math.log(pairs) else "failed"), detail


def run(work, report, device):
    """Adds the job's line to the report, with the losses and the tokens per second."""
    folder = work / "job"
    try:
        with Cluster(folder) as cluster:
            cluster.start_coordinator()
            dataset = pictures.make_dataset(folder / "data")
            cluster.start_packer("packer-0", threads=max(1, (os.cpu_count() or 2) - 1))
            cluster.start_trainer("trainer-0", ["--device=" + device])
            job = cluster.submit(job_file(dataset, folder, device))
            cluster.checked_curve(job, STEPS)
            verdict, detail = judge(cluster.history(job))
            trainers = cluster.json("workers")["workers"]
            detail += " on " + ", ".join(w["device"] for w in trainers if w.get("device"))
    except (AssertionError, OSError, RuntimeError, TimeoutError) as error:
        verdict, detail = "failed", str(error)
    report.add(verdict, NAME + " on " + device, detail)
