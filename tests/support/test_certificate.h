#pragma once

#include <string>

namespace modelfs::test {

/// A self-signed certificate for 127.0.0.1 and localhost, valid for a day, and its key.
struct TestCertificate {
  std::string certificate_pem;
  std::string private_key_pem;

  /// Makes a new one; it is its own authority. Aborts the program when OpenSSL fails.
  static TestCertificate Make();
};

}  // namespace modelfs::test
