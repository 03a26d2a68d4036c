// A packer of the relay benchmark.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/frame_bytes.h"
#include "common/grpc_status.h"
#include "proto/batches.pb.h"
#include "proto/fleet.grpc.pb.h"
#include "server/bench/packs.h"
#include "server/bench/relay_peer.h"

namespace navit::bench {
namespace {

class PackerDelegate : public WorkerSessionDelegate {
 public:
  void OnRegistered(const v1::RegisterReply&) override {
    if (!registered.HasBeenNotified()) registered.Notify();
  }
  void OnDirective(const v1::Directive&) override {}
  v1::WorkerReport BuildReport() override {
    std::lock_guard<std::mutex> lock(mutex);
    v1::WorkerReport report;
    for (const auto& [epoch, window] : windows) report.add_lease_epochs(epoch);
    return report;
  }
  void OnEnded(const absl::Status&) override { ended = true; }

  absl::Notification registered;
  std::atomic<bool> ended{false};
  std::mutex mutex;
  std::map<uint64_t, uint64_t> windows;  // By lease.
};

// The result of a piece of work.
v1::FinishWorkRequest ResultOf(const v1::Work& work) {
  v1::FinishWorkRequest result;
  result.set_lease_epoch(work.lease_epoch());
  if (work.has_expand_shards()) {
    result.mutable_shards()->add_train("/bench.tar");
    result.mutable_shards()->add_train_datasets(1);
  } else if (work.has_index_shard()) {
    result.mutable_shard()->set_path(work.index_shard().shard());
    result.mutable_shard()->set_samples(kSamples);
    result.mutable_shard()->set_bytes(1);
    result.mutable_shard()->set_hash(1);
    result.mutable_shard()->set_index_path("/bench.tar.navit-index");
  } else {
    result.mutable_plan()->set_packs(kPacksPerWindow);
    result.mutable_plan()->set_digest(work.window().window() + 1);
    result.mutable_plan()->set_plan_version(work.window().spec().packing().plan_version());
  }
  return result;
}

// Frames that the reading thread of a Push stream hands to the writing one.
class FrameQueue {
 public:
  void Add(grpc::ByteBuffer frame) {
    std::lock_guard<std::mutex> lock(mutex_);
    frames_.push_back(std::move(frame));
    changed_.notify_one();
  }
  void Close() {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_one();
  }
  // All frames that are there, as far as a message holds them. Nothing: closed.
  std::optional<grpc::ByteBuffer> Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !frames_.empty(); });
    if (closed_) return std::nullopt;
    FrameMessage message;
    while (!frames_.empty() && message.HasRoom(frames_.front().Length())) {
      message.Add(frames_.front());
      frames_.pop_front();
    }
    return message.Take();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<grpc::ByteBuffer> frames_;
  bool closed_ = false;
};

}  // namespace

int Packer(const std::string& coordinator, const Load& load, int number) {
  const v1::WorkerId id = Id(absl::StrCat("packer-", number));
  PackerDelegate delegate;
  const auto session = StartSession(coordinator, id, v1::PACKER, &delegate);
  const grpc::Slice bytes(RandomBytes(load.max_bytes + kSlackBytes));
  const auto fleet = v1::Fleet::NewStub(Dial(coordinator));
  delegate.registered.WaitForNotification();

  const auto channel = Dial(coordinator);
  grpc::ClientContext context;
  const auto push = OpenStream<grpc::ByteBuffer, v1::PushReply>(channel.get(),
                                                                "/navit.v1.Batches/Push", &context);
  FrameQueue frames;
  std::thread writer([&] {
    v1::PushRequest hello;
    *hello.mutable_worker() = id;
    bool writing = push->Write(ToBytes(hello));
    while (writing) {
      const std::optional<grpc::ByteBuffer> message = frames.Take();
      if (!message) return;
      writing = push->Write(*message);
    }
  });
  std::thread reader([&] {
    v1::PushReply reply;
    while (push->Read(&reply)) {
      std::lock_guard<std::mutex> lock(delegate.mutex);
      for (uint64_t epoch : reply.released()) delegate.windows.erase(epoch);
      for (const v1::PushReply::Grant& grant : reply.grants()) {
        const uint64_t window = delegate.windows.at(grant.lease_epoch());
        for (uint32_t index : grant.indexes()) {
          const uint64_t ordinal = OrdinalOf(window, index);
          const uint64_t offset = PayloadOffset(ordinal);
          frames.Add(
              MakeFrame(HeaderOf(kJob, window, index, grant.lease_epoch(), load.Bytes(ordinal)),
                        bytes.sub(offset, offset + load.Bytes(ordinal))));
        }
      }
    }
    frames.Close();
  });

  // Until the coordinator goes away.
  while (!delegate.ended) {
    v1::LeaseWorkRequest request;
    *request.mutable_worker() = id;
    v1::Work work;
    grpc::ClientContext lease_context;
    SetDeadline(&lease_context, absl::Seconds(1));
    const grpc::Status leased = fleet->LeaseWork(&lease_context, request, &work);
    if (leased.error_code() == grpc::StatusCode::UNAVAILABLE) break;
    if (work.lease_epoch() == 0) continue;
    if (work.has_window()) {
      std::lock_guard<std::mutex> lock(delegate.mutex);
      delegate.windows[work.lease_epoch()] = work.window().window();
    }
    v1::FinishWorkRequest result = ResultOf(work);
    *result.mutable_worker() = id;
    grpc::ClientContext finish_context;
    SetDeadline(&finish_context, absl::Seconds(5));
    google::protobuf::Empty empty;
    fleet->FinishWork(&finish_context, result, &empty);
  }
  context.TryCancel();
  reader.join();
  writer.join();
  push->Finish();
  return 0;
}

}  // namespace navit::bench
