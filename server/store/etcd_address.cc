#include "server/store/etcd_address.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace navit {

namespace {
constexpr absl::string_view kScheme = "etcd://";
}  // namespace

bool IsEtcdAddress(absl::string_view state) { return absl::StartsWith(state, kScheme); }

absl::StatusOr<EtcdAddress> ParseEtcdAddress(absl::string_view state) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(absl::StripPrefix(state, kScheme), absl::MaxSplits('/', 1));
  const auto& [hosts, prefix] = parts;
  if (!IsEtcdAddress(state) || !absl::StrContains(hosts, ':') || prefix.empty() ||
      absl::EndsWith(prefix, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", state, "' is not etcd://HOST:PORT[,HOST:PORT...]/PREFIX"));
  }
  const bool list = absl::StrContains(hosts, ',');
  return EtcdAddress{absl::StrCat(list ? "" : "dns:///", hosts), absl::StrCat("/", prefix)};
}

}  // namespace navit
