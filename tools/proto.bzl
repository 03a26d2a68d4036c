"""Generates C++ from .proto files with the system's protoc."""

def navit_proto_library(name, srcs, services = False, deps = [], **kwargs):
    """A cc_library of the messages (and, with services, the gRPC stubs) of `srcs`.

    Args:
      name: the library.
      srcs: .proto files of this package.
      services: also generate the gRPC stubs.
      deps: other navit_proto_library targets whose files are imported.
      **kwargs: passed on to cc_library.
    """
    outs = []
    for src in srcs:
        stem = src[:-len(".proto")]
        outs += [stem + ".pb.h", stem + ".pb.cc"]
        if services:
            outs += [stem + ".grpc.pb.h", stem + ".grpc.pb.cc"]
    flags = "--cpp_out=$(GENDIR)"
    if services:
        flags += " --grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
    native.genrule(
        name = name + "_gen",
        srcs = srcs + [":proto_files"],
        outs = outs,
        cmd = "/usr/bin/protoc -I. -I/usr/include %s %s" % (
            flags,
            " ".join(["$(location %s)" % src for src in srcs]),
        ),
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        deps = deps + ["//third_party:grpc" if services else "//third_party:protobuf"],
        **kwargs
    )
