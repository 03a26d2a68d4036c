// Chooses cuBLASLt's algorithms for a tower's linear layers by measurement on GPU 0:
//
//   linear_tune --output=FILE [--tokens=16384,4096] [--towers=768,1024x4096] [...]
//
// FILE is for navit-trainer --linear_choices, on this kind of GPU with this cuBLASLt alone. A line
// of JSON for each product goes to stdout:
//   {"shape": TEXT, "candidates": N, "first_seconds": S, "chosen_seconds": S, "flops": F}
// of what the heuristic proposes first, which runs without a file, and of what was chosen; where
// nothing could be chosen, "chosen_seconds" is null and FILE has no line for it.
//
// All candidates of a product (linear_candidates.h) take turns on the same random data, --rounds
// times after a warm-up; a time is the median by CUDA events. algorithm_choice.h decides. What is
// chosen gives the same bits in two runs, and the result of the heuristic's first within the
// precision of its type.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/files.h"
#include "kernels/bench/algorithm_choice.h"
#include "kernels/bench/gpu.h"
#include "kernels/bench/tower_linears.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/linear_candidates.h"
#include "kernels/cuda/linear_choices_file.h"

ABSL_FLAG(std::string, output, "", "file to write");
ABSL_FLAG(std::vector<std::string>, tokens, std::vector<std::string>({"32768", "16384", "4096"}),
          "rows of the products; a choice serves from half to twice as many. 16384 is the limit of "
          "image tokens in a "
          "trainer's micro-batch");
ABSL_FLAG(
    std::vector<std::string>, towers, std::vector<std::string>({"768"}),
    "towers, as WIDTH or WIDTHxMLP; without an MLP it is 4 times as wide, as the presets' are");
ABSL_FLAG(int, patch_values, 768, "numbers of a patch: 3 times its side squared");
ABSL_FLAG(int, candidates, 32, "most algorithms to try for a product");
ABSL_FLAG(int, rounds, 20, "times that each is run");

namespace navit::kernels::cuda {
namespace {

// As OpenGpu's (worker/device).
constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;

struct Tower {
  int64_t width = 0, mlp = 0;
};

std::optional<Tower> ParseTower(const std::string& text) {
  const std::vector<std::string> sizes = absl::StrSplit(text, absl::MaxSplits('x', 1));
  Tower tower;
  if (!absl::SimpleAtoi(sizes[0], &tower.width)) return std::nullopt;
  tower.mlp = 4 * tower.width;
  if (sizes.size() == 2 && !absl::SimpleAtoi(sizes[1], &tower.mlp)) return std::nullopt;
  const bool valid = tower.width > 0 && tower.mlp > 0 && tower.width % 8 == 0 && tower.mlp % 8 == 0;
  return valid ? std::optional(tower) : std::nullopt;
}

double Flops(const LinearShape& shape) {
  return 2.0 * static_cast<double>(shape.rows * shape.in) * static_cast<double>(shape.out);
}

// A product on random data in buffers of its own.
class TimedProduct {
 public:
  explicit TimedProduct(const LinearShape& shape) : shape_(shape) {
    const int64_t rows = shape.rows, in = shape.in, out = shape.out;
    const bool forward = shape.pass == LinearPass::kForward;
    if (shape.pass == LinearPass::kBackwardWeight) {
      weights_ = {rows, in, out, memory_.NormalBf16(rows * in), memory_.NormalBf16(rows * out)};
      weights_.dweight = memory_.Make<float>(in * out);
      result_ = weights_.dweight;
      bytes_ = in * out * static_cast<int64_t>(sizeof(float));
    } else {
      // [rows, from] to [rows, to].
      const int64_t from = forward ? in : out, to = forward ? out : in;
      const Bf16* const x = memory_.NormalBf16(rows * from);
      const Bf16* const weight = memory_.NormalBf16(in * out, 0.02f);
      Bf16* const y = memory_.Make<Bf16>(rows * to);
      forward_ = {rows, in, out, x, weight, nullptr, y, shape.accumulate};
      input_ = {rows, in, out, x, weight, y, shape.accumulate};
      if (shape.epilogue == LinearEpilogue::kBias || shape.epilogue == LinearEpilogue::kGeluBias) {
        forward_.bias = memory_.NormalBf16(out);
      }
      if (shape.epilogue == LinearEpilogue::kGeluBias) {
        forward_.pre_gelu = memory_.Make<Bf16>(rows * out);
      }
      if (shape.epilogue == LinearEpilogue::kGeluGradient) {
        input_.pre_gelu = memory_.NormalBf16(rows * in);
      }
      result_ = y;
      bytes_ = rows * to * static_cast<int64_t>(sizeof(Bf16));
    }
    zeros_ = memory_.Bytes(bytes_);
  }

  LaunchError Run(LinearEngine& engine) const {
    switch (shape_.pass) {
      case LinearPass::kForward:
        return engine.Forward(forward_, nullptr);
      case LinearPass::kBackwardInput:
        return engine.BackwardInput(input_, nullptr);
      case LinearPass::kBackwardWeight:
        break;
    }
    return engine.BackwardWeight(weights_, nullptr);
  }

  // The last of the result when it is added to zeros; the end has the tiles that are cut off.
  std::vector<char> Result(LinearEngine& engine) const {
    constexpr int64_t kMost = int64_t{16} << 20;
    Check(CopyOnGpu(result_, zeros_, bytes_, nullptr), "zeros");
    Check(Run(engine), "a product");
    const int64_t kept = std::min(bytes_, kMost);
    return Download(static_cast<const char*>(result_) + (bytes_ - kept), kept);
  }
  bool AreClose(const std::vector<char>& a, const std::vector<char>& b) const {
    return shape_.pass == LinearPass::kBackwardWeight
               ? AreClose<float>(a, b, 1e-4f, [](float value) { return value; })
               : AreClose<Bf16>(a, b, 1.0f / 64, Bf16ToFloat);
  }

 private:
  template <typename T, typename ToFloat>
  static bool AreClose(const std::vector<char>& a, const std::vector<char>& b, float tolerance,
                       const ToFloat& to_float) {
    float largest = 0, difference = 0;
    for (size_t at = 0; at < a.size(); at += sizeof(T)) {
      T left, right;
      std::memcpy(&left, a.data() + at, sizeof(T));
      std::memcpy(&right, b.data() + at, sizeof(T));
      const float l = to_float(left), r = to_float(right);
      if (!std::isfinite(l) || !std::isfinite(r)) return false;
      largest = std::max(largest, std::abs(l));
      difference = std::max(difference, std::abs(l - r));
    }
    return difference <= tolerance * largest;
  }

  const LinearShape shape_;
  GpuMemory memory_;
  LinearForwardArgs forward_;
  LinearBackwardInputArgs input_;
  LinearBackwardWeightArgs weights_;
  void* result_ = nullptr;
  void* zeros_ = nullptr;
  int64_t bytes_ = 0;
};

struct Candidate {
  LinearAlgorithm algorithm;
  std::unique_ptr<LinearEngine> engine;
};

class Tuner {
 public:
  Tuner(int most_candidates, int rounds) : most_candidates_(most_candidates), rounds_(rounds) {}

  // The choice for a product, if there is one, and its line of JSON.
  std::optional<LinearChoice> Tune(const LinearShape& shape) {
    const TimedProduct product(shape);
    const std::unique_ptr<LinearEngine> first = MakeEngine({});
    Check(product.Run(*first), "the heuristic's first algorithm");
    std::vector<Candidate> candidates;
    for (const LinearAlgorithm& algorithm :
         LinearCandidates(shape, workspace_, kWorkspaceBytes, most_candidates_)) {
      Candidate candidate = {algorithm, MakeEngine({{}, {{shape, algorithm, 1, 1}}})};
      Check(product.Run(*candidate.engine), "a candidate");
      // An engine falls back where an algorithm does not run.
      if (candidate.engine->ChosenShapes() == 1) candidates.push_back(std::move(candidate));
    }
    const std::vector<double> seconds = Time(product, *first, candidates);
    const std::vector<char> expected = product.Result(*first);
    const std::optional<size_t> best =
        ChooseAlgorithm(seconds[0], {seconds.begin() + 1, seconds.end()},
                        [&](size_t i) { return IsRight(product, candidates[i], expected); });
    std::optional<LinearChoice> choice;
    if (best.has_value()) {
      choice = {shape, candidates[*best].algorithm, seconds[0], seconds[1 + *best]};
    }
    std::printf("{\"shape\": \"%s\", \"candidates\": %zu, \"first_seconds\": %.9g, ",
                LinearShapeText(shape).c_str(), candidates.size(), seconds[0]);
    if (choice.has_value()) {
      std::printf("\"chosen_seconds\": %.9g, ", choice->chosen_seconds);
    } else {
      std::printf("\"chosen_seconds\": null, ");
    }
    std::printf("\"flops\": %.9g}\n", Flops(shape));
    std::fflush(stdout);
    return choice;
  }

 private:
  std::unique_ptr<LinearEngine> MakeEngine(LinearChoices choices) {
    std::unique_ptr<LinearEngine> engine =
        LinearEngine::Create(workspace_, kWorkspaceBytes, std::move(choices));
    if (engine == nullptr) Check({1}, "cuBLASLt");
    return engine;
  }

  // Of what runs without a choice, and behind it of each candidate.
  std::vector<double> Time(const TimedProduct& product, LinearEngine& first,
                           const std::vector<Candidate>& candidates) const {
    std::vector<Stage> stages = {{"first", [&] { return product.Run(first); }}};
    for (const Candidate& candidate : candidates) {
      stages.push_back({"candidate", [&] { return product.Run(*candidate.engine); }});
    }
    TimeOnGpu(stages, 2);
    return TimeOnGpu(stages, rounds_);
  }

  static bool IsRight(const TimedProduct& product, const Candidate& candidate,
                      const std::vector<char>& expected) {
    const std::vector<char> result = product.Result(*candidate.engine);
    if (result == product.Result(*candidate.engine) && product.AreClose(result, expected)) {
      return true;
    }
    std::fprintf(stderr, "a candidate, algorithm %d, is wrong or not reproducible\n",
                 candidate.algorithm.id);
    return false;
  }

  const int most_candidates_, rounds_;
  GpuMemory memory_;
  void* const workspace_ = memory_.Bytes(kWorkspaceBytes);
};

int Usage(const std::string& error) {
  std::cerr << "linear_tune: " << error << "\n";
  return 2;
}

int Run() {
  const std::string output = absl::GetFlag(FLAGS_output);
  if (output.empty()) return Usage("--output is missing");
  if (!FileExists(FolderOf(output))) return Usage("--output: there is no " + FolderOf(output));
  const int patch_values = absl::GetFlag(FLAGS_patch_values);
  if (patch_values < 8 || patch_values % 8 != 0) {
    return Usage("--patch_values: a multiple of 8 is wanted");
  }
  if (absl::GetFlag(FLAGS_candidates) < 1) return Usage("--candidates: at least 1 is wanted");
  if (absl::GetFlag(FLAGS_rounds) < 1) return Usage("--rounds: at least 1 is wanted");
  std::vector<LinearShape> shapes;
  for (const std::string& text : absl::GetFlag(FLAGS_towers)) {
    const std::optional<Tower> tower = ParseTower(text);
    if (!tower.has_value()) {
      return Usage("--towers: \"" + text + "\" is not WIDTH or WIDTHxMLP, multiples of 8");
    }
    for (const std::string& rows : absl::GetFlag(FLAGS_tokens)) {
      int64_t tokens = 0;
      if (!absl::SimpleAtoi(rows, &tokens) || tokens < 1) {
        return Usage("--tokens: \"" + rows + "\" is no number from 1");
      }
      for (const LinearShape& shape :
           TowerLinears(tokens, tower->width, tower->mlp, patch_values)) {
        if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) {
          shapes.push_back(shape);
        }
      }
    }
  }
  if (GpuName().empty()) {
    std::cerr << "linear_tune: there is no GPU\n";
    return 1;
  }
  LinearChoices choices;
  choices.device = CurrentLinearDevice();
  Tuner tuner(absl::GetFlag(FLAGS_candidates), absl::GetFlag(FLAGS_rounds));
  for (const LinearShape& shape : shapes) {
    if (const std::optional<LinearChoice> choice = tuner.Tune(shape)) {
      choices.choices.push_back(*choice);
    }
  }
  if (const absl::Status status = AtomicWriteFile(output, FormatLinearChoices(choices));
      !status.ok()) {
    std::cerr << "linear_tune: " << status.message() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace navit::kernels::cuda

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("chooses cuBLASLt's algorithms by measurement: --output=FILE");
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() > 1) {
    std::cerr << "linear_tune: unexpected argument: " << arguments[1] << "\n";
    return 2;
  }
  return navit::kernels::cuda::Run();
}
