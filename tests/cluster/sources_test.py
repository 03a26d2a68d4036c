"""Where shards and indexes lie makes no difference to packs: S3 (a real S3-speaking server) and
local files."""
import os
import pathlib
import re
import subprocess
import unittest
import urllib.request

from tests.cluster import data
from tests.cluster.cluster import Cluster, PACKER, ROOT, program, wait_until

FOLDER = pathlib.Path(os.environ["TEST_TMPDIR"])
MOTO_SERVER = ROOT.parent / "python_tools" / "bin" / "moto_server"
STEPS = 30


class S3Server:
    """moto_server of third_party/python_tools.txt, on a port that the system chooses."""

    def __init__(self, folder):
        self.log_path = folder / "moto.log"
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(
                [str(MOTO_SERVER), "-H", "127.0.0.1", "-p", "0"], stdout=log, stderr=log
            )

        def running():
            log = self.log_path.read_text()
            if self.popen.poll() is not None:
                raise RuntimeError("moto_server ended:\n" + log)
            return re.search(r"Running on (http\S+)\s", log)

        try:
            self.url = wait_until("moto_server", running, 60).group(1)
        except BaseException:
            self.stop()
            raise

    def request(self, method, path, body=None, **headers):
        # moto serves every account that a request names; nothing is signed here.
        request = urllib.request.Request(
            self.url + path,
            data=body,
            method=method,
            headers={
                **{name.replace("_", "-"): value for name, value in headers.items()},
                "Authorization": "AWS4-HMAC-SHA256 "
                "Credential=test/20200101/us-east-1/s3/aws4_request",
                # urllib would call it a form, whose bytes moto would not keep.
                "Content-Type": "application/octet-stream",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read().decode()

    def upload(self, bucket, folder):
        self.request("PUT", "/" + bucket)
        for path in sorted(folder.rglob("*.tar")):
            self.request(
                "PUT", "/{}/{}".format(bucket, path.relative_to(folder)), path.read_bytes()
            )

    def keys(self, bucket):
        listed = self.request("GET", "/{}?list-type=2".format(bucket))
        return re.findall("<Key>(.*?)</Key>", listed)

    def stop(self):
        self.popen.kill()
        self.popen.wait()


def s3_requests(packers, code):
    """How many requests of the packers S3 answered so."""
    total = 0.0
    for packer in packers:
        for line in packer.metrics().splitlines():
            if line.startswith("navit_source_requests_total{"):
                if 'scheme="s3"' in line and 'code="{}"'.format(code) in line:
                    total += float(line.split()[-1])
    return total


class SourcesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shards = FOLDER / "shards"
        data.make_dataset(cls.shards)
        data.write_shard(cls.shards / "small" / "0.tar", data.make_samples(30, seed=5))
        data.write_shard(cls.shards / "small" / "1.tar", data.make_samples(20, seed=6))
        cls.s3 = S3Server(FOLDER)
        cls.addClassCleanup(cls.s3.stop)
        cls.s3.upload("shards", cls.shards)
        cls.s3.request("PUT", "/indexes")
        # Nothing of the machine's own AWS settings.
        bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        cls.no_keys = dict(
            bare,
            HOME=str(FOLDER / "home"),
            AWS_EC2_METADATA_DISABLED="true",
            AWS_ENDPOINT_URL_S3=cls.s3.url,
            AWS_REGION="us-east-1",
        )
        cls.environment = dict(
            cls.no_keys, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test"
        )

    def spec(self, name, big, small, heldout, index):
        """A job over a mixture; of each argument's data set, where it lies."""
        spec = data.tiny_job(
            name,
            ("", "{}/heldout-*.tar".format(heldout)),
            FOLDER / name / "ckpt",
            steps=STEPS,
            workers={"trainers": {"min": 1, "max": 1}, "packers": {"min": 2}},
        )
        spec["data"]["train"] = [
            {"shards": "{}/train-*.tar".format(big), "weight": 2},
            {"shards": "{}/small/".format(small)},
        ]
        spec["data"]["index"] = str(index)
        return spec

    def test_packs_do_not_depend_on_where_shards_and_indexes_lie(self):
        with Cluster(FOLDER / "cluster") as cluster:
            cluster.start_coordinator()
            packers = [
                cluster.start_packer("packer-{}".format(i), environment=self.environment)
                for i in range(2)
            ]
            cluster.start_trainer("trainer-0")

            def digests(spec):
                job = cluster.submit(spec)
                cluster.wait(job, "succeeded")
                steps = cluster.history(job)
                self.assertEqual([int(s["step"]) for s in steps], list(range(1, STEPS + 1)))
                return [s["packs_digest"] for s in steps]

            s3 = "s3://shards"
            here = self.shards
            local = digests(self.spec("local", here, here, here, FOLDER / "index-local"))
            self.assertEqual(len(set(local)), STEPS)
            self.assertEqual(s3_requests(packers, "206"), 0)

            mixed = self.spec("mixed", s3, here, here, FOLDER / "index-mixed")
            self.assertEqual(local, digests(mixed))
            mixed_reads = s3_requests(packers, "206")
            self.assertGreater(mixed_reads, 0)
            # An index and the lengths of its captions for each of the 6 shards.
            self.assertEqual(len(list((FOLDER / "index-mixed").glob("*.navit-index"))), 6)
            self.assertEqual(len(list((FOLDER / "index-mixed").glob("*.navit-captions"))), 6)
            self.assertEqual(self.s3.keys("indexes"), [])

            # The sorted paths of the data sets now come in the opposite order.
            swapped = self.spec("swapped", here, s3, s3, "s3://indexes/of/swapped/")
            self.assertEqual(local, digests(swapped))
            self.assertGreater(s3_requests(packers, "206"), mixed_reads)
            keys = self.s3.keys("indexes")
            self.assertEqual(len(keys), 12, keys)
            for key in keys:
                self.assertRegex(
                    key,
                    r"^of/swapped/[^/]+\.tar-[0-9a-f]{16}"
                    r"(\.navit-index|\.[0-9a-f]{16}\.navit-captions)$",
                )

            # Digests do tell packs apart: a mixture of other weights has others.
            other = self.spec("other", s3, s3, s3, "s3://indexes/of/other/")
            other["data"]["train"][1]["weight"] = 2
            self.assertNotEqual(local, digests(other))

    def reason(self, cluster, spec):
        """Why the job failed."""
        job = cluster.submit(spec)
        cluster.wait(job, "failed", 60)
        return cluster.json("get", job)["reason"]

    def test_a_tokenizer_trained_on_the_captions_may_lie_anywhere(self):
        folder = FOLDER / "tokenizer"
        samples = [
            (
                key,
                {
                    "png": members["png"],
                    "json": data.json.dumps(
                        {"alt": ["a small picture", members["txt"].decode(), "one more of many"]}
                    ).encode(),
                },
            )
            for key, members in data.make_samples(160)
        ]
        data.write_shard(folder / "train-0.tar", samples[:80])
        data.write_shard(folder / "train-1.tar", samples[80:])

        def spec(name, tokenizer, choose="random"):
            spec = data.tiny_job(
                name,
                ("{}/train-*.tar".format(folder), "{}/heldout-*.tar".format(self.shards)),
                FOLDER / name / "ckpt",
                steps=STEPS,
                workers={"trainers": {"min": 1, "max": 1}, "packers": {"min": 1}},
            )
            spec["data"]["train"][0]["captions"] = {"field": "json:alt", "choose": choose}
            spec["data"]["index"] = str(FOLDER / "index-tokenizer")
            spec["model"]["text"]["tokenizer"] = tokenizer
            return spec

        def train(job, output):
            return subprocess.run(
                [program(*PACKER), "train-tokenizer", str(job), "--output=" + output,
                 "--vocabulary_size=320"],
                env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                timeout=120, check=False,
            )

        job = folder / "job.json"
        job.write_text(data.json.dumps(spec("job", "bytes")))
        model = str(folder / "captions.model")
        self.s3.request("PUT", "/models")
        for output in (model, "s3://models/captions.model"):
            done = train(job, output)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(
                done.stdout,
                output + ": 320 pieces, learnt from 480 of 480 captions\n",
            )

        # For whoever asks without a signature, over plain http.
        self.s3.request("PUT", "/models/captions.model?acl", x_amz_acl="public-read")

        with Cluster(FOLDER / "tokenizer-cluster") as cluster:
            cluster.start_coordinator(environment=self.environment)
            cluster.start_packer("packer-0", environment=self.environment)
            cluster.start_packer("packer-1", environment=self.environment)
            cluster.start_trainer("trainer-0")

            def steps(spec):
                name = cluster.submit(spec)
                cluster.wait(name, "succeeded")
                text = cluster.json("get", name)["spec"]["model"]["text"]
                return text, cluster.history(name)

            text, local = steps(spec("file", model))
            self.assertEqual(text["vocabulary_size"], 320)
            digests = [s["packs_digest"] for s in local]
            for name, place in {
                "bucket": "s3://models/captions.model",
                "web": self.s3.url + "/models/captions.model",
            }.items():
                same, elsewhere = steps(spec(name, place))
                # One model: trained twice, it has the same bytes.
                self.assertEqual(same["tokenizer_hash"], text["tokenizer_hash"])
                self.assertEqual(digests, [s["packs_digest"] for s in elsewhere])
            # Which of a sample's captions is taken is drawn anew in each epoch.
            _, first = steps(spec("first", model, choose="first"))
            tokens = sum(int(s["text_tokens"]) for s in first)
            examples = sum(int(s["valid_examples"]) for s in first)
            self.assertEqual(tokens % examples, 0, "one caption for all")
            self.assertNotEqual(digests, [s["packs_digest"] for s in first])
            bytes_text, in_bytes = steps(spec("bytes", "bytes"))
            self.assertEqual(bytes_text["vocabulary_size"], 258)
            self.assertLess(
                sum(int(s["text_tokens"]) for s in local),
                sum(int(s["text_tokens"]) for s in in_bytes),
            )
            refused = cluster.navitctl(
                "submit", "-", check=False,
                stdin=data.json.dumps(spec("none", "s3://models/none.model")),
            )
            self.assertEqual(refused.returncode, 2, refused.stderr)
            self.assertIn("model.text.tokenizer: s3://models/none.model", refused.stderr)

    def test_a_missing_bucket_is_named(self):
        with Cluster(FOLDER / "missing") as cluster:
            cluster.start_coordinator()
            cluster.start_packer("packer-0", environment=self.environment)
            here = self.shards
            reason = self.reason(
                cluster, self.spec("shards", here, "s3://nowhere", here, FOLDER / "index-missing")
            )
            self.assertIn("data.train[1].shards: s3://nowhere/small/", reason)
            self.assertIn("NoSuchBucket", reason)
            reason = self.reason(
                cluster, self.spec("index", here, here, here, "s3://nowhere/indexes/")
            )
            self.assertIn("data.index: sidecar indexes cannot be written", reason)
            self.assertIn("s3://nowhere/indexes/", reason)
            self.assertIn("NoSuchBucket", reason)

    def test_missing_credentials_are_named(self):
        with Cluster(FOLDER / "denied") as cluster:
            cluster.start_coordinator()
            cluster.start_packer("packer-0", environment=self.no_keys)
            here = self.shards
            reason = self.reason(
                cluster, self.spec("denied", "s3://shards", here, here, FOLDER / "index-denied")
            )
            self.assertIn("data.train[0].shards: s3://shards/train-*.tar", reason)
            self.assertIn("no AWS credentials; tried: environment (AWS_ACCESS_KEY_ID", reason)
            self.assertIn("profile default (no keys in {}/".format(FOLDER / "home"), reason)
            self.assertIn("instance metadata", reason)


if __name__ == "__main__":
    unittest.main()
