// Commands that are one call: ask, print.
#include <iostream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/text.h"
#include "common/job_spec/print.h"

namespace navit {
namespace {

int List(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->List();
  if (!reply.ok()) return Fail(reply.status());
  return Print(context, *reply, [&] { return JobsTable(*reply); });
}

// -o yaml|json give the job; `--spec` its spec alone, which can be submitted again.
int Get(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto job = (*client)->Get(context.arguments.words()[0]);
  if (!job.ok()) return Fail(job.status());
  if (context.arguments.Has("spec")) {
    return Print(context, job->spec(), [&] { return ToYaml(job->spec()); });
  }
  return Print(context, *job, [&] {
    v1::ListReply one;
    *one.add_jobs() = *job;
    return JobsTable(one);
  });
}

int Describe(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto job = (*client)->Get(context.arguments.words()[0]);
  if (!job.ok()) return Fail(job.status());
  const auto history = (*client)->History(context.arguments.words()[0]);
  if (!history.ok()) return Fail(history.status());
  // A coordinator of the version before has no telemetry.
  const auto telemetry = (*client)->Telemetry(context.arguments.words()[0]);
  return Print(context, *job, [&] {
    return Description(*job, *history) + (telemetry.ok() ? VerdictText(*telemetry) : "");
  });
}

int Why(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->Explain(context.arguments.words()[0]);
  if (!reply.ok()) return Fail(reply.status());
  return Print(context, *reply, [&] { return absl::StrJoin(reply->lines(), "\n") + "\n"; });
}

int Checkpoints(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->ListCheckpoints(context.arguments.words()[0]);
  if (!reply.ok()) return Fail(reply.status());
  return Print(context, *reply, [&] { return CheckpointsTable(*reply); });
}

int Workers(const CommandContext& context) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->ListWorkers();
  if (!reply.ok()) return Fail(reply.status());
  return Print(context, *reply, [&] { return WorkersTable(*reply); });
}

int Audit(const CommandContext& context) {
  v1::AuditRequest request;
  request.set_name(context.arguments.words()[0]);
  if (context.arguments.Has("steps")) {
    const std::pair<std::string, std::string> range =
        absl::StrSplit(context.arguments.Get("steps", ""), absl::MaxSplits('-', 1));
    uint64_t first = 0;
    uint64_t last = 0;
    if (!absl::SimpleAtoi(range.first, &first) || !absl::SimpleAtoi(range.second, &last) ||
        first == 0 || last < first) {
      return Fail(absl::InvalidArgumentError("--steps: must be FIRST-LAST, as in 1-200"));
    }
    request.set_first_step(first);
    request.set_last_step(last);
  }
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->Audit(request);
  if (!reply.ok()) return Fail(reply.status());
  return Print(context, *reply, [&] { return AuditText(*reply); });
}

int Mutate(const CommandContext& context,
           absl::StatusOr<v1::Job> (Client::*call)(const std::string&)) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto job = (client->get()->*call)(context.arguments.words()[0]);
  if (!job.ok()) return Fail(job.status());
  return Print(context, *job, [&] { return absl::StrCat(StateName(job->state()), "\n"); });
}

int Update(const CommandContext& context) {
  const std::vector<std::string> assignments = context.arguments.All("set");
  if (assignments.empty()) {
    return Fail(absl::InvalidArgumentError("update: needs --set FIELD=VALUE at least once"));
  }
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto job = (*client)->Update(context.arguments.words()[0], assignments);
  if (!job.ok()) return Fail(job.status());
  return Print(context, *job, [&] { return absl::StrCat(StateName(job->state()), "\n"); });
}

// A call that answers nothing.
int Order(const CommandContext& context, absl::Status (Client::*call)(const std::string&)) {
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const absl::Status status = (client->get()->*call)(context.arguments.words()[0]);
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace

std::vector<Command> JobCommands() {
  const auto mutation = [](absl::StatusOr<v1::Job> (Client::*call)(const std::string&)) {
    return [call](const CommandContext& context) { return Mutate(context, call); };
  };
  const auto order = [](absl::Status (Client::*call)(const std::string&)) {
    return [call](const CommandContext& context) { return Order(context, call); };
  };
  return {
      {"list", "", "all jobs", 0, 0, {}, List},
      {"get",
       "JOB [--spec]",
       "one job; --spec: its spec alone, fit to be submitted again",
       1,
       1,
       {"spec!"},
       Get},
      {"describe",
       "JOB",
       "state, loss, packing, scores and checkpoint of a job",
       1,
       1,
       {},
       Describe},
      {"why", "JOB", "why a job waits, or what it does", 1, 1, {}, Why},
      {"cancel", "JOB", "end a job", 1, 1, {}, mutation(&Client::Cancel)},
      {"pause",
       "JOB",
       "commit the step, write a checkpoint, free the workers",
       1,
       1,
       {},
       mutation(&Client::Pause)},
      {"resume", "JOB", "undo pause", 1, 1, {}, mutation(&Client::Resume)},
      {"retry",
       "JOB",
       "go on from the last checkpoint of a failed or cancelled job",
       1,
       1,
       {},
       mutation(&Client::Retry)},
      {"update",
       "JOB --set FIELD=VALUE...",
       "change workers, priority, cadences, budgets or time-outs of a submitted job",
       1,
       1,
       {"set"},
       Update},
      {"delete",
       "JOB",
       "forget a finished job; its checkpoints stay",
       1,
       1,
       {},
       order(&Client::Delete)},
      {"checkpoints", "JOB", "the checkpoints of a job", 1, 1, {}, Checkpoints},
      {"audit",
       "JOB [--steps FIRST-LAST]",
       "which samples the committed steps have seen",
       1,
       1,
       {"steps"},
       Audit},
      {"workers", "", "packers and trainers", 0, 0, {}, Workers},
      {"drain",
       "WORKER",
       "no new work for a worker; a trainer leaves its job after a step, with a checkpoint",
       1,
       1,
       {},
       order(&Client::Drain)},
      {"undrain", "WORKER", "undo drain", 1, 1, {}, order(&Client::Undrain)},
  };
}

}  // namespace navit
