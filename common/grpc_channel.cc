#include "common/grpc_channel.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/grpc_tls.h"
#include "common/grpc_tuning.h"
#include "common/status_macros.h"

namespace navit {
namespace {

std::shared_ptr<grpc::ChannelCredentials> Credentials(const TlsFiles& files) {
  if (!files.any()) return grpc::InsecureChannelCredentials();
  namespace tls = grpc::experimental;
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca, kTlsRefreshSeconds));
  options.watch_root_certs();
  if (!files.certificate.empty()) options.watch_identity_key_cert_pairs();
  return tls::TlsCredentials(options);
}

// gRPC connects to all addresses, watches the health of each, and sends calls to those that serve.
constexpr char kWhoeverServes[] =
    R"({"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}})";

bool IsIpv4WithPort(absl::string_view address) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  in_addr ignored;
  return parts.size() == 2 && inet_pton(AF_INET, parts[0].c_str(), &ignored) == 1;
}

bool IsList(const std::string& target) { return absl::StrContains(target, ','); }

bool NamesSeveral(const std::string& target) {
  return IsList(target) || absl::StartsWith(target, "dns:");
}

// Turns a list into the form that gRPC knows; sets what several addresses need.
absl::StatusOr<std::string> Resolve(const std::string& target, const ChannelOptions& options,
                                    grpc::ChannelArguments* arguments) {
  if (!NamesSeveral(target)) return target;
  arguments->SetServiceConfigJSON(kWhoeverServes);
  arguments->SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A process that comes back may have another address.
  arguments->SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1'000);
  if (!IsList(target)) return target;
  const std::vector<std::string> addresses = absl::StrSplit(target, ',');
  for (const std::string& address : addresses) {
    if (!IsIpv4WithPort(address)) {
      return absl::InvalidArgumentError(
          absl::StrCat("address list '", target, "': '", address,
                       "' is not IPV4:PORT; machines with names go under one name, "
                       "dns:///NAME:PORT"));
    }
  }
  if (options.tls.any() && options.tls_server_name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("address list '", target,
                     "' with TLS: the name in the certificates is needed (TLS server name)"));
  }
  arguments->SetString(GRPC_ARG_DEFAULT_AUTHORITY, addresses[0]);
  return absl::StrCat("ipv4:", target);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& target,
                                                           const ChannelOptions& options) {
  NAVIT_RETURN_IF_ERROR(CheckClientTls(options.tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  // Of several servers one may hang, still connected. Calls go to it until its connection is given
  // up: after ten seconds, when another coordinator leads (--lead_seconds).
  const bool several = NamesSeveral(target);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, several ? 6'000 : 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, several ? 4'000 : 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A restarted coordinator is found within a second or two, not after gRPC's two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // Callers retry with their own backoff and deadline; hidden retries would only confuse them.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Processes of one cluster talk directly, whatever proxy the environment names.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  for (const auto& [name, value] : kBulkArguments) arguments.SetInt(name, value);
  if (options.own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls_server_name);
  }
  NAVIT_ASSIGN_OR_RETURN(const std::string resolved, Resolve(target, options, &arguments));
  return grpc::CreateCustomChannel(resolved, Credentials(options.tls), arguments);
}

}  // namespace navit
