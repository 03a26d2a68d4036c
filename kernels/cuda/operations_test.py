"""Checks that each operation of kernels/*.h exists on a GPU and is called by a test here.

usage: operations_test.py FILE...  (the headers of both folders and the tests of this one)
"""
import os
import re
import sys

# What stands for an operation under another name.
ELSEWHERE = {
    "EmbeddingBackward": "ScatterRows",  # once per table, by work sorted on the host
    "Gemm": "LinearEngine",  # the engine of the linear layers: cuBLASLt
    "LinearBackwardInput": "LinearBackwardInputArgs",  # methods of LinearEngine
    "LinearBackwardWeight": "LinearBackwardWeightArgs",
    "LinearForward": "LinearForwardArgs",
    "PositionTableBackward": "ScatterRows",
    "QkNormBackward": "QkNormRopeBackward",  # one pass over q and k for both
    "QkNormForward": "QkNormRopeForward",
    "Scale": "AdamW",  # its grad_scale, read on the device
    "SumSquares": "GradientNorm",
}
# Parts of functions that have tests.
INNER = {"AddChunkSums", "ChunkGradients"}


def read(paths):
    texts = []
    for path in paths:
        with open(path, encoding="utf-8") as source:
            texts.append(re.sub(r"//.*", "", source.read()))
    return "\n".join(texts)


def has(name, text):
    return re.search(r"\b%s\b" % name, text) is not None


def main():
    folders = {"kernels": [], "cuda": []}
    for path in sys.argv[1:]:
        folders[os.path.basename(os.path.dirname(path))].append(path)
    headers = read(path for path in folders["cuda"] if path.endswith(".h"))
    tests = read(path for path in folders["cuda"] if path.endswith("_test.cc"))
    operations = set(
        re.findall(r"^\w+ (\w+)\([^;]*ThreadPool& pool\);", read(folders["kernels"]), re.MULTILINE))
    assert len(operations) > 30, operations
    failed = []
    for operation in sorted(operations):
        twin = ELSEWHERE.get(operation, operation)
        if not has(twin, headers):
            failed.append("%s: no header of kernels/cuda has %s" % (operation, twin))
        elif not has(twin, tests) and not twin.startswith("Linear"):
            failed.append("%s: no test of kernels/cuda has %s" % (operation, twin))
        if operation != twin and re.search(r"\b%s\(" % operation, headers):
            failed.append("%s stands here under its own name" % operation)
    failed += ["%s is no operation" % name for name in ELSEWHERE if name not in operations]
    # What a GPU has beside them is tested as well.
    for function in re.findall(r"(?<!>\n)^LaunchError (\w+)\(", headers, re.MULTILINE):
        if not has(function, tests) and function not in INNER:
            failed.append("%s: no test of kernels/cuda has it" % function)
    print("\n".join(failed))
    sys.exit(1 if failed else 0)


main()
