// Commands around the job file.
#include <iostream>
#include <iterator>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/expectation.h"
#include "cli/forecast_text.h"
#include "common/files.h"
#include "common/job_spec/documentation.h"
#include "common/job_spec/parse.h"
#include "common/job_spec/print.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/validate.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "worker/model/config.h"
#include "worker/model/parameters.h"
#include "worker/model/tensor_rules.h"

namespace navit {
namespace {

int Submit(const CommandContext& context) {
  const auto spec = ReadJob(context, context.arguments.words()[0]);
  if (!spec.ok()) return FailJobFile(spec.status());
  if (context.arguments.Has("dry-run")) {
    std::cout << ToYaml(*spec);
    return kExitOk;
  }
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto job = (*client)->Submit(*spec);
  if (!job.ok()) return Fail(job.status());
  std::cout << job->name() << std::endl;
  if (context.arguments.Has("follow")) return Follow(context, client->get(), job->name());
  return kExitOk;
}

int Validate(const CommandContext& context) {
  const auto spec = ReadJob(context, context.arguments.words()[0]);
  if (!spec.ok()) return FailJobFile(spec.status());
  if (context.arguments.Has("offline")) {
    const auto expectation = Expectation(*spec, true);
    if (!expectation.ok()) return Fail(expectation.status());
    return Print(context, *spec, [&] {
      return absl::StrCat("the file is a valid job\n", *expectation,
                          "not known offline: whether shards, tokenizer and folders are there; "
                          "padding, images per sequence, steps per epoch and packer cores, which "
                          "follow from the data\n");
    });
  }
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto reply = (*client)->Validate(*spec);
  if (!reply.ok()) return Fail(reply.status());
  const auto expectation = Expectation(*spec, !reply->has_forecast());
  if (!expectation.ok()) return Fail(expectation.status());
  absl::StatusOr<std::string> forecast = "";
  if (reply->has_forecast()) forecast = ForecastText(*spec, reply->forecast());
  if (!forecast.ok()) return Fail(forecast.status());
  return Print(context, *reply, [&] {
    return absl::StrCat(absl::StrJoin(reply->lines(), "\n"), "\n", *expectation, *forecast);
  });
}

int Completion(const CommandContext& context) {
  const auto script = CompletionScript(context.arguments.words()[0], AllCommands(), CommonFlags());
  if (!script.ok()) return Fail(script.status());
  std::cout << *script;
  return kExitOk;
}

int Explain(const CommandContext& context) {
  const auto& words = context.arguments.words();
  const auto text = ExplainField(words.empty() ? "" : words[0]);
  if (!text.ok()) return Fail(text.status());
  std::cout << *text;
  return kExitOk;
}

// Names of tensors in the file, which the towers decide.
std::vector<FieldViolation> CheckTensorNames(const v1::JobSpec& spec) {
  const auto config = ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss());
  const absl::Status named =
      config.ok() ? ResolveTensorRules(ParameterTable(*config), spec.optimizer()).status()
                  : config.status();
  if (named.ok()) return {};
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(std::string(named.message()), absl::MaxSplits(": ", 1));
  return {{parts.first, parts.second}};
}

int PrintText(const std::string& text) {
  std::cout << text;
  return kExitOk;
}

}  // namespace

absl::StatusOr<v1::JobSpec> ReadJob(const CommandContext& context, const std::string& file,
                                    const std::function<absl::Status(v1::JobSpec*)>& prepare) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    absl::StatusOr<std::string> read = ReadFile(file);
    if (!read.ok()) return absl::InvalidArgumentError(read.status().message());
    text = *std::move(read);
  }
  SourceLocations locations;
  NAVIT_ASSIGN_OR_RETURN(v1::JobSpec spec, ParseJobFile(text, file, &locations));
  for (const std::string& assignment : context.arguments.All("set")) {
    NAVIT_RETURN_IF_ERROR(SetField(assignment, &spec));
  }
  if (context.arguments.Has("name")) spec.set_name(context.arguments.Get("name", ""));
  if (prepare) {
    if (const absl::Status status = prepare(&spec); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": ", status.message()));
    }
  }
  ResolveJobSpec(&spec);
  std::vector<std::string> faults;
  std::vector<FieldViolation> violations = ValidateJobSpec(spec);
  if (violations.empty()) violations = CheckTensorNames(spec);
  for (const FieldViolation& violation : violations) {
    faults.push_back(ViolationText(file, locations, violation));
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return spec;
}

std::vector<Command> FileCommands() {
  return {
      {"submit",
       "FILE|- [--follow] [--set FIELD=VALUE]... [--name NAME] [--dry-run]",
       "submit a job file; prints the job's name",
       1,
       1,
       {"follow!", "set", "name", "dry-run!", "reconnect-timeout"},
       Submit},
      {"validate",
       "FILE|- [--offline] [--set FIELD=VALUE]...",
       "check a job file and say what the job will cost",
       1,
       1,
       {"offline!", "set", "name"},
       Validate},
      PreviewCommand(),
      ExportCommand(),
      EvaluateCommand(),
      {"init",
       "",
       "print a commented job file with every default",
       0,
       0,
       {},
       [](const CommandContext&) { return PrintText(InitText()); }},
      {"explain", "[FIELD]", "document a field of the job file", 0, 1, {}, Explain},
      {"schema",
       "",
       "print the JSON Schema of the job file",
       0,
       0,
       {},
       [](const CommandContext&) { return PrintText(JsonSchema()); }},
      {"completion",
       "bash|zsh|fish",
       "print what completes navitctl's commands in that shell",
       1,
       1,
       {},
       Completion},
      {"version",
       "",
       "print the version",
       0,
       0,
       {},
       [](const CommandContext&) { return PrintText(absl::StrCat("navitctl ", Version(), "\n")); }},
  };
}

}  // namespace navit
