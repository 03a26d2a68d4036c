// The relay's reader of frames: bytes in several slices, as a connection delivers them.
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "server/relay/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The last byte says how long the slices are; empty ones stand between them.
  const size_t length = size == 0 ? 1 : data[size - 1] % 64 + size_t{1};
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < size; at += length) {
    slices.emplace_back(data + at, std::min(length, size - at));
    if (length % 2 == 0) slices.emplace_back();
  }
  const grpc::ByteBuffer message(slices.data(), slices.size());
  const auto frames = navit::ReadFrames(message);
  const auto again = navit::ReadFrames(navit::CompactFrame(message));
  // How bytes are cut never changes what they say.
  if (frames.status().code() != again.status().code()) std::abort();
  if (!frames.ok()) return 0;
  if (frames->size() != again->size()) std::abort();
  for (size_t i = 0; i < frames->size(); ++i) {
    const navit::ReceivedFrame& frame = (*frames)[i];
    if (!frame.direct && frame.header.payload_bytes() > size) std::abort();
    if (frame.header.SerializeAsString() != (*again)[i].header.SerializeAsString()) std::abort();
  }
  return 0;
}
