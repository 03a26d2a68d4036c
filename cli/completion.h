// Shell completion of navitctl, made from its table of commands.
#ifndef NAVIT_CLI_COMPLETION_H_
#define NAVIT_CLI_COMPLETION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/command.h"

namespace navit {

// The script for `shell`: bash, zsh or fish. It completes commands, flags (`common_flags` after
// every command), files where a command takes one, and the names of jobs, which it asks the
// coordinator for, with a second's patience. InvalidArgument: another shell.
absl::StatusOr<std::string> CompletionScript(const std::string& shell,
                                             const std::vector<Command>& commands,
                                             const std::vector<std::string>& common_flags);

}  // namespace navit

#endif  // NAVIT_CLI_COMPLETION_H_
