#include "packer/agent/packs_service.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <utility>

#include "common/frame_bytes.h"
#include "common/grpc_status.h"
#include "proto/batches.grpc.pb.h"

namespace navit {
namespace {

using grpc::ByteBuffer;

// Packs of one request: about as many as a step of one rank.
constexpr size_t kMostRequestBytes = 1 << 20;

// One Fetch: its messages share the memory of the store.
class FetchReply : public grpc::ServerWriteReactor<ByteBuffer> {
 public:
  FetchReply(const PackStore* store, PackerMetrics* metrics, const ByteBuffer& request) {
    const absl::Status status = Prepare(store, request);
    if (!status.ok()) {
      Finish(ToGrpcStatus(status));
      return;
    }
    uint64_t bytes = 0;
    for (const ByteBuffer& message : messages_) bytes += message.Length();
    metrics->DirectBytes(bytes);
    Continue();
  }

  void OnWriteDone(bool ok) override {
    messages_.pop_front();
    if (ok) return Continue();
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the stream broke"));
  }
  void OnDone() override { delete this; }

 private:
  absl::Status Prepare(const PackStore* store, const ByteBuffer& bytes) {
    if (bytes.Length() > kMostRequestBytes) {
      return absl::InvalidArgumentError("packs: are too many for one request");
    }
    ByteBuffer copy = bytes;
    v1::FetchRequest request;
    if (!grpc::SerializationTraits<v1::FetchRequest>::Deserialize(&copy, &request).ok()) {
      return absl::InvalidArgumentError("message is not a FetchRequest");
    }
    FrameMessage message;
    for (const v1::FetchRequest::Pack& pack : request.packs()) {
      const absl::StatusOr<ByteBuffer> frame =
          store->Find(pack.lease_epoch(), pack.index(), pack.token());
      if (!frame.ok()) return frame.status();
      if (!message.HasRoom(frame->Length())) messages_.push_back(message.Take());
      message.Add(*frame);
    }
    if (!message.empty()) messages_.push_back(message.Take());
    return absl::OkStatus();
  }

  void Continue() {
    if (messages_.empty()) return Finish(grpc::Status::OK);
    StartWrite(&messages_.front());
  }

  std::deque<ByteBuffer> messages_;
};

// On raw bytes, so that no pack is copied.
class PacksService : public v1::Packs::WithRawCallbackMethod_Fetch<v1::Packs::Service> {
 public:
  PacksService(const PackStore* store, PackerMetrics* metrics) : store_(store), metrics_(metrics) {}
  grpc::ServerWriteReactor<ByteBuffer>* Fetch(grpc::CallbackServerContext*,
                                              const ByteBuffer* request) override {
    return new FetchReply(store_, metrics_, *request);
  }

 private:
  const PackStore* const store_;
  PackerMetrics* const metrics_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakePacksService(const PackStore* store, PackerMetrics* metrics) {
  return std::make_unique<PacksService>(store, metrics);
}

}  // namespace navit
