// The calls of etcd's key-value API that the store makes, repeated while etcd is away.
#ifndef NAVIT_SERVER_STORE_ETCD_CLIENT_H_
#define NAVIT_SERVER_STORE_ETCD_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "third_party/etcd/rpc.grpc.pb.h"

namespace navit {

// Thread-safe. Errors begin with "etcd: ". UNAVAILABLE: etcd was away for all of the
// time; what was asked may have been done.
class EtcdClient {
 public:
  // Calls are repeated for `timeout` while etcd cannot be reached or has no leader of its own.
  EtcdClient(std::shared_ptr<grpc::Channel> channel, absl::Duration timeout);

  // The request may reach etcd several times: it must compare what its first arrival changes.
  absl::StatusOr<etcdserverpb::TxnResponse> Txn(const etcdserverpb::TxnRequest& request) const;
  // nullopt: no such key.
  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) const;
  // Every key that begins with `prefix`, in order, as of one moment.
  absl::Status ForEach(const std::string& prefix,
                       const std::function<absl::Status(const std::string& key,
                                                        const std::string& value)>& see) const;

 private:
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (etcdserverpb::KV::Stub::*method)(grpc::ClientContext*,
                                                                            const Request&, Reply*),
                             const Request& request) const;

  const std::unique_ptr<etcdserverpb::KV::Stub> kv_;
  const absl::Duration timeout_;
};

// The end of the range of all keys that begin with `prefix`, which is not empty and ends with a
// byte other than 0xff.
std::string PrefixEnd(std::string prefix);

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_ETCD_CLIENT_H_
