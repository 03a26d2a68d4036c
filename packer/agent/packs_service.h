// The Packs service: gives trainers the packs that stay here.
#ifndef NAVIT_PACKER_AGENT_PACKS_SERVICE_H_
#define NAVIT_PACKER_AGENT_PACKS_SERVICE_H_

#include <memory>

#include "packer/agent/pack_store.h"
#include "packer/metrics.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace navit {

// Both must outlive the service.
std::unique_ptr<grpc::Service> MakePacksService(const PackStore* store, PackerMetrics* metrics);

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_PACKS_SERVICE_H_
