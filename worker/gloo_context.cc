#include "worker/gloo_context.h"

#include <arpa/inet.h>
#include <gloo/transport/context.h>
#include <gloo/transport/pair.h>
#include <gloo/transport/tcp/device.h>
#include <netinet/in.h>

#include <exception>
#include <string>

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

using gloo::transport::Context;
namespace tcp = gloo::transport::tcp;

tcp::attr WithPort(tcp::attr attributes, int port) {
  auto* address = &attributes.ai_addr;
  if (address->ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  }
  return attributes;
}

std::shared_ptr<Context> Listen(const std::shared_ptr<tcp::Device>& device,
                                const GlooOptions& options, int other,
                                std::chrono::milliseconds timeout) {
  std::shared_ptr<Context> context = device->createContext(options.rank, options.world_size);
  context->setTimeout(timeout);
  context->createPair(other);
  return context;
}

}  // namespace

absl::StatusOr<std::vector<std::shared_ptr<Context>>> ListenForRanks(
    const GlooOptions& options, std::chrono::milliseconds timeout) {
  tcp::attr attributes;
  std::shared_ptr<tcp::Device> shared;
  try {
    tcp::attr named;
    named.hostname = options.host;
    attributes = tcp::CreateDeviceAttr(named);
    if (!options.ports.fixed()) shared = std::make_shared<tcp::Device>(attributes);
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat("host ", options.host, " cannot be used for collectives: ", e.what()));
  }
  std::vector<std::shared_ptr<Context>> contexts(options.world_size);
  int next_port = options.ports.first;
  for (int other = 0; other < options.world_size; ++other) {
    if (other == options.rank) continue;
    if (shared != nullptr) {
      contexts[other] = Listen(shared, options, other, timeout);
      continue;
    }
    std::string last_error = "others of its ranks use all of them";
    while (contexts[other] == nullptr) {
      if (next_port > options.ports.last) {
        return absl::ResourceExhaustedError(absl::StrCat(
            "no free port in the range ", options.ports.ToString(), " to listen on for rank ",
            other, " of ", options.world_size, ": ", last_error));
      }
      const auto device = std::make_shared<tcp::Device>(WithPort(attributes, next_port++));
      try {
        contexts[other] = Listen(device, options, other, timeout);
      } catch (const std::exception& e) {
        last_error = e.what();
      }
    }
  }
  return contexts;
}

}  // namespace navit
