// The Jobs service as navitctl uses it: one connection, a deadline on every call.
#ifndef NAVIT_CLI_CLIENT_H_
#define NAVIT_CLI_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/arguments.h"
#include "proto/jobs.pb.h"

namespace navit {

class Client {
 public:
  // From --server, NAVIT_SERVER (`server_variable`, may be null) or localhost:7440, and the TLS
  // flags. Does not connect yet. InvalidArgument: a flag.
  static absl::StatusOr<std::unique_ptr<Client>> Make(const Arguments& arguments,
                                                      const char* server_variable);
  ~Client();

  // Statuses as in jobs.proto; UNAVAILABLE or DEADLINE_EXCEEDED name the address.
  absl::StatusOr<v1::Job> Submit(const v1::JobSpec& spec);
  absl::StatusOr<v1::Job> Get(const std::string& name);
  absl::StatusOr<v1::ListReply> List();
  absl::StatusOr<v1::Job> Cancel(const std::string& name);
  absl::StatusOr<v1::Job> Pause(const std::string& name);
  absl::StatusOr<v1::Job> Resume(const std::string& name);
  absl::StatusOr<v1::Job> Retry(const std::string& name);
  // Each assignment as in UpdateRequest.
  absl::StatusOr<v1::Job> Update(const std::string& name,
                                 const std::vector<std::string>& assignments);
  absl::Status Delete(const std::string& name);
  absl::StatusOr<v1::ExplainReply> Explain(const std::string& name);
  // Lets a packer look at the data, if there is one.
  absl::StatusOr<v1::ValidateReply> Validate(const v1::JobSpec& spec);
  absl::StatusOr<v1::PreviewReply> Preview(const v1::PreviewRequest& request);
  absl::StatusOr<v1::ListCheckpointsReply> ListCheckpoints(const std::string& name);
  absl::StatusOr<v1::AuditReply> Audit(const v1::AuditRequest& request);
  // All steps.
  absl::StatusOr<v1::HistoryReply> History(const std::string& name);
  absl::StatusOr<v1::TelemetryReply> Telemetry(const std::string& name);
  absl::StatusOr<v1::ListWorkersReply> ListWorkers();
  absl::Status Drain(const std::string& worker);
  absl::Status Undrain(const std::string& worker);

  // Hands the job as it is, then after every change, to `see` until that returns false (OK), the
  // job is final (OK), `until` (DEADLINE_EXCEEDED) or Interrupt (CANCELLED). A coordinator that is
  // away for up to `reconnect` is waited for, and standard error says so.
  absl::Status Watch(const std::string& name, absl::Time until, absl::Duration reconnect,
                     const std::function<bool(const v1::Job&)>& see);
  // Hands every line that `request` asks for to `see`. Follows through a restart of the coordinator
  // as Watch does.
  absl::Status Logs(v1::LogsRequest request, absl::Duration reconnect,
                    const std::function<void(const v1::LogLine&)>& see);
  // Thread-safe; ends a Watch or Logs.
  void Interrupt();

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_CLI_CLIENT_H_
