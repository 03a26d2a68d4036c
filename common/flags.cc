// ParseFlags and --help: absl's flags without its parser, because ours takes --listen-http and
// --listen_http alike, reads environment twins, and ends with status 2.
#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/lifecycle.h"

namespace navit {
namespace {

// Flags of this program's own files, by name; absl's internal ones are left out.
std::map<std::string, absl::CommandLineFlag*> OwnFlags() {
  std::map<std::string, absl::CommandLineFlag*> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (!flag->IsRetired() && !absl::StrContains(flag->Filename(), "absl/")) {
      flags[std::string(name)] = flag;
    }
  }
  return flags;
}

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("NAVIT_", absl::AsciiStrToUpper(flag));
}

std::string Dashed(const std::string& flag) { return absl::StrReplaceAll(flag, {{"_", "-"}}); }

absl::Status SetFlag(absl::CommandLineFlag* flag, const std::string& value,
                     const std::string& what) {
  std::string error;
  if (flag->ParseFrom(value, &error)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": '", value, "' is no value of it", error.empty() ? "" : ": ", error));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseFlags(
    const std::vector<std::string>& arguments,
    const std::function<const char*(const char*)>& environment) {
  const std::map<std::string, absl::CommandLineFlag*> flags = OwnFlags();
  for (const auto& [name, flag] : flags) {
    const std::string variable = EnvironmentName(name);
    const char* value = environment(variable.c_str());
    if (value == nullptr || *value == '\0') continue;
    if (absl::Status status = SetFlag(flag, value, variable); !status.ok()) return status;
  }
  std::vector<std::string> positional;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      positional.insert(positional.end(), arguments.begin() + static_cast<ptrdiff_t>(i) + 1,
                        arguments.end());
      break;
    }
    if (!absl::StartsWith(argument, "--")) {
      positional.push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    const bool has_value = equals != std::string::npos;
    const std::string given = argument.substr(0, equals);
    const std::string name = absl::StrReplaceAll(given.substr(2), {{"-", "_"}});
    auto found = flags.find(name);
    if (found == flags.end() && !has_value && absl::StartsWith(name, "no")) {
      const std::string positive = name.substr(absl::StartsWith(name, "no_") ? 3 : 2);
      auto boolean = flags.find(positive);
      if (boolean != flags.end() && boolean->second->IsOfType<bool>()) {
        if (absl::Status status = SetFlag(boolean->second, "false", given); !status.ok()) {
          return status;
        }
        continue;
      }
    }
    if (found == flags.end()) {
      return absl::InvalidArgumentError(absl::StrCat(given, ": no such flag; see --help"));
    }
    std::string value;
    if (has_value) {
      value = argument.substr(equals + 1);
    } else if (found->second->IsOfType<bool>()) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(given, ": its value is missing"));
    }
    if (absl::Status status = SetFlag(found->second, value, given); !status.ok()) return status;
  }
  return positional;
}

std::string HelpText(const ProgramInfo& info) {
  std::string text = absl::StrCat(info.name, ": ", info.summary, "\n\nusage: ", info.name, " ",
                                  info.usage, "\n\nflags, with their environment twins:\n");
  for (const auto& [name, flag] : OwnFlags()) {
    absl::StrAppend(&text, "  --", Dashed(name), ", ", EnvironmentName(name), "\n      ",
                    flag->Help());
    const std::string value = flag->DefaultValue();
    if (!value.empty()) absl::StrAppend(&text, " (default: ", value, ")");
    absl::StrAppend(&text, "\n");
  }
  absl::StrAppend(&text, "  --help\n  --version\n");
  return text;
}

}  // namespace navit
