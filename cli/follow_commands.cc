// Commands that stay until something has happened: watch, wait.
#include <unistd.h>

#include <iostream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/text.h"
#include "common/job_spec/print.h"
#include "common/lifecycle.h"

namespace navit {
namespace {

constexpr absl::Duration kPlainLineEvery = absl::Seconds(10);

// Ctrl-C ends the watching, never the job.
class Detacher {
 public:
  explicit Detacher(Client* client) {
    signals_.OnRequest([client] { client->Interrupt(); });
  }

 private:
  ShutdownSignals signals_;
};

// A line that is written over on a terminal; elsewhere one every 10 s and at each change of state.
class Progress {
 public:
  void Show(const v1::Job& job) {
    const absl::Time now = absl::Now();
    const std::string line = ProgressLine(job, absl::ToDoubleSeconds(now - absl::UnixEpoch()));
    if (terminal_) {
      std::cerr << "\r\033[K" << job.name() << "  " << line << std::flush;
    } else if (job.state() != state_ || now - shown_ >= kPlainLineEvery || IsFinal(job.state())) {
      std::cerr << job.name() << "  " << line << "\n";
      shown_ = now;
    }
    state_ = job.state();
  }
  void End() {
    if (terminal_) std::cerr << "\n";
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  v1::JobState state_ = v1::JOB_STATE_UNSPECIFIED;
  absl::Time shown_ = absl::InfinitePast();
};

int Outcome(const v1::Job& job) {
  switch (job.state()) {
    case v1::FAILED:
      std::cerr << job.name() << " failed: " << job.reason() << "\n";
      return kExitJobFailed;
    case v1::CANCELLED:
      std::cerr << job.name() << " was cancelled\n";
      return kExitCancelled;
    default:
      return kExitOk;
  }
}

absl::StatusOr<absl::Duration> ReconnectTimeout(const CommandContext& context) {
  const auto seconds = context.arguments.Number("reconnect-timeout", 300);
  if (!seconds.ok()) return seconds.status();
  return absl::Seconds(*seconds);
}

// The job when it was final; else the exit code.
int WatchToEnd(const CommandContext& context, Client* client, const std::string& name,
               v1::Job* last) {
  const auto reconnect = ReconnectTimeout(context);
  if (!reconnect.ok()) return Fail(reconnect.status());
  Detacher detacher(client);
  Progress progress;
  const absl::Status status =
      client->Watch(name, absl::InfiniteFuture(), *reconnect, [&](const v1::Job& job) {
        progress.Show(job);
        *last = job;
        return !IsFinal(job.state());
      });
  progress.End();
  if (absl::IsCancelled(status)) {
    std::cerr << name << " goes on; come back with: navitctl watch " << name << "\n";
    return kExitInterrupted;
  }
  return status.ok() ? kExitOk : Fail(status);
}

int Watch(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  v1::Job job;
  return WatchToEnd(context, client->get(), context.arguments.words()[0], &job);
}

// What `wait` waits for.
struct Goal {
  std::optional<uint64_t> step;
  std::string state;

  bool Reached(const v1::Job& job) const {
    if (step) return job.committed_step() >= *step || job.state() == v1::SUCCEEDED;
    return StateName(job.state()) == state;
  }
};

absl::StatusOr<Goal> ParseGoal(const std::string& text) {
  Goal goal;
  uint64_t step = 0;
  if (absl::StartsWith(text, "step=") && absl::SimpleAtoi(text.substr(5), &step)) {
    goal.step = step;
    return goal;
  }
  for (int number = v1::QUEUED; number <= v1::CANCELLED; ++number) {
    if (StateName(static_cast<v1::JobState>(number)) == text) {
      goal.state = text;
      return goal;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--for: must be a state or step=N, is `", text, "`"));
}

int Wait(const CommandContext& context) {
  const auto goal = ParseGoal(context.arguments.Get("for", "succeeded"));
  if (!goal.ok()) return Fail(goal.status());
  const auto timeout = context.arguments.Number("timeout", 0);
  if (!timeout.ok()) return Fail(timeout.status());
  const auto reconnect = ReconnectTimeout(context);
  if (!reconnect.ok()) return Fail(reconnect.status());
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const std::string& name = context.arguments.words()[0];
  Detacher detacher(client->get());
  const absl::Time until =
      *timeout > 0 ? absl::Now() + absl::Seconds(*timeout) : absl::InfiniteFuture();
  v1::Job last;
  const absl::Status status = (*client)->Watch(name, until, *reconnect, [&](const v1::Job& job) {
    last = job;
    return !goal->Reached(job) && !IsFinal(job.state());
  });
  if (absl::IsDeadlineExceeded(status)) {
    std::cerr << name << ": timed out in state " << StateName(last.state()) << ", step "
              << last.committed_step() << "\n";
    return kExitTimedOut;
  }
  if (!status.ok()) return Fail(status);
  if (goal->Reached(last)) return kExitOk;
  if (last.state() == v1::SUCCEEDED) {
    std::cerr << name << " succeeded without having been " << goal->state << "\n";
    return 8;
  }
  return Outcome(last);
}

// "90", "15m", "2h": ago; nullopt when it is neither.
std::optional<double> SinceSeconds(const std::string& text) {
  absl::Duration ago;
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds) && seconds >= 0) {
    ago = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &ago) || ago < absl::ZeroDuration()) {
    return std::nullopt;
  }
  return absl::ToDoubleSeconds(absl::Now() - ago - absl::UnixEpoch());
}

int Logs(const CommandContext& context) {
  const Arguments& arguments = context.arguments;
  v1::LogsRequest request;
  request.set_name(arguments.words()[0]);
  request.set_follow(arguments.Has("f") || arguments.Has("follow"));
  uint32_t number = 0;
  if (arguments.Has("tail")) {
    if (!absl::SimpleAtoi(arguments.Get("tail", ""), &number) || number == 0) {
      return Fail(absl::InvalidArgumentError("--tail: must be a number of lines, at least 1"));
    }
    request.set_tail(number);
  }
  if (arguments.Has("rank")) {
    if (!absl::SimpleAtoi(arguments.Get("rank", ""), &number)) {
      return Fail(absl::InvalidArgumentError("--rank: must be the number of a rank"));
    }
    request.set_rank(number);
  }
  request.set_packer(arguments.Get("packer", ""));
  if (arguments.Has("since")) {
    const std::optional<double> since = SinceSeconds(arguments.Get("since", ""));
    if (!since) {
      return Fail(absl::InvalidArgumentError("--since: must be a time span as in 90, 15m or 2h"));
    }
    request.set_since_seconds(*since);
  }
  const std::string format = arguments.Get("o", "");
  if (!format.empty() && format != "json") {
    return Fail(absl::InvalidArgumentError("-o: logs are text or json, a line each"));
  }
  const auto reconnect = ReconnectTimeout(context);
  if (!reconnect.ok()) return Fail(reconnect.status());
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  Detacher detacher(client->get());
  const absl::Status status =
      (*client)->Logs(std::move(request), *reconnect, [&](const v1::LogLine& line) {
        std::cout << (format.empty() ? LogText(line) : ToJsonLine(line)) << std::flush;
      });
  if (absl::IsCancelled(status)) return kExitInterrupted;
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace

int Follow(const CommandContext& context, Client* client, const std::string& name) {
  v1::Job job;
  const int code = WatchToEnd(context, client, name, &job);
  return code == kExitOk ? Outcome(job) : code;
}

std::vector<Command> FollowCommands() {
  return {
      {"watch",
       "JOB [--reconnect-timeout SECONDS]",
       "show a job's progress until it ends",
       1,
       1,
       {"reconnect-timeout"},
       Watch},
      {"logs",
       "JOB [-f] [--tail N] [--since SPAN] [--rank R] [--packer NAME] [-o json]",
       "log lines of a job's workers; -f stays until the job ends",
       1,
       1,
       {"f!", "follow!", "tail", "since", "rank", "packer", "reconnect-timeout"},
       Logs},
      {"wait",
       "JOB [--for STATE|step=N] [--timeout SECONDS]",
       "wait for a state (default succeeded) or a step",
       1,
       1,
       {"for", "timeout", "reconnect-timeout"},
       Wait},
  };
}

}  // namespace navit
