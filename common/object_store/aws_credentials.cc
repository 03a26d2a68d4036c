#include "common/object_store/aws_credentials.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"
#include "common/object_store/aws_profile.h"
#include "common/object_store/retrying_http.h"
#include "common/object_store/s3_xml.h"
#include "common/object_store/url.h"
#include "common/status_macros.h"

namespace navit {
namespace {

// Temporary credentials are renewed when they hold for less than this.
constexpr absl::Duration kRenewBefore = absl::Minutes(5);
constexpr absl::Duration kRenewAgain = absl::Seconds(30);
constexpr absl::Duration kLocalTimeout = absl::Seconds(2);
constexpr char kContainerHost[] = "http://169.254.170.2";
constexpr char kInstanceHost[] = "http://169.254.169.254";

// {"AccessKeyId": …, "SecretAccessKey": …, "Token": …, "Expiration": …}
absl::StatusOr<AwsCredentials> ParseJson(const std::string& body) {
  google::protobuf::Struct parsed;
  if (!google::protobuf::util::JsonStringToMessage(body, &parsed).ok()) {
    return absl::DataLossError("the reply is no JSON");
  }
  const auto field = [&](const char* name) {
    const auto found = parsed.fields().find(name);
    return found == parsed.fields().end() ? std::string() : found->second.string_value();
  };
  AwsCredentials credentials{field("AccessKeyId"), field("SecretAccessKey"), field("Token")};
  std::string error;
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty() ||
      !absl::ParseTime(absl::RFC3339_full, field("Expiration"), &credentials.expires, &error)) {
    return absl::DataLossError("the reply holds no credentials");
  }
  return credentials;
}

// Plain http is fit for secrets only on this machine and its link (and IPv6's for EKS).
bool MayCarrySecrets(const Url& url) {
  if (url.scheme == "https") return true;
  const bool ipv6 = absl::StartsWith(url.host, "[");
  const std::string host = url.host.substr(0, ipv6 ? url.host.find(']') + 1 : url.host.find(':'));
  return host == "localhost" || absl::StartsWith(host, "127.") || host == "169.254.170.2" ||
         host == "169.254.170.23" || host == "[::1]" || host == "[fd00:ec2::23]";
}

HttpCall LocalCall(std::string url) {
  HttpCall call;
  call.url = std::move(url);
  call.direct = true;
  call.max_reply_bytes = 1 << 20;
  call.connect_timeout = call.total_timeout = kLocalTimeout;
  return call;
}

// The body of a reply with status 200.
absl::StatusOr<std::string> BodyOf(absl::string_view what, absl::StatusOr<HttpReply> reply) {
  if (!reply.ok()) {
    return absl::Status(reply.status().code(), absl::StrCat(what, ": ", reply.status().message()));
  }
  if (reply->status != 200) return StatusOfReply(*reply, what);
  return std::move(reply->body);
}

}  // namespace

std::string AwsRegion(const Environment& environment) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = environment(name); !region.empty()) return region;
  }
  if (const auto profile = LoadAwsProfile(environment); profile.ok()) {
    const auto region = profile->settings.find("region");
    if (region != profile->settings.end()) return region->second;
  }
  return "us-east-1";
}

AwsCredentialsSource::AwsCredentialsSource(const ObjectStoreOptions& options)
    : options_(options), client_(options.environment("AWS_CA_BUNDLE")) {}

absl::StatusOr<AwsCredentials> AwsCredentialsSource::Get() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = options_.clock->UnixNow();
  if (current_.has_value() && (now < current_->expires - kRenewBefore || now < next_refresh_)) {
    return *current_;
  }
  absl::StatusOr<AwsCredentials> fetched = Fetch();
  if (fetched.ok()) {
    current_ = *fetched;
    // A source may hand out what is about to expire; asking it each time would not help.
    next_refresh_ = now + kRenewAgain;
  } else if (current_.has_value() && now < current_->expires) {
    next_refresh_ = now + kRenewAgain;
    return *current_;
  }
  return fetched;
}

void AwsCredentialsSource::Reject(const AwsCredentials& rejected) {
  absl::MutexLock lock(&mutex_);
  if (current_.has_value() && current_->access_key_id == rejected.access_key_id &&
      current_->session_token == rejected.session_token) {
    current_.reset();
  }
}

absl::StatusOr<AwsCredentials> AwsCredentialsSource::Fetch() {
  std::vector<std::string> tried;
  for (const auto source :
       {&AwsCredentialsSource::FromEnvironment, &AwsCredentialsSource::FromWebIdentity,
        &AwsCredentialsSource::FromProfile, &AwsCredentialsSource::FromContainer,
        &AwsCredentialsSource::FromInstance}) {
    NAVIT_ASSIGN_OR_RETURN(std::optional<AwsCredentials> found, (this->*source)(&tried));
    if (found.has_value()) return *std::move(found);
  }
  return absl::UnauthenticatedError(
      absl::StrCat("no AWS credentials; tried: ", absl::StrJoin(tried, "; ")));
}

AwsCredentialsSource::Found AwsCredentialsSource::FromEnvironment(std::vector<std::string>* tried) {
  const Environment& get = options_.environment;
  AwsCredentials credentials{get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"),
                             get("AWS_SESSION_TOKEN")};
  if (credentials.access_key_id.empty() != credentials.secret_access_key.empty()) {
    return absl::UnauthenticatedError(
        "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set");
  }
  if (!credentials.access_key_id.empty()) return credentials;
  tried->push_back("environment (AWS_ACCESS_KEY_ID is not set)");
  return std::nullopt;
}

absl::StatusOr<AwsCredentials> AwsCredentialsSource::AssumeRole(const std::string& token_file,
                                                                const std::string& role,
                                                                const std::string& session) {
  NAVIT_ASSIGN_OR_RETURN(const std::string token, ReadFile(token_file));
  std::string endpoint = options_.environment("AWS_ENDPOINT_URL_STS");
  if (endpoint.empty()) endpoint = options_.environment("AWS_ENDPOINT_URL");
  if (endpoint.empty()) {
    endpoint = absl::StrCat("https://sts.", AwsRegion(options_.environment), ".amazonaws.com");
  }
  // In the body: a token does not belong into a server's log of URLs.
  const std::string body =
      CanonicalQuery({{"Action", "AssumeRoleWithWebIdentity"},
                      {"Version", "2011-06-15"},
                      {"RoleArn", role},
                      {"RoleSessionName", session.empty() ? "navit" : session},
                      {"WebIdentityToken", std::string(absl::StripAsciiWhitespace(token))}});
  HttpCall call;
  call.method = "POST";
  call.url = JoinUrl(endpoint, "");
  call.headers = {{"content-type", "application/x-www-form-urlencoded"}};
  call.body = body;
  call.total_timeout = absl::Seconds(20);
  call.max_reply_bytes = 1 << 20;
  NAVIT_ASSIGN_OR_RETURN(
      const std::string reply,
      BodyOf(absl::StrCat("web identity: role ", role, " at ", endpoint), client_.Send(call)));
  return ParseStsCredentials(reply);
}

AwsCredentialsSource::Found AwsCredentialsSource::FromWebIdentity(std::vector<std::string>* tried) {
  const Environment& get = options_.environment;
  const std::string file = get("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (file.empty()) {
    tried->push_back("web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set)");
    return std::nullopt;
  }
  const std::string role = get("AWS_ROLE_ARN");
  if (role.empty()) {
    return absl::UnauthenticatedError("AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not");
  }
  return AssumeRole(file, role, get("AWS_ROLE_SESSION_NAME"));
}

AwsCredentialsSource::Found AwsCredentialsSource::FromProfile(std::vector<std::string>* tried) {
  NAVIT_ASSIGN_OR_RETURN(LoadedAwsProfile profile, LoadAwsProfile(options_.environment));
  AwsProfile& settings = profile.settings;
  AwsCredentials credentials{settings["aws_access_key_id"], settings["aws_secret_access_key"],
                             settings["aws_session_token"]};
  if (!credentials.access_key_id.empty() && !credentials.secret_access_key.empty()) {
    return credentials;
  }
  if (!settings["role_arn"].empty() && !settings["web_identity_token_file"].empty()) {
    return AssumeRole(settings["web_identity_token_file"], settings["role_arn"],
                      settings["role_session_name"]);
  }
  for (const char* unknown : {"source_profile", "credential_source", "sso_session", "sso_start_url",
                              "credential_process", "login_session"}) {
    if (!settings[unknown].empty()) {
      return absl::UnauthenticatedError(absl::StrCat("AWS profile ", profile.name, " uses ",
                                                     unknown, ", which navit does not know"));
    }
  }
  tried->push_back(profile.files.empty() ? "profile (HOME is not set)"
                                         : absl::StrCat("profile ", profile.name, " (no keys in ",
                                                        profile.files, ")"));
  return std::nullopt;
}

AwsCredentialsSource::Found AwsCredentialsSource::FromContainer(std::vector<std::string>* tried) {
  const Environment& get = options_.environment;
  std::string url = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!url.empty()) {
    url = kContainerHost + url;
  } else {
    url = get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  }
  if (url.empty()) {
    tried->push_back("container (AWS_CONTAINER_CREDENTIALS_FULL_URI is not set)");
    return std::nullopt;
  }
  NAVIT_ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  if (!MayCarrySecrets(parsed)) {
    return absl::UnauthenticatedError(absl::StrCat(
        "container credentials: ", url, " is neither https nor on this machine or its link"));
  }
  std::string token = get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    NAVIT_ASSIGN_OR_RETURN(token, ReadFile(file));
  }
  HttpCall call = LocalCall(url);
  token = std::string(absl::StripAsciiWhitespace(token));
  if (absl::StrContains(token, '\n') || absl::StrContains(token, '\r')) {
    return absl::UnauthenticatedError("container credentials: the token has line breaks");
  }
  if (!token.empty()) call.headers["authorization"] = token;
  NAVIT_ASSIGN_OR_RETURN(const std::string body,
                         BodyOf("container credentials", client_.Send(call)));
  return ParseJson(body);
}

AwsCredentialsSource::Found AwsCredentialsSource::FromInstance(std::vector<std::string>* tried) {
  const Environment& get = options_.environment;
  if (absl::EqualsIgnoreCase(get("AWS_EC2_METADATA_DISABLED"), "true")) {
    tried->push_back("instance metadata (AWS_EC2_METADATA_DISABLED is true)");
    return std::nullopt;
  }
  std::string host = get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (host.empty()) host = kInstanceHost;
  HttpCall call = LocalCall(JoinUrl(host, "latest/api/token"));
  call.method = "PUT";
  call.headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}};
  absl::StatusOr<HttpReply> reply = client_.Send(call);
  if (!reply.ok()) {
    // Not on such a machine.
    tried->push_back(
        absl::StrCat("instance metadata (", host, ": ", reply.status().message(), ")"));
    return std::nullopt;
  }
  NAVIT_ASSIGN_OR_RETURN(const std::string token, BodyOf("instance metadata", std::move(reply)));
  const std::string folder = JoinUrl(host, "latest/meta-data/iam/security-credentials/");
  call = LocalCall(folder);
  call.headers = {{"x-aws-ec2-metadata-token", token}};
  reply = client_.Send(call);
  if (reply.ok() && reply->status == 404) {
    tried->push_back("instance metadata (the instance has no role)");
    return std::nullopt;
  }
  NAVIT_ASSIGN_OR_RETURN(const std::string role, BodyOf("instance metadata", std::move(reply)));
  call.url = folder + std::string(absl::StripAsciiWhitespace(role.substr(0, role.find('\n'))));
  NAVIT_ASSIGN_OR_RETURN(const std::string body, BodyOf("instance metadata", client_.Send(call)));
  return ParseJson(body);
}

}  // namespace navit
