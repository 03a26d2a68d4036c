#include "common/http_server.h"

#include <civetweb.h>

#include <cstring>
#include <exception>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/log.h"

namespace navit {
namespace {

const char* ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 302:
      return "Found";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return status < 400 ? "OK" : (status < 500 ? "Client Error" : "Server Error");
  }
}

void Send(mg_connection* connection, const HttpResponse& response, bool with_body) {
  std::string more;
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&more, "\r\n", name, ": ", value);
  }
  const std::string head = absl::StrCat(
      "HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status),
      "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff",
      response.status == 405 ? "\r\nAllow: GET, HEAD" : "", more, "\r\nConnection: close\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (with_body && !response.body.empty()) {
    mg_write(connection, response.body.data(), response.body.size());
  }
}

}  // namespace

struct HttpServer::Impl {
  std::map<std::string, HttpHandler> routes;
  std::string listen_error;
  mg_context* context = nullptr;

  // The handler of `path`: the exact route, else the longest "/*" that holds it.
  const HttpHandler* Find(const std::string& path) const {
    if (auto exact = routes.find(path); exact != routes.end()) return &exact->second;
    const HttpHandler* best = nullptr;
    size_t best_length = 0;
    for (const auto& [route, handler] : routes) {
      if (!absl::EndsWith(route, "/*")) continue;
      const std::string prefix = route.substr(0, route.size() - 1);
      if (absl::StartsWith(path, prefix) && prefix.size() >= best_length) {
        best = &handler;
        best_length = prefix.size();
      }
    }
    return best;
  }

  int Serve(mg_connection* connection) const {
    const mg_request_info* info = mg_get_request_info(connection);
    const absl::string_view method = info->request_method;
    const bool head = method == "HEAD";
    HttpResponse response;
    if (method != "GET" && !head) {
      response = {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
    } else {
      HttpRequest request;
      request.path = info->local_uri == nullptr ? "/" : info->local_uri;
      request.query = info->query_string == nullptr ? "" : info->query_string;
      if (const HttpHandler* handler = Find(request.path)) {
        response = (*handler)(request);
      } else {
        response = {404, "text/plain; charset=utf-8", "no such page\n"};
      }
    }
    Send(connection, response, !head);
    return response.status;
  }
};

HttpServer::HttpServer() : impl_(std::make_unique<Impl>()) {}

HttpServer::~HttpServer() {
  if (impl_->context != nullptr) mg_stop(impl_->context);
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const std::string& address, std::map<std::string, HttpHandler> routes) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("HTTP address '", address, "' is not host:port"));
  }
  const std::string host = address.substr(0, colon);
  auto server = std::unique_ptr<HttpServer>(new HttpServer);
  server->impl_->routes = std::move(routes);
  server->impl_->routes.emplace("/healthz", [](const HttpRequest&) {
    return HttpResponse{200, "text/plain; charset=utf-8", "ok\n"};
  });

  mg_callbacks callbacks;
  std::memset(&callbacks, 0, sizeof(callbacks));
  callbacks.begin_request = [](mg_connection* connection) {
    const auto* impl = static_cast<const Impl*>(mg_get_request_info(connection)->user_data);
    return impl->Serve(connection);
  };
  callbacks.log_message = [](const mg_connection* connection, const char* message) {
    auto* impl = static_cast<Impl*>(mg_get_user_data(mg_get_context(connection)));
    // Called while the server starts, by the starting thread; later ones are noise of clients.
    if (impl != nullptr && impl->context == nullptr) impl->listen_error = message;
    return 1;
  };
  // No document root: nothing but the routes is ever served.
  const char* options[] = {
      "listening_ports", address.c_str(),     "num_threads", "4",    "request_timeout_ms",
      "10000",           "enable_keep_alive", "no",          nullptr};
  server->impl_->context = mg_start(&callbacks, server->impl_.get(), options);
  if (server->impl_->context == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, " for HTTP: ", server->impl_->listen_error));
  }
  mg_server_port bound[4];
  if (mg_get_server_ports(server->impl_->context, 4, bound) < 1) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, " for HTTP"));
  }
  server->port_ = bound[0].port;
  server->address_ = absl::StrCat(host, ":", server->port_);
  return server;
}

}  // namespace navit
