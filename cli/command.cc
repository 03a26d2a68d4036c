#include "cli/command.h"

#include <iostream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/field_violations.h"
#include "common/job_spec/print.h"

namespace navit {

const std::vector<std::string>& CommonFlags() {
  static const auto* flags = new std::vector<std::string>{
      "server", "o", "call-timeout", "tls-ca", "tls-cert", "tls-key", "tls-server-name", "help!"};
  return *flags;
}

std::vector<Command> AllCommands() {
  std::vector<Command> all = JobCommands();
  for (auto group : {FollowCommands(), HistoryCommands(), FileCommands()}) {
    std::move(group.begin(), group.end(), std::back_inserter(all));
  }
  return all;
}

namespace {

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return 4;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return 5;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return 7;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:
      return 8;
  }
}

}  // namespace

int Fail(const absl::Status& status) {
  const std::vector<FieldViolation> violations = FieldViolationsOf(status);
  for (const FieldViolation& violation : violations) {
    std::cerr << violation.path << ": " << violation.message << "\n";
  }
  if (violations.empty()) std::cerr << "navitctl: " << status.message() << "\n";
  return ExitCode(status);
}

int FailJobFile(const absl::Status& status) {
  std::cerr << status.message() << "\n";
  return ExitCode(status);
}

int Print(const CommandContext& context, const google::protobuf::Message& message,
          const std::function<std::string()>& text) {
  const std::string format = context.arguments.Get("o", "");
  if (format.empty()) {
    std::cout << text();
  } else if (format == "json") {
    std::cout << ToJson(message);
  } else if (format == "yaml") {
    std::cout << ToYaml(message);
  } else {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("-o: must be json or yaml, is `", format, "`")));
  }
  return kExitOk;
}

absl::StatusOr<std::unique_ptr<Client>> MakeClient(const CommandContext& context) {
  return Client::Make(context.arguments, context.server_variable);
}

}  // namespace navit
