#include "common/log_shipper.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/grpc_status.h"
#include "common/log.h"
#include "common/log_line.h"
#include "common/status_macros.h"
#include "proto/fleet.grpc.pb.h"

namespace navit {
namespace {

constexpr size_t kMaxBatchBytes = size_t{256} << 10;
constexpr absl::Duration kCallTimeout = absl::Seconds(5);

}  // namespace

class LogShipper::Impl {
 public:
  Impl(LogShipperOptions options, std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)),
        stub_(v1::Fleet::NewStub(std::move(channel))),
        thread_([this] { Run(); }) {
    SetLogObserver([this](const LogRecord& record) { Add(record); });
  }

  ~Impl() {
    SetLogObserver(nullptr);
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      give_up_ = Clock::Real()->SteadyNow() + options_.farewell;
    }
    thread_.join();
  }

 private:
  void Add(const LogRecord& record) {
    if (record.job.empty()) return;
    v1::LogLine line = ToLogLine(record);
    line.set_incarnation(options_.worker.incarnation());
    const size_t bytes = line.ByteSizeLong();
    absl::MutexLock lock(&mutex_);
    if (queued_bytes_ + bytes > options_.max_queue_bytes) {
      CountDroppedLogLine();
      return;
    }
    line.set_number(++lines_);
    queued_bytes_ += bytes;
    queue_.push_back(std::move(line));
  }

  // The next batch; it stays in the queue until it was sent. Empty: the end.
  v1::ShipLogsRequest Next() {
    v1::ShipLogsRequest request;
    request.set_worker(options_.worker.name());
    request.set_incarnation(options_.worker.incarnation());
    absl::MutexLock lock(&mutex_);
    const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return stopping_ || !queue_.empty();
    };
    mutex_.Await(absl::Condition(&wanted));
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.gather);
    size_t bytes = 0;
    for (const v1::LogLine& line : queue_) {
      bytes += line.ByteSizeLong();
      if (request.lines_size() > 0 && bytes > kMaxBatchBytes) break;
      *request.add_lines() = line;
    }
    return request;
  }

  void Run() {
    Backoff backoff({}, SystemUniform());
    while (true) {
      const v1::ShipLogsRequest request = Next();
      if (request.lines_size() == 0) return;
      if (Send(request).ok()) {
        backoff.Reset();
        Drop(request.lines_size());
        continue;
      }
      // Unavailable, or a coordinator of the version before that takes no lines: try again; the
      // queue is bounded.
      absl::MutexLock lock(&mutex_);
      if (stopping_ && Clock::Real()->SteadyNow() > give_up_) return;
      const absl::Duration pause = *backoff.Next(Clock::Real()->SteadyNow());
      if (stopping_) {
        mutex_.AwaitWithTimeout(absl::Condition(&never_), absl::Milliseconds(50));
      } else {
        mutex_.AwaitWithTimeout(absl::Condition(&stopping_), pause);
      }
    }
  }

  absl::Status Send(const v1::ShipLogsRequest& request) {
    grpc::ClientContext context;
    SetDeadline(&context, kCallTimeout);
    google::protobuf::Empty empty;
    return FromGrpcStatus(stub_->ShipLogs(&context, request, &empty), "Fleet.ShipLogs");
  }

  void Drop(int count) {
    absl::MutexLock lock(&mutex_);
    for (int i = 0; i < count; ++i) {
      queued_bytes_ -= std::min(queued_bytes_, queue_.front().ByteSizeLong());
      queue_.pop_front();
    }
    if (queue_.empty()) queued_bytes_ = 0;
  }

  const LogShipperOptions options_;
  const std::unique_ptr<v1::Fleet::Stub> stub_;
  absl::Mutex mutex_;
  std::deque<v1::LogLine> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t lines_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool never_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration give_up_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<LogShipper>> LogShipper::Start(LogShipperOptions options) {
  options.channel.own_connection = true;
  NAVIT_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                         MakeChannel(options.coordinator, options.channel));
  return std::unique_ptr<LogShipper>(
      new LogShipper(std::make_unique<Impl>(std::move(options), std::move(channel))));
}

LogShipper::LogShipper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogShipper::~LogShipper() = default;

}  // namespace navit
