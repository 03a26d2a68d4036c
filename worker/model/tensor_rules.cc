#include "worker/model/tensor_rules.h"

#include <fnmatch.h>

#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace navit {
namespace {

// Layers between the tensor and its tower's head; 0 for the head and for what is in no tower.
int64_t LayersToHead(const ModelConfig& config, absl::string_view name) {
  const bool image = absl::ConsumePrefix(&name, "image.");
  if (!image && !absl::ConsumePrefix(&name, "text.")) return 0;
  const int64_t depth = image ? config.image.depth : config.text.depth;
  if (absl::ConsumePrefix(&name, "blocks.")) {
    int64_t block = 0;
    const absl::string_view number = name.substr(0, name.find('.'));
    return absl::SimpleAtoi(number, &block) ? depth - block : 0;
  }
  for (const char* head : {"projection.", "classifier.", "pool.", "norm."}) {
    if (absl::StartsWith(name, head)) return 0;
  }
  return depth + 1;
}

}  // namespace

absl::StatusOr<std::vector<TensorRule>> ResolveTensorRules(const ParameterTable& table,
                                                           const v1::OptimizerSpec& optimizer) {
  std::vector<TensorRule> rules;
  std::vector<bool> used(optimizer.groups_size(), false);
  const double layer_decay = optimizer.has_layer_decay() ? optimizer.layer_decay() : 1;
  for (const ParameterInfo& info : table.entries()) {
    TensorRule& rule = rules.emplace_back();
    if (info.decay) rule.weight_decay = optimizer.weight_decay();
    if (layer_decay != 1) {
      rule.lr_scale =
          std::pow(layer_decay, static_cast<double>(LayersToHead(table.config(), info.name)));
    }
    bool matched = false;
    for (int g = 0; g < optimizer.groups_size(); ++g) {
      const v1::ParameterGroup& group = optimizer.groups(g);
      if (fnmatch(group.match().c_str(), info.name.c_str(), 0) != 0) continue;
      used[g] = true;
      if (matched) continue;
      matched = true;
      if (group.has_lr_scale()) rule.lr_scale *= group.lr_scale();
      if (group.has_weight_decay() && info.decay) rule.weight_decay = group.weight_decay();
      rule.frozen = group.freeze();
    }
  }
  for (int g = 0; g < optimizer.groups_size(); ++g) {
    if (used[g]) continue;
    return absl::InvalidArgumentError(absl::StrCat("optimizer.groups[", g, "].match: no tensor of ",
                                                   "this model has a name like `",
                                                   optimizer.groups(g).match(), "`"));
  }
  return rules;
}

}  // namespace navit
