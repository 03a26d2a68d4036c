// A trainer's phase as people read it.
#ifndef NAVIT_COMMON_PHASE_WORDS_H_
#define NAVIT_COMMON_PHASE_WORDS_H_

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "proto/fleet.pb.h"

namespace navit {

// PHASE_DATA_WAIT: "data wait".
inline std::string PhaseWords(v1::Phase phase) {
  const std::string name = v1::Phase_Name(phase);
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(name, "PHASE_")),
                             {{"_", " "}});
}

}  // namespace navit

#endif  // NAVIT_COMMON_PHASE_WORDS_H_
