// Frames as they cross the relay: bytes that are forwarded as they came.
#ifndef NAVIT_SERVER_RELAY_FRAME_H_
#define NAVIT_SERVER_RELAY_FRAME_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/pack.pb.h"

namespace navit {

// A header names at most as many holes as a sequence has examples.
inline constexpr uint64_t kMaxFrameHeaderBytes = uint64_t{1} << 20;

struct ReceivedFrame {
  v1::PackHeader header;
  // The frame as it came; shares the message's memory.
  grpc::ByteBuffer bytes;
  // A source stands in the payload's place.
  bool direct = false;
  // Of the frame with its payload.
  uint64_t whole_bytes = 0;
};

// Reads the header of a serialised Frame, without touching its payload. The frame must be what
// protobuf writes: field 1 (the header), then field 2 (the payload, header.payload_bytes long;
// absent when empty) or field 3 (the source), and nothing else. The payload's hash is not verified:
// the trainer does. INVALID_ARGUMENT says what is wrong; RESOURCE_EXHAUSTED: the header is over the
// cap.
absl::StatusOr<ReceivedFrame> ReadFrame(const grpc::ByteBuffer& frame);

// The frames of a message of Batches.Push, in their order: the message is one, or holds them in
// field 4 and nothing else. Errors as ReadFrame.
absl::StatusOr<std::vector<ReceivedFrame>> ReadFrames(const grpc::ByteBuffer& message);

// The same bytes in memory of their own. A received buffer may hold on to much larger read buffers
// of the connection; for small frames that are kept for long a copy is cheaper.
grpc::ByteBuffer CompactFrame(const grpc::ByteBuffer& frame);

}  // namespace navit

#endif  // NAVIT_SERVER_RELAY_FRAME_H_
