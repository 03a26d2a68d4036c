"""One reader under fuzzing: a libFuzzer program, and a test that replays its kept corpus."""

def navit_fuzz_target(name, srcs, deps, local_defines = []):
    """Declares NAME_fuzzer, which links under --config=fuzz alone, and NAME_replay, a test.

    Args:
      name: of the reader; its corpus lies in corpus/NAME.
      srcs: define LLVMFuzzerTestOneInput, and LLVMFuzzerCustomMutator where bytes carry checksums.
      deps: of the sources.
      local_defines: of the sources.
    """
    native.cc_library(
        name = name,
        testonly = True,
        srcs = srcs,
        # libFuzzer and the replay find the entry point by its name alone.
        alwayslink = True,
        local_defines = local_defines,
        deps = deps,
    )
    native.cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        tags = ["manual"],
        deps = [":" + name],
    )
    corpus = native.glob(["corpus/" + name + "/*"])
    native.cc_test(
        name = name + "_replay",
        size = "small",
        srcs = ["replay_main.cc"],
        args = ["tests/fuzz/corpus/" + name],
        data = corpus,
        deps = [
            ":" + name,
            "//common:files",
            "//third_party:absl",
        ],
    )
