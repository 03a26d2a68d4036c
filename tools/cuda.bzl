"""Kernels in CUDA: compiled by nvcc where --config=cuda asks for it, and for the host twin always."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

CudaEnabledInfo = provider(fields = ["value"])

def _bool_flag_impl(ctx):
    return CudaEnabledInfo(value = ctx.build_setting_value)

bool_flag = rule(
    implementation = _bool_flag_impl,
    build_setting = config.bool(flag = True),
)

# For targets that exist with --config=cuda alone; elsewhere `//...` passes them over.
CUDA_ONLY = select({
    "//tools:cuda_enabled": [],
    "//conditions:default": ["//tools:incompatible"],
})

_HOST_FLAGS = [
    "-std=c++20",
    "-O3",
    "--Werror=all-warnings",
    "-Xcompiler=-Wall,-Wextra,-Werror,-fPIC",
]

_DEVICE_FLAGS = [
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90a,code=sm_90a",
    # A PTX for the cards after these.
    "-gencode=arch=compute_90,code=compute_90",
    "-Xptxas=-v,-warn-spills",
]

def _compile(ctx, src, headers):
    """An object of src, and ptxas' report if it holds kernels."""
    stem = ctx.label.name + "_objects/" + src.basename
    obj = ctx.actions.declare_file(stem + ".o")
    flags = _HOST_FLAGS
    outputs = [obj]
    redirect = ""
    if src.extension == "cu":
        report = ctx.actions.declare_file(stem + ".ptxas.txt")
        outputs.append(report)
        flags = flags + _DEVICE_FLAGS
        redirect = "2> {0} || {{ cat {0} >&2; exit 1; }}".format(report.path)
    ctx.actions.run_shell(
        inputs = depset([src], transitive = [headers]),
        outputs = outputs,
        use_default_shell_env = True,
        mnemonic = "Nvcc",
        progress_message = "Compiling %s with nvcc" % src.short_path,
        command = "nvcc %s -I. -c %s -o %s %s" % (" ".join(flags), src.path, obj.path, redirect),
    )
    return obj, outputs[1:]

def _cuda_library_impl(ctx):
    compilation = cc_common.create_compilation_context(headers = depset(ctx.files.hdrs))
    own = CcInfo(compilation_context = compilation)
    deps = [dep[CcInfo] for dep in ctx.attr.deps]
    headers = cc_common.merge_cc_infos(cc_infos = [own] + deps).compilation_context.headers
    objects, reports = [], []
    for src in ctx.files.srcs:
        obj, report = _compile(ctx, src, headers)
        objects.append(obj)
        reports += report
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(ctx = ctx, cc_toolchain = toolchain)
    archive = ctx.actions.declare_file("lib%s.a" % ctx.label.name)
    ctx.actions.run(
        executable = toolchain.ar_executable,
        arguments = ["rcsD", archive.path] + [obj.path for obj in objects],
        inputs = objects,
        tools = toolchain.all_files,
        outputs = [archive],
        mnemonic = "CudaArchive",
    )
    library = cc_common.create_library_to_link(
        actions = ctx.actions,
        feature_configuration = features,
        cc_toolchain = toolchain,
        static_library = archive,
        pic_static_library = archive,
    )
    linking = cc_common.create_linking_context(linker_inputs = depset([
        cc_common.create_linker_input(owner = ctx.label, libraries = depset([library])),
    ]))
    linked = CcInfo(compilation_context = compilation, linking_context = linking)
    return [
        DefaultInfo(files = depset([archive] + reports)),
        OutputGroupInfo(ptxas = depset(reports)),
        cc_common.merge_cc_infos(direct_cc_infos = [linked], cc_infos = deps),
    ]

cuda_library = rule(
    implementation = _cuda_library_impl,
    doc = """A library of .cu files (kernels, for each architecture) and .cc files (host code that
    includes CUDA's headers), and ptxas' report of registers and spills per .cu as STEM.ptxas.txt.""",
    attrs = {
        "srcs": attr.label_list(allow_files = [".cu", ".cc"]),
        "hdrs": attr.label_list(allow_files = [".h"]),
        "deps": attr.label_list(providers = [CcInfo]),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
)

def cuda_kernels(name, srcs, hdrs = [], deps = [], kernels = [], **kwargs):
    """Kernel sources, twice: `name` by nvcc, `name`_twin for the host twin (tests only).

    Args:
      name: of the library.
      srcs: .cu files that include //kernels/cuda:device and no CUDA header.
      hdrs: .h files.
      deps: cc_library targets of both.
      kernels: cuda_kernels of this package that they call.
      **kwargs: passed on to both.
    """
    cuda_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        target_compatible_with = CUDA_ONLY,
        deps = deps + kernels + ["//kernels/cuda:device"],
        **kwargs
    )
    native.filegroup(
        name = name + "_ptxas",
        srcs = [name],
        output_group = "ptxas",
    )
    twin_srcs = []
    for src in srcs:
        twin_src = src.replace(".cu", "_twin.cc")
        native.genrule(
            name = twin_src + "_gen",
            outs = [twin_src],
            cmd = "echo '#include \"%s/%s\"' > $@" % (native.package_name(), src),
        )
        twin_srcs.append(twin_src)
    native.cc_library(
        name = name + "_twin",
        testonly = True,
        srcs = twin_srcs,
        hdrs = hdrs,
        textual_hdrs = srcs,
        deps = deps + [kernel + "_twin" for kernel in kernels] + [
            "//kernels/cuda:device",
            "//kernels/cuda/host_twin",
        ],
        **kwargs
    )

def device_library(name, kernels, deps = [], **kwargs):
    """Host code that calls kernels, twice: `name`, and `name`_twin on the host twin (tests only).

    Args:
      name: of the library.
      kernels: labels of cuda_kernels.
      deps: cc_library targets of both.
      **kwargs: passed on to both cc_library.
    """
    native.cc_library(
        name = name,
        target_compatible_with = CUDA_ONLY,
        deps = deps + kernels,
        **kwargs
    )
    native.cc_library(
        name = name + "_twin",
        testonly = True,
        deps = deps + [kernel + "_twin" for kernel in kernels],
        **kwargs
    )

def ptxas_reports():
    """The reports of all cuda_kernels above the call in this package."""
    return sorted([":" + name for name in native.existing_rules() if name.endswith("_ptxas")])

def cuda_test(name, srcs, kernels, deps = [], size = "small", **kwargs):
    """One test twice: `name` on the host twin, `name`_gpu on a GPU, skipped where there is none.

    Args:
      name: of the test.
      srcs: of the test; reach the device through //kernels/cuda:test_device alone.
      kernels: names of cuda_kernels in this package.
      deps: further cc_library targets.
      size: of both.
      **kwargs: passed on to both cc_test.
    """
    native.cc_test(
        name = name,
        size = size,
        srcs = srcs,
        deps = deps + [kernel + "_twin" for kernel in kernels] + ["//kernels/cuda:test_device_twin"],
        **kwargs
    )
    native.cc_test(
        name = name + "_gpu",
        size = size,
        srcs = srcs,
        tags = ["gpu"],
        target_compatible_with = CUDA_ONLY,
        deps = deps + kernels + ["//kernels/cuda:test_device_gpu"],
        **kwargs
    )

def device_test(name, srcs, libraries, deps = [], size = "small", **kwargs):
    """One test twice: `name` on the host twin, `name`_gpu on a GPU, skipped where there is none.

    Args:
      name: of the test.
      srcs: of the test; reach the device through //worker/model/device:test_machine.h alone.
      libraries: labels of device_library.
      deps: further cc_library targets.
      size: of both.
      **kwargs: passed on to both cc_test.
    """
    machine = "//worker/model/device:test_machine_"
    native.cc_test(
        name = name,
        size = size,
        srcs = srcs,
        deps = deps + [library + "_twin" for library in libraries] + [machine + "twin"],
        **kwargs
    )
    native.cc_test(
        name = name + "_gpu",
        size = size,
        srcs = srcs,
        tags = ["gpu"],
        target_compatible_with = CUDA_ONLY,
        deps = deps + libraries + [machine + "gpu"],
        **kwargs
    )
