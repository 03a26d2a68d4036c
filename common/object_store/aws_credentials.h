// Where the credentials of S3 come from. The first source that has any is used:
//   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if set, AWS_SESSION_TOKEN
//   2. web identity: AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, if set AWS_ROLE_SESSION_NAME; the
//      token is exchanged at STS (AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL)
//   3. the profile files (aws_profile.h): keys, or role_arn with web_identity_token_file
//   4. a container's: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI, with
//      AWS_CONTAINER_AUTHORIZATION_TOKEN or …_TOKEN_FILE
//   5. the instance's (IMDSv2), unless AWS_EC2_METADATA_DISABLED is true;
//      AWS_EC2_METADATA_SERVICE_ENDPOINT
#ifndef NAVIT_COMMON_OBJECT_STORE_AWS_CREDENTIALS_H_
#define NAVIT_COMMON_OBJECT_STORE_AWS_CREDENTIALS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/object_store/aws_signature.h"
#include "common/object_store/http_client.h"
#include "common/object_store/object_store.h"

namespace navit {

// The region to sign for: AWS_REGION, AWS_DEFAULT_REGION, the profile's, else us-east-1.
std::string AwsRegion(const Environment& environment);

// Thread-safe.
class AwsCredentialsSource {
 public:
  explicit AwsCredentialsSource(const ObjectStoreOptions& options);

  // Credentials that hold for five minutes more, where that can be had: temporary ones are fetched
  // again before they expire. Unauthenticated: there are none; lists what was tried. Other codes: a
  // source that is set up failed.
  absl::StatusOr<AwsCredentials> Get();
  // The server says that `rejected` are no longer good: the next Get fetches anew.
  void Reject(const AwsCredentials& rejected);

 private:
  using Found = absl::StatusOr<std::optional<AwsCredentials>>;

  Found FromEnvironment(std::vector<std::string>* tried);
  Found FromWebIdentity(std::vector<std::string>* tried);
  Found FromProfile(std::vector<std::string>* tried);
  Found FromContainer(std::vector<std::string>* tried);
  Found FromInstance(std::vector<std::string>* tried);
  absl::StatusOr<AwsCredentials> AssumeRole(const std::string& token_file, const std::string& role,
                                            const std::string& session);
  absl::StatusOr<AwsCredentials> Fetch();

  const ObjectStoreOptions options_;
  HttpClient client_;
  // Held during a fetch: the other requests wait for it.
  absl::Mutex mutex_;
  std::optional<AwsCredentials> current_ ABSL_GUARDED_BY(mutex_);
  // Unix time before which a failed refresh is not repeated while the old ones still hold.
  absl::Time next_refresh_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace navit

#endif  // NAVIT_COMMON_OBJECT_STORE_AWS_CREDENTIALS_H_
