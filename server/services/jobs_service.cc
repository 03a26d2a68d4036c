#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/field_violations.h"
#include "common/files.h"
#include "common/job_spec/pin_prompts.h"
#include "common/job_spec/pin_tokenizer.h"
#include "common/job_spec/pin_weights.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/update.h"
#include "common/job_spec/validate.h"
#include "common/log.h"
#include "proto/jobs.grpc.pb.h"
#include "server/services/calls.h"
#include "server/services/logs_stream.h"
#include "server/services/services.h"
#include "server/views.h"

namespace navit {
namespace {

bool IsFinal(v1::JobState state) {
  return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED;
}

// Whether files can be made in `folder`, which is made if absent.
absl::Status CheckWritable(const std::string& folder) {
  const absl::Status made = EnsureFolder(folder);
  if (!made.ok()) return made;
  std::string probe = folder + "/.navit-write-test-XXXXXX";
  const int fd = mkstemp(probe.data());
  if (fd < 0) return FileError("create a file in", folder, errno);
  close(fd);
  unlink(probe.c_str());
  return absl::OkStatus();
}

// Puts the folder of the checkpoint that init_from.job names into init_from.checkpoint; a spec that
// was submitted before has it.
std::vector<FieldViolation> PinCheckpoint(CoordinatorHost* host, v1::InitFromSpec* from) {
  if (from->job().empty() || !from->checkpoint().empty()) return {};
  absl::StatusOr<v1::ListCheckpointsReply> kept;
  host->Call(
      [&](Coordinator& core, PackBytes&, Instant) { kept = core.ListCheckpoints(from->job()); });
  if (!kept.ok()) return {{"init_from.job", std::string(kept.status().message())}};
  uint64_t newest = 0;
  for (const v1::ListCheckpointsReply::Checkpoint& checkpoint : kept->checkpoints()) {
    if (from->has_step() ? checkpoint.step() != from->step() : checkpoint.step() < newest) continue;
    newest = checkpoint.step();
    from->set_checkpoint(checkpoint.path());
  }
  if (!from->checkpoint().empty()) return {};
  return {{from->has_step() ? "init_from.step" : "init_from.job",
           absl::StrCat("job ", from->job(), " has no such checkpoint")}};
}

absl::Status ResolveAndValidate(CoordinatorHost* host, ObjectStore* store, v1::JobSpec* spec) {
  ResolveJobSpec(spec);
  std::vector<FieldViolation> violations = ValidateJobSpec(*spec);
  if (violations.empty()) violations = PinCheckpoint(host, spec->mutable_init_from());
  if (violations.empty()) violations = PinWeights(store, spec);
  if (violations.empty()) violations = PinTokenizer(store, spec);
  if (violations.empty()) violations = PinPrompts(store, spec);
  return violations.empty() ? absl::OkStatus() : InvalidFields(violations);
}

void DescribeSpec(const v1::JobSpec& spec, v1::ValidateReply* reply) {
  const auto line = [reply](const auto&... parts) { reply->add_lines(absl::StrCat(parts...)); };
  line("job: ", spec.name());
  line("sequences per step: ", spec.packing().sequences_per_step(), " of ",
       spec.packing().sequence_length(), " image tokens");
  line("trainers: ", spec.workers().trainers().min(), " to ", spec.workers().trainers().max());
  line("packers: ", spec.workers().packers().min(), " to ", spec.workers().packers().max());
  *reply->mutable_resolved() = spec;
}

// The job now, then after every change that Get shows.
class WatchStream : public ServerStream<grpc::ServerWriteReactor<v1::Job>> {
 public:
  WatchStream(const ServiceContext& context, grpc::CallbackServerContext* call, std::string name)
      : ServerStream(context, call, "Jobs.Watch"), name_(std::move(name)) {}

 private:
  void Continue() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing()) return;
    absl::Status status;
    const bool changed = host()->Call([&](Coordinator& core, PackBytes&, Instant) {
      const uint64_t revision = core.JobRevision(name_);
      if (revision != 0 && revision == sent_revision_) return false;
      status = Put(core.Get(name_), &job_);
      sent_revision_ = revision;
      return true;
    });
    if (!status.ok()) return End(status);
    if (!changed) return;
    Write(&job_);
    if (IsFinal(job_.state())) End(absl::OkStatus());
  }

  const std::string name_;
  uint64_t sent_revision_ ABSL_GUARDED_BY(mutex_) = 0;
  v1::Job job_ ABSL_GUARDED_BY(mutex_);
};

class JobsService : public v1::Jobs::CallbackService {
 public:
  JobsService(ServiceContext context, TelemetryBook* telemetry, JobLogs* logs,
              std::shared_ptr<ObjectStore> store)
      : context_(context), telemetry_(telemetry), logs_(logs), store_(std::move(store)) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* call,
                                   const v1::SubmitRequest* request, v1::Job* reply) override {
    return Answer(context_, call, "Jobs.Submit", [&]() -> absl::Status {
      v1::SubmitRequest resolved = *request;
      const absl::Status valid =
          ResolveAndValidate(context_.host, store_.get(), resolved.mutable_spec());
      if (!valid.ok()) return valid;
      const absl::Status writable = CheckWritable(resolved.spec().checkpoints().directory());
      if (!writable.ok()) {
        return InvalidFields({{"checkpoints.directory", std::string(writable.message())}});
      }
      return Core(
          [&](Coordinator& core, Instant now) { return Put(core.Submit(resolved, now), reply); });
    });
  }

  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* call,
                                     const v1::ValidateRequest* request,
                                     v1::ValidateReply* reply) override {
    v1::JobSpec spec = request->spec();
    const absl::Status valid = ResolveAndValidate(context_.host, store_.get(), &spec);
    if (valid.ok()) DescribeSpec(spec, reply);
    if (!valid.ok() || !request->look_at_data()) {
      return Answer(context_, call, "Jobs.Validate", [&] { return valid; });
    }
    // Number of no probe: there is no packer, which leaves the spec valid.
    constexpr uint64_t kNone = 0;
    return ByPackers(
        call, "Jobs.Validate", "no packer has looked at the data yet",
        [spec, reply](Coordinator& core, Instant) -> absl::StatusOr<uint64_t> {
          absl::StatusOr<uint64_t> probe = core.StartForecast(spec);
          if (!absl::IsUnavailable(probe.status())) return probe;
          reply->add_lines(absl::StrCat("data: not looked at: ", probe.status().message()));
          return kNone;
        },
        [reply](Coordinator& core, uint64_t probe) -> std::optional<absl::Status> {
          if (probe == kNone) return absl::OkStatus();
          auto result = core.ProbeResult(probe);
          if (!result.has_value()) return std::nullopt;
          if (result->ok()) *reply->mutable_forecast() = std::move(*(*result)->mutable_forecast());
          return result->status();
        },
        &Coordinator::DropProbe);
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* call, const v1::JobRequest* request,
                                v1::Job* reply) override {
    return Now(call, "Jobs.Get",
               [=](Coordinator& core, Instant) { return Put(core.Get(request->name()), reply); });
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* call, const v1::ListRequest*,
                                 v1::ListReply* reply) override {
    return Now(call, "Jobs.List", [=](Coordinator& core, Instant) {
      *reply = core.List();
      return absl::OkStatus();
    });
  }

  grpc::ServerWriteReactor<v1::Job>* Watch(grpc::CallbackServerContext* call,
                                           const v1::JobRequest* request) override {
    auto stream = std::make_shared<WatchStream>(context_, call, request->name());
    stream->Begin(stream);
    return stream.get();
  }

  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* call,
                                   const v1::JobMutation* request, v1::Job* reply) override {
    return Mutate(call, "Jobs.Cancel", &Coordinator::Cancel, request, reply);
  }
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext* call, const v1::JobMutation* request,
                                  v1::Job* reply) override {
    return Mutate(call, "Jobs.Pause", &Coordinator::Pause, request, reply);
  }
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext* call,
                                   const v1::JobMutation* request, v1::Job* reply) override {
    return Mutate(call, "Jobs.Resume", &Coordinator::Resume, request, reply);
  }
  grpc::ServerUnaryReactor* Retry(grpc::CallbackServerContext* call, const v1::JobMutation* request,
                                  v1::Job* reply) override {
    return Mutate(call, "Jobs.Retry", &Coordinator::Retry, request, reply);
  }

  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* call,
                                   const v1::UpdateRequest* request, v1::Job* reply) override {
    return Now(call, "Jobs.Update", [=](Coordinator& core, Instant now) -> absl::Status {
      absl::StatusOr<v1::Job> job = core.Get(request->name());
      if (!job.ok()) return job.status();
      const std::vector<FieldViolation> violations = UpdateSpec(
          {request->assignments().begin(), request->assignments().end()}, job->mutable_spec());
      if (!violations.empty()) return InvalidFields(violations);
      return Put(core.Update(*request, job->spec(), now), reply);
    });
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* call,
                                   const v1::JobMutation* request,
                                   google::protobuf::Empty*) override {
    return Now(call, "Jobs.Delete", [=, this](Coordinator& core, Instant now) {
      const absl::Status deleted = core.Delete(*request, now);
      if (deleted.ok()) {
        telemetry_->Forget(request->name(), now.unix_time);
        if (!logs_->Drop(request->name()).ok()) NAVIT_LOG(WARNING) << "log files of a job stay";
      }
      return deleted;
    });
  }

  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* call,
                                    const v1::JobRequest* request,
                                    v1::ExplainReply* reply) override {
    return Now(call, "Jobs.Explain", [=](Coordinator& core, Instant now) {
      return Put(core.Explain(request->name(), now), reply);
    });
  }

  grpc::ServerUnaryReactor* ListCheckpoints(grpc::CallbackServerContext* call,
                                            const v1::JobRequest* request,
                                            v1::ListCheckpointsReply* reply) override {
    return Now(call, "Jobs.ListCheckpoints", [=](Coordinator& core, Instant) {
      return Put(core.ListCheckpoints(request->name()), reply);
    });
  }

  grpc::ServerUnaryReactor* History(grpc::CallbackServerContext* call,
                                    const v1::HistoryRequest* request,
                                    v1::HistoryReply* reply) override {
    return Now(call, "Jobs.History",
               [=](Coordinator& core, Instant) { return Put(core.History(*request), reply); });
  }

  grpc::ServerUnaryReactor* Telemetry(grpc::CallbackServerContext* call,
                                      const v1::JobRequest* request,
                                      v1::TelemetryReply* reply) override {
    return Answer(context_, call, "Jobs.Telemetry", [&] {
      return Put(TelemetryOf(request->name(), context_.host, *telemetry_), reply);
    });
  }

  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* call,
                                  const v1::WorkerRequest* request,
                                  google::protobuf::Empty*) override {
    return Now(call, "Jobs.Drain", [=](Coordinator& core, Instant now) {
      return core.SetDrained(request->name(), true, now);
    });
  }
  grpc::ServerUnaryReactor* Undrain(grpc::CallbackServerContext* call,
                                    const v1::WorkerRequest* request,
                                    google::protobuf::Empty*) override {
    return Now(call, "Jobs.Undrain", [=](Coordinator& core, Instant now) {
      return core.SetDrained(request->name(), false, now);
    });
  }

  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* call,
                                        const google::protobuf::Empty*,
                                        v1::ListWorkersReply* reply) override {
    return Now(call, "Jobs.ListWorkers", [=](Coordinator& core, Instant now) {
      *reply = core.ListWorkers(now);
      return absl::OkStatus();
    });
  }

  grpc::ServerWriteReactor<v1::LogsReply>* Logs(grpc::CallbackServerContext* call,
                                                const v1::LogsRequest* request) override {
    return StartLogsStream(context_, call, *request, logs_);
  }

  grpc::ServerUnaryReactor* Audit(grpc::CallbackServerContext* call,
                                  const v1::AuditRequest* request, v1::AuditReply* reply) override {
    return ByPackers(
        call, "Jobs.Audit", "the packers have not planned all windows again yet",
        [=](Coordinator& core, Instant now) { return core.StartAudit(*request, now); },
        [=](Coordinator& core, uint64_t audit) -> std::optional<absl::Status> {
          auto result = core.AuditResult(audit);
          if (!result.has_value()) return std::nullopt;
          return Put(*std::move(result), reply);
        },
        &Coordinator::DropAudit);
  }

  grpc::ServerUnaryReactor* Preview(grpc::CallbackServerContext* call,
                                    const v1::PreviewRequest* request,
                                    v1::PreviewReply* reply) override {
    v1::PreviewRequest resolved = *request;
    if (request->has_spec()) {
      const absl::Status valid =
          ResolveAndValidate(context_.host, store_.get(), resolved.mutable_spec());
      if (!valid.ok()) return Answer(context_, call, "Jobs.Preview", [&] { return valid; });
    }
    return ByPackers(
        call, "Jobs.Preview", "no packer has made the picture yet",
        [resolved](Coordinator& core, Instant) { return core.StartPreview(resolved); },
        [=](Coordinator& core, uint64_t probe) -> std::optional<absl::Status> {
          auto result = core.ProbeResult(probe);
          if (!result.has_value()) return std::nullopt;
          if (result->ok()) *reply = std::move(*(*result)->mutable_preview());
          return result->status();
        },
        &Coordinator::DropProbe);
  }

 private:
  template <typename F>
  absl::Status Core(F f) {
    return context_.host->Call(
        [&](Coordinator& core, PackBytes&, Instant now) -> absl::Status { return f(core, now); });
  }
  template <typename F>
  grpc::ServerUnaryReactor* Now(grpc::CallbackServerContext* call, const char* method, F f) {
    return Answer(context_, call, method, [&] { return Core(f); });
  }
  // A call that packers do the work of: `start` gives its number, `result` fills the reply once
  // there is one.
  grpc::ServerUnaryReactor* ByPackers(
      grpc::CallbackServerContext* call, const char* method, const char* late,
      std::function<absl::StatusOr<uint64_t>(Coordinator&, Instant)> start,
      std::function<std::optional<absl::Status>(Coordinator&, uint64_t)> result,
      void (Coordinator::*drop)(uint64_t)) {
    auto number = std::make_shared<std::optional<uint64_t>>();
    WaitingCallback callback;
    callback.attempt = [=, host = context_.host]() -> std::optional<absl::Status> {
      return host->Call(
          [&](Coordinator& core, PackBytes&, Instant now) -> std::optional<absl::Status> {
            if (!number->has_value()) {
              const absl::StatusOr<uint64_t> started = start(core, now);
              if (!started.ok()) return started.status();
              *number = *started;
            }
            const std::optional<absl::Status> status = result(core, **number);
            if (status.has_value()) number->reset();
            return status;
          });
    };
    callback.abandoned = [=, host = context_.host] {
      if (!number->has_value()) return;
      host->Call([&](Coordinator& core, PackBytes&, Instant) {
        (core.*drop)(**number);
        return 0;
      });
    };
    callback.timed_out = [late] { return absl::DeadlineExceededError(late); };
    return AnswerLater(context_, call, method, std::move(callback));
  }
  using Mutation = absl::StatusOr<v1::Job> (Coordinator::*)(const v1::JobMutation&, Instant);
  grpc::ServerUnaryReactor* Mutate(grpc::CallbackServerContext* call, const char* method,
                                   Mutation mutation, const v1::JobMutation* request,
                                   v1::Job* reply) {
    return Now(call, method, [=](Coordinator& core, Instant now) {
      return Put((core.*mutation)(*request, now), reply);
    });
  }

  const ServiceContext context_;
  TelemetryBook* const telemetry_;
  JobLogs* const logs_;
  const std::shared_ptr<ObjectStore> store_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeJobsService(CoordinatorHost* host, ServerMetrics* metrics,
                                               TelemetryBook* telemetry, JobLogs* logs,
                                               std::shared_ptr<ObjectStore> store) {
  return std::make_unique<JobsService>(ServiceContext{host, metrics}, telemetry, logs,
                                       std::move(store));
}

}  // namespace navit
