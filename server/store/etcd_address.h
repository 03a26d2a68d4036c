// --state=etcd://…: where a replicated store is.
#ifndef NAVIT_SERVER_STORE_ETCD_ADDRESS_H_
#define NAVIT_SERVER_STORE_ETCD_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

struct EtcdAddress {
  // For MakeChannel.
  std::string target;
  // Of all keys; begins with a slash and ends without one.
  std::string prefix;
};

bool IsEtcdAddress(absl::string_view state);

// etcd://NAME:PORT/PREFIX (every address of the name is a member) or
// etcd://IPV4:PORT,IPV4:PORT,…/PREFIX. InvalidArgument: not of that form.
absl::StatusOr<EtcdAddress> ParseEtcdAddress(absl::string_view state);

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_ETCD_ADDRESS_H_
