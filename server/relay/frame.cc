#include "server/relay/frame.h"

#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/frame_bytes.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// Wire tags: field number x 8 + 2 (length-delimited).
constexpr uint64_t kHeaderTag = 0x0a;
constexpr uint64_t kPayloadTag = 0x12;
constexpr uint64_t kSourceTag = 0x1a;
constexpr uint64_t kFramesTag = 0x22;

// Above this a copy costs more than the slack of the slices at the frame's two ends.
constexpr size_t kCompactBelowBytes = 64 << 10;

// Walks the bytes of a buffer that lie in several slices.
class SliceReader {
 public:
  SliceReader(const std::vector<grpc::Slice>& slices, uint64_t bytes)
      : slices_(slices), left_(bytes) {}

  uint64_t left() const { return left_; }

  absl::StatusOr<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      uint8_t byte;
      if (left_ == 0) return absl::InvalidArgumentError("frame: ends in the middle of a number");
      Copy(&byte, 1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return absl::InvalidArgumentError("frame: a number is longer than 64 bits");
  }

  // Requires size <= left().
  void Copy(uint8_t* to, size_t size) {
    Walk(size, [&](const grpc::Slice& slice, size_t begin, size_t part) {
      if (part > 0) std::memcpy(to, slice.begin() + begin, part);
      to += part;
    });
  }

  // The next `size` bytes, shared. Requires size <= left().
  grpc::ByteBuffer Share(size_t size) {
    std::vector<grpc::Slice> shared;
    Walk(size, [&](const grpc::Slice& slice, size_t begin, size_t part) {
      if (part > 0) shared.push_back(slice.sub(begin, begin + part));
    });
    return grpc::ByteBuffer(shared.data(), shared.size());
  }

 private:
  template <typename F>
  void Walk(size_t size, const F& f) {
    left_ -= size;
    while (size > 0) {
      const grpc::Slice& slice = slices_[slice_];
      const size_t part = std::min(size, slice.size() - offset_);
      f(slice, offset_, part);
      size -= part;
      offset_ += part;
      if (offset_ == slice.size()) {
        ++slice_;
        offset_ = 0;
      }
    }
  }

  const std::vector<grpc::Slice>& slices_;
  uint64_t left_;
  size_t slice_ = 0;
  size_t offset_ = 0;
};

}  // namespace

absl::StatusOr<ReceivedFrame> ReadFrame(const grpc::ByteBuffer& frame) {
  std::vector<grpc::Slice> slices;
  if (!frame.Valid() || !frame.Dump(&slices).ok()) {
    return absl::InvalidArgumentError("frame: no bytes");
  }
  SliceReader reader(slices, frame.Length());
  NAVIT_ASSIGN_OR_RETURN(const uint64_t tag, reader.Varint());
  if (tag != kHeaderTag) {
    return absl::InvalidArgumentError("frame: does not begin with a header (field 1)");
  }
  NAVIT_ASSIGN_OR_RETURN(const uint64_t header_bytes, reader.Varint());
  if (header_bytes > kMaxFrameHeaderBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("frame: header has ", header_bytes, " bytes, at most ", kMaxFrameHeaderBytes));
  }
  if (header_bytes > reader.left()) {
    return absl::InvalidArgumentError("frame: ends in the middle of its header");
  }
  std::string bytes(header_bytes, '\0');
  reader.Copy(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  ReceivedFrame received{{}, frame, false, frame.Length()};
  v1::PackHeader& header = received.header;
  if (!header.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("frame: header is not a PackHeader");
  }
  uint64_t payload_bytes = 0;
  if (reader.left() > 0) {
    NAVIT_ASSIGN_OR_RETURN(const uint64_t second, reader.Varint());
    received.direct = second == kSourceTag;
    if (second != kPayloadTag && !received.direct) {
      return absl::InvalidArgumentError("frame: the payload (field 2) does not follow the header");
    }
    NAVIT_ASSIGN_OR_RETURN(payload_bytes, reader.Varint());
  }
  if (received.direct) {
    if (payload_bytes != reader.left()) {
      return absl::InvalidArgumentError("frame: ends in the middle of its source, or goes on");
    }
    received.whole_bytes = FrameBytes(header);
    return received;
  }
  if (payload_bytes != reader.left() || payload_bytes != header.payload_bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat("frame: payload has ", reader.left(), " bytes; its length says ",
                     payload_bytes, ", header.payload_bytes ", header.payload_bytes()));
  }
  return received;
}

absl::StatusOr<std::vector<ReceivedFrame>> ReadFrames(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  if (!message.Valid() || !message.Dump(&slices).ok()) {
    return absl::InvalidArgumentError("frame: no bytes");
  }
  std::vector<ReceivedFrame> frames;
  SliceReader reader(slices, message.Length());
  while (reader.left() > 0) {
    NAVIT_ASSIGN_OR_RETURN(const uint64_t tag, reader.Varint());
    // Not a list: a frame by itself, or nothing that is known.
    if (tag != kFramesTag && frames.empty()) break;
    if (tag != kFramesTag) {
      return absl::InvalidArgumentError("frames: something else stands between them");
    }
    NAVIT_ASSIGN_OR_RETURN(const uint64_t frame_bytes, reader.Varint());
    if (frame_bytes > reader.left()) {
      return absl::InvalidArgumentError("frames: the message ends in the middle of one");
    }
    NAVIT_ASSIGN_OR_RETURN(ReceivedFrame frame, ReadFrame(reader.Share(frame_bytes)));
    frames.push_back(std::move(frame));
  }
  if (frames.empty()) {
    NAVIT_ASSIGN_OR_RETURN(ReceivedFrame frame, ReadFrame(message));
    frames.push_back(std::move(frame));
  }
  return frames;
}

grpc::ByteBuffer CompactFrame(const grpc::ByteBuffer& frame) {
  if (frame.Length() >= kCompactBelowBytes) return frame;
  std::vector<grpc::Slice> slices;
  if (!frame.Dump(&slices).ok()) return frame;
  std::string bytes;
  bytes.reserve(frame.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  const grpc::Slice copy(bytes);
  return grpc::ByteBuffer(&copy, 1);
}

}  // namespace navit
