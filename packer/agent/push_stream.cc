#include "packer/agent/push_stream.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/frame_bytes.h"
#include "common/grpc_status.h"
#include "common/wakeup.h"

namespace navit {
namespace {

// How long the coordinator may take to answer the end of our side.
constexpr absl::Duration kFinishTimeout = absl::Seconds(5);

// Room in a message for what is not payload.
constexpr uint64_t kFrontBytes = 64 << 10;

}  // namespace

grpc::ByteBuffer PushClient::MessageOf(std::vector<PackQueue::Sendable>* packs) {
  FrameMessage message;
  for (PackQueue::Sendable& pack : *packs) {
    const v1::PackHeader& header = pack.frame.header();
    grpc::ByteBuffer frame =
        MakeFrame(header, OwningSlice(std::move(*pack.frame.mutable_payload())));
    if (pack.direct && !packs_address_.empty()) {
      if (std::optional<std::string> token = store_->Keep(header, frame)) {
        v1::Frame here;
        *here.mutable_header() = header;
        here.mutable_source()->set_address(packs_address_);
        here.mutable_source()->set_token(*std::move(token));
        frame = ToBytes(here);
      }
    }
    message.Add(frame);
  }
  return message.Take();
}

PushClient::PushClient(std::shared_ptr<grpc::Channel> channel, v1::WorkerId worker,
                       std::string packs_address, PackQueue* queue, PackStore* store,
                       PackerMetrics* metrics, const Clock* clock,
                       std::function<void(uint64_t)> released)
    : channel_(std::move(channel)),
      worker_(std::move(worker)),
      packs_address_(std::move(packs_address)),
      queue_(queue),
      store_(store),
      metrics_(metrics),
      clock_(clock),
      released_(std::move(released)) {}

void PushClient::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

void PushClient::CountSeconds(absl::Span<const PackQueue::Sendable> packs, absl::Duration spent) {
  // Each pack of the message has a share by its bytes.
  uint64_t all_bytes = 0;
  for (const PackQueue::Sendable& pack : packs) all_bytes += pack.frame.header().payload_bytes();
  for (const PackQueue::Sendable& pack : packs) {
    const v1::PackHeader& header = pack.frame.header();
    metrics_->SendSeconds(header.job(), absl::ToDoubleSeconds(spent) *
                                            static_cast<double>(header.payload_bytes()) /
                                            static_cast<double>(std::max<uint64_t>(all_bytes, 1)));
  }
}

absl::Status PushClient::Run() {
  grpc::ClientContext context;
  {
    absl::MutexLock lock(&mutex_);
    if (cancelled_) return absl::CancelledError("cancelled");
    context_ = &context;
  }
  const uint64_t number = queue_->OpenStream();
  // The coordinator counts on nothing that was kept under an older stream.
  store_->Clear();
  const auto stream = OpenStream<grpc::ByteBuffer, v1::PushReply>(
      channel_.get(), "/navit.v1.Batches/Push", &context);
  v1::PushRequest hello;
  *hello.mutable_worker() = worker_;
  bool writing = stream->Write(ToBytes(hello));

  Wakeup reader_ended;
  std::thread reader([&] {
    v1::PushReply reply;
    while (stream->Read(&reply)) {
      // Releases first: a window may be leased again and granted in the same message.
      for (uint64_t epoch : reply.released()) {
        queue_->DropLease(epoch);
        store_->DropLease(epoch);
        released_(epoch);
      }
      for (const v1::PushReply::Drop& drop : reply.drops()) {
        for (uint32_t index : drop.indexes()) store_->Drop(drop.lease_epoch(), index);
      }
      for (const v1::PushReply::Grant& grant : reply.grants()) {
        queue_->Grant(number, grant.lease_epoch(),
                      std::vector<uint32_t>(grant.indexes().begin(), grant.indexes().end()),
                      grant.direct());
      }
    }
    queue_->EndStream(number);
    reader_ended.Ring();
  });

  while (writing) {
    std::vector<PackQueue::Sendable> packs =
        queue_->TakeToSend(number, FrameMessage::kMostBytes - kFrontBytes);
    if (packs.empty()) break;
    const absl::Duration start = clock_->SteadyNow();
    writing = stream->Write(MessageOf(&packs));
    CountSeconds(packs, clock_->SteadyNow() - start);
    if (writing) queue_->Sent(packs);
  }
  // After a failed write the stream is over and the reader ends by itself.
  if (writing) {
    stream->WritesDone();
    if (!reader_ended.Wait(kFinishTimeout)) context.TryCancel();
  }
  reader.join();
  const absl::Status status = FromGrpcStatus(stream->Finish(), "Batches.Push");
  absl::MutexLock lock(&mutex_);
  context_ = nullptr;
  return status;
}

}  // namespace navit
