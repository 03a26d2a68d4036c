// Names of objects: local paths, http(s) URLs and s3://BUCKET/KEY.
#ifndef NAVIT_COMMON_OBJECT_STORE_URL_H_
#define NAVIT_COMMON_OBJECT_STORE_URL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

struct Url {
  // "file" (a plain path, whole in `path`), "http", "https" or "s3".
  std::string scheme;
  // http: host, with the port where it is written. s3: the bucket.
  std::string host;
  // http: path and query as written, from the slash on. s3: the key, unescaped, without the slash.
  std::string path;
};

// Whether `name` begins with SCHEME://; anything else is a local path.
bool IsUrl(absl::string_view name);

// InvalidArgument names the URL: a scheme that is none of ours, no host or bucket, user and
// password in it (credentials never stand in a job file).
absl::StatusOr<Url> ParseUrl(absl::string_view name);

// `name` below `folder`, with one slash between.
std::string JoinUrl(absl::string_view folder, absl::string_view name);

// RFC 3986: all but letters, digits and -._~ becomes %XX (upper case); a slash stays if
// `keep_slash`.
std::string PercentEncode(absl::string_view text, bool keep_slash);
// %XX and + (a space) undone; anything malformed stays.
std::string PercentDecode(absl::string_view text);

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_URL_H_
