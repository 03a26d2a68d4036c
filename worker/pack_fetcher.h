// Direct delivery: payloads that the coordinator did not send are fetched from the packers that
// made them.
#ifndef NAVIT_WORKER_PACK_FETCHER_H_
#define NAVIT_WORKER_PACK_FETCHER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/grpc_channel.h"
#include "proto/pack.pb.h"
#include "worker/run_client.h"

namespace navit {

struct PackFetcherOptions {
  // TLS and message cap.
  ChannelOptions channel = {};
  // How long the packs of one step may take.
  absl::Duration timeout = absl::Seconds(10);
};

// Thread-compatible.
class PackFetcher {
 public:
  // `client` must outlive the fetcher; RunClient::Cancel ends a fetch.
  PackFetcher(RunClient* client, PackFetcherOptions options)
      : client_(client), options_(std::move(options)) {}

  // Puts the payload, checked against the frame's header, in the source's place of every frame that
  // has a source, from all packers at once. UNAVAILABLE: some packer did not give its packs, or
  // gave other bytes; it is in failed() from now on, and the frames are of no use.
  absl::Status Fetch(std::vector<v1::Frame>* frames);

  // Addresses of packers that failed.
  const std::set<std::string>& failed() const { return failed_; }

 private:
  struct Call;
  absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& address);

  RunClient* const client_;
  const PackFetcherOptions options_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  std::set<std::string> failed_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_PACK_FETCHER_H_
