// Packs as bytes on a gRPC stream, without a copy of their payload.
#ifndef NAVIT_COMMON_FRAME_BYTES_H_
#define NAVIT_COMMON_FRAME_BYTES_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proto/pack.pb.h"

namespace navit {

// A serialised Frame (proto/pack.proto) of `header`, whose payload_bytes is payload.size(), and
// `payload`, which is shared.
grpc::ByteBuffer MakeFrame(const v1::PackHeader& header, const grpc::Slice& payload);

// What such a frame has: the unit of credits and of the relay's budget.
uint64_t FrameBytes(const v1::PackHeader& header);

// A message of several frames (field 4 of PushRequest and PullReply), which shares their bytes.
class FrameMessage {
 public:
  // What a message holds at most, unless a single frame is larger. Larger messages save nothing.
  static constexpr uint64_t kMostBytes = uint64_t{4} << 20;

  // Whether a frame of so many bytes may still be added.
  bool HasRoom(uint64_t frame_bytes) const {
    return slices_.empty() || bytes_ + frame_bytes <= kMostBytes;
  }
  void Add(const grpc::ByteBuffer& frame);
  // Other fields of the message: a serialised message with those alone.
  void AddFields(const grpc::ByteBuffer& fields);

  bool empty() const { return slices_.empty(); }
  // The message; empty afterwards.
  grpc::ByteBuffer Take();

 private:
  std::vector<grpc::Slice> slices_;
  uint64_t bytes_ = 0;
};

// `bytes` as a slice that owns them.
grpc::Slice OwningSlice(std::string bytes);

// Any message as it goes onto the wire.
template <typename Message>
grpc::ByteBuffer ToBytes(const Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own);
  return bytes;
}

// A two-way call as the generated stub makes it, but with messages of any type that gRPC can
// serialise: ByteBuffer stands for the bytes as they are. `method` is "/package.Service/Method".
template <typename Out, typename In>
std::unique_ptr<grpc::ClientReaderWriter<Out, In>> OpenStream(grpc::Channel* channel,
                                                              const char* method,
                                                              grpc::ClientContext* context) {
  return std::unique_ptr<grpc::ClientReaderWriter<Out, In>>(
      grpc::internal::ClientReaderWriterFactory<Out, In>::Create(
          channel, grpc::internal::RpcMethod(method, grpc::internal::RpcMethod::BIDI_STREAMING),
          context));
}

}  // namespace navit

#endif  // NAVIT_COMMON_FRAME_BYTES_H_
