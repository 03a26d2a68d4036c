// Files of one side of a TLS connection; read again when they change (rotation drops nothing).
#ifndef NAVIT_COMMON_TLS_H_
#define NAVIT_COMMON_TLS_H_

#include <string>

#include "absl/status/status.h"

namespace navit {

// PEM files. Server: certificate and key are needed; `ca` makes client certificates compulsory.
// Client: `ca` is needed; certificate and key where the server asks for them. All empty: no TLS.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string ca;

  bool any() const { return !certificate.empty() || !key.empty() || !ca.empty(); }
};

// InvalidArgument names the flag that is missing; NotFound and the like name the file.
absl::Status CheckServerTls(const TlsFiles& files);
absl::Status CheckClientTls(const TlsFiles& files);

}  // namespace navit

#endif  // NAVIT_COMMON_TLS_H_
