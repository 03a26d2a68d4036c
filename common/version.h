// What this program is, and with whom it works.
//
// Releases are counted by MAJOR.MINOR; PATCH changes neither protocol nor store. A coordinator of
// release N works with workers and clients of N and of N-1, so that a fleet is upgraded without
// stopping a job: the coordinator first, then workers and clients, one by one.
#ifndef NAVIT_COMMON_VERSION_H_
#define NAVIT_COMMON_VERSION_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace navit {

// "MAJOR.MINOR.PATCH" of this build.
const char* Version();
// "MAJOR.MINOR" of the release before this one.
const char* PreviousRelease();

// Source revision that the program was built from; "unknown" when the build was not stamped.
const char* Revision();

// Whether a coordinator of this build works with a `peer` ("navit-packer", for the message) of
// `version`. FAILED_PRECONDITION says which of the two to upgrade. INVALID_ARGUMENT: no version.
absl::Status CheckPeerVersion(absl::string_view peer, absl::string_view version);
// The same with every version given.
absl::Status CheckPeerVersion(absl::string_view peer, absl::string_view version,
                              absl::string_view own_version, absl::string_view previous_release);

// Key of the metadata in which clients send their version.
inline constexpr char kVersionMetadata[] = "navit-version";

}  // namespace navit

#endif  // NAVIT_COMMON_VERSION_H_
