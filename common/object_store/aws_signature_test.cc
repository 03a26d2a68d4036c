#include "common/object_store/aws_signature.h"

#include "gtest/gtest.h"

namespace navit {
namespace {

// The published examples of the Amazon S3 API Reference, "Authenticating Requests: Using the
// Authorization Header".
const AwsCredentials kExample = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                 ""};
constexpr char kEmptyHash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string Authorization(const AwsRequest& request) {
  const absl::Time now = absl::FromCivil(absl::CivilSecond(2013, 5, 24), absl::UTCTimeZone());
  return SignAwsRequest(request, kExample, "us-east-1", "s3", now).at("authorization");
}

std::string Expected(const std::string& headers, const std::string& signature) {
  return "AWS4-HMAC-SHA256 "
         "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
         headers + ",Signature=" + signature;
}

TEST(AwsSignature, GetObjectWithRange) {
  EXPECT_EQ(Authorization({"GET",
                           "examplebucket.s3.amazonaws.com",
                           "/test.txt",
                           {},
                           {{"range", "bytes=0-9"}},
                           kEmptyHash}),
            Expected("host;range;x-amz-content-sha256;x-amz-date",
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
}

TEST(AwsSignature, PutObject) {
  const std::string hash = Sha256Hex("Welcome to Amazon S3.");
  EXPECT_EQ(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  EXPECT_EQ(Authorization({"PUT",
                           "examplebucket.s3.amazonaws.com",
                           "/test%24file.text",
                           {},
                           {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                            {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                           hash}),
            Expected("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(AwsSignature, GetBucketLifecycle) {
  EXPECT_EQ(
      Authorization(
          {"GET", "examplebucket.s3.amazonaws.com", "/", {{"lifecycle", ""}}, {}, kEmptyHash}),
      Expected("host;x-amz-content-sha256;x-amz-date",
               "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(AwsSignature, ListObjects) {
  EXPECT_EQ(Authorization({"GET",
                           "examplebucket.s3.amazonaws.com",
                           "/",
                           {{"prefix", "J"}, {"max-keys", "2"}},
                           {},
                           kEmptyHash}),
            Expected("host;x-amz-content-sha256;x-amz-date",
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(AwsSignature, ATokenIsSentAndSigned) {
  AwsCredentials temporary = kExample;
  temporary.session_token = "a token";
  const auto headers = SignAwsRequest({"GET", "host", "/", {}, {}, kEmptyHash}, temporary,
                                      "us-east-1", "s3", absl::UnixEpoch());
  EXPECT_EQ(headers.at("x-amz-security-token"), "a token");
  EXPECT_NE(headers.at("authorization").find("x-amz-security-token"), std::string::npos);
}

TEST(AwsSignature, QueriesAreEncodedBeforeTheyAreSorted) {
  EXPECT_EQ(CanonicalQuery({{"b", "x y"}, {"a", "/+~"}, {"a-", "1"}, {"a", ""}}),
            "a=&a=%2F%2B~&a-=1&b=x%20y");
}

}  // namespace
}  // namespace navit
