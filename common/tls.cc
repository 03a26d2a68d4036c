#include "common/tls.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace navit {
namespace {

absl::Status CheckReadable(const char* flag, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (bytes.ok()) return absl::OkStatus();
  return absl::Status(bytes.status().code(), absl::StrCat(flag, ": ", bytes.status().message()));
}

absl::Status CheckFiles(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError(files.key.empty()
                                          ? "--tls-cert is set, --tls-key is missing"
                                          : "--tls-key is set, --tls-cert is missing");
  }
  absl::Status status = CheckReadable("--tls-cert", files.certificate);
  if (status.ok()) status = CheckReadable("--tls-key", files.key);
  if (status.ok()) status = CheckReadable("--tls-ca", files.ca);
  return status;
}

}  // namespace

absl::Status CheckServerTls(const TlsFiles& files) {
  if (files.any() && files.certificate.empty() && files.key.empty()) {
    return absl::InvalidArgumentError("--tls-ca is set, --tls-cert and --tls-key are missing");
  }
  return CheckFiles(files);
}

absl::Status CheckClientTls(const TlsFiles& files) {
  if (files.any() && files.ca.empty()) {
    return absl::InvalidArgumentError("--tls-cert is set, --tls-ca is missing");
  }
  return CheckFiles(files);
}

}  // namespace navit
