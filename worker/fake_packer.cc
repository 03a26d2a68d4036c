#include "worker/fake_packer.h"

#include <grpcpp/grpcpp.h>

#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/grpc_server.h"
#include "proto/batches.grpc.pb.h"

namespace navit {
namespace {

constexpr char kToken[] = "token";

}  // namespace

class FakePacker::Impl : public v1::Packs::Service {
 public:
  explicit Impl(FakePackerOptions options) : options_(std::move(options)) {
    GrpcServerOptions serving;
    serving.listen = "127.0.0.1:0";
    serving.tls = options_.tls;
    server_ = GrpcServer::Start(serving, {this}).value();
    address_ = server_->address();
  }
  ~Impl() override { Kill(); }

  void Kill() {
    if (server_ == nullptr) return;
    if (!killed_.HasBeenNotified()) killed_.Notify();
    server_->Shutdown(absl::ZeroDuration());
    server_ = nullptr;
  }

  v1::Frame Keep(const v1::PullReply& pack) {
    absl::MutexLock lock(&mutex_);
    v1::Frame frame;
    *frame.mutable_header() = pack.header();
    frame.mutable_header()->set_lease_epoch(1);
    frame.mutable_header()->set_index(static_cast<uint32_t>(packs_.size()));
    v1::Frame& kept = packs_[frame.header().index()];
    *kept.mutable_header() = frame.header();
    kept.set_payload(pack.payload());
    frame.mutable_source()->set_address(address_);
    frame.mutable_source()->set_token(kToken);
    return frame;
  }

  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchRequest* request,
                     grpc::ServerWriter<v1::PullReply>* stream) override {
    FakePackerOptions::Fault fault = FakePackerOptions::kNone;
    std::vector<v1::Frame> frames;
    {
      absl::MutexLock lock(&mutex_);
      if (++requests_ > options_.good_requests) fault = options_.fault;
      for (const v1::FetchRequest::Pack& pack : request->packs()) {
        const auto kept = packs_.find(pack.index());
        if (pack.lease_epoch() != 1 || pack.token() != kToken || kept == packs_.end()) {
          return {grpc::StatusCode::NOT_FOUND, "not held here"};
        }
        frames.push_back(kept->second);
      }
    }
    std::string& last = *frames.back().mutable_payload();
    if (fault == FakePackerOptions::kFlipsAByte) last[last.size() / 2] ^= 1;
    if (fault == FakePackerOptions::kCutsAByte) last.pop_back();
    if (fault == FakePackerOptions::kLeavesOneOut) frames.pop_back();
    if (fault == FakePackerOptions::kRepeatsOne) frames.push_back(v1::Frame(frames.back()));
    if (fault == FakePackerOptions::kHangs) return Hang(context);
    for (const v1::Frame& frame : frames) {
      v1::PullReply reply;
      *reply.add_frames() = frame;
      if (!stream->Write(reply)) break;
      if (fault == FakePackerOptions::kHangsWithin) return Hang(context);
    }
    return grpc::Status::OK;
  }

  // Until the caller or this packer is gone.
  grpc::Status Hang(grpc::ServerContext* context) {
    {
      absl::MutexLock lock(&mutex_);
      hanging_ = true;
    }
    while (!context->IsCancelled() &&
           !killed_.WaitForNotificationWithTimeout(absl::Milliseconds(5))) {
    }
    return {grpc::StatusCode::UNAVAILABLE, "the packer is gone"};
  }

  const FakePackerOptions options_;
  std::unique_ptr<GrpcServer> server_;
  std::string address_;
  absl::Notification killed_;

  absl::Mutex mutex_;
  std::map<uint32_t, v1::Frame> packs_ ABSL_GUARDED_BY(mutex_);
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  bool hanging_ ABSL_GUARDED_BY(mutex_) = false;
};

FakePacker::FakePacker(FakePackerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
FakePacker::~FakePacker() = default;

const std::string& FakePacker::address() const { return impl_->address_; }
v1::Frame FakePacker::Keep(const v1::PullReply& pack) { return impl_->Keep(pack); }
void FakePacker::Kill() { impl_->Kill(); }
uint64_t FakePacker::requests() const {
  absl::MutexLock lock(&impl_->mutex_);
  return impl_->requests_;
}
void FakePacker::WaitUntilHanging() {
  absl::MutexLock lock(&impl_->mutex_);
  impl_->mutex_.Await(absl::Condition(&impl_->hanging_));
}

}  // namespace navit
