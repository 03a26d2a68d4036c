// navitctl evaluate: an EvaluationJob of a checkpoint and a file that says on what.
#include <filesystem>
#include <iostream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/text.h"
#include "common/files.h"
#include "common/job_kind.h"
#include "common/job_spec/parse.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// Gives the file's spec the model that the checkpoint was trained with.
absl::Status TakeModel(const std::string& checkpoint, v1::JobSpec* spec) {
  if (spec->kind() != kEvaluationJob) {
    return absl::InvalidArgumentError(absl::StrCat("kind: must be ", kEvaluationJob));
  }
  v1::ModelSpec given = spec->model();
  const bool has_classes = given.has_classes();
  const uint32_t classes = given.classes();
  given.clear_classes();
  if (given.ByteSizeLong() > 0 || spec->has_loss()) {
    return absl::InvalidArgumentError(
        "model, loss: are the checkpoint's; only model.classes may be given");
  }
  const std::string path = absl::StrCat(checkpoint, "/config.json");
  NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  NAVIT_ASSIGN_OR_RETURN(const v1::JobSpec trained, ParseJobFile(text, path));
  *spec->mutable_model() = trained.model();
  *spec->mutable_loss() = trained.loss();
  *spec->mutable_preprocess() = trained.preprocess();
  if (!spec->has_packing()) *spec->mutable_packing() = trained.packing();
  if (has_classes) {
    if (IsClassification(trained.loss().kind()) && trained.model().classes() != classes) {
      return absl::InvalidArgumentError(absl::StrCat("model.classes: the checkpoint's classifier has ",
                                                     trained.model().classes(), ", not ", classes));
    }
    spec->mutable_model()->set_classes(classes);
  }
  spec->mutable_evaluation()->set_checkpoint(checkpoint);
  return absl::OkStatus();
}

int Evaluate(const CommandContext& context) {
  std::error_code error;
  std::string checkpoint = std::filesystem::absolute(context.arguments.words()[0], error);
  while (absl::EndsWith(checkpoint, "/")) checkpoint.pop_back();
  const std::string& file = context.arguments.words()[1];
  const auto spec = ReadJob(context, file, [&](v1::JobSpec* read) {
    return TakeModel(checkpoint, read);
  });
  if (!spec.ok()) return FailJobFile(spec.status());
  const auto client = MakeClient(context);
  if (!client.ok()) return Fail(client.status());
  const auto job = (*client)->Submit(*spec);
  if (!job.ok()) return Fail(job.status());
  if (context.arguments.Has("detach")) {
    std::cout << job->name() << std::endl;
    return kExitOk;
  }
  const int outcome = Follow(context, client->get(), job->name());
  if (outcome != kExitOk) return outcome;
  const auto done = (*client)->Get(job->name());
  if (!done.ok()) return Fail(done.status());
  return Print(context, done->scores(), [&] { return ScoresTable(done->scores()); });
}

}  // namespace

Command EvaluateCommand() {
  return {"evaluate",
          "CHECKPOINT FILE [--detach] [--set FIELD=VALUE]... [--name NAME]",
          "evaluate a checkpoint on what an EvaluationJob's file says",
          2,
          2,
          {"detach!", "set", "name", "reconnect-timeout"},
          Evaluate};
}

}  // namespace navit
