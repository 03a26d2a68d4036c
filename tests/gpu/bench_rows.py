"""What tests/gpu/bench measures. A row takes (options, report): options have the folder of programs
(root), their environment, the file of choices, rounds and tokens; what it found goes to the report."""
import contextlib
import json
import subprocess

import kernel_peers
import train_peers
from tables import peer_cells, tuned_row, verdict
from turns import Program, in_turns, median_of, progress

KERNELS = "kernels/bench/gpu_bench"
TRAINING = "worker/bench/gpu_train_step_bench"
TUNING = "kernels/bench/linear_tune"
WITH_CHOICES = "ours with choices"


def row_tune(options, report):
    # Micro-batches of images have up to 16384 tokens on a GPU, and texts a quarter of them here.
    tokens = dict.fromkeys([options.tokens, 16384, 4096])
    arguments = [f"--output={options.choices}", f"--tokens={','.join(map(str, tokens))}"]
    done = subprocess.run(
        [options.root / TUNING, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=options.environment,
        check=True,
    )
    report.add("", "### Choices of cuBLASLt's algorithms, width 768, MLP 3072")
    report.add("", f"`{TUNING} {' '.join(arguments)}`, which wrote `{options.choices}`.")
    report.table(
        ["product", "candidates", "heuristic's first, µs", "chosen, µs", "gain", "TFLOP/s"],
        [tuned_row(json.loads(line)) for line in done.stdout.splitlines()],
    )


def choices_arguments(options):
    """What a program is told of the file of choices; empty: there is none."""
    return [str(options.choices)] if options.choices.exists() else []


def row_g1(options, report):
    rows, names = [], []
    for mean, reach, aim in [(71, 1.3, 2.0), (196, 1.2, 1.7), (460, 0.9, 1.0)]:
        lengths = kernel_peers.draw_lengths(mean, options.tokens)
        with Program(options, KERNELS) as program:
            program.ask(f"attention 12 64 {','.join(map(str, lengths))}")
            program.ask("time 5")
            peers = kernel_peers.attention(lengths, 12, 64, progress)
            names = list(dict.fromkeys(names + list(peers)))
            answers, results = in_turns(options.rounds, lambda: program.ask("time 20"), peers)
        forward = median_of(answers, "stages", "forward", "seconds")
        backward = median_of(answers, "stages", "backward", "seconds")
        total = median_of(answers, "seconds")
        work = answers[0]["stages"].values()
        rows.append(
            [
                f"{mean} (longest {max(lengths)})",
                f"{total * 1e3:.3f} = {forward * 1e3:.3f} + {backward * 1e3:.3f}",
                f"{sum(stage['flops'] for stage in work) / total / 1e12:.0f}",
                f"{sum(stage['bytes'] for stage in work) / total / 1e12:.2f}",
                results,
                verdict(results, reach, aim),
            ]
        )
    report.add("", f"### G1: packed attention, 12 heads of 64, {options.tokens} tokens")
    report.table(
        ["mean segment", "ours, ms (forward + backward)", "TFLOP/s", "TB/s"]
        + [f"{name}, ms (over ours)" for name in names]
        + ["least ratio"],
        [row[:4] + peer_cells(row[4], names) + row[5:] for row in rows],
    )


def row_g4(options, report):
    pairs, dim = 32768, 768
    with Program(options, KERNELS) as program:
        program.ask(f"contrastive {pairs} {dim}")
        program.ask("time 2")
        peers = kernel_peers.contrastive(pairs, dim, progress)
        answers, results = in_turns(options.rounds, lambda: program.ask("time 5"), peers)
    total = median_of(answers, "seconds")
    wanted = {name: results[name] for name in results if name == "two products"}
    report.add("", f"### G4: softmax contrastive loss, N = {pairs}, D = {dim}, both passes")
    report.table(
        ["ours, ms (statistics + backward)", "TFLOP/s of 8·N²·D"]
        + [f"{name}, ms (over ours)" for name in results]
        + ["ratio"],
        [
            [
                f"{total * 1e3:.2f} = "
                f"{median_of(answers, 'stages', 'statistics', 'seconds') * 1e3:.2f} + "
                f"{median_of(answers, 'stages', 'backward', 'seconds') * 1e3:.2f}",
                f"{8 * pairs**2 * dim / total / 1e12:.0f}",
                *peer_cells(results, list(results)),
                verdict(wanted, 1.2, 1.5),
            ]
        ],
    )


def row_g5(options, report):
    parameters = 86_000_000
    with Program(options, KERNELS) as program:
        program.ask(f"adamw {parameters}")
        program.ask("time 5")
        peers = kernel_peers.adamw(parameters, progress)

        def ours():
            answer = program.ask("time 20")
            return {**answer, "seconds": answer["stages"]["adamw"]["seconds"]}

        answers, results = in_turns(options.rounds, ours, peers)
    rates = {}
    for name in ("norm", "adamw", "copy"):
        stage = answers[0]["stages"][name]
        rates[name] = stage["bytes"] / median_of(answers, "stages", name, "seconds") / 1e9
    report.add("", f"### G5: AdamW, {parameters / 1e6:.0f} M parameters")
    report.table(
        ["ours, ms", "GB/s of 30 B/parameter", "copy, GB/s", "of the copy", "gradient norm, GB/s"]
        + [f"{name}, ms (over ours)" for name in results]
        + ["least ratio"],
        [
            [
                f"{median_of(answers, 'seconds') * 1e3:.3f}",
                f"{rates['adamw']:.0f}",
                f"{rates['copy']:.0f}",
                f"{rates['adamw'] / rates['copy']:.1%}",
                f"{rates['norm']:.0f}",
                *peer_cells(results, list(results)),
                verdict(results, 0.95, "90 % of bandwidth"),
            ]
        ],
    )
    report.add("", "PyTorch's moves 28 B per parameter: it writes no weights in bf16.")


def measured_matmul(options):
    """Operations per second of the largest product that cuBLASLt is asked for."""
    with Program(options, KERNELS) as program:
        program.ask("matmul 8192")
        program.ask("time 3")
        matmul = program.ask("time 10")["stages"]["matmul"]
    return matmul["flops"] / matmul["seconds"]


def row_ops(options, report):
    peak = measured_matmul(options)
    # Without choices and, where there is a file of them, with.
    programs = [[], choices_arguments(options)] if choices_arguments(options) else [[]]
    with contextlib.ExitStack() as stack:
        programs = [stack.enter_context(Program(options, KERNELS, *words)) for words in programs]
        for program in programs:
            program.ask(f"operations {options.tokens} 768")
            program.ask("time 3")
        rounds = [[p.ask("time 10") for p in programs] for _ in range(options.rounds)]
    answers, *with_choices = zip(*rounds)
    stages = answers[0]["stages"]
    copy = stages["copy"]["bytes"] / median_of(answers, "stages", "copy", "seconds")
    rows = []
    for name, stage in stages.items():
        seconds = median_of(answers, "stages", name, "seconds")
        if stage["flops"]:
            rate, unit, limit = stage["flops"] / seconds, "TFLOP/s", peak
        else:
            rate, unit, limit = stage["bytes"] / seconds, "TB/s", copy
        cells = [f"{seconds * 1e6:.0f}", f"{rate / 1e12:.3g} {unit}", f"{rate / limit:.0%}"]
        for others in with_choices if stage["flops"] else []:
            tuned = median_of(others, "stages", name, "seconds")
            cells += [f"{tuned * 1e6:.0f}", f"{seconds / tuned:.2f}"]
        rows.append([name, *cells])
    report.add("", f"### Single operations, {options.tokens} tokens, width 768, MLP 3072")
    report.add("", f"Limits: copy {copy / 1e12:.2f} TB/s, 8192³ matmul {peak / 1e12:.0f} TFLOP/s.")
    head = ["operation", "µs", "rate", "of the limit"]
    head += ["µs with choices", "without over with"] if with_choices else []
    report.table(head, [row + ["–"] * (len(head) - len(row)) for row in rows])


def train_step(options, report, title, make_peers, reach, aim):
    """make_peers(image lengths, text lengths) gives the peers of ours."""
    matmul = measured_matmul(options)
    width, depth = 768, 12
    sizes = [str(options.tokens), str(width), str(depth)]
    with contextlib.ExitStack() as stack:
        program = stack.enter_context(Program(options, TRAINING, *sizes))
        start = program.answer()
        program.ask("2")
        peers = make_peers(start["image"], start["text"])
        if choices_arguments(options):
            words = sizes + choices_arguments(options)
            tuned = stack.enter_context(Program(options, TRAINING, *words))
            tuned.answer()
            tuned.ask("2")
            peers[WITH_CHOICES] = lambda: tuned.ask("5")["seconds"]
        answers, results = in_turns(options.rounds, lambda: program.ask("5"), peers)
    peak = start["peak_flops"] or matmul
    flops = answers[0]["flops"]
    steps = {"ours": (median_of(answers, "seconds"), 1), **results}
    report.add("", f"### {title}")
    report.add(
        "",
        f"ViT-B/16 and a text tower of the same size, {options.tokens} image tokens in "
        f"{len(start['image'])} images, {sum(start['text'])} text tokens; {flops / 1e12:.2f} "
        f"useful TFLOP a step. An 8192³ matmul runs at {matmul / 1e12:.0f} TFLOP/s here; the peak "
        f"is {peak / 1e12:.0f}.",
    )
    report.table(
        ["", "ms", "over ours", "useful TFLOP/s", "MFU", "of the matmul"],
        [
            [
                name,
                f"{seconds * 1e3:.2f}",
                f"{ratio:.2f}",
                f"{flops / seconds / 1e12:.0f}",
                f"{flops / seconds / peak:.1%}",
                f"{flops / seconds / matmul:.1%}",
            ]
            for name, (seconds, ratio) in steps.items()
        ],
    )
    wanted = {
        name: result
        for name, result in results.items()
        if "unsorted" not in name and name != WITH_CHOICES
    }
    report.add("", f"Ratio: {verdict(wanted, reach, aim)}.")
    phases = {name: median_of(answers, "phases", name) for name in answers[0]["phases"]}
    report.add(
        "",
        "Ours by the host's clock: "
        + ", ".join(
            f"{name.removeprefix('PHASE_').lower()} {seconds * 1e3:.2f} ms"
            for name, seconds in phases.items()
        )
        + f"; loss {answers[-1]['loss']:.4f}.",
    )


def row_g2(options, report):
    def peers(image, text):
        return train_peers.packed(image, text, 768, 12, 5, progress)

    title = "G2: training step, packed, bf16"
    train_step(options, report, title, peers, 1.15, "1.3 and 50 % MFU")


def row_g3(options, report):
    def peers(image, text):
        return train_peers.padded(image, text, 768, 12, options.tokens, 4, 3, progress)

    title = "G3: training step, padded batches in the peer; times for as many useful image tokens"
    train_step(options, report, title, peers, 1.15, 1.3)


ROWS = {
    "tune": row_tune,
    "ops": row_ops,
    "G5": row_g5,
    "G1": row_g1,
    "G4": row_g4,
    "G2": row_g2,
    "G3": row_g3,
}
