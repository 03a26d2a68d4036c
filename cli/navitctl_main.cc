// navitctl: what a person needs of navit.
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/command.h"

namespace {

void PrintUsage(std::ostream& out) {
  out << "navitctl: submits, follows and steers training jobs\n\n"
         "usage: navitctl COMMAND [ARGUMENTS] [FLAGS]\n\n"
         "commands:\n";
  for (const navit::Command& command : navit::AllCommands()) {
    out << "  " << command.name << " " << command.usage << "\n      " << command.summary << "\n";
  }
  out << "\nflags of every command:\n"
         "  --server HOST:PORT\n"
         "      the coordinator; else NAVIT_SERVER, else localhost:7440\n"
         "  -o json|yaml\n"
         "      print for programs\n"
         "  --call-timeout SECONDS\n"
         "      deadline of one call (10)\n"
         "  --tls-ca, --tls-cert, --tls-key, --tls-server-name\n"
         "      PEM files, and the name expected in the coordinator's certificate\n"
         "\nexit codes:\n"
         "  0 ok, 1 job failed, 2 usage or wrong job file, 3 not found, 4 denied,\n"
         "      5 coordinator unavailable, 6 job cancelled, 7 conflict, 8 other, 124 timed out,\n"
         "      130 interrupted\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  // Flags of every command may stand before the command.
  size_t at = 0;
  while (at < words.size() && words[at].size() > 1 && words[at][0] == '-') {
    if (words[at] == "--help") {
      PrintUsage(std::cout);
      return navit::kExitOk;
    }
    if (words[at] == "--version") words[at] = "version";
    if (words[at][0] != '-') break;
    at += words[at].find('=') == std::string::npos && words[at] != "--" ? 2 : 1;
  }
  if (at >= words.size()) {
    PrintUsage(std::cerr);
    return navit::kExitUsage;
  }
  const std::string name = words[at];
  words.erase(words.begin() + at);
  for (const navit::Command& command : navit::AllCommands()) {
    if (name != command.name) continue;
    std::vector<std::string> flags = navit::CommonFlags();
    flags.insert(flags.end(), command.flags.begin(), command.flags.end());
    auto arguments = navit::Arguments::Parse(words, flags);
    if (!arguments.ok()) return navit::Fail(arguments.status());
    const std::string usage =
        absl::StrCat("usage: navitctl ", command.name, " ", command.usage, "\n");
    if (arguments->Has("help")) {
      std::cout << usage << command.summary << "\n";
      return navit::kExitOk;
    }
    if (arguments->words().size() < command.min_words ||
        arguments->words().size() > command.max_words) {
      std::cerr << usage;
      return navit::kExitUsage;
    }
    navit::CommandContext context;
    context.arguments = *std::move(arguments);
    context.server_variable = std::getenv("NAVIT_SERVER");
    return command.run(context);
  }
  std::cerr << "navitctl: no command `" << name << "`; see navitctl --help\n";
  return navit::kExitUsage;
}
