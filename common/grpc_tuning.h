// Settings of both ends of a connection that carries packs, measured with
// server/bench/relay_bench.py.
#ifndef NAVIT_COMMON_GRPC_TUNING_H_
#define NAVIT_COMMON_GRPC_TUNING_H_

#include <utility>

namespace navit {

// gRPC's own defaults suit small messages: frames of 16 KiB, and windows that grow by probing. A
// pack has megabytes, and its end is bounded by credits of ours, so that a window of a few
// megabytes per stream bounds memory well enough.
inline constexpr std::pair<const char*, int> kBulkArguments[] = {
    {"grpc.http2.lookahead_bytes", 4 << 20},
    {"grpc.http2.bdp_probe", 0},
    {"grpc.http2.max_frame_size", 1 << 20},
    {"grpc.http2.write_buffer_size", 1 << 20},
    // An idle connection holds one such piece.
    {"grpc.experimental.tcp_read_chunk_size", 64 << 10},
    {"grpc.experimental.tcp_min_read_chunk_size", 64 << 10},
};

}  // namespace navit

#endif  // NAVIT_COMMON_GRPC_TUNING_H_
