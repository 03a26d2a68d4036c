#include "cli/expectation.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/job_spec/validate.h"
#include "common/status_macros.h"
#include "worker/model/config.h"
#include "worker/model/parameters.h"

namespace navit {
namespace {

// Begin and end of a caption without letters.
constexpr int64_t kShortestCaption = 2;

// Useful FLOPs of one training step of full sequences with `images` equal images each.
double StepFlops(const v1::JobSpec& spec, const ModelConfig& config, int64_t images,
                 int64_t caption_tokens) {
  const int64_t length = spec.packing().sequence_length() - images * config.image.prefix_tokens;
  std::vector<int64_t> image_tokens(images, length / images);
  for (int64_t i = 0; i < length % images; ++i) ++image_tokens[i];
  const std::vector<int64_t> text_tokens(images, caption_tokens);
  return 3 * spec.packing().sequences_per_step() *
         UsefulForwardFlops(config, image_tokens, text_tokens);
}

}  // namespace

absl::StatusOr<std::string> Expectation(const v1::JobSpec& spec, bool with_bounds) {
  NAVIT_ASSIGN_OR_RETURN(const ModelConfig config,
                         ResolveModelConfig(spec.model(), spec.preprocess(), spec.loss()));
  const ParameterTable table(config);
  const int64_t most =
      std::min<int64_t>(spec.packing().max_examples_per_sequence(),
                        spec.packing().sequence_length() / (config.image.prefix_tokens + 1));
  const double one = StepFlops(spec, config, 1, kShortestCaption);
  const double many = StepFlops(spec, config, most, config.max_text_tokens);
  constexpr double kMiB = 1 << 20;
  // Weights, two moments and gradients, in fp32.
  const double state = 4.0 * sizeof(float) * static_cast<double>(table.total_size()) / kMiB;
  const double step_bytes = EstimatedStepBytes(spec);
  const double budget = static_cast<double>(spec.budgets().relay_bytes());
  std::string text =
      absl::StrFormat("parameters: %.2f M\n", static_cast<double>(table.parameter_count()) / 1e6);
  absl::StrAppendFormat(&text,
                        "memory of each trainer: %.0f MiB for weights, moments and "
                        "gradients; activations come on top\n",
                        state);
  absl::StrAppendFormat(
      &text, "image tokens per step: at most %d (%d sequences of %d)\n",
      uint64_t{spec.packing().sequences_per_step()} * spec.packing().sequence_length(),
      spec.packing().sequences_per_step(), spec.packing().sequence_length());
  if (with_bounds) {
    absl::StrAppendFormat(&text, "examples per step: at most %d\n",
                          static_cast<int64_t>(spec.packing().sequences_per_step()) * most);
    absl::StrAppendFormat(&text,
                          "useful FLOPs per step: %.4g with one image in each full sequence, %.4g "
                          "with %d and the longest captions; the loss is not in it\n",
                          one, many, most);
  }
  absl::StrAppendFormat(&text,
                        "relay: about %.1f MiB per step; its budget of %.1f MiB holds %.1f "
                        "steps\n",
                        step_bytes / kMiB, budget / kMiB, budget / step_bytes);
  return text;
}

}  // namespace navit
