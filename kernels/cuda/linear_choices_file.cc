#include "kernels/cuda/linear_choices_file.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/files.h"
#include "common/status_macros.h"

namespace navit::kernels::cuda {
namespace {

constexpr absl::string_view kTitle = "navit-linear-choices 1";

// In the order of the enumerators.
constexpr std::array<absl::string_view, 3> kPasses = {"forward", "backward_input",
                                                      "backward_weight"};
constexpr std::array<absl::string_view, 4> kEpilogues = {"none", "bias", "gelu_bias",
                                                         "gelu_gradient"};

absl::string_view Text(LinearPass pass) { return kPasses[static_cast<size_t>(pass)]; }
absl::string_view Text(LinearEpilogue epilogue) {
  return kEpilogues[static_cast<size_t>(epilogue)];
}
std::string Text(double value) { return absl::StrFormat("%.6g", value); }
template <typename T>
std::string Text(T number) {
  return absl::StrCat(number);
}

template <typename Enum, size_t kCount>
bool Parse(absl::string_view text, const std::array<absl::string_view, kCount>& names,
           Enum& value) {
  for (size_t i = 0; i < kCount; ++i) {
    if (text != names[i]) continue;
    value = static_cast<Enum>(i);
    return true;
  }
  return false;
}
bool Parse(absl::string_view text, LinearPass& value) { return Parse(text, kPasses, value); }
bool Parse(absl::string_view text, LinearEpilogue& value) { return Parse(text, kEpilogues, value); }
bool Parse(absl::string_view text, bool& value) {
  value = text == "1";
  return value || text == "0";
}
bool Parse(absl::string_view text, double& value) {
  return absl::SimpleAtod(text, &value) && std::isfinite(value);
}
bool Parse(absl::string_view text, uint16_t& value) {
  uint32_t wide = 0;
  if (!absl::SimpleAtoi(text, &wide) || wide > std::numeric_limits<uint16_t>::max()) return false;
  value = static_cast<uint16_t>(wide);
  return true;
}
template <typename T>
bool Parse(absl::string_view text, T& value) {
  return absl::SimpleAtoi(text, &value);
}

// The fields of a line in their order: field(name, value).
template <typename Shape, typename Field>
void VisitShape(Shape& shape, const Field& field) {
  field("pass", shape.pass);
  field("epilogue", shape.epilogue);
  field("accumulate", shape.accumulate);
  field("rows", shape.rows);
  field("in", shape.in);
  field("out", shape.out);
}
template <typename Algorithm, typename Field>
void VisitAlgorithm(Algorithm& algorithm, const Field& field) {
  field("id", algorithm.id);
  field("tile", algorithm.tile);
  field("stages", algorithm.stages);
  field("split_k", algorithm.split_k);
  field("reduction", algorithm.reduction);
  field("swizzle", algorithm.swizzle);
  field("custom_option", algorithm.custom_option);
  field("inner_shape", algorithm.inner_shape);
  field("cluster_shape", algorithm.cluster_shape);
}

// "": the fields of a choice agree with each other.
std::string Contradiction(const LinearChoice& choice) {
  const LinearShape& shape = choice.shape;
  if (shape.rows < 1 || shape.in < 1 || shape.out < 1) return "rows, in and out are at least 1";
  const bool gelu = shape.epilogue == LinearEpilogue::kGeluBias ||
                    shape.epilogue == LinearEpilogue::kGeluGradient;
  const LinearPass wants = shape.epilogue == LinearEpilogue::kNone ? shape.pass
                           : shape.epilogue == LinearEpilogue::kGeluGradient
                               ? LinearPass::kBackwardInput
                               : LinearPass::kForward;
  if (shape.pass != wants) {
    return absl::StrCat("epilogue=", Text(shape.epilogue), " belongs to pass=", Text(wants));
  }
  if (shape.accumulate && gelu) return "a product with GELU does not accumulate";
  if (!shape.accumulate && shape.pass == LinearPass::kBackwardWeight) {
    return "pass=backward_weight always accumulates";
  }
  if (!IsReproducible(choice.algorithm)) {
    return absl::StrCat(
        "split_k=", choice.algorithm.split_k, " with reduction=", choice.algorithm.reduction,
        " adds in another order or precision; split sums want reduction=", kReductionComputeType);
  }
  if (!(choice.first_seconds > 0 && choice.chosen_seconds > 0)) return "times are above 0";
  return "";
}

// "": the line was parsed.
std::string ParseLine(absl::string_view line, LinearChoice& choice) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
  size_t next = 0;
  std::string error;
  const auto field = [&](absl::string_view name, auto& value) {
    if (!error.empty()) return;
    if (next == words.size()) {
      error = absl::StrCat(name, " is missing");
      return;
    }
    absl::string_view word = words[next++];
    if (!absl::ConsumePrefix(&word, absl::StrCat(name, "="))) {
      error = absl::StrCat("\"", word, "\" stands where ", name, "= belongs");
    } else if (!Parse(word, value)) {
      error = absl::StrCat(name, ": \"", word, "\" is no value for it");
    }
  };
  VisitShape(choice.shape, field);
  VisitAlgorithm(choice.algorithm, field);
  double first_us = 0, chosen_us = 0;
  field("first_us", first_us);
  field("chosen_us", chosen_us);
  choice.first_seconds = 1e-6 * first_us;
  choice.chosen_seconds = 1e-6 * chosen_us;
  if (!error.empty()) return error;
  if (next < words.size()) return absl::StrCat("\"", words[next], "\" is too much");
  return Contradiction(choice);
}

// The value of a line of the head; "": parsed.
std::string ParseHead(absl::string_view line, absl::string_view name, std::string& value) {
  if (!absl::ConsumePrefix(&line, absl::StrCat(name, "=")) || line.empty()) {
    return absl::StrCat("\"", line, "\" stands where ", name, "= belongs, with a value");
  }
  value = std::string(line);
  return "";
}

}  // namespace

std::string LinearShapeText(const LinearShape& shape) {
  return absl::StrCat(
      Text(shape.pass),
      shape.epilogue == LinearEpilogue::kNone ? "" : absl::StrCat(" ", Text(shape.epilogue)),
      shape.accumulate ? " accumulate" : "", " rows=", shape.rows, " in=", shape.in,
      " out=", shape.out);
}

std::string FormatLinearChoices(const LinearChoices& choices) {
  std::string text = absl::StrCat(kTitle, "\ndevice=", choices.device.name,
                                  "\ncapability=", choices.device.capability,
                                  "\ncublaslt=", choices.device.cublaslt, "\n");
  for (const LinearChoice& choice : choices.choices) {
    const char* separator = "";
    const auto field = [&](absl::string_view name, const auto& value) {
      absl::StrAppend(&text, separator, name, "=", Text(value));
      separator = " ";
    };
    VisitShape(choice.shape, field);
    VisitAlgorithm(choice.algorithm, field);
    field("first_us", 1e6 * choice.first_seconds);
    field("chosen_us", 1e6 * choice.chosen_seconds);
    text += "\n";
  }
  return text;
}

absl::StatusOr<LinearChoices> ParseLinearChoices(absl::string_view text, absl::string_view file) {
  LinearChoices result;
  std::string version;
  std::set<LinearShape> seen;
  int number = 0, said = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    absl::ConsumeSuffix(&line, "\r");
    if (line.empty() || absl::StartsWith(line, "#")) continue;
    std::string error;
    switch (said++) {
      case 0:
        if (line != kTitle) error = absl::StrCat("does not start with \"", kTitle, "\"");
        break;
      case 1:
        error = ParseHead(line, "device", result.device.name);
        break;
      case 2:
        error = ParseHead(line, "capability", result.device.capability);
        break;
      case 3:
        error = ParseHead(line, "cublaslt", version);
        if (error.empty() && !absl::SimpleAtoi(version, &result.device.cublaslt)) {
          error = absl::StrCat("cublaslt: \"", version, "\" is no number");
        }
        break;
      default: {
        LinearChoice choice;
        error = ParseLine(line, choice);
        if (error.empty() && !seen.insert(choice.shape).second) {
          error = absl::StrCat(LinearShapeText(choice.shape), " has a line already");
        }
        result.choices.push_back(choice);
      }
    }
    if (!error.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(file, ":", number, ": ", error));
    }
  }
  if (said < 4) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", number, ": ends before its lines of device and version"));
  }
  return result;
}

absl::StatusOr<LinearChoices> ReadLinearChoices(const std::string& path) {
  NAVIT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseLinearChoices(text, path);
}

std::string WhyNotHere(const LinearDevice& device, const LinearDevice& here) {
  if (device == here) return "";
  const auto say = [](const LinearDevice& of) {
    return absl::StrCat(of.name, " (", of.capability, ") with cuBLASLt ", of.cublaslt);
  };
  return absl::StrCat("they are for ", say(device), ", and here is ", say(here));
}

}  // namespace navit::kernels::cuda
