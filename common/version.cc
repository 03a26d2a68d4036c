#include "common/version.h"

#include <optional>
#include <tuple>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace navit {

#ifndef NAVIT_REVISION
#define NAVIT_REVISION "unknown"
#endif

// Weak: tests of an upgrade link a build of the next version over them (next_version.cc).
ABSL_ATTRIBUTE_WEAK const char* Version() { return "0.1.0"; }
ABSL_ATTRIBUTE_WEAK const char* PreviousRelease() { return "0.0"; }

const char* Revision() { return NAVIT_REVISION; }

namespace {

struct Release {
  int major = 0;
  int minor = 0;
  friend bool operator==(const Release& a, const Release& b) {
    return std::tie(a.major, a.minor) == std::tie(b.major, b.minor);
  }
  friend bool operator<(const Release& a, const Release& b) {
    return std::tie(a.major, a.minor) < std::tie(b.major, b.minor);
  }
};

std::optional<Release> ParseRelease(absl::string_view version) {
  const std::vector<absl::string_view> parts = absl::StrSplit(version, '.');
  Release release;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &release.major) ||
      !absl::SimpleAtoi(parts[1], &release.minor)) {
    return std::nullopt;
  }
  return release;
}

}  // namespace

absl::Status CheckPeerVersion(absl::string_view peer, absl::string_view version) {
  return CheckPeerVersion(peer, version, Version(), PreviousRelease());
}

absl::Status CheckPeerVersion(absl::string_view peer, absl::string_view version,
                              absl::string_view own_version, absl::string_view previous_release) {
  const std::optional<Release> theirs = ParseRelease(version);
  if (!theirs.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("version: must be MAJOR.MINOR.PATCH, is `", version, "`"));
  }
  const Release own = *ParseRelease(own_version);
  if (*theirs == own || *theirs == *ParseRelease(previous_release)) return absl::OkStatus();
  if (own < *theirs) {
    return absl::FailedPreconditionError(
        absl::StrCat(peer, " ", version, " is newer than the coordinator, which is ", own_version,
                     ": upgrade the coordinator first"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(peer, " ", version, " is too old for the coordinator, which is ", own_version,
                   " and works with releases ", previous_release, " and ", own.major, ".",
                   own.minor, ": upgrade it"));
}

}  // namespace navit
