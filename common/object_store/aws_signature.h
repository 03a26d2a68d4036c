// AWS Signature Version 4 in the Authorization header, as a pure function. Rules and example
// vectors: "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
#ifndef NAVIT_COMMON_OBJECT_STORE_AWS_SIGNATURE_H_
#define NAVIT_COMMON_OBJECT_STORE_AWS_SIGNATURE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace navit {

struct AwsCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  // Of temporary credentials; empty: none.
  std::string session_token;
  absl::Time expires = absl::InfiniteFuture();
};

struct AwsRequest {
  std::string method;
  // With the port, unless it is the scheme's own.
  std::string host;
  // Percent-encoded once, from the slash on, as it will be sent: S3 does not encode it again.
  std::string path;
  // Unencoded.
  std::vector<std::pair<std::string, std::string>> query;
  // To be signed beside host and x-amz-*; names in lower case.
  std::map<std::string, std::string> headers;
  // Sha256Hex of the body.
  std::string payload_hash;
};

// Hexadecimal, lower case.
std::string Sha256Hex(absl::string_view bytes);

// "a=1&b=%20": sorted by encoded name, then value; as it is signed, and as it may be sent.
std::string CanonicalQuery(std::vector<std::pair<std::string, std::string>> query);

// All headers to send except Host: those of `request`, x-amz-date, x-amz-content-sha256,
// x-amz-security-token where there is a token, and authorization.
std::map<std::string, std::string> SignAwsRequest(const AwsRequest& request,
                                                  const AwsCredentials& credentials,
                                                  absl::string_view region,
                                                  absl::string_view service, absl::Time now);

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_AWS_SIGNATURE_H_
