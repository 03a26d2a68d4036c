// The sentences that stand for the classes in zero-shot classification: evaluation.zero_shot. Every
// class in every template; sentence n is of class n / templates.
#ifndef NAVIT_COMMON_PROMPTS_H_
#define NAVIT_COMMON_PROMPTS_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_replace.h"
#include "proto/job_spec.pb.h"

namespace navit {

inline uint64_t PromptCount(const v1::ZeroShotSpec& spec) {
  return static_cast<uint64_t>(spec.class_names_size()) * spec.templates_size();
}

// Both require number < PromptCount.
inline uint32_t PromptClass(const v1::ZeroShotSpec& spec, uint64_t number) {
  return static_cast<uint32_t>(number / spec.templates_size());
}
inline std::string PromptText(const v1::ZeroShotSpec& spec, uint64_t number) {
  const int name = static_cast<int>(PromptClass(spec, number));
  return absl::StrReplaceAll(spec.templates(static_cast<int>(number % spec.templates_size())),
                             {{"{}", spec.class_names(name)}});
}

}  // namespace navit

#endif  // NAVIT_COMMON_PROMPTS_H_
