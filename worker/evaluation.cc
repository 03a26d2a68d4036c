#include "worker/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/job_kind.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "kernels/linear.h"
#include "worker/batch_source.h"
#include "worker/model/batch.h"
#include "worker/model/batch_joiner.h"
#include "worker/model/class_scores.h"
#include "worker/model/linear_probe.h"
#include "worker/model/retrieval.h"

namespace navit {
namespace {

using Evaluation = v1::EvaluationSpec;

// Embeddings of all ranks on every rank, in rank order.
absl::Status GatherEmbeddings(Embeddings* embeddings, Collective* collective) {
  const uint64_t mine = embeddings->caption_hashes.size();
  std::vector<uint64_t> pairs(collective->world_size());
  NAVIT_RETURN_IF_ERROR(collective->AllGather(
      absl::MakeConstSpan(&mine, 1), std::vector<size_t>(pairs.size(), 1), absl::MakeSpan(pairs)));
  std::vector<size_t> counts(pairs.begin(), pairs.end());
  std::vector<size_t> float_counts;
  size_t total = 0;
  for (size_t count : counts) {
    float_counts.push_back(count * embeddings->dim);
    total += count;
  }
  std::vector<uint64_t> hashes(total);
  NAVIT_RETURN_IF_ERROR(
      collective->AllGather(embeddings->caption_hashes, counts, absl::MakeSpan(hashes)));
  embeddings->caption_hashes.swap(hashes);
  for (std::vector<float>* rows : {&embeddings->images, &embeddings->texts}) {
    std::vector<float> all(total * embeddings->dim);
    NAVIT_RETURN_IF_ERROR(collective->AllGather(*rows, float_counts, absl::MakeSpan(all)));
    rows->swap(all);
  }
  return absl::OkStatus();
}

// One evaluation of one rank.
class Evaluator {
 public:
  Evaluator(const EvaluationArgs& args, v1::Scores* scores)
      : args_(args),
        config_(args.table->config()),
        spec_(args.spec->evaluation()),
        scores_(scores) {}

  absl::Status Tasks() {
    const bool probe = HasTask(spec_, Evaluation::LINEAR_PROBE);
    NAVIT_ASSIGN_OR_RETURN(std::vector<Embeddings> heldout, Embed(v1::SPLIT_VALIDATION, probe));
    if (HasTask(spec_, Evaluation::CLASSIFICATION)) {
      for (size_t b = 0; b < heldout.size(); ++b) {
        NAVIT_RETURN_IF_ERROR(Measure("classification", b, heldout[b].images, heldout[b].labels,
                                      config_.classes,
                                      config_.loss == v1::LossSpec::SIGMOID_CLASSIFICATION));
      }
    }
    if (HasTask(spec_, Evaluation::ZERO_SHOT)) NAVIT_RETURN_IF_ERROR(ZeroShot(heldout));
    if (probe) NAVIT_RETURN_IF_ERROR(Probe(heldout));
    // Last: it gathers the embeddings in place. A job of before the field has no tasks.
    if (!HasTask(spec_, Evaluation::RETRIEVAL) && !spec_.tasks().empty()) return absl::OkStatus();
    return Retrieval("heldout", &heldout);
  }

  absl::Status TrainedPairs() {
    NAVIT_ASSIGN_OR_RETURN(std::vector<Embeddings> trained,
                           Embed(v1::SPLIT_TRAINED_PAIRS, /*features=*/false));
    return Retrieval("trained", &trained);
  }

 private:
  // This rank's packs of a split, several at a time; then waits until all ranks have theirs.
  using Parse = absl::StatusOr<Batch>(absl::string_view payload, const ModelConfig& config);
  absl::Status Pull(v1::Split split, Parse* parse, BatchJoiner::Take take) {
    const int rank = args_.collective->rank();
    BatchJoiner joiner(args_.embedder->joined_tokens(), std::move(take));
    NAVIT_RETURN_IF_ERROR(PullEvaluation(args_.client, rank, args_.collective->world_size(), split,
                                         [&](const v1::Frame& pack) -> absl::Status {
                                           NAVIT_ASSIGN_OR_RETURN(Batch batch,
                                                                  parse(pack.payload(), config_));
                                           return joiner.Add(std::move(batch));
                                         }));
    NAVIT_RETURN_IF_ERROR(joiner.Finish());
    const auto key = [&](int r) {
      return absl::StrCat("evaluated/", args_.step, "/", split, "/", r);
    };
    NAVIT_RETURN_IF_ERROR(args_.client->Set(key(rank), "done"));
    std::vector<std::string> keys;
    for (int r = 0; r < args_.collective->world_size(); ++r) keys.push_back(key(r));
    return args_.client->Get(keys, args_.client->options().grace).status();
  }

  // This rank's examples, for each token budget.
  absl::StatusOr<std::vector<Embeddings>> Embed(v1::Split split, bool features) {
    std::vector<Embeddings> all(spec_.token_budgets_size());
    for (Embeddings& embeddings : all) {
      embeddings.dim = config_.image_outputs();
      embeddings.keep_features = features;
    }
    NAVIT_RETURN_IF_ERROR(Pull(split, &ParseBatch, [&](const Batch& batch) -> absl::Status {
      if (batch.epoch >= all.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("pack: is of token budget ", batch.epoch, " of ", all.size()));
      }
      for (const int32_t label : batch.labels) {
        if (label >= 0 && static_cast<uint32_t>(label) < args_.spec->model().classes()) continue;
        return absl::InvalidArgumentError(absl::StrCat("pack: has label ", label, ", there are ",
                                                       args_.spec->model().classes(), " classes"));
      }
      return args_.embedder->Embed(batch, &all[batch.epoch]);
    }));
    return all;
  }

  absl::Status Retrieval(const std::string& split, std::vector<Embeddings>* all) {
    for (size_t b = 0; b < all->size(); ++b) {
      Embeddings& e = (*all)[b];
      NAVIT_RETURN_IF_ERROR(GatherEmbeddings(&e, args_.collective));
      if (args_.collective->rank() != 0) continue;
      const RetrievalResult result = Retrieve(e.images, e.texts, e.dim, e.caption_hashes);
      AddRecall(absl::StrCat(split, "/image_to_text"), b, result.image_to_text, result.chance);
      AddRecall(absl::StrCat(split, "/text_to_image"), b, result.text_to_image, result.chance);
      NAVIT_LOG(INFO) << "step " << args_.step << ": " << split << " retrieval over "
                      << result.pairs << " pairs at " << spec_.token_budgets(static_cast<int>(b))
                      << " tokens: image to text r@5 " << result.image_to_text[1]
                      << ", text to image r@5 " << result.text_to_image[1] << ", chance "
                      << result.chance[1];
    }
    return absl::OkStatus();
  }

  void AddRecall(const std::string& name, size_t budget, const std::array<double, 3>& recall,
                 const std::array<double, 3>& chance) {
    const auto add = [&](const std::array<double, 3>& values, const char* suffix) {
      for (size_t k = 0; k < values.size(); ++k) {
        Add(absl::StrCat(name, "/r@", RetrievalResult::kRanks[k], suffix), budget, values[k]);
      }
    };
    add(recall, "");
    add(chance, "/chance");
  }

  // [classes, dim]: the mean of each class's prompt embeddings, of unit length, on every rank.
  absl::StatusOr<std::vector<float>> ClassEmbeddings() {
    const int64_t classes = spec_.zero_shot().class_names_size();
    const int64_t dim = config_.embedding_dim;
    std::vector<double> sums(classes * dim);
    NAVIT_RETURN_IF_ERROR(
        Pull(v1::SPLIT_PROMPTS, &ParseTexts, [&](const Batch& batch) -> absl::Status {
          std::vector<float> texts;
          NAVIT_RETURN_IF_ERROR(args_.embedder->EmbedTexts(batch, &texts));
          for (size_t i = 0; i < batch.labels.size(); ++i) {
            if (batch.labels[i] < 0 || batch.labels[i] >= classes) {
              return absl::InvalidArgumentError(
                  absl::StrCat("pack: prompt of class ", batch.labels[i], " of ", classes));
            }
            for (int64_t d = 0; d < dim; ++d) sums[batch.labels[i] * dim + d] += texts[i * dim + d];
          }
          return absl::OkStatus();
        }));
    NAVIT_RETURN_IF_ERROR(args_.collective->AllReduceSum(absl::MakeSpan(sums)));
    std::vector<float> means(sums.size());
    for (int64_t c = 0; c < classes; ++c) {
      double squares = 0;
      for (int64_t d = 0; d < dim; ++d) squares += sums[c * dim + d] * sums[c * dim + d];
      const double norm = std::max(std::sqrt(squares), 1e-6);
      for (int64_t d = 0; d < dim; ++d) {
        means[c * dim + d] = static_cast<float>(sums[c * dim + d] / norm);
      }
    }
    return means;
  }

  absl::Status ZeroShot(const std::vector<Embeddings>& heldout) {
    NAVIT_ASSIGN_OR_RETURN(std::vector<float> classes, ClassEmbeddings());
    // As the loss scales its pairs.
    NAVIT_ASSIGN_OR_RETURN(const float log_scale, Parameter("loss.logit_scale"));
    const float scale = std::exp(log_scale);
    for (float& value : classes) value *= scale;
    const int64_t names = spec_.zero_shot().class_names_size();
    const bool sigmoid = config_.loss == v1::LossSpec::SIGMOID;
    std::vector<float> bias(names);
    if (sigmoid) {
      NAVIT_ASSIGN_OR_RETURN(const float value, Parameter("loss.logit_bias"));
      bias.assign(names, value);
    }
    for (size_t b = 0; b < heldout.size(); ++b) {
      const Embeddings& e = heldout[b];
      const int64_t rows = static_cast<int64_t>(e.labels.size());
      std::vector<float> logits(rows * names);
      kernels::LinearForward({.rows = rows,
                              .in = e.dim,
                              .out = names,
                              .x = e.images.data(),
                              .weight = classes.data(),
                              .bias = bias.data(),
                              .y = logits.data()},
                             *args_.pool);
      NAVIT_RETURN_IF_ERROR(Measure("zero_shot", b, logits, e.labels, names, sigmoid));
    }
    return absl::OkStatus();
  }

  absl::Status Probe(const std::vector<Embeddings>& heldout) {
    NAVIT_ASSIGN_OR_RETURN(const std::vector<Embeddings> fitted,
                           Embed(v1::SPLIT_PROBE, /*features=*/true));
    LinearProbeArgs args;
    args.dim = config_.image.width;
    args.classes = args_.spec->model().classes();
    args.l2 = spec_.linear_probe().l2();
    args.max_iterations = static_cast<int>(spec_.linear_probe().iterations());
    for (size_t b = 0; b < heldout.size(); ++b) {
      args.features = fitted[b].features;
      args.labels = fitted[b].labels;
      NAVIT_ASSIGN_OR_RETURN(const LinearProbe probe,
                             LinearProbe::Fit(args, args_.collective, *args_.pool));
      NAVIT_RETURN_IF_ERROR(Measure("linear_probe", b,
                                    probe.Logits(heldout[b].features, *args_.pool),
                                    heldout[b].labels, args.classes, /*sigmoid=*/false));
    }
    return absl::OkStatus();
  }

  // Accuracy and calibration over the examples of all ranks.
  absl::Status Measure(const std::string& task, size_t budget, absl::Span<const float> logits,
                       absl::Span<const int32_t> labels, int64_t classes, bool sigmoid) {
    ClassScores measured(sigmoid);
    measured.Add(logits, labels, classes);
    NAVIT_RETURN_IF_ERROR(measured.Merge(args_.collective));
    if (args_.collective->rank() != 0) return absl::OkStatus();
    const std::string name = absl::StrCat("heldout/", task);
    const double chance = 1 / static_cast<double>(classes);
    Add(name + "/top@1", budget, measured.TopOne());
    Add(name + "/top@1/chance", budget, chance);
    Add(name + "/top@5", budget, measured.TopFive());
    Add(name + "/top@5/chance", budget, std::min(1.0, 5 * chance));
    Add(name + "/ece", budget, measured.CalibrationError());
    NAVIT_LOG(INFO) << "step " << args_.step << ": " << task << " of " << measured.examples()
                    << " images at " << spec_.token_budgets(static_cast<int>(budget))
                    << " tokens: top@1 " << measured.TopOne() << ", top@5 " << measured.TopFive()
                    << ", calibration error " << measured.CalibrationError();
    return absl::OkStatus();
  }

  absl::StatusOr<float> Parameter(const char* name) {
    return args_.embedder->Parameter(args_.table->Find(name).offset);
  }

  void Add(const std::string& metric, size_t budget, double value) {
    v1::Scores::Score* score = scores_->add_scores();
    score->set_metric(metric);
    score->set_token_budget(spec_.token_budgets(static_cast<int>(budget)));
    score->set_value(value);
  }

  const EvaluationArgs& args_;
  const ModelConfig& config_;
  const v1::EvaluationSpec& spec_;
  v1::Scores* const scores_;
};

}  // namespace

absl::Status EvaluateTasks(const EvaluationArgs& args, v1::Scores* scores) {
  return Evaluator(args, scores).Tasks();
}

absl::Status EvaluateTrainedPairs(const EvaluationArgs& args, v1::Scores* scores) {
  return Evaluator(args, scores).TrainedPairs();
}

}  // namespace navit
