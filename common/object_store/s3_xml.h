// The XML of S3 and STS that we read.
#ifndef NAVIT_COMMON_OBJECT_STORE_S3_XML_H_
#define NAVIT_COMMON_OBJECT_STORE_S3_XML_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/aws_signature.h"

namespace navit {

// Both empty: `body` is no error document.
struct S3Error {
  std::string code;
  std::string message;
};
// Of S3 (<Error>) or STS (<ErrorResponse><Error>).
S3Error ParseS3Error(absl::string_view body);

// One page of ListObjectsV2 with encoding-type=url; keys decoded.
struct S3ListPage {
  std::vector<std::string> keys;
  // Of the next page; empty: this is the last one.
  std::string continuation_token;
};
// DataLoss: no such document.
absl::StatusOr<S3ListPage> ParseS3List(absl::string_view body);

// The credentials of an AssumeRoleWithWebIdentity reply. DataLoss: there are none in it.
absl::StatusOr<AwsCredentials> ParseStsCredentials(absl::string_view body);

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_S3_XML_H_
