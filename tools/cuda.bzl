"""CUDA sources, compiled by nvcc where --config=cuda asks for it."""

CudaEnabledInfo = provider(fields = ["value"])

def _bool_flag_impl(ctx):
    return CudaEnabledInfo(value = ctx.build_setting_value)

bool_flag = rule(
    implementation = _bool_flag_impl,
    build_setting = config.bool(flag = True),
)

_NVCC_FLAGS = [
    "-std=c++20",
    "-O3",
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90a,code=sm_90a",
    "--Werror=all-warnings",
    "-Xcompiler=-Wall,-Wextra,-Werror,-fPIC",
    "-Xptxas=-v",
]

def _cuda_library_impl(ctx):
    if not ctx.attr._enabled[CudaEnabledInfo].value:
        return [DefaultInfo()]
    outs = []
    for src in ctx.files.srcs:
        stem = src.basename[:-len(".cu")]
        obj = ctx.actions.declare_file(stem + ".cu.o")
        report = ctx.actions.declare_file(stem + ".ptxas.txt")
        outs += [obj, report]
        ctx.actions.run_shell(
            inputs = [src] + ctx.files.hdrs,
            outputs = [obj, report],
            use_default_shell_env = True,
            mnemonic = "Nvcc",
            command = "nvcc %s -I. -c %s -o %s 2> %s || { cat %s >&2; exit 1; }" % (
                " ".join(_NVCC_FLAGS),
                src.path,
                obj.path,
                report.path,
                report.path,
            ),
        )
    return [DefaultInfo(files = depset(outs))]

cuda_library = rule(
    implementation = _cuda_library_impl,
    doc = "An object and ptxas' report (registers, spills) per source; nothing without --config=cuda.",
    attrs = {
        "srcs": attr.label_list(allow_files = [".cu"]),
        "hdrs": attr.label_list(allow_files = [".h"]),
        "_enabled": attr.label(default = "//tools:cuda"),
    },
)
