"""What compare.py makes of histories and scores."""
import unittest

import compare


def results(scores, flops=1e12):
    return {
        seed: {"score": score, "flops": flops, "images": 100} for seed, score in enumerate(scores, 1)
    }


TUNED = {arm: {"2.5e-4": 0.1, "5e-4": 0.2, "1e-3": 0.15} for arm in compare.ARMS}


class CompareTest(unittest.TestCase):
    def test_mean_and_standard_error(self):
        # Deviations -2, 0, 2: variance 4 with n - 1, standard error 2 / sqrt(3).
        mean, error = compare.paired([1, 3, 5])
        self.assertEqual(mean, 3)
        self.assertAlmostEqual(error, 2 / 3**0.5)

    def test_outcome_takes_recalls_without_chance(self):
        row = {"useful_flops": "5e11", "valid_examples": "30"}
        last = dict(row)
        for direction in ("image_to_text", "text_to_image"):
            for k in (1, 5, 10):
                last["heldout/{}/r@{}@196".format(direction, k)] = str(k / 100)
                last["heldout/{}/r@{}/chance@196".format(direction, k)] = "0.9"
        found = compare.outcome([row, last])
        self.assertAlmostEqual(found["score"], (0.01 + 0.05 + 0.10) / 3)
        self.assertEqual(found["flops"], 1e12)
        self.assertEqual(found["images"], 60)
        with self.assertRaises(SystemExit):
            compare.outcome([row])

    def test_the_report_pairs_seeds(self):
        text = compare.report(
            TUNED, {"packed": results([0.21, 0.23, 0.25]), "fixed": results([0.2, 0.2, 0.2])}
        )
        self.assertIn("| packed | 5e-4 | 1.000 | 100 |", text)
        self.assertIn("| 2 | 23.0 % | 20.0 % |", text)
        self.assertIn("Mean difference +3.0 points, standard error 1.2: +2.6 standard errors.", text)

    def test_other_compute_is_not_compared(self):
        with self.assertRaisesRegex(SystemExit, "differs too much"):
            compare.report(
                TUNED, {"packed": results([0.2, 0.3], 1.1e12), "fixed": results([0.2, 0.2])}
            )


if __name__ == "__main__":
    unittest.main()
