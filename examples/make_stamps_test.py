"""make_stamps on a small folder of stamps of its own."""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).absolute().parent / "make_stamps"


def png_header(width, height):
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", width, height)
    )


class MakeStampsTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.source = self.folder / "source"
        for i in range(60):
            self.add("group{}/stamp{:02d}".format(i % 3, i), "Caption {} é.".format(i // 2), (i + 1, 9))

    def add(self, name, caption, size=(3, 4)):
        path = self.source / (name + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_header(*size) + name.encode())
        if caption is not None:
            text = caption + "\nde.utf8=Andere Sprache\n"
            path.with_suffix(".txt").write_bytes(text.encode())

    def run_program(self, folder, *arguments, check=True):
        return subprocess.run(
            [sys.executable, str(PROGRAM), str(folder), "--source", str(self.source)]
            + list(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=check,
        )

    def samples(self, folder, pattern):
        """{key: {extension: bytes}} of all shards."""
        found = {}
        for path in sorted(folder.glob(pattern)):
            with tarfile.open(path) as tar:
                for member in tar:
                    key, extension = member.name.split(".")
                    self.assertEqual(member.mtime, 0)
                    found.setdefault(key, {})[extension] = tar.extractfile(member).read()
        return found

    def test_every_captioned_stamp_is_in_exactly_one_shard(self):
        self.add("bare", None)
        self.add("blank", "  ")
        done = self.run_program(self.folder / "out")
        self.assertIn("60 stamps with 30 captions", done.stdout)
        self.assertIn("2 without a caption", done.stdout)
        train = self.samples(self.folder / "out", "train-*.tar")
        heldout = self.samples(self.folder / "out", "heldout-*.tar")
        self.assertEqual(len(train) + len(heldout), 60)
        self.assertFalse(set(train) & set(heldout))
        self.assertTrue(train and heldout)
        captions = [{s["txt"] for s in split.values()} for split in (train, heldout)]
        self.assertFalse(captions[0] & captions[1])

    def test_members_agree(self):
        self.run_program(self.folder / "out")
        for sample in self.samples(self.folder / "out", "*.tar").values():
            self.assertEqual(set(sample), {"json", "png", "txt"})
            record = json.loads(sample["json"])
            self.assertEqual(record["caption"].encode(), sample["txt"])
            self.assertNotIn("Andere", record["caption"])
            self.assertEqual(record["sha256"], hashlib.sha256(sample["png"]).hexdigest())
            size = struct.unpack(">II", sample["png"][16:24])
            self.assertEqual((record["width"], record["height"]), size)

    def test_a_second_run_gives_the_same_bytes_and_leaves_the_files_alone(self):
        out = self.folder / "out"
        self.run_program(out)
        before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir()}
        self.run_program(out)
        after = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir()}
        self.assertEqual(before, after)
        self.assertEqual(set(after), {"heldout-00000.tar"} | {"train-0000%d.tar" % i for i in range(4)})

    def test_a_change_of_the_stamps_changes_the_shards(self):
        out = self.folder / "out"
        self.run_program(out)
        before = self.samples(out, "*.tar")
        self.add("group0/stamp00", "Caption 0 é.", (77, 9))
        self.run_program(out)
        self.assertNotEqual(before, self.samples(out, "*.tar"))

    def test_fewer_shards_leave_no_old_ones(self):
        out = self.folder / "out"
        self.run_program(out)
        self.run_program(out, "--train-shards", "2")
        self.assertEqual(len(list(out.glob("train-*.tar"))), 2)
        self.assertEqual(len(self.samples(out, "*.tar")), 60)

    def test_no_stamps_is_an_error_that_names_the_folder(self):
        self.source = self.folder / "nowhere"
        done = self.run_program(self.folder / "out", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nowhere", done.stderr)


if __name__ == "__main__":
    unittest.main()
