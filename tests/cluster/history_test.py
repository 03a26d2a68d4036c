"""navitctl history of real jobs: the plot, CSV, JSON, two jobs, and TensorBoard files that a reader of
its own takes apart byte by byte."""
import csv
import io
import os
import pathlib
import struct
import unittest

from tests.cluster import data
from tests.cluster.cluster import Cluster

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])


def crc32c(data_bytes):
    """CRC-32C bit by bit: the definition, not the table of the code under test."""
    crc = 0xFFFFFFFF
    for byte in data_bytes:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data_bytes):
    crc = crc32c(data_bytes)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file_bytes):
    at = 0
    while at < len(file_bytes):
        head = file_bytes[at : at + 8]
        (size,) = struct.unpack("<Q", head)
        (head_crc,) = struct.unpack_from("<I", file_bytes, at + 8)
        body = file_bytes[at + 12 : at + 12 + size]
        (body_crc,) = struct.unpack_from("<I", file_bytes, at + 12 + size)
        assert head_crc == masked(head) and body_crc == masked(body)
        yield body
        at += 16 + size


def fields(message):
    """(number, value) of a protobuf message: integers, and bytes of the other wire types."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        size = {0: None, 1: 8, 5: 4}.get(key & 7, -1)
        if size is None:
            yield key >> 3, varint()
            continue
        if size == -1:
            size = varint()
        yield key >> 3, message[at : at + size]
        at += size


def scalars(file_bytes):
    """{tag: {step: value}} of an event file; its first record must say the version."""
    read = {}
    for number, body in enumerate(records(file_bytes)):
        event = dict(fields(body))
        if number == 0:
            assert event[3] == b"brain.Event:2", event
            continue
        for _, value in fields(event[5]):
            entry = dict(fields(value))
            (scalar,) = struct.unpack("<f", entry.get(2, bytes(4)))
            read.setdefault(entry[1].decode(), {})[event[2]] = scalar
    return read


class HistoryTest(unittest.TestCase):
    def test_every_form_says_the_same(self):
        with Cluster(FOLDER / "cluster") as cluster:
            cluster.start_coordinator()
            cluster.start_packers(1)
            cluster.start_trainers(1)
            dataset = data.make_dataset(FOLDER / "data")
            for name, seed in (("first", 1), ("second", 2)):
                cluster.submit(
                    data.tiny_job(
                        name,
                        dataset,
                        FOLDER / "ckpt" / name,
                        steps=60,
                        seed=seed,
                        workers={"trainers": {"min": 1, "max": 1}},
                        evaluation={"token_budgets": [32], "every_steps": 20},
                    )
                )
                cluster.wait(name, "succeeded")
            history = cluster.json("history", "first")
            losses = {s["step"]: s["loss"] for s in history["steps"]}
            self.assertEqual(sorted(losses), list(range(1, 61)))
            self.assertEqual([s["step"] for s in history["scores"]], [20, 40, 60])

            plot = cluster.navitctl("history", "first").stdout
            self.assertTrue(any("\u2800" < c <= "\u28ff" for c in plot), plot)
            self.assertNotIn("\x1b", plot)
            self.assertLessEqual(max(len(line) for line in plot.splitlines()), 80)
            both = cluster.navitctl("history", "first", "second").stdout
            self.assertIn("first: loss by step", both.splitlines()[0])
            self.assertIn("second: loss by step", both.splitlines()[0])
            self.assertEqual(
                cluster.navitctl("history", "first", "--metric", "nosuch", check=False).returncode, 2
            )

            rows = list(
                csv.DictReader(io.StringIO(cluster.navitctl("history", "first", "second", "-o", "csv").stdout))
            )
            self.assertEqual(len(rows), 120)
            for row in rows[:60]:
                self.assertEqual(row["job"], "first")
                self.assertAlmostEqual(float(row["loss"]), losses[int(row["step"])], places=6)
            score = [name for name in rows[0] if name.startswith("heldout/") and "chance" not in name][0]
            self.assertEqual([r["step"] for r in rows[:60] if r[score]], ["20", "40", "60"])

            path = cluster.navitctl("history", "first", "--tensorboard", str(FOLDER / "tb")).stdout.strip()
            read = scalars(pathlib.Path(path).read_bytes())
            self.assertEqual(set(read["loss"]), set(losses))
            for step, loss in losses.items():
                self.assertAlmostEqual(read["loss"][step], loss, places=6)
            self.assertEqual(sorted(read["scores/" + score]), [20, 40, 60])
            self.assertGreater(min(read["useful_tokens_per_second"].values()), 0)


if __name__ == "__main__":
    unittest.main()
