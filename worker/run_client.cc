#include "worker/run_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "proto/fleet.grpc.pb.h"
#include "proto/jobs.grpc.pb.h"

namespace navit {

bool IsTransientCallError(const absl::Status& status) {
  // ABORTED is an answer here: what we report contradicts the record.
  return (IsTransient(status) && !absl::IsAborted(status)) || absl::IsNotFound(status);
}

RunClient::RunClient(std::shared_ptr<grpc::Channel> channel, RunClientOptions options)
    : channel_(std::move(channel)), options_(std::move(options)) {}

RunClient::~RunClient() { Cancel(); }

void RunClient::Cancel() {
  std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : calls_) context->TryCancel();
  cancel_signal_.notify_all();
}

bool RunClient::cancelled() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return cancelled_;
}

bool RunClient::Wait(absl::Duration duration) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return !cancel_signal_.wait_for(lock, absl::ToChronoNanoseconds(duration),
                                  [this] { return cancelled_; });
}

RunClient::CancellableCall::CancellableCall(RunClient* client, grpc::ClientContext* context)
    : client_(client), context_(context) {
  std::lock_guard<std::mutex> lock(client_->mutex_);
  client_->calls_.insert(context_);
  if (client_->cancelled_) context_->TryCancel();
}

RunClient::CancellableCall::~CancellableCall() {
  std::lock_guard<std::mutex> lock(client_->mutex_);
  client_->calls_.erase(context_);
}

absl::Status RunClient::Call(const char* name, absl::Duration give_up,
                             const std::function<grpc::Status(grpc::ClientContext*)>& attempt) {
  const absl::Duration deadline = Clock::Real()->SteadyNow() + give_up;
  Backoff backoff({}, SystemUniform(), deadline);
  while (true) {
    if (cancelled()) return absl::CancelledError(absl::StrCat(name, ": the run ended"));
    grpc::ClientContext context;
    SetDeadline(&context,
                std::min(options_.attempt_timeout,
                         std::max(absl::Milliseconds(1), deadline - Clock::Real()->SteadyNow())));
    absl::Status status;
    {
      CancellableCall cancellable(this, &context);
      status = FromGrpcStatus(attempt(&context), name);
    }
    if (status.ok()) return status;
    if (cancelled()) return absl::CancelledError(absl::StrCat(name, ": the run ended"));
    if (!IsTransientCallError(status)) return status;
    const std::optional<absl::Duration> delay = backoff.Next(Clock::Real()->SteadyNow());
    if (!delay) return status;
    Wait(*delay);
  }
}

absl::Status RunClient::Set(const std::string& key, const std::string& value) {
  v1::KvSetRequest request;
  *request.mutable_worker() = options_.worker;
  request.set_job(options_.job);
  request.set_generation(options_.generation);
  request.set_key(key);
  request.set_value(value);
  auto stub = v1::Fleet::NewStub(channel_);
  return Call("Fleet.KvSet", options_.grace, [&](grpc::ClientContext* context) {
    google::protobuf::Empty reply;
    return stub->KvSet(context, request, &reply);
  });
}

absl::StatusOr<std::vector<std::string>> RunClient::Get(const std::vector<std::string>& keys,
                                                        absl::Duration timeout) {
  v1::KvGetRequest request;
  *request.mutable_worker() = options_.worker;
  request.set_job(options_.job);
  request.set_generation(options_.generation);
  for (const std::string& key : keys) request.add_keys(key);
  v1::KvGetReply reply;
  auto stub = v1::Fleet::NewStub(channel_);
  NAVIT_RETURN_IF_ERROR(Call("Fleet.KvGet", timeout, [&](grpc::ClientContext* context) {
    return stub->KvGet(context, request, &reply);
  }));
  if (reply.values_size() != request.keys_size()) {
    return absl::InternalError(absl::StrCat("Fleet.KvGet: ", reply.values_size(), " values for ",
                                            request.keys_size(), " keys"));
  }
  return std::vector<std::string>(reply.values().begin(), reply.values().end());
}

absl::Status RunClient::ReportSteps(const std::vector<v1::StepReport>& steps) {
  v1::ReportStepsRequest request;
  *request.mutable_worker() = options_.worker;
  request.set_job(options_.job);
  request.set_generation(options_.generation);
  for (const v1::StepReport& step : steps) *request.add_steps() = step;
  auto stub = v1::Fleet::NewStub(channel_);
  return Call("Fleet.ReportSteps", options_.grace, [&](grpc::ClientContext* context) {
    google::protobuf::Empty reply;
    return stub->ReportSteps(context, request, &reply);
  });
}

absl::StatusOr<std::vector<std::string>> RunClient::CommitCheckpoint(uint64_t step,
                                                                     const std::string& folder,
                                                                     uint64_t bytes) {
  v1::CommitCheckpointRequest request;
  *request.mutable_worker() = options_.worker;
  request.set_job(options_.job);
  request.set_generation(options_.generation);
  request.set_step(step);
  request.set_path(folder);
  request.set_bytes(bytes);
  v1::CommitCheckpointReply reply;
  auto stub = v1::Fleet::NewStub(channel_);
  NAVIT_RETURN_IF_ERROR(
      Call("Fleet.CommitCheckpoint", options_.grace, [&](grpc::ClientContext* context) {
        return stub->CommitCheckpoint(context, request, &reply);
      }));
  return std::vector<std::string>(reply.remove().begin(), reply.remove().end());
}

absl::Status RunClient::ReportEvent(v1::ReportEventRequest event) {
  *event.mutable_worker() = options_.worker;
  event.set_job(options_.job);
  event.set_generation(options_.generation);
  auto stub = v1::Fleet::NewStub(channel_);
  return Call("Fleet.ReportEvent", options_.grace, [&](grpc::ClientContext* context) {
    google::protobuf::Empty reply;
    return stub->ReportEvent(context, event, &reply);
  });
}

absl::StatusOr<std::vector<std::string>> RunClient::RecordedCheckpoints() {
  v1::JobRequest request;
  request.set_name(options_.job);
  v1::ListCheckpointsReply reply;
  auto stub = v1::Jobs::NewStub(channel_);
  NAVIT_RETURN_IF_ERROR(
      Call("Jobs.ListCheckpoints", options_.attempt_timeout, [&](grpc::ClientContext* context) {
        return stub->ListCheckpoints(context, request, &reply);
      }));
  std::vector<std::string> folders;
  for (const v1::ListCheckpointsReply::Checkpoint& checkpoint : reply.checkpoints())
    folders.push_back(checkpoint.path());
  return folders;
}

}  // namespace navit
