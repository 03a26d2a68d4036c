#include "common/test_certificates.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace navit {

TestCertificates::TestCertificates(const std::string& name)
    : prefix_(absl::StrCat(testing::TempDir(), "/", name, "-")) {
  const std::string request =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
  const std::string authority = absl::StrCat(request, " -subj /CN=authority -keyout '", prefix_,
                                             "ca.key' -out '", prefix_, "ca.pem'");
  const std::string certificate =
      absl::StrCat(request, " -subj /CN=", name, " -addext subjectAltName=DNS:", name,
                   " -addext basicConstraints=CA:FALSE -CA '", prefix_, "ca.pem' -CAkey '", prefix_,
                   "ca.key' -keyout '", prefix_, "tls.key' -out '", prefix_, "tls.pem'");
  for (const std::string& command : {authority, certificate}) {
    EXPECT_EQ(std::system((command + " 2>&1").c_str()), 0) << command;
  }
}

}  // namespace navit
