#include "common/object_store/aws_profile.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/files.h"

namespace navit {

AwsProfile ParseAwsProfile(absl::string_view text, absl::string_view name, bool config) {
  AwsProfile settings;
  bool ours = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view bare = absl::StripAsciiWhitespace(line);
    if (bare.empty() || bare[0] == '#' || bare[0] == ';') continue;
    if (bare[0] == '[') {
      absl::string_view section = absl::StripAsciiWhitespace(bare.substr(1, bare.find(']') - 1));
      if (config && absl::ConsumePrefix(&section, "profile ")) {
        section = absl::StripAsciiWhitespace(section);
      } else if (config && section != "default") {
        section = "";  // sso-session and the like
      }
      ours = section == name;
      continue;
    }
    const size_t equals = bare.find('=');
    if (!ours || equals == absl::string_view::npos || absl::ascii_isspace(line[0])) continue;
    settings[absl::AsciiStrToLower(absl::StripAsciiWhitespace(bare.substr(0, equals)))] =
        std::string(absl::StripAsciiWhitespace(bare.substr(equals + 1)));
  }
  return settings;
}

absl::StatusOr<LoadedAwsProfile> LoadAwsProfile(const Environment& environment) {
  LoadedAwsProfile profile;
  const std::string asked = environment("AWS_PROFILE");
  profile.name = asked.empty() ? "default" : asked;
  const std::string home = environment("HOME");
  for (const bool config : {false, true}) {
    std::string path = environment(config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
    if (path.empty() && home.empty()) continue;
    if (path.empty()) path = absl::StrCat(home, "/.aws/", config ? "config" : "credentials");
    absl::StrAppend(&profile.files, profile.files.empty() ? "" : ", ", path);
    const absl::StatusOr<std::string> text = ReadFile(path);
    if (absl::IsNotFound(text.status())) continue;
    if (!text.ok()) return text.status();
    // What stands in the first file wins.
    profile.settings.merge(ParseAwsProfile(*text, profile.name, config));
  }
  if (profile.settings.empty() && !asked.empty()) {
    return absl::NotFoundError(
        absl::StrCat("AWS_PROFILE names ", asked, ", which is not in ", profile.files));
  }
  return profile;
}

}  // namespace navit
