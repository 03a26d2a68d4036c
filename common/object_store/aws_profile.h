// ~/.aws/credentials and ~/.aws/config.
#ifndef NAVIT_COMMON_OBJECT_STORE_AWS_PROFILE_H_
#define NAVIT_COMMON_OBJECT_STORE_AWS_PROFILE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"

namespace navit {

// The settings of one profile; names in lower case. Nested settings ("s3 =" and indented lines) are
// passed over.
using AwsProfile = std::map<std::string, std::string>;

// `text` of a profile file: sections [NAME], or [profile NAME] where `config`. Empty: no such
// section.
AwsProfile ParseAwsProfile(absl::string_view text, absl::string_view name, bool config);

struct LoadedAwsProfile {
  std::string name;
  AwsProfile settings;
  // The files that were looked at, for messages.
  std::string files;
};
// The profile of AWS_PROFILE (default "default") from AWS_SHARED_CREDENTIALS_FILE and
// AWS_CONFIG_FILE (default: in $HOME/.aws), the former first. Files that are not there count as
// empty. NotFound: AWS_PROFILE names a profile that neither holds.
absl::StatusOr<LoadedAwsProfile> LoadAwsProfile(const Environment& environment);

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_AWS_PROFILE_H_
