#include "cli/completion.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace navit {
namespace {

// What the first word of a command is.
enum class Word { kNone, kJob, kFile };

Word FirstWord(const Command& command) {
  const absl::string_view usage = command.usage;
  if (absl::StartsWith(usage, "JOB") || absl::StartsWith(usage, "[JOB")) return Word::kJob;
  if (absl::StartsWith(usage, "FILE")) return Word::kFile;
  return Word::kNone;
}

std::string Dashed(absl::string_view flag) {
  const absl::string_view name = absl::StripSuffix(flag, "!");
  return absl::StrCat(name.size() == 1 ? "-" : "--", name);
}

std::string AllFlags(const Command& command, const std::vector<std::string>& common_flags) {
  std::vector<std::string> flags;
  for (const auto& some : {command.flags, common_flags}) {
    for (const std::string& flag : some) flags.push_back(Dashed(flag));
  }
  return absl::StrJoin(flags, " ");
}

// Prints the names of all jobs, one a line.
constexpr char kJobNames[] = "navitctl list --call-timeout 1 2>/dev/null | awk 'NR > 1 {print $1}'";

// The arms of a `case` over commands that bash and zsh share.
std::string CaseArms(const std::vector<Command>& commands,
                     const std::vector<std::string>& common_flags) {
  std::string arms;
  for (const Command& command : commands) {
    const Word word = FirstWord(command);
    absl::StrAppend(&arms, "    ", command.name, ") flags='", AllFlags(command, common_flags),
                    "' words=",
                    word == Word::kJob    ? "job"
                    : word == Word::kFile ? "file"
                                          : "none",
                    " ;;\n");
  }
  return arms;
}

std::string Names(const std::vector<Command>& commands) {
  return absl::StrJoin(commands, " ", [](std::string* out, const Command& command) {
    absl::StrAppend(out, command.name);
  });
}

constexpr char kBash[] = R"sh(# bash completion of navitctl
_navitctl() {
  local current=${COMP_WORDS[COMP_CWORD]} command= flags= words=none i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ " @NAMES@ " == *" ${COMP_WORDS[i]} "* ]] && { command=${COMP_WORDS[i]}; break; }
  done
  if [[ -z $command ]]; then
    COMPREPLY=($(compgen -W '@NAMES@ --help --version --server' -- "$current"))
    return
  fi
  case $command in
@ARMS@  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [[ $words == job ]]; then
    COMPREPLY=($(compgen -W "$(@JOBS@)" -- "$current"))
  elif [[ $words == file ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -F _navitctl navitctl
)sh";

constexpr char kZsh[] = R"sh(#compdef navitctl
# zsh completion of navitctl
_navitctl() {
  local command= flags= words_of=none word
  for word in "${(@)words[2,CURRENT-1]}"; do
    [[ " @NAMES@ " == *" $word "* ]] && { command=$word; break; }
  done
  if [[ -z $command ]]; then
    compadd -- @NAMES@ --help --version --server
    return
  fi
  case $command in
@ARMS@  esac
  if [[ ${words[CURRENT]} == -* ]]; then
    compadd -- ${=flags}
  elif [[ $words_of == job ]]; then
    compadd -- ${(f)"$(@JOBS@)"}
  elif [[ $words_of == file ]]; then
    _files
  fi
}
# Autoloaded as a completion function, or sourced.
if [[ $funcstack[1] == _navitctl ]]; then
  _navitctl "$@"
elif (( $+functions[compdef] )); then
  compdef _navitctl navitctl
fi
)sh";

std::string Fish(const std::vector<Command>& commands,
                 const std::vector<std::string>& common_flags) {
  std::string script = "# fish completion of navitctl\ncomplete -c navitctl -f\n";
  const auto add_flag = [&](absl::string_view condition, absl::string_view flag) {
    const absl::string_view name = absl::StripSuffix(flag, "!");
    absl::StrAppend(&script, "complete -c navitctl", condition, name.size() == 1 ? " -s " : " -l ",
                    name, absl::EndsWith(flag, "!") ? "\n" : " -r\n");
  };
  for (const Command& command : commands) {
    const std::string summary = absl::StrReplaceAll(command.summary, {{"'", "\\'"}});
    absl::StrAppend(&script, "complete -c navitctl -n __fish_use_subcommand -a ", command.name,
                    " -d '", summary, "'\n");
    const std::string chosen = absl::StrCat(" -n '__fish_seen_subcommand_from ", command.name, "'");
    for (const std::string& flag : command.flags) add_flag(chosen, flag);
    if (FirstWord(command) == Word::kFile) {
      absl::StrAppend(&script, "complete -c navitctl", chosen, " -F\n");
    }
    if (FirstWord(command) == Word::kJob) {
      absl::StrAppend(&script, "complete -c navitctl", chosen, " -a \"(",
                      absl::StrReplaceAll(kJobNames, {{"$", "\\$"}}), ")\"\n");
    }
  }
  for (const std::string& flag : common_flags) add_flag("", flag);
  return script;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const std::string& shell,
                                             const std::vector<Command>& commands,
                                             const std::vector<std::string>& common_flags) {
  if (shell == "fish") return Fish(commands, common_flags);
  if (shell != "bash" && shell != "zsh") {
    return absl::InvalidArgumentError(
        absl::StrCat("completion: must be bash, zsh or fish, is `", shell, "`"));
  }
  std::string arms = CaseArms(commands, common_flags);
  // `words` is zsh's own.
  if (shell == "zsh") arms = absl::StrReplaceAll(arms, {{"' words=", "' words_of="}});
  return absl::StrReplaceAll(
      shell == "bash" ? kBash : kZsh,
      {{"@NAMES@", Names(commands)}, {"@ARMS@", arms}, {"@JOBS@", kJobNames}});
}

}  // namespace navit
