#include "common/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/grpc_tls.h"
#include "common/grpc_tuning.h"
#include "common/status_macros.h"

namespace navit {
namespace {

std::shared_ptr<grpc::ServerCredentials> Credentials(const TlsFiles& files) {
  if (!files.any()) return grpc::InsecureServerCredentials();
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca, kTlsRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (files.ca.empty()) {
    options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    // Clients are known by their certificate's signer, not by a host name.
    options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<AnyPeerName>());
    options.set_check_call_host(false);
  }
  return tls::TlsServerCredentials(options);
}

void SetLimits(const GrpcServerOptions& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder->SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  // Dead peers (a machine that is gone, a half-open connection) are noticed without traffic.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                              static_cast<int>(absl::ToInt64Milliseconds(options.keepalive)));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  // Two servers on one port would share the calls between them.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  for (const auto& [name, value] : kBulkArguments) builder->AddChannelArgument(name, value);
}

}  // namespace

bool IsLoopbackAddress(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const absl::string_view host = address.substr(0, address.rfind(':'));
  return host == "localhost" || host == "[::1]" || host == "::1" || absl::StartsWith(host, "127.");
}

GrpcServer::GrpcServer() = default;

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const GrpcServerOptions& options, const std::vector<grpc::Service*>& services) {
  const size_t colon = options.listen.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(options.listen.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("gRPC address '", options.listen, "' is not host:port"));
  }
  NAVIT_RETURN_IF_ERROR(CheckServerTls(options.tls));
  if (!options.tls.any() && !options.insecure_listen && !IsLoopbackAddress(options.listen)) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.listen,
                     " can be reached from other hosts: set --tls-cert and --tls-key, or "
                     "--insecure-listen where the network is private"));
  }

  static std::once_flag plugins;
  std::call_once(plugins, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
  grpc::ServerBuilder builder;
  SetLimits(options, &builder);
  int bound = 0;
  builder.AddListeningPort(options.listen, Credentials(options.tls), &bound);
  for (grpc::Service* service : services) builder.RegisterService(service);
  if (options.other_calls != nullptr) builder.RegisterCallbackGenericService(options.other_calls);
  auto server = std::unique_ptr<GrpcServer>(new GrpcServer);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || bound == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen, " for gRPC (is the address in use?)"));
  }
  server->port_ = bound;
  server->address_ = absl::StrCat(options.listen.substr(0, colon), ":", bound);
  server->SetServing(options.serving);
  return server;
}

GrpcServer::~GrpcServer() { Shutdown(absl::Seconds(1)); }

void GrpcServer::SetServing(bool serving) {
  if (server_ == nullptr) return;
  if (grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService()) {
    health->SetServingStatus(serving);
  }
}

void GrpcServer::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  SetServing(false);
  server_->Shutdown(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(absl::ToInt64Milliseconds(grace), GPR_TIMESPAN)));
  server_->Wait();
  server_.reset();
}

}  // namespace navit
