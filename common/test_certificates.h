// Certificates for tests of TLS.
#ifndef NAVIT_COMMON_TEST_CERTIFICATES_H_
#define NAVIT_COMMON_TEST_CERTIFICATES_H_

#include <string>

#include "common/tls.h"

namespace navit {

// One authority and one certificate that it signed, for servers and clients alike, by the program
// openssl in the test's folder; the test fails if it cannot.
class TestCertificates {
 public:
  // `name`: a word; what the certificate says its owner is. It carries no address.
  explicit TestCertificates(const std::string& name);

  // For a server that asks for client certificates, or a client that has one.
  TlsFiles mutual() const { return {prefix_ + "tls.pem", prefix_ + "tls.key", prefix_ + "ca.pem"}; }
  // For a server that takes every client.
  TlsFiles server() const { return {prefix_ + "tls.pem", prefix_ + "tls.key", ""}; }
  // For a client that has no certificate.
  TlsFiles client() const { return {"", "", prefix_ + "ca.pem"}; }

 private:
  const std::string prefix_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_TEST_CERTIFICATES_H_
