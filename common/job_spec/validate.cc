#include "common/job_spec/validate.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/braces.h"
#include "common/byte_tokenizer.h"
#include "common/job_kind.h"
#include "common/job_spec/resolve.h"
#include "common/job_spec/rules.h"
#include "common/job_spec/scalar.h"
#include "common/job_spec/validate_fields.h"
#include "common/object_store/url.h"

namespace navit {
namespace {

constexpr size_t kMostViolations = 100;

using Violations = std::vector<FieldViolation>;

void Add(Violations& out, std::string path, std::string message) {
  out.push_back({std::move(path), std::move(message)});
}

bool IsDnsLabel(absl::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

void CheckIdentity(const v1::JobSpec& spec, Violations& out) {
  if (spec.api_version() != "navit.v1") {
    Add(out, "api_version", absl::StrCat("must be navit.v1, is ", Quoted(spec.api_version())));
  }
  if (spec.kind() != kTrainingJob && spec.kind() != kEvaluationJob) {
    Add(out, "kind",
        absl::StrCat("must be TrainingJob or EvaluationJob, is ", Quoted(spec.kind())));
  }
  if (!spec.name().empty() && !IsDnsLabel(spec.name())) {
    Add(out, "name",
        absl::StrCat("must be a DNS label (1 to 63 of a-z, 0-9 and -, neither first nor last a -), "
                     "is ",
                     Quoted(spec.name())));
  }
}

void CheckPath(const std::string& text, const std::string& path, Violations& out) {
  if (text.empty()) return;
  if (absl::StrContains(text, "://")) {
    Add(out, path, absl::StrCat("must be a local path in this version, is ", Quoted(text)));
  } else if (text[0] != '/') {
    Add(out, path,
        absl::StrCat("must be an absolute path (each process has its own working folder), is ",
                     Quoted(text)));
  }
}

// Of what packers read: a local path, or a URL of the kinds that they know.
void CheckSource(absl::string_view text, const std::string& path, Violations& out) {
  if (text.empty()) return;
  if (!IsUrl(text)) {
    if (text[0] != '/') {
      Add(out, path,
          absl::StrCat("must be an absolute path (each process has its own working folder) or an "
                       "s3://, http:// or https:// URL, is ",
                       Quoted(std::string(text))));
    }
  } else if (const absl::Status status = ParseUrl(text).status(); !status.ok()) {
    Add(out, path, std::string(status.message()));
  }
}

void CheckIndexFolder(const std::string& folder, Violations& out) {
  const size_t before = out.size();
  CheckSource(folder, "data.index", out);
  if (out.size() == before && absl::StartsWithIgnoreCase(folder, "http") && IsUrl(folder)) {
    Add(out, "data.index",
        absl::StrCat("must be a local folder or an s3:// URL: http is only read, is ",
                     Quoted(folder)));
  }
}

constexpr int kMostTrainDatasets = 4096;  // packer/philox.h has 12 bits for them.

void CheckDataLists(const v1::JobSpec& spec, Violations& out) {
  const v1::DataSpec& data = spec.data();
  if (data.train_size() > kMostTrainDatasets) {
    Add(out, "data.train",
        absl::StrCat("must have at most ", kMostTrainDatasets, " entries, has ",
                     data.train_size()));
  }
  if (data.train_size() > 1 && spec.train_for().has_epochs()) {
    Add(out, "train_for.epochs",
        absl::StrCat("must not be given for a mixture: each of the ", data.train_size(),
                     " entries of data.train has epochs of its own; give steps or examples"));
  }
  if (data.validation_size() > 1) {
    Add(out, "data.validation",
        absl::StrCat("must have one entry in this version, has ", data.validation_size()));
  }
  for (int i = 0; i < data.validation_size(); ++i) {
    if (data.validation(i).weight() != 1) {
      Add(out, JoinPath(IndexPath("data.validation", i), "weight"),
          "must not be given: held-out data is evaluated whole");
    }
  }
}

void CheckDatasets(const google::protobuf::RepeatedPtrField<v1::Dataset>& datasets,
                   const std::string& path, Violations& out) {
  for (int i = 0; i < datasets.size(); ++i) {
    const std::string entry = IndexPath(path, i);
    // Several patterns may stand in one, joined by "::" (packer/shards.h).
    for (const absl::string_view pattern : absl::StrSplit(datasets[i].shards(), "::")) {
      CheckSource(pattern, JoinPath(entry, "shards"), out);
      const absl::Status braces = CountBraces(pattern).status();
      if (!braces.ok()) Add(out, JoinPath(entry, "shards"), std::string(braces.message()));
    }
    const std::string& caption = datasets[i].captions().field();
    const bool json = absl::StartsWith(caption, "json:") && caption.size() > 5;
    if (!caption.empty() && caption != "txt" && caption != "cls" && !json) {
      Add(out, JoinPath(entry, "captions.field"),
          absl::StrCat("must be txt, cls or json:NAME, is ", Quoted(caption)));
    }
    if (datasets[i].captions().lines() && caption != "txt") {
      Add(out, JoinPath(entry, "captions.lines"),
          absl::StrCat("only a txt member has lines; captions.field is ", Quoted(caption)));
    }
  }
}

void CheckLabels(const v1::JobSpec& spec, Violations& out) {
  const bool classification = IsClassification(spec.loss().kind());
  if (classification && !spec.model().has_classes()) {
    Add(out, "model.classes", "is required by the classification losses");
  }
  const auto check = [&](const auto& datasets, const char* path, bool needed) {
    for (int i = 0; i < datasets.size(); ++i) {
      const std::string field_path = JoinPath(IndexPath(path, i), "labels.field");
      const std::string& field = datasets[i].labels().field();
      if (field.empty()) {
        if (needed) Add(out, field_path, "is required by the classification losses");
        continue;
      }
      if (field != "cls" && !(absl::StartsWith(field, "json:") && field.size() > 5)) {
        Add(out, field_path, absl::StrCat("must be cls or json:NAME, is ", Quoted(field)));
      }
      if (!classification && !spec.model().has_classes()) {
        Add(out, "model.classes",
            absl::StrCat("is required where labels are read (", field_path, ")"));
      }
    }
  };
  for (int i = 1; i < spec.data().train_size(); ++i) {
    if (spec.data().train(i).has_labels() == spec.data().train(0).has_labels()) continue;
    Add(out, JoinPath(IndexPath("data.train", i), "labels"),
        "either all entries of data.train have labels, or none");
  }
  check(spec.data().train(), "data.train", classification);
  check(spec.data().validation(), "data.validation", classification);
}

void CheckLength(int size, int wanted, const char* path, Violations& out) {
  if (size != wanted) {
    Add(out, path, absl::StrCat("must have ", wanted, " numbers, has ", size));
  }
}

void CheckOrder(double low, double high, const char* low_path, const char* high_name,
                Violations& out) {
  if (low > high) {
    Add(out, low_path,
        absl::StrCat("must be at most ", high_name, " (", NumberText(high), "), is ",
                     NumberText(low)));
  }
}

void CheckResolution(const v1::ResolutionSpec& resolution, Violations& out) {
  CheckOrder(resolution.min_pixels(), resolution.max_pixels(), "resolution.min_pixels",
             "resolution.max_pixels", out);
  const bool list = resolution.distribution() == v1::ResolutionSpec::DISTRIBUTION_LIST;
  if (!list && resolution.list_size() > 0) {
    Add(out, "resolution.list", "is for resolution.distribution list only");
  }
  if (!list) return;
  double weights = 0;
  for (const v1::ResolutionChoice& choice : resolution.list()) weights += choice.weight();
  if (!(weights > 0)) {
    Add(out, "resolution.list", "must have an entry of weight above 0 for distribution list");
  }
}

void CheckDropSchedule(const v1::JobSpec& spec, Violations& out) {
  const v1::TokenDropSpec& drop = spec.token_drop();
  const v1::DropSchedule& schedule = drop.schedule();
  if (schedule.has_from() != schedule.has_to()) {
    Add(out, "token_drop.schedule", "needs both from and to");
  }
  if (!schedule.has_from() || !schedule.has_to()) return;
  if (drop.kind() == v1::TokenDropSpec::NONE) {
    Add(out, "token_drop.schedule", "needs a token_drop.kind other than none");
  }
  if (spec.train_for().has_steps() && !schedule.has_over_examples()) {
    Add(out, "token_drop.schedule.over_examples",
        "is required for a job given in steps: how many images it sees is not known before");
  }
}

void CheckTokenDrop(const v1::TokenDropSpec& drop, Violations& out) {
  if (drop.kind() != v1::TokenDropSpec::BETA) return;
  if (!(drop.mean() < drop.max())) {
    Add(out, "token_drop.mean",
        absl::StrCat("must be below token_drop.max (", NumberText(drop.max()), "), is ",
                     NumberText(drop.mean())));
  } else if (!(drop.mean() > 0)) {
    Add(out, "token_drop.mean", "must be above 0 for kind beta; for no drop use kind none");
  }
}

void CheckTower(const std::string& preset, const v1::TowerSize& size, const std::string& path,
                Violations& out) {
  if (!FindTowerPreset(preset).has_value()) {
    Add(out, JoinPath(path, "preset"),
        absl::StrCat("must be one of ", TowerPresetNames(), "; is ", Quoted(preset)));
    return;
  }
  if (size.heads() > 0 && size.width() % size.heads() != 0) {
    Add(out, JoinPath(path, "size.heads"),
        absl::StrCat("must divide width (", size.width(), "), is ", size.heads()));
  }
}

void CheckPosition(const v1::ImageTowerSpec& image, Violations& out) {
  using Image = v1::ImageTowerSpec;
  if (image.position_coordinates() == Image::ABSOLUTE &&
      image.position_rows() != image.max_grid()) {
    Add(out, "model.image.position_rows",
        absl::StrCat("must be max_grid (", image.max_grid(), ") for absolute coordinates, is ",
                     image.position_rows()));
  }
  const auto needs = [&](bool embedding, uint32_t number, uint32_t divisor, const char* what) {
    if (!embedding || divisor == 0 || number % divisor == 0) return;
    Add(out, "model.image.position_embedding",
        absl::StrCat("needs ", what, " that is a multiple of ", divisor, ", it is ", number));
  };
  const v1::TowerSize& size = image.size();
  const auto kind = image.position_embedding();
  needs(kind == Image::FACTORIZED_STACK || kind == Image::FOURIER, size.width(), 2, "a width");
  needs(kind == Image::SINUSOIDAL, size.width(), 4, "a width");
  if (size.heads() > 0) {
    needs(kind == Image::ROPE, size.width() / size.heads(), 4, "a head (width / heads)");
  }
  if (image.position_interpolation() != Image::LINEAR &&
      (kind != Image::JOINT || image.position_coordinates() == Image::ABSOLUTE)) {
    Add(out, "model.image.position_interpolation",
        "must be linear unless position_embedding is joint and position_coordinates are not "
        "absolute");
  }
  if (image.pooling() == Image::TOKEN && image.prefix_tokens() == 0) {
    Add(out, "model.image.pooling", "token needs model.image.prefix_tokens of at least 1");
  }
  // A joint table has a row for every pair.
  if (kind == Image::JOINT && image.position_rows() > 256) {
    Add(out, "model.image.position_rows",
        absl::StrCat("must be at most 256 for joint, whose table is its square, is ",
                     image.position_rows()));
  }
}

void CheckModel(const v1::ModelSpec& model, Violations& out) {
  CheckTower(model.image().preset(), model.image().size(), "model.image", out);
  CheckPosition(model.image(), out);
  if (!model.has_text()) return;
  CheckTower(model.text().preset(), model.text().size(), "model.text", out);
  const std::string& tokenizer = model.text().tokenizer();
  if (tokenizer != kByteTokenizer) CheckSource(tokenizer, "model.text.tokenizer", out);
}

void CheckInitFrom(const v1::InitFromSpec& from, Violations& out) {
  const bool whole = !from.checkpoint().empty() || !from.job().empty();
  if (!from.image().empty() && whole) {
    Add(out, "init_from.image", "must not be given together with checkpoint or job");
  }
  CheckSource(from.image(), "init_from.image", out);
  CheckSource(from.checkpoint(), "init_from.checkpoint", out);
  if (from.image().empty() != (from.names() == v1::InitFromSpec::NAMES_UNSPECIFIED)) {
    Add(out, "init_from.names", "must be given with image, and with it alone");
  }
  if (from.has_step() && from.job().empty()) {
    Add(out, "init_from.step", "must be given with job alone");
  }
}

// The texts themselves are checked where their files are read (pin_prompts.h).
void CheckZeroShot(const v1::ZeroShotSpec& zero_shot, Violations& out) {
  const auto check = [&](bool listed, const std::string& file, const std::string& path) {
    if (listed == file.empty()) {
      CheckSource(file, absl::StrCat(path, "_file"), out);
      return;
    }
    Add(out, path, absl::StrCat("must be given either here or in ", path, "_file"));
  };
  check(zero_shot.class_names_size() > 0, zero_shot.class_names_file(),
        "evaluation.zero_shot.class_names");
  check(zero_shot.templates_size() > 0, zero_shot.templates_file(),
        "evaluation.zero_shot.templates");
}

void CheckEvaluation(const v1::JobSpec& spec, Violations& out) {
  const v1::EvaluationSpec& evaluation = spec.evaluation();
  for (int i = 0; i < evaluation.token_budgets_size(); ++i) {
    CheckOrder(evaluation.token_budgets(i), spec.packing().sequence_length(),
               IndexPath("evaluation.token_budgets", i).c_str(), "packing.sequence_length", out);
  }
  const bool has_validation = spec.data().validation_size() > 0;
  for (int i = 0; i < evaluation.tasks_size(); ++i) {
    const std::string path = IndexPath("evaluation.tasks", i);
    const auto task = evaluation.tasks(i);
    const auto needs = [&](bool there, const char* what) {
      if (!there) Add(out, path, absl::StrCat("needs ", what));
    };
    using Evaluation = v1::EvaluationSpec;
    if (task == Evaluation::RETRIEVAL || task == Evaluation::ZERO_SHOT) {
      needs(spec.model().has_text(), "a text tower, which a classification loss has not");
    }
    if (task == Evaluation::CLASSIFICATION) {
      needs(!spec.model().has_text(), "a classification loss");
    }
    if (task != Evaluation::RETRIEVAL && has_validation) {
      needs(spec.data().validation(0).has_labels(), "data.validation[0].labels");
    }
    if (task == Evaluation::LINEAR_PROBE && spec.data().train_size() > 0) {
      needs(spec.data().train(0).has_labels(), "data.train[].labels");
    }
    if (task == Evaluation::ZERO_SHOT) CheckZeroShot(evaluation.zero_shot(), out);
  }
  if (IsEvaluationJob(spec)) {
    if (!has_validation) Add(out, "data.validation", "is required for an EvaluationJob");
    if (evaluation.checkpoint().empty()) {
      Add(out, "evaluation.checkpoint", "is required for an EvaluationJob");
    }
    CheckPath(evaluation.checkpoint(), "evaluation.checkpoint", out);
  } else if (!evaluation.checkpoint().empty()) {
    Add(out, "evaluation.checkpoint", "is for an EvaluationJob");
  }
}

void CheckTrainFor(const v1::TrainFor& train_for, Violations& out) {
  const int named = train_for.has_steps() + train_for.has_epochs() + train_for.has_examples();
  if (named != 1) {
    Add(out, "train_for",
        absl::StrCat("must name exactly one of steps, epochs, examples; names ", named));
  }
}

void CheckTimeouts(const v1::TimeoutsSpec& timeouts, Violations& out) {
  if (!(timeouts.heartbeat_seconds() < timeouts.lease_seconds())) {
    Add(out, "timeouts.heartbeat_seconds",
        absl::StrCat("must be below timeouts.lease_seconds (", NumberText(timeouts.lease_seconds()),
                     "), is ", NumberText(timeouts.heartbeat_seconds())));
  }
  if (!(timeouts.lease_seconds() < timeouts.collective_seconds())) {
    Add(out, "timeouts.lease_seconds",
        absl::StrCat("must be below timeouts.collective_seconds (",
                     NumberText(timeouts.collective_seconds()), "), is ",
                     NumberText(timeouts.lease_seconds())));
  }
}

void CheckRelay(const v1::JobSpec& spec, Violations& out) {
  const double needed = 2 * EstimatedStepBytes(spec);
  if (static_cast<double>(spec.budgets().relay_bytes()) < needed) {
    Add(out, "budgets.relay_bytes",
        absl::StrCat("must hold two steps of packs (about ", NumberText(needed), " bytes), is ",
                     spec.budgets().relay_bytes()));
  }
}

}  // namespace

double EstimatedStepBytes(const v1::JobSpec& spec) {
  const double patch = spec.model().image().patch_size();
  // A token is its patch (8-bit RGB) and two 16-bit coordinates; an example is its caption (16-bit
  // ids) and some 64 bytes of columns.
  const double tokens = spec.packing().sequence_length() * (3 * patch * patch + 4);
  const double examples =
      spec.packing().max_examples_per_sequence() * (2.0 * spec.model().text().max_tokens() + 64);
  return spec.packing().sequences_per_step() * (tokens + examples);
}

std::vector<FieldViolation> ValidateJobSpec(const v1::JobSpec& spec) {
  Violations out;
  ValidateFields(spec, kMostViolations, &out);
  // Rules over several fields assume that each field alone is sound.
  const bool fields_are_sound = out.empty();
  CheckIdentity(spec, out);
  CheckDataLists(spec, out);
  CheckDatasets(spec.data().train(), "data.train", out);
  CheckDatasets(spec.data().validation(), "data.validation", out);
  CheckLabels(spec, out);
  CheckIndexFolder(spec.data().index(), out);
  CheckPath(spec.checkpoints().directory(), "checkpoints.directory", out);
  CheckLength(spec.preprocess().mean_size(), 3, "preprocess.mean", out);
  CheckLength(spec.preprocess().std_size(), 3, "preprocess.std", out);
  CheckLength(spec.preprocess().background_size(), 3, "preprocess.background", out);
  CheckOrder(spec.preprocess().crop().min_area(), spec.preprocess().crop().max_area(),
             "preprocess.crop.min_area", "preprocess.crop.max_area", out);
  CheckResolution(spec.resolution(), out);
  CheckTokenDrop(spec.token_drop(), out);
  CheckDropSchedule(spec, out);
  CheckOrder(spec.packing().max_examples_per_sequence(), spec.packing().sequence_length(),
             "packing.max_examples_per_sequence", "packing.sequence_length", out);
  if (spec.model().image().prefix_tokens() >= spec.packing().sequence_length()) {
    Add(out, "packing.sequence_length",
        absl::StrCat("must be above model.image.prefix_tokens (",
                     spec.model().image().prefix_tokens(), "), is ",
                     spec.packing().sequence_length()));
  }
  CheckModel(spec.model(), out);
  CheckInitFrom(spec.init_from(), out);
  CheckLength(spec.optimizer().betas_size(), 2, "optimizer.betas", out);
  CheckTrainFor(spec.train_for(), out);
  CheckOrder(spec.workers().trainers().min(), spec.workers().trainers().max(),
             "workers.trainers.min", "workers.trainers.max", out);
  CheckOrder(spec.workers().packers().min(), spec.workers().packers().max(), "workers.packers.min",
             "workers.packers.max", out);
  CheckEvaluation(spec, out);
  CheckTimeouts(spec.timeouts(), out);
  if (fields_are_sound) CheckRelay(spec, out);
  if (out.size() > kMostViolations) out.resize(kMostViolations);
  return out;
}

}  // namespace navit
