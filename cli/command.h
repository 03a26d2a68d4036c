// The commands of navitctl: one table, one function each.
//
// Exit codes: 0 ok, 1 job failed, 2 usage or a wrong job file, 3 not found, 4 denied, 5 coordinator
// unavailable, 6 job cancelled, 7 conflict (exists, wrong state), 8 any other error, 124 wait timed
// out, 130 interrupted. Results go to stdout, messages to stderr.
#ifndef NAVIT_CLI_COMMAND_H_
#define NAVIT_CLI_COMMAND_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "google/protobuf/message.h"

namespace navit {

inline constexpr int kExitOk = 0;
inline constexpr int kExitJobFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCancelled = 6;
inline constexpr int kExitTimedOut = 124;
inline constexpr int kExitInterrupted = 130;

// What a command gets from main.
struct CommandContext {
  Arguments arguments;
  // NAVIT_SERVER, or null.
  const char* server_variable = nullptr;
};

struct Command {
  const char* name;
  // What follows the name, for --help.
  const char* usage;
  const char* summary;
  // How many words it takes.
  size_t min_words;
  size_t max_words;
  // Flags besides those of every command, as Arguments::Parse takes them.
  std::vector<std::string> flags;
  std::function<int(const CommandContext&)> run;
};

// Flags of every command, as Command::flags.
const std::vector<std::string>& CommonFlags();
// In the order of --help.
std::vector<Command> AllCommands();
std::vector<Command> JobCommands();
std::vector<Command> FollowCommands();
std::vector<Command> HistoryCommands();
std::vector<Command> FileCommands();
Command PreviewCommand();
Command ExportCommand();
Command EvaluateCommand();

// Prints `status` on stderr and returns its exit code.
int Fail(const absl::Status& status);
// The same for faults of a job file, whose lines name file, place and field themselves.
int FailJobFile(const absl::Status& status);
// Prints `message` as -o says (json, yaml), or `text` without -o. Returns the exit code.
int Print(const CommandContext& context, const google::protobuf::Message& message,
          const std::function<std::string()>& text);
absl::StatusOr<std::unique_ptr<Client>> MakeClient(const CommandContext& context);

// Reads the job file FILE (or - for standard input) with --set and --name applied, lets `prepare`,
// if there is one, complete it, and resolves it. INVALID_ARGUMENT: one line per fault.
absl::StatusOr<v1::JobSpec> ReadJob(
    const CommandContext& context, const std::string& file,
    const std::function<absl::Status(v1::JobSpec*)>& prepare = nullptr);

// Follows the job to its end with a progress line on stderr; returns the exit code of its outcome.
int Follow(const CommandContext& context, Client* client, const std::string& name);

}  // namespace navit

#endif  // NAVIT_CLI_COMMAND_H_
