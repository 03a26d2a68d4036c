#include "common/object_store/s3_xml.h"

#include <pugixml.hpp>

#include "common/object_store/url.h"

namespace navit {

S3Error ParseS3Error(absl::string_view body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  pugi::xml_node error = document.child("Error");
  if (!error) error = document.child("ErrorResponse").child("Error");
  return {error.child_value("Code"), error.child_value("Message")};
}

absl::StatusOr<S3ListPage> ParseS3List(absl::string_view body) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  const pugi::xml_node list = document.child("ListBucketResult");
  if (!list) return absl::DataLossError("the reply to ListObjectsV2 is no ListBucketResult");
  const bool encoded = absl::string_view(list.child_value("EncodingType")) == "url";
  S3ListPage page;
  for (const pugi::xml_node object : list.children("Contents")) {
    const absl::string_view key = object.child_value("Key");
    page.keys.push_back(encoded ? PercentDecode(key) : std::string(key));
  }
  if (absl::string_view(list.child_value("IsTruncated")) == "true") {
    page.continuation_token = list.child_value("NextContinuationToken");
    if (page.continuation_token.empty()) {
      return absl::DataLossError("a truncated list without a continuation token");
    }
  }
  return page;
}

absl::StatusOr<AwsCredentials> ParseStsCredentials(absl::string_view body) {
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  const pugi::xml_node found = document.child("AssumeRoleWithWebIdentityResponse")
                                   .child("AssumeRoleWithWebIdentityResult")
                                   .child("Credentials");
  AwsCredentials credentials;
  credentials.access_key_id = found.child_value("AccessKeyId");
  credentials.secret_access_key = found.child_value("SecretAccessKey");
  credentials.session_token = found.child_value("SessionToken");
  std::string error;
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty() ||
      !absl::ParseTime(absl::RFC3339_full, found.child_value("Expiration"), &credentials.expires,
                       &error)) {
    return absl::DataLossError("the reply of STS holds no credentials");
  }
  return credentials;
}

}  // namespace navit
