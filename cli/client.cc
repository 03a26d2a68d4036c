#include "cli/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "proto/jobs.grpc.pb.h"

namespace navit {
namespace {

constexpr absl::Duration kReconnectPause = absl::Milliseconds(200);
// An audit plans every committed window again.
constexpr absl::Duration kAuditTimeout = absl::Minutes(10);
// A packer may have to index shards first.
constexpr absl::Duration kProbeTimeout = absl::Minutes(2);

std::string NewRequestId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

v1::JobRequest Named(const std::string& name) {
  v1::JobRequest request;
  request.set_name(name);
  return request;
}

v1::JobMutation Mutation(const std::string& name) {
  v1::JobMutation request;
  request.set_request_id(NewRequestId());
  request.set_name(name);
  return request;
}

// For calls that were not cancelled here: the coordinator's end cuts them off so.
absl::Status CutOffIsUnavailable(const absl::Status& status) {
  if (!absl::IsCancelled(status)) return status;
  return absl::UnavailableError("it ended before it had answered");
}

}  // namespace

struct Client::Impl {
  std::string address;
  absl::Duration timeout;
  std::unique_ptr<v1::Jobs::Stub> stub;

  absl::Mutex mutex;
  bool interrupted ABSL_GUARDED_BY(mutex) = false;
  grpc::ClientContext* watching ABSL_GUARDED_BY(mutex) = nullptr;

  absl::Status WithAddress(const absl::Status& status) const {
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
    return absl::Status(status.code(),
                        absl::StrCat("coordinator at ", address, ": ", status.message()));
  }

  // Runs `stream` until it ends well (`to_the_end`) or has seen enough, again after a connection
  // that broke; see Watch.
  absl::Status Follow(
      absl::Time until, absl::Duration reconnect, bool to_the_end,
      const std::function<absl::Status(grpc::ClientContext*, bool* heard, bool* enough)>& stream);

  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(grpc::Status (v1::Jobs::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Reply*),
                             const Request& request, absl::Duration limit) {
    grpc::ClientContext context;
    context.AddMetadata(kVersionMetadata, Version());
    SetDeadline(&context, limit);
    Reply reply;
    const absl::Status status = FromGrpcStatus((stub.get()->*method)(&context, request, &reply));
    NAVIT_RETURN_IF_ERROR(WithAddress(CutOffIsUnavailable(status)));
    return reply;
  }

  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(grpc::Status (v1::Jobs::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Reply*),
                             const Request& request) {
    return Call(method, request, timeout);
  }
};

absl::StatusOr<std::unique_ptr<Client>> Client::Make(const Arguments& arguments,
                                                     const char* server_variable) {
  auto impl = std::make_unique<Impl>();
  const std::string variable = server_variable == nullptr ? "" : server_variable;
  impl->address = arguments.Get("server", variable.empty() ? "localhost:7440" : variable);
  NAVIT_ASSIGN_OR_RETURN(const double seconds, arguments.Number("call-timeout", 10));
  impl->timeout = absl::Seconds(seconds);
  ChannelOptions options;
  options.tls.ca = arguments.Get("tls-ca", "");
  options.tls.certificate = arguments.Get("tls-cert", "");
  options.tls.key = arguments.Get("tls-key", "");
  options.tls_server_name = arguments.Get("tls-server-name", "");
  NAVIT_ASSIGN_OR_RETURN(auto channel, MakeChannel(impl->address, options));
  impl->stub = v1::Jobs::NewStub(std::move(channel));
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<v1::Job> Client::Submit(const v1::JobSpec& spec) {
  v1::SubmitRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_spec() = spec;
  return impl_->Call(&v1::Jobs::Stub::Submit, request);
}
absl::StatusOr<v1::Job> Client::Get(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Get, Named(name));
}
absl::StatusOr<v1::ListReply> Client::List() {
  return impl_->Call(&v1::Jobs::Stub::List, v1::ListRequest());
}
absl::StatusOr<v1::Job> Client::Cancel(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Cancel, Mutation(name));
}
absl::StatusOr<v1::Job> Client::Pause(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Pause, Mutation(name));
}
absl::StatusOr<v1::Job> Client::Resume(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Resume, Mutation(name));
}
absl::StatusOr<v1::Job> Client::Retry(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Retry, Mutation(name));
}
absl::StatusOr<v1::Job> Client::Update(const std::string& name,
                                       const std::vector<std::string>& assignments) {
  v1::UpdateRequest request;
  request.set_request_id(NewRequestId());
  request.set_name(name);
  request.mutable_assignments()->Add(assignments.begin(), assignments.end());
  return impl_->Call(&v1::Jobs::Stub::Update, request);
}
absl::Status Client::Delete(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Delete, Mutation(name)).status();
}
absl::StatusOr<v1::ExplainReply> Client::Explain(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Explain, Named(name));
}
absl::StatusOr<v1::ValidateReply> Client::Validate(const v1::JobSpec& spec) {
  v1::ValidateRequest request;
  *request.mutable_spec() = spec;
  request.set_look_at_data(true);
  return impl_->Call(&v1::Jobs::Stub::Validate, request, std::max(impl_->timeout, kProbeTimeout));
}
absl::StatusOr<v1::PreviewReply> Client::Preview(const v1::PreviewRequest& request) {
  return impl_->Call(&v1::Jobs::Stub::Preview, request, std::max(impl_->timeout, kProbeTimeout));
}
absl::StatusOr<v1::ListCheckpointsReply> Client::ListCheckpoints(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::ListCheckpoints, Named(name));
}
absl::StatusOr<v1::AuditReply> Client::Audit(const v1::AuditRequest& request) {
  return impl_->Call(&v1::Jobs::Stub::Audit, request, kAuditTimeout);
}
absl::StatusOr<v1::HistoryReply> Client::History(const std::string& name) {
  // In pieces: the curve of a long job is larger than one message may be.
  constexpr uint64_t kStepsAtOnce = 10000;
  v1::HistoryRequest request;
  request.set_name(name);
  request.set_max_steps(kStepsAtOnce);
  v1::HistoryReply whole;
  while (true) {
    request.set_first_step(static_cast<uint64_t>(whole.steps_size()) + 1);
    NAVIT_ASSIGN_OR_RETURN(v1::HistoryReply piece, impl_->Call(&v1::Jobs::Stub::History, request));
    // A coordinator of the version before gives all at once, whatever was asked for.
    const bool first = whole.steps_size() == 0;
    if (!first && piece.steps_size() > 0 && piece.steps(0).step() == 1) return piece;
    for (v1::StepReport& step : *piece.mutable_steps()) *whole.add_steps() = std::move(step);
    whole.mutable_scores()->Swap(piece.mutable_scores());
    whole.set_committed_step(piece.committed_step());
    if (static_cast<uint64_t>(piece.steps_size()) < kStepsAtOnce) return whole;
  }
}
absl::StatusOr<v1::TelemetryReply> Client::Telemetry(const std::string& name) {
  return impl_->Call(&v1::Jobs::Stub::Telemetry, Named(name));
}
absl::Status Client::Drain(const std::string& worker) {
  v1::WorkerRequest request;
  request.set_name(worker);
  return impl_->Call(&v1::Jobs::Stub::Drain, request).status();
}
absl::Status Client::Undrain(const std::string& worker) {
  v1::WorkerRequest request;
  request.set_name(worker);
  return impl_->Call(&v1::Jobs::Stub::Undrain, request).status();
}
absl::StatusOr<v1::ListWorkersReply> Client::ListWorkers() {
  return impl_->Call(&v1::Jobs::Stub::ListWorkers, google::protobuf::Empty());
}

absl::Status Client::Impl::Follow(
    absl::Time until, absl::Duration reconnect, bool to_the_end,
    const std::function<absl::Status(grpc::ClientContext*, bool* heard, bool* enough)>& stream) {
  absl::Time heard_at = absl::Now();
  // A coordinator that was never there is no restart: that ends with the time limit of a call.
  absl::Duration patience = std::min(reconnect, timeout);
  bool told_away = false;
  while (true) {
    grpc::ClientContext context;
    context.AddMetadata(kVersionMetadata, Version());
    if (until != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(until));
    {
      absl::MutexLock lock(&mutex);
      if (interrupted) return absl::CancelledError("interrupted");
      watching = &context;
    }
    bool heard = false;
    bool enough = false;
    absl::Status status = stream(&context, &heard, &enough);
    if (heard) {
      heard_at = absl::Now();
      patience = reconnect;
      told_away = false;
    }
    {
      absl::MutexLock lock(&mutex);
      watching = nullptr;
      if (interrupted && !enough) return absl::CancelledError("interrupted");
    }
    if (enough || (to_the_end && status.ok())) return absl::OkStatus();
    // A stream that ends before the caller has seen enough: the coordinator drains.
    if (status.ok()) status = absl::UnavailableError("the stream of the job's states ended");
    status = CutOffIsUnavailable(status);
    if (absl::Now() >= until) return absl::DeadlineExceededError("timed out");
    if (!absl::IsUnavailable(status) || absl::Now() - heard_at > patience) {
      return WithAddress(status);
    }
    if (!told_away) {
      told_away = true;
      std::cerr << "navitctl: the coordinator at " << address << " is away; trying again for "
                << absl::FormatDuration(patience) << std::endl;
    }
    // Wakes early when interrupted.
    absl::MutexLock lock(&mutex);
    mutex.AwaitWithTimeout(absl::Condition(&interrupted), kReconnectPause);
  }
}

absl::Status Client::Watch(const std::string& name, absl::Time until, absl::Duration reconnect,
                           const std::function<bool(const v1::Job&)>& see) {
  return impl_->Follow(until, reconnect, /*to_the_end=*/false,
                       [&](grpc::ClientContext* context, bool* heard, bool* enough) {
                         const auto stream = impl_->stub->Watch(context, Named(name));
                         v1::Job job;
                         while (!*enough && stream->Read(&job)) {
                           *heard = true;
                           *enough = !see(job);
                         }
                         if (*enough) context->TryCancel();
                         return FromGrpcStatus(stream->Finish());
                       });
}

absl::Status Client::Logs(v1::LogsRequest request, absl::Duration reconnect,
                          const std::function<void(const v1::LogLine&)>& see) {
  return impl_->Follow(
      absl::InfiniteFuture(), reconnect, /*to_the_end=*/true,
      [&](grpc::ClientContext* context, bool* heard, bool*) {
        const auto stream = impl_->stub->Logs(context, request);
        v1::LogsReply reply;
        while (stream->Read(&reply)) {
          *heard = true;
          for (const v1::LogLine& line : reply.lines()) see(line);
          if (reply.lines_size() == 0) continue;
          // The next stream goes on behind what was seen.
          request.set_after_sequence(reply.lines(reply.lines_size() - 1).sequence());
          request.set_tail(0);
        }
        return FromGrpcStatus(stream->Finish());
      });
}

void Client::Interrupt() {
  absl::MutexLock lock(&impl_->mutex);
  impl_->interrupted = true;
  if (impl_->watching != nullptr) impl_->watching->TryCancel();
}

}  // namespace navit
